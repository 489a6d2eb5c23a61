import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ProblemError
from common.fields import instant
from webhooks.operations.inbound.catching_up import catch_up, catch_up_objects
from webhooks.operations.inbound.processing import process_due


class Command(BaseCommand):
    """This command will store what was never delivered, and work on it. Exit 0 only if all of the list was read."""

    help = "Store the events of Stripe's list that were never delivered, and work on them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--objects-from", metavar="TIME", help="by the objects made since then, beyond 30 days"
        )
        parser.add_argument("--account", default="", help="with --objects-from: of this connected account")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        stored = catch_up()
        if options["objects_from"]:
            try:
                start = instant(options["objects_from"])
            except ProblemError as error:
                raise CommandError(f"--objects-from: {error.detail}") from error
            stored += catch_up_objects(created_from=start, account=options["account"])
        found = {"stored": stored, "handed_out": process_due()}
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            self.stdout.write(
                f"{found['stored']} events were missing; {found['handed_out']} objects were worked on."
            )
