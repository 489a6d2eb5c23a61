"""What the gate recorded in a range of cuts, summed for an invoice, and record by record for whoever asks why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.cuts import difference
from billing.queries.standing import Range
from billing.rules.usagelines import LANES, SOURCES, Group, UsageSum, digest_of
from events.store import Cursor
from spend.rules.charging import METERED

TOKENS: Final = (
    "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens",
    "reasoning_output_tokens",
)  # fmt: skip
# Receipts of several parts are taken apart; of the others, nearly all, the group's charge is the part's.
_SHARES: Final = ", ".join(
    f"COALESCE(sum((SELECT sum((p->>2)::bigint) FROM json_array_elements(u.funding) p WHERE p->>0 = '{source}'))"
    f" FILTER (WHERE u.first IS NULL), 0)"
    for source in SOURCES
)
# Sums, so that nothing is sorted: a million records are hashed into few groups.
_LANES: Final = ", ".join(
    f"sum(('x' || encode(substr(u.hash, {1 + 7 * lane}, 7), 'hex'))::bit(56)::bigint)"
    for lane in range(LANES)
)
# OFFSET 0: the hash and the first source are worked out once for each record, not once for each sum over them. The
# source is taken from the text where that is plain, since parsing a million receipts costs more than all the rest.
_SUMS: Final = f"""
SELECT u.kind, u.provider, u.model, u.tool, u.late, u.price_version::text, u.first, min(u.occurred_at),
    max(u.occurred_at), count(*), sum(u.charge), {", ".join(f"sum(u.{name})" for name in TOKENS)}, sum(u.tool_calls),
    {_LANES}, {_SHARES}
FROM (
    SELECT x.kind, x.provider, x.model, x.tool, x.price_version, x.occurred_at, x.charge, x.funding, x.tool_calls,
        {", ".join(f"x.{name}" for name in TOKENS)}, sha256(uuid_send(x.id) || int8send(x.charge)) AS hash,
        x.occurred_at < %(late_before)s AS late, CASE WHEN starts_with(x.funding::text, '[["')
            AND strpos(substr(x.funding::text, 3), '[') = 0 THEN split_part(x.funding::text, '"', 2) END AS first
    FROM usage_records x WHERE {{condition}} OFFSET 0
) u
GROUP BY u.kind, u.provider, u.model, u.tool, u.late, u.price_version, u.first
"""
_RECORDS: Final = """
SELECT x.id, x.occurred_at, x.recorded_at, x.currency, x.charge, x.funding::text, x.input_tokens,
    x.cache_read_input_tokens, x.cache_creation_input_tokens, x.output_tokens, x.reasoning_output_tokens, x.tool_calls,
    x.price_version, a.key, r.key, x.outcome, x.detail::text
FROM usage_records x LEFT JOIN agents a ON a.id = x.agent_id LEFT JOIN runs r ON r.id = x.run_id
WHERE {condition} AND x.kind IS NOT DISTINCT FROM %(kind)s AND x.provider IS NOT DISTINCT FROM %(provider)s
    AND x.model IS NOT DISTINCT FROM %(model)s AND x.tool IS NOT DISTINCT FROM %(tool)s
    AND (x.occurred_at < %(late_before)s) = %(late)s AND x.id > %(after)s
ORDER BY x.id LIMIT %(limit)s
"""
AT_ONCE: Final = 5_000
FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Record:
    """One usage record of a line; money in units. `funding` and `detail` are JSON."""

    id: UUID
    occurred_at: datetime
    recorded_at: datetime
    currency: str
    charge: int
    funding: str
    input_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    tool_calls: int
    price_version: UUID | None
    agent: str | None
    run: str | None
    outcome: str
    detail: str | None


def usage_sums(cur: Cursor, *, organization: UUID, ranges: Sequence[Range]) -> list[UsageSum]:
    """Return what was used in each range, by kind of action, model and tool; late facts (of a period that the range
    before it had closed) apart. In the order of the lines that they become."""
    found = []
    for place, chosen in enumerate(ranges):
        condition, values = _condition(cur, organization, chosen)
        merged: dict[Group, list[tuple[Any, ...]]] = {}
        for row in cur.execute(_SUMS.format(condition=condition), values).fetchall():
            merged.setdefault(Group(*row[:5]), []).append(row[5:])
        found += [_sum(place, group, rows) for group, rows in merged.items()]
    return sorted(found, key=lambda each: (each.group.late, each.place, each.group.name))


def records_of(
    cur: Cursor, *, organization: UUID, chosen: Range, group: Group, at_once: int = AT_ONCE
) -> Iterator[Record]:
    """Yield the usage records of a line, in the order of their ids, read in pieces."""
    after = FIRST
    while rows := records_after(
        cur, organization=organization, chosen=chosen, group=group, after=after, limit=at_once
    ):
        yield from rows
        if len(rows) < at_once:
            return
        after = rows[-1].id


def records_after(
    cur: Cursor, *, organization: UUID, chosen: Range, group: Group, after: UUID, limit: int
) -> list[Record]:
    """Return up to `limit` usage records of a line, in the order of their ids, from the one after `after` on."""
    condition, values = _condition(cur, organization, chosen)
    values |= {**group.data(), "limit": limit, "after": after}
    return [Record(*row) for row in cur.execute(_RECORDS.format(condition=condition), values).fetchall()]


def _condition(cur: Cursor, organization: UUID, chosen: Range) -> tuple[str, dict[str, Any]]:
    before, after = chosen
    condition = difference(cur, organization, alias="x", cut=after, previous=before)
    late_before = "-infinity" if before is None else before.until
    # A metered charge is a line of the invoice that rated it.
    sql = f"{condition.sql} AND x.kind IS DISTINCT FROM '{METERED}'"
    return sql, {**condition.values, "late_before": late_before}


def _sum(place: int, group: Group, rows: Sequence[tuple[Any, ...]]) -> UsageSum:
    """One group out of its rows, which are by price version and by who paid."""
    calls, charge, *figures = _added(rows)
    tokens, rest = figures[: len(TOKENS)], figures[len(TOKENS) :]
    lanes, funded = rest[1 : 1 + LANES], dict(zip(SOURCES, rest[1 + LANES :], strict=True))
    for row in rows:
        if row[1] is not None:
            funded[row[1]] = funded.get(row[1], 0) + int(row[5])
    return UsageSum(
        place,
        group,
        calls,
        charge,
        dict(zip(TOKENS, tokens, strict=True)),
        tool_calls=rest[0],
        first_at=min(row[2] for row in rows),
        last_at=max(row[3] for row in rows),
        price_versions=tuple(sorted({row[0] for row in rows if row[0] is not None})),
        digest=digest_of(lanes),
        funded=funded,
    )


def _added(rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """The figures of the rows, added up; of most groups there is one row."""
    if len(rows) == 1:
        return [int(figure) for figure in rows[0][4:]]
    return [sum(map(int, column)) for column in zip(*(row[4:] for row in rows), strict=True)]
