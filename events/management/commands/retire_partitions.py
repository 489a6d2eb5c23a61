import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.database import own_session
from events.operations.retire import NotRetirable, retire_partitions


class Command(BaseCommand):
    """This command will move old months of usage records and decisions into Parquet files, as the owner. Only sealed
    months, and only after the file was read back. Exit 0 only when all of them left."""

    help = "Move sealed months of usage records and decisions into Parquet files, and drop them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--older-than", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        with own_session("owner", statement_seconds=3_600) as session:
            try:
                done = retire_partitions(session, older_than=options["older_than"])
            except NotRetirable as error:
                raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in done]))
            return
        for each in done:
            self.stdout.write(f"{each.partition}: {each.rows} rows in {each.file}")
        self.stdout.write(f"{len(done)} months retired.")
