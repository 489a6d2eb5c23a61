import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.operations.backup import BackupFailed, restore, verify_restored


class Command(BaseCommand):
    """This command will load a dump into the configured database, which must be empty and have the four roles' rights,
    as the owner. With --verify the facts, the chain and the sequence are compared with what was saved. Run
    after_restore next."""

    help = "Load a dump into the configured, empty database; --verify compares the facts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--verify", action="store_true", help="compare the facts with those of the backup"
        )
        parser.add_argument("--only-verify", action="store_true", help="the dump was loaded before")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        file, answer = options["file"].resolve(), {}
        try:
            if not options["only_verify"]:
                restore(file=file)
            if options["verify"] or options["only_verify"]:
                answer = asdict(verify_restored(file=file))
        except (BackupFailed, FileNotFoundError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, **answer}))
        else:
            verified = f" Its facts have the saved hash {answer['ledger_hash']}." if answer else ""
            self.stdout.write(
                f"{file} is restored.{verified} Run manage.py after_restore before anything writes."
            )
