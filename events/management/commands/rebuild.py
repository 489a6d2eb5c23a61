import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.rebuilding.replay import TooLongTransaction
from events.rebuilding.run import Outcome, rebuild


class Command(BaseCommand):
    """This command will make every projection again from the facts, beside the live ones, and compare them row by
    row. It changes nothing. Exit 0 only when there is no difference."""

    help = "Make the projections again from the facts and compare them with the live ones."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", required=True, help="compare; nothing is replaced"
        )
        parser.add_argument("--from-checkpoint", action="store_true", help="begin at the newest checkpoint")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = rebuild(from_checkpoint=options["from_checkpoint"])
        except TooLongTransaction as error:
            raise CommandError("A transaction has been open for more than 30 s; end it first.") from error
        if options["json"]:
            self.stdout.write(json.dumps(outcome.as_dict(), default=str))
        else:
            self._print(outcome)
        if outcome.differences:
            raise CommandError(f"{len(outcome.differences) + outcome.more_differences} differences.")

    def _print(self, outcome: Outcome) -> None:
        for difference in outcome.differences:
            self.stdout.write(str(difference))
        rows = sum(outcome.tables.values())
        self.stdout.write(
            f"{outcome.events} events replayed in {outcome.seconds} s ({outcome.events_per_second} a second);"
            f" {rows} rows of {len(outcome.tables)} tables compared in {outcome.compare_seconds} s."
        )
