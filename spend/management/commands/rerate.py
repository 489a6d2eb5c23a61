"""manage.py rerate: what usage would have cost on other prices; nothing is written."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.errors import ProblemError
from common.money import format_amount
from common.transactions import run_in_transaction
from spend.queries.rerating import Difference, differences, prepared, written
from spend.rules.otherprices import read_question


class Command(BaseCommand):
    """This command will rate the usage of a period on the prices of a file, and print the difference per customer,
    model and tool. It writes nothing."""

    help = "Rate the usage of a period on other prices and print the difference; changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", required=True, metavar="TIME")
        parser.add_argument("--to", dest="end", required=True, metavar="TIME", help="exclusive")
        parser.add_argument("--prices", type=Path, help="a file with a JSON list of prices of models")
        parser.add_argument("--tools", type=Path, help="a file with a JSON list of prices of tools")
        parser.add_argument("--organization", action="append", metavar="ID", help="may be repeated")
        parser.add_argument("--json", action="store_true", help="one JSON object a line, for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        body = {"from": options["start"], "to": options["end"]}
        for name in ("prices", "tools"):
            if options[name] is not None:
                body[name] = _read(options[name], name)
        if options["organization"]:
            body["organizations"] = options["organization"]
        try:
            self._print(body, as_json=options["json"])
        except ProblemError as error:
            raise CommandError(f"{error.code}: {error.detail} {error.errors or ''}") from error

    def _print(self, body: dict[str, Any], *, as_json: bool) -> None:
        question = read_question(body)
        work = run_in_transaction(partial(prepared, question=question))
        for customer in work.customers:
            for row in differences(customer, work.prices, start=question.start, end=question.end):
                self.stdout.write(msgspec.json.encode(written(row)).decode() if as_json else _line(row))


def _read(path: Path, name: str) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise CommandError(f"--{name}: {error}") from error


def _line(row: Difference) -> str:
    model = f"{row.provider or '-'}/{row.model or '-'}" + (f" {row.tool}" if row.tool else "")
    kept = row.unpriced + row.unexplained
    left = f", {kept} records left as they are" if kept else ""
    change = f"{format_amount(row.charge)} -> {format_amount(row.other_charge)} {row.currency}"
    return f"{row.organization} {row.name}: {model}, {row.rerated} of {row.records} records, {change}{left}"
