"""What was published and what waits for approval, as people read it: newest first, page by page.

The gate reads prices by `spend.queries.prices`; nothing here is on the path of a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import NotFound
from events.store import Cursor
from spend.queries.naming import Conditions, objects

CHANGE_STATUSES: Final = ("proposed", "approved", "rejected", "superseded")
PRICE_KINDS: Final = ("book", "plan", "override", "contract")


@dataclass(frozen=True, slots=True)
class PriceTable:
    """A table of the price book: its columns, those that hold JSON, and what one row is called."""

    name: str
    noun: str
    columns: tuple[str, ...]
    json: tuple[str, ...] = ()

    @property
    def select(self) -> str:
        """The statement that reads all rows; JSON comes as text, whatever the connection makes of it."""
        shown = [f"x.{name}::text AS {name}" if name in self.json else f"x.{name}" for name in self.columns]
        return f"SELECT {', '.join(shown)} FROM {self.name} x"


_DATED: Final = ("valid_from", "valid_to", "published_at")
PRICES: Final = PriceTable(
    "price_versions",
    "price",
    (
        "id", "organization", "kind", "provider", "model", "currency", "components", "variants", "daily_from",
        "daily_to", "source", "source_version", "approved_by", *_DATED,
    ),
    ("components", "variants"),
)  # fmt: skip
CHANGES: Final = PriceTable(
    "price_changes",
    "price change",
    (
        "id", "provider", "model", "status", "current", "proposal", "source", "source_version", "proposed_at",
        "decided_at", "decided_by", "reason",
    ),
    ("current", "proposal"),
)  # fmt: skip
TOOLS: Final = PriceTable(
    "tool_prices",
    "tool price",
    ("id", "organization", "pattern", "unit", "amount", "per", "currency", "source", *_DATED),
)
MARKUPS: Final = PriceTable("markups", "markup", ("id", "organization", "ppm", "reason", *_DATED))
RATES: Final = PriceTable(
    "fx_rates", "exchange rate", ("id", "base", "quote", "rate", "markup_ppm", "source", *_DATED)
)
_HOLDS: Final = "x.valid_from <= %(at)s AND (x.valid_to IS NULL OR x.valid_to > %(at)s)"
# Names of models and providers are compared without regard to case, as they are when a call is priced.
_FOLDED: Final = frozenset({"model"})


def list_rows(
    cur: Cursor,
    table: PriceTable,
    *,
    wanted: Mapping[str, Any],
    at: datetime | None = None,
    before: UUID | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return up to `limit` rows, newest first, made before `before`.

    `wanted` are values by column, None: any; `at` asks for what holds at this moment.
    """
    clause = Conditions(limit=limit)
    for column, value in wanted.items():
        side = "lower(x.{0}) = lower(%({0})s)" if column in _FOLDED else "x.{0} = %({0})s"
        clause.add(side.format(column), column, value)
    clause.add(_HOLDS, "at", at)
    clause.add("x.id < %(before)s", "before", before)
    cur.execute(table.select + clause.where("true") + " ORDER BY x.id DESC LIMIT %(limit)s", clause.values)
    return objects(cur, parsed=table.json)


def find_row(cur: Cursor, table: PriceTable, row: UUID) -> dict[str, Any]:
    """Return one row. Raises NotFound."""
    cur.execute(table.select + " WHERE x.id = %s", (row,))
    found = objects(cur, parsed=table.json)
    if not found:
        raise NotFound(f"There is no such {table.noun}.")
    return found[0]


def waiting_changes(cur: Cursor) -> list[dict[str, Any]]:
    """Return every price change that waits for a person's decision, by provider and model."""
    cur.execute(CHANGES.select + " WHERE x.status = 'proposed' ORDER BY x.provider, x.model")
    return objects(cur, parsed=CHANGES.json)
