"""Which posting of an entry is wrong: the event that made the entry names its lines, too."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from events.store import Cursor
from events.verifying.report import Finding, Problem

_ENTRY: Final = "SELECT organization FROM journal_entries WHERE id = %s"
_EVENT: Final = """
SELECT data::text FROM events WHERE (%(organization)s::uuid IS NULL OR organization = %(organization)s)
    AND data::jsonb @> jsonb_build_object('ledger', jsonb_build_object('entries',
        jsonb_build_array(jsonb_build_object('id', %(id)s::text)))) LIMIT 1
"""
_POSTINGS: Final = "SELECT n, account_id::text, amount, currency FROM postings WHERE entry_id = %s"
Line = tuple[str, int, str]


def posting_findings(cur: Cursor, entry: str) -> Iterator[Finding]:
    """Compare an entry's postings with the lines in the event that made it, and name those that differ."""
    row = cur.execute(_ENTRY, (entry,)).fetchone()
    found = cur.execute(_EVENT, {"organization": row[0] if row else None, "id": entry}).fetchone()
    if found is None:
        return
    made = _lines(msgspec.json.decode(found[0]), entry)
    now = {
        n: (account, amount, currency) for n, account, amount, currency in cur.execute(_POSTINGS, (entry,))
    }
    for n in sorted(made.keys() | now.keys()):
        if made.get(n) != now.get(n):
            yield Finding(
                "postings", f"{entry}/{n}", _problem(n, made, now), _detail(made.get(n), now.get(n))
            )


def _lines(data: dict[str, Any], entry: str) -> dict[int, Line]:
    for made in data["ledger"]["entries"]:
        if made["id"] == entry:
            return {
                n: (account, amount, made["currency"]) for n, (account, amount) in enumerate(made["lines"])
            }
    return {}


def _problem(n: int, made: dict[int, Line], now: dict[int, Line]) -> Problem:
    return "inserted" if n not in made else "changed" if n in now else "removed"


def _detail(made: Line | None, now: Line | None) -> str:
    return f"the event says {made}, the row says {now}"
