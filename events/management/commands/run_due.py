import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from events.operations.due import run_everything_due


class Command(BaseCommand):
    """This command will run everything that is due now, once: jobs, then subscribers. Exit 0 only if all of it
    went well."""

    help = "Run everything that is due now, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        done = run_everything_due()
        if options["json"]:
            self.stdout.write(json.dumps(done))
            return
        for name, count in done.items():
            self.stdout.write(f"{name}: {count}")
