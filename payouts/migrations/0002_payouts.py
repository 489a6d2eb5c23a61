"""Payouts, batches, schedules and statements; the models of what the staff sees of them."""

import django_fsm
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("payouts", "0001_marketplace")]

    operations = [
        sql_operation(__file__, "0002_payouts.sql"),
        migrations.CreateModel(
            name="PartnerStatement",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("month", models.DateField()),
                ("number", models.TextField()),
                ("counter", models.IntegerField()),
                ("currency", models.TextField()),
                ("opening", models.BigIntegerField(help_text="10^-8 units")),
                ("earned", models.BigIntegerField(help_text="10^-8 units")),
                ("clawed_back", models.BigIntegerField(help_text="10^-8 units")),
                ("paid_out", models.BigIntegerField(help_text="10^-8 units")),
                ("closing", models.BigIntegerField(help_text="10^-8 units")),
                ("document", models.JSONField()),
                ("made_at", models.DateTimeField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "partner_statements",
                "ordering": ["-month", "id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Payout",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField(help_text="the partner")),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("currency", models.TextField()),
                (
                    "state",
                    django_fsm.FSMField(
                        choices=[
                            ("requested", "requested"),
                            ("held", "held"),
                            ("pending_approval", "pending_approval"),
                            ("approved", "approved"),
                            ("processing", "processing"),
                            ("unknown", "unknown"),
                            ("paid", "paid"),
                            ("failed", "failed"),
                            ("reversed", "reversed"),
                            ("canceled", "canceled"),
                        ],
                        default="requested",
                        max_length=50,
                    ),
                ),
                ("cause", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("requested_by", models.TextField()),
                ("account", models.TextField()),
                ("destination", models.TextField(null=True)),
                ("batch", models.UUIDField(null=True)),
                ("hold", models.TextField(null=True)),
                ("hold_note", models.TextField(null=True)),
                ("reviewed_by", models.TextField(null=True)),
                ("approved_at", models.DateTimeField(null=True)),
                ("approved_by", models.TextField(null=True)),
                ("waits_for", models.TextField(null=True)),
                ("next_at", models.DateTimeField(null=True)),
                ("transfer", models.TextField(null=True)),
                ("payout", models.TextField(null=True)),
                ("taken_back", models.BigIntegerField(help_text="10^-8 units; of the transfer")),
                ("arrival", models.DateTimeField(null=True)),
                ("paid_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("failure", models.JSONField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "payouts",
                "ordering": ["-requested_at", "id"],
                "managed": False,
            },
            bases=(django_fsm.ConcurrentTransitionMixin, models.Model),
        ),
        migrations.CreateModel(
            name="PayoutBatch",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField(help_text="the platform")),
                ("state", models.TextField()),
                ("requested_at", models.DateTimeField()),
                ("requested_by", models.TextField()),
                ("made", models.IntegerField()),
                ("refused", models.IntegerField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("version", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "payout batches",
                "db_table": "payout_batches",
                "ordering": ["-requested_at", "id"],
                "managed": False,
            },
        ),
    ]
