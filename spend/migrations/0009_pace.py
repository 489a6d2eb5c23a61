"""Models of pace."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0008_approvals")]

    operations = []
