"""Models of switches."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_controls")]

    operations = []
