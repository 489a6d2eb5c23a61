"""Dunning cases, policies and notices; models of what the staff sees of them."""

import django_fsm
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_payments"), ("spend", "0010_standings")]

    operations = [
        sql_operation(__file__, "0012_dunning.sql"),
        migrations.CreateModel(
            name="DunningCase",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("past_due", "past_due"),
                            ("grace", "grace"),
                            ("suspended", "suspended"),
                            ("canceled", "canceled"),
                            ("written_off", "written_off"),
                            ("closed", "closed"),
                        ],
                        default="past_due",
                        max_length=50,
                    ),
                ),
                ("policy_id", models.UUIDField(null=True)),
                ("policy_number", models.IntegerField()),
                ("policy", models.JSONField()),
                ("zone", models.TextField()),
                ("anchor_at", models.DateTimeField()),
                ("opened_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("invoices", models.JSONField()),
                ("step", models.IntegerField()),
                ("shift_days", models.IntegerField()),
                ("pending", models.JSONField()),
                ("waits_until", models.DateTimeField(null=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("wants_retry", models.BooleanField()),
                ("is_hard", models.BooleanField()),
                ("failures", models.IntegerField()),
                ("failure", models.JSONField(null=True)),
                ("exempt_until", models.DateTimeField(null=True)),
                ("extended_until", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                ("closing", models.TextField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "dunning_cases",
                "ordering": ["-opened_at", "id"],
                "managed": False,
            },
            bases=(django_fsm.ConcurrentTransitionMixin, models.Model),
        ),
        migrations.CreateModel(
            name="DunningNotice",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("case_id", models.UUIDField()),
                ("notice", models.TextField()),
                ("state", models.TextField()),
                ("made_at", models.DateTimeField()),
                ("status", models.TextField()),
                ("attempts", models.IntegerField()),
                ("next_try_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "dunning_notices",
                "ordering": ["-made_at", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="DunningPolicy",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("plans", models.JSONField()),
                ("contracts", models.JSONField()),
                ("is_default", models.BooleanField()),
                ("number", models.IntegerField()),
                ("document", models.JSONField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "dunning policies",
                "db_table": "dunning_policies",
                "ordering": ["key"],
                "managed": False,
            },
        ),
    ]
