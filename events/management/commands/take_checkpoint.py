import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.rebuilding.run import rebuild


class Command(BaseCommand):
    """This command will check the projections from the newest checkpoint on and, when nothing differs, keep them as
    a new one."""

    help = "Check the projections and keep them as a checkpoint."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--from-zero", action="store_true", help="replay all events instead")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        outcome = rebuild(from_checkpoint=not options["from_zero"], take_checkpoint=True)
        if options["json"]:
            self.stdout.write(json.dumps(outcome.as_dict(), default=str))
        if outcome.checkpoint is None:
            raise CommandError(f"No checkpoint: {len(outcome.differences)} differences; see rebuild --check.")
        if not options["json"]:
            self.stdout.write(f"{outcome.checkpoint} after {outcome.events} events.")
