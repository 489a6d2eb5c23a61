"""manage.py import_prices: bring the installed price source into the book."""

from dataclasses import asdict
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from common.transactions import run_in_transaction
from spend.operations.prices.genai_source import read_source
from spend.operations.prices.importing import ImportReport, import_prices

LISTED = 20


class Command(BaseCommand):
    help = (
        "Compares the installed genai-prices with the price book. New models are taken at once; prices that "
        "differ wait for a person: `price_changes` lists them. Exit status 0 when the comparison was made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the whole report as JSON")
        parser.add_argument("--dry-run", action="store_true", help="compare and report, write nothing")
        parser.add_argument(
            "--only", action="append", metavar="PROVIDER/MODEL", help="this model only; may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = read_source()
        report = run_in_transaction(
            lambda cur: import_prices(
                cur,
                actor="system:import_prices",
                source=source,
                only=options["only"],
                dry_run=options["dry_run"],
            )
        )
        if options["json"]:
            self.stdout.write(msgspec.json.encode(asdict(report)).decode())
        else:
            self._print(report, dry_run=options["dry_run"])

    def _print(self, report: ImportReport, *, dry_run: bool) -> None:
        ending = " (nothing was written)" if dry_run else ""
        self.stdout.write(f"{report.source} {report.source_version}{ending}")
        self.stdout.write(f"{len(report.new_models)} new models with {report.new_versions} prices")
        self.stdout.write(f"{report.unchanged} models unchanged")
        for title, names in (
            ("changed, waiting for approval", [*report.proposed, *report.waiting]),
            ("with other names or limits", report.renamed),
            ("no longer in the source", report.gone),
            ("with something that is not known here", sorted(report.left_out)),
        ):
            if names:
                more = "" if len(names) <= LISTED else f" and {len(names) - LISTED} more"
                self.stdout.write(f"{len(names)} {title}: {', '.join(names[:LISTED])}{more}")
        self.stdout.write(f"{len(report.unpriced)} models without a price in the source: calls are refused")
        if report.proposed or report.waiting:
            self.stdout.write("What waits, and where it is decided: manage.py price_changes")
