import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from events.operations.backup import BackupFailed, back_up


class Command(BaseCommand):
    """This command will dump the database as the owner, with the identity of its facts beside the dump."""

    help = "Dump the database, with the hash of its facts beside the dump."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--file", type=Path, help="default: a new file in the state folder's backups")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        name = f"counterfoil-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
        file = (options["file"] or settings.STATE_HOME / "backups" / name).resolve()
        try:
            facts = back_up(file=file)
        except BackupFailed as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"ok": True, "file": str(file), **asdict(facts)}))
        else:
            self.stdout.write(f"{file}\n{sum(facts.rows.values())} facts, hash {facts.ledger_hash}")
