"""manage.py price_changes: which prices wait for a person, and where they are decided."""

from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from common.transactions import run_in_transaction
from spend.queries.pricelists import waiting_changes
from spend.rules.pricetexts import changed_lines, current_components

HOW = (
    "Approve or reject them in the admin (Spend, Price changes), or with a platform key: "
    "POST /v1/price-changes/<id>/approve or …/reject with a reason."
)


class Command(BaseCommand):
    help = (
        "Lists the changed prices that wait for a person, with what would change, and says where to decide. Changes "
        "nothing: a decision has an actor, which a shell has not. Exit status 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print them as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = run_in_transaction(waiting_changes)
        if options["json"]:
            self.stdout.write(msgspec.json.encode(rows).decode())
            return
        for row in rows:
            self._print(row)
        word = "price change waits" if len(rows) == 1 else "price changes wait"
        self.stdout.write(f"{len(rows)} {word} for a decision." + (f" {HOW}" if rows else ""))

    def _print(self, row: dict[str, Any]) -> None:
        proposed: datetime = row["proposed_at"]
        self.stdout.write(f"{row['id']}  {row['provider']}/{row['model']}  proposed {proposed:%Y-%m-%d}")
        before, after = (current_components(row[name]) for name in ("current", "proposal"))
        lines = changed_lines(before, after) or ["only in variants, hours or dates; see the page"]
        for line in lines:
            self.stdout.write(f"    {line}")
