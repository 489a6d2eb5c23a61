import json
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from common.errors import ProblemError
from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.operations.facts import Author
from webhooks.operations.reconciling.bills import import_bill
from webhooks.rules.reconciling.billfiles import PROVIDERS, Statement, read_statement
from webhooks.rules.reconciling.bills import DEFAULT_TOLERANCE_PPM


class Command(BaseCommand):
    """This command will import a provider's cost export, once for its content. Exit 0 only if it is imported."""

    help = "Import a cost export (CSV) of OpenAI or Anthropic, which the next reconciliation compares."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", choices=PROVIDERS)
        parser.add_argument("file", help="the CSV file")
        parser.add_argument(
            "--tolerance-ppm",
            type=int,
            default=DEFAULT_TOLERANCE_PPM,
            help="parts of a million that may differ",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            statement = self._read(Path(options["file"]), options["provider"])
            bill, is_new = run_in_transaction(
                partial(
                    import_bill,
                    statement=statement,
                    tolerance_ppm=options["tolerance_ppm"],
                    author=Author("system:import_provider_bill"),
                )
            )
        except ProblemError as error:
            raise CommandError(error.detail or error.code) from error
        found = {
            "id": str(bill.id),
            "is_new": is_new,
            "days_and_models": len(bill.lines),
            "total": bill.total,
        }
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            word = "imported" if is_new else "imported before"
            self.stdout.write(f"{bill.id}: {format_amount(bill.total)} {bill.currency}, {word}.")

    def _read(self, path: Path, provider: str) -> Statement:
        """Line by line: a file may be larger than memory."""
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return read_statement(file, provider=provider)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path}: {error}") from error
