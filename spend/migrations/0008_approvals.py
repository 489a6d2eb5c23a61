"""Models of approvals."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0007_run_policies")]

    operations = []
