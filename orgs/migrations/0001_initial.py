"""The tables are made by SQL; the state below is what Django reads them as (managed = False)."""

import django.contrib.postgres.fields
from django.db import migrations, models

from events.schema import sql_operation


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Agent",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("key_folded", models.TextField()),
                ("name_folded", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("listing", models.UUIDField(null=True)),
            ],
            options={
                "db_table": "agents",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("name", models.TextField()),
                ("prefix", models.TextField()),
                ("secret_hash", models.BinaryField()),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
                ),
                ("member_id", models.UUIDField(null=True)),
                (
                    "agent_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), null=True, size=None
                    ),
                ),
                (
                    "connection_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), null=True, size=None
                    ),
                ),
                ("expires_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("rotated_from", models.UUIDField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("last_used_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name": "API key",
                "db_table": "api_keys",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Connection",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("key_folded", models.TextField()),
                ("name_folded", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
                ("billing", models.TextField()),
            ],
            options={
                "db_table": "connections",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("role", models.TextField()),
                ("team_id", models.UUIDField(null=True)),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "members",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="MemberProfile",
            fields=[
                ("member_id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("name", models.TextField()),
                ("email", models.TextField()),
                ("user_id", models.IntegerField(null=True)),
            ],
            options={
                "db_table": "member_profiles",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Organization",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("currency", models.TextField()),
                ("time_zone", models.TextField()),
                ("funding", models.TextField()),
                (
                    "credit_limit",
                    models.BigIntegerField(
                        help_text="10^-8 units; empty: postpaid without a limit", null=True
                    ),
                ),
                ("status", models.TextField()),
                ("is_platform", models.BooleanField()),
                ("sandbox", models.BooleanField()),
                ("clock_offset", models.DurationField()),
                ("config_epoch", models.BigIntegerField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "db_table": "organizations",
                "ordering": ["id"],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Team",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("key_folded", models.TextField()),
                ("name_folded", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "teams",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Workflow",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("organization", models.UUIDField()),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("key_folded", models.TextField()),
                ("name_folded", models.TextField()),
                ("version", models.IntegerField()),
                ("created_at", models.DateTimeField()),
                ("archived_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "workflows",
                "managed": False,
            },
        ),
        sql_operation(__file__, "0001_orgs.sql"),
    ]
