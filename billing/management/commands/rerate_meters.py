"""manage.py rerate_meters: what metered use would have come to on other prices; nothing is written."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.queries.ratingagain import (
    MeteredDifference,
    metered_customers,
    metered_differences,
    signed,
    written,
)
from billing.rules.otherfees import read_meter_question
from common.errors import ProblemError
from common.transactions import run_in_transaction


class Command(BaseCommand):
    """This command will rate the metered periods of a time on the prices of a file, and print the difference per
    customer and charge. It writes nothing."""

    help = "Rate metered periods on other prices and print the difference; changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", required=True, metavar="TIME", help="exclusive")
        parser.add_argument("--to", dest="end", required=True, metavar="TIME")
        parser.add_argument("--charges", required=True, type=Path, help="a file with a JSON list of charges")
        parser.add_argument("--organization", action="append", metavar="ID", help="may be repeated")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            charges = msgspec.json.decode(options["charges"].read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise CommandError(f"--charges: {error}") from error
        body = {"from": options["start"], "to": options["end"], "charges": charges}
        if options["organization"]:
            body["organizations"] = options["organization"]
        try:
            self._print(body, as_json=options["json"])
        except ProblemError as error:
            raise CommandError(f"{error.code}: {error.detail} {error.errors or ''}") from error

    def _print(self, body: dict[str, Any], *, as_json: bool) -> None:
        question = read_meter_question(body)
        for customer in run_in_transaction(partial(metered_customers, question=question)):
            for row in metered_differences(customer, question=question):
                self.stdout.write(msgspec.json.encode(written(row)).decode() if as_json else _line(row))


def _line(row: MeteredDifference) -> str:
    change = f"{signed(row.charge)} -> {signed(row.other_charge)} {row.currency}"
    periods = f"{row.rerated} of {row.periods} periods"
    return f"{row.organization} {row.name}: {row.plan}/{row.charge_key}, {periods}, {change}"
