"""Revenue recognition and closed months; models of what the staff sees of them."""

from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_contracts"), ("ledger", "0003_closed_books")]

    operations = [
        sql_operation(__file__, "0006_recognition.sql"),
        migrations.CreateModel(
            name="AccountingPeriod",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("legal_entity", models.UUIDField()),
                ("month", models.DateField()),
                ("status", models.TextField()),
                ("reason", models.TextField()),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.TextField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "accounting_periods",
                "ordering": ["-month", "legal_entity"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MonthReport",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
            options={
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="RecognitionSchedule",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("invoice_id", models.UUIDField()),
                ("line", models.IntegerField()),
                ("item_id", models.UUIDField(null=True)),
                ("subscription", models.UUIDField(null=True)),
                ("currency", models.TextField()),
                ("billed", models.BigIntegerField(help_text="10^-8 units")),
                ("included", models.BigIntegerField(help_text="10^-8 units")),
                ("changes", models.JSONField()),
                ("amount", models.BigIntegerField(help_text="10^-8 units")),
                ("service_start", models.DateTimeField()),
                ("service_end", models.DateTimeField()),
                ("method", models.TextField()),
                ("zone", models.TextField()),
                ("opened_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("recognised", models.BigIntegerField(help_text="10^-8 units")),
                ("recognised_until", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField()),
                ("status", models.TextField()),
                ("version", models.IntegerField()),
            ],
            options={
                "db_table": "recognition_schedules",
                "ordering": ["-opened_at", "id"],
                "managed": False,
            },
        ),
    ]
