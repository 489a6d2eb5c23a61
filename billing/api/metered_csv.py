"""The records of a metered line as CSV, and how a cell is written."""

import csv
import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.queries.explaining import MeteredRecords
from billing.queries.metering import FIRST_ID
from billing.rules.amounts import exact_text
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.rules.facts import time_text

COLUMNS: Final = (
    "id", "occurred_at", "sign", "value", "unique", "source", "external_id", "event", "reservation", "type", "reason",
    "group",
)  # fmt: skip
AT_ONCE: Final = 2_000


def metered_csv(organization: UUID, chosen: MeteredRecords) -> Iterator[bytes]:
    """Yield the rows, each piece read in a transaction of its own: nobody waits for a slow reader."""
    yield (",".join(COLUMNS) + "\r\n").encode()
    after: UUID | None = FIRST_ID
    while after is not None:
        rows, after = run_in_transaction(
            partial(_piece, organization=organization, chosen=chosen, after=after)
        )
        if rows:
            yield _written(rows, chosen.group_by)


def csv_cell(value: Any) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _piece(
    cur: Cursor, *, organization: UUID, chosen: MeteredRecords, after: UUID
) -> tuple[list[dict[str, Any]], UUID | None]:
    """Some rows, and after which id more follow. Rows of one record stay together."""
    found: list[dict[str, Any]] = []
    for row in chosen.rows(cur, organization, after=after):
        if len(found) >= AT_ONCE and row["id"] != found[-1]["id"]:
            return found, found[-1]["id"]
        found.append(row)
    return found, None


def _written(rows: list[dict[str, Any]], group_by: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        group = {name: row[name] for name in group_by}
        values = {
            **row,
            "occurred_at": time_text(row["occurred_at"]),
            "value": None if row["value"] is None else exact_text(row["value"]),
            "group": json.dumps(group) if group else None,
        }
        # A sign is a number that we write ourselves.
        cells = [str(row["sign"]) if name == "sign" else csv_cell(values.get(name)) for name in COLUMNS]
        writer.writerow(cells)
    return text.getvalue().encode()
