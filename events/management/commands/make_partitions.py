from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from events.operations.partitions import MONTHS_AHEAD, make_partitions


class Command(BaseCommand):
    """This command will make the partitions of this month and the next ones where they are missing."""

    help = "Make the months' partitions before they are needed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--months-ahead", type=int, default=MONTHS_AHEAD)

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{make_partitions(months_ahead=options['months_ahead'])} new partitions.")
