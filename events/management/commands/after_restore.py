import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.database import own_session
from events.operations.restore import begin_epoch


class Command(BaseCommand):
    """This command will make a restored database ready to be written to: once, as the owner, while nothing else
    runs. Entry points refuse to start in another cluster until it has run."""

    help = "Make a restored database ready to be written to (once, while nothing else runs)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--force", action="store_true", help="also in the cluster that the store knows")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        with own_session("owner") as session:
            row = session.execute(
                "SELECT e.system_identifier = c.system_identifier FROM event_store e, pg_control_system() c"
            ).fetchone()
            if row and row[0] and not options["force"]:
                raise CommandError(
                    "The store is in the cluster it knows. A dump that was restored into the same cluster also"
                    " needs this: use --force."
                )
            begun = begin_epoch(session)
        if options["json"]:
            self.stdout.write(json.dumps({"epoch": begun.epoch, "next_seq": begun.next_seq}))
        else:
            self.stdout.write(
                f"Epoch {begun.epoch} begins; the next event has number {begun.next_seq} or higher."
            )
