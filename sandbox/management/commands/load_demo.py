"""manage.py load_demo: the demo data of `make run`."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sandbox.demo import load_demo


class Command(BaseCommand):
    """Makes the demo data unless it is there, and tells keys and passwords in run/demo.json."""

    help = "Import the prices, make the demo organizations and staff, and tell them in run/demo.json."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.STATE_HOME / "run" / "demo.json"
        made = load_demo(path=path)
        self.stdout.write(f"The demo data {'was made' if made else 'is there'}: {path}")
