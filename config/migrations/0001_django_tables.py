from django.db import migrations

from events.schema import sql_operation


class Migration(migrations.Migration):
    """Gives the application's role its rights on the tables of Django's own apps."""

    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("sessions", "0001_initial"),
    ]
    operations = [sql_operation(__file__, "0001_django_tables.sql")]
