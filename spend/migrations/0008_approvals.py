"""What Django reads overrides and approvals as; their tables are made by 0004 (managed = False)."""

import django.db.models.deletion
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("spend", "0007_run_policies")]

    operations = [
        sql_operation(__file__, "0008_overrides.sql"),
        migrations.CreateModel(
            name="BudgetOverride",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("target", models.TextField(null=True)),
                ("run_key", models.TextField(null=True)),
                ("extra", models.BigIntegerField()),
                ("reason", models.TextField()),
                ("created_by", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("ended_by", models.TextField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("end_reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
                (
                    "budget",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="spend.budget"
                    ),
                ),
            ],
            options={"db_table": "budget_overrides", "ordering": ["-id"], "managed": False},
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("counter", models.IntegerField()),
                ("target", models.TextField()),
                ("label", models.TextField(null=True)),
                ("window_start", models.DateTimeField()),
                ("window_end", models.DateTimeField(null=True)),
                ("armed", models.IntegerField()),
                ("rank", models.SmallIntegerField()),
                ("percent", models.IntegerField(null=True)),
                ("amount", models.BigIntegerField(null=True)),
                ("used", models.BigIntegerField()),
                ("amount_limit", models.BigIntegerField()),
                ("unit", models.TextField()),
                ("agent_id", models.UUIDField(null=True)),
                ("run_id", models.UUIDField(null=True)),
                ("status", models.TextField()),
                ("asked_at", models.DateTimeField()),
                ("decided_by", models.TextField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("reason", models.TextField(null=True)),
                ("version", models.IntegerField()),
                (
                    "budget",
                    models.ForeignKey(
                        db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, to="spend.budget"
                    ),
                ),
            ],
            options={"db_table": "approvals", "ordering": ["-id"], "managed": False},
        ),
    ]
