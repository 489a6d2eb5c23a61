"""Events to the rows of revenue metrics: levels, what is committed, movements, and what was posted by day.

A reader of the events writes them, in the transaction that moves its cursor: so each event counts exactly once. They
follow from events and the documents of plan versions, which never change; emptied and read again they are the same
(`operations.metrics.rebuilding`). A customer's movements are written anew as a whole whenever one of its levels
changes, because a fact that is dated earlier changes what later movements are called.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.queries.plans import versions_of
from billing.rules.contracts.decision import STREAM as CONTRACT
from billing.rules.contracts.writing import read_row
from billing.rules.plans import PlanTerms
from billing.rules.subscriptions.decision import STREAM as SUBSCRIPTION
from billing.rules.subscriptions.writing import read_subscription
from events.reading import StoredEvent
from events.store import Cursor
from events.subscribers import Subscriber, register
from payouts.rules.metrics.levels import (
    Level,
    contract_committed,
    contract_levels,
    subscription_committed,
    subscription_level,
)
from payouts.rules.metrics.movements import SourceLevel, movements_of
from payouts.rules.metrics.revenue import ACCOUNTS, CLAWED_BACK, CLEARING, FEE, LOST, PARTNERS

READER: Final = "payouts.metrics"
TABLES: Final = (
    "recurring_levels",
    "recurring_commitments",
    "mrr_movements",
    "revenue_days",
    "shared_hours",
)
COMMITS: Final = frozenset({"reservation.committed", "usage.recorded"})
"""Events that share what a call was charged."""

_LEVEL: Final = """
INSERT INTO recurring_levels (source, at, organization, kind, currency, mrr, trial, status, version)
SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
    %s::text[], %s::integer[])
ON CONFLICT (source, at) DO UPDATE SET mrr = EXCLUDED.mrr, trial = EXCLUDED.trial, status = EXCLUDED.status,
    version = EXCLUDED.version
"""
_FORGET: Final = "DELETE FROM recurring_levels WHERE source = ANY(%s::uuid[])"
_COMMITMENT: Final = """
INSERT INTO recurring_commitments (source, version, organization, currency, at, committed)
SELECT * FROM unnest(%s::uuid[], %s::integer[], %s::uuid[], %s::text[], %s::timestamptz[], %s::bigint[])
"""
_LEVELS: Final = """
SELECT organization, source, currency, at, mrr FROM recurring_levels WHERE organization = ANY(%s::uuid[])
"""
_FORGET_MOVEMENTS: Final = "DELETE FROM mrr_movements WHERE organization = ANY(%s::uuid[])"
_MOVEMENT: Final = """
INSERT INTO mrr_movements (organization, at, source, currency, kind, amount)
SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::bigint[])
"""
_KINDS: Final = "SELECT id::text, kind FROM accounts WHERE id = ANY(%s::uuid[])"
_POSTED: Final = """
INSERT INTO revenue_days AS r (organization, day, currency, account, amount)
SELECT * FROM unnest(%s::uuid[], %s::date[], %s::text[], %s::text[], %s::numeric[])
ON CONFLICT (organization, day, currency, account) DO UPDATE SET amount = r.amount + EXCLUDED.amount
"""
_CALLS: Final = """
SELECT u.id::text, date_trunc('hour', u.occurred_at, 'UTC'), u.agent_id::text, u.provider, u.model
FROM unnest(%(owners)s::uuid[], %(ids)s::uuid[]) AS e(organization, id)
JOIN usage_records u ON u.organization = e.organization AND u.id = e.id
WHERE u.recorded_at BETWEEN %(first)s AND %(last)s
"""
_SHARED: Final = """
INSERT INTO shared_hours AS s (organization, hour, agent_id, provider, model, share)
SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[], %s::text[], %s::numeric[])
ON CONFLICT (organization, hour, agent_id, provider, model) DO UPDATE SET share = s.share + EXCLUDED.share
"""
_AROUND: Final = timedelta(days=1)
"""A record is recorded with its event: so far around it looks who must name a month."""

Place = tuple[str, date, str, str]
"""Organization, day, currency, kind of account."""
Entry = tuple[str, datetime | str, dict[str, Any]]
"""Organization, when its event occurred, and the journal entry as the event has it."""


def follow(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """This function will write what these events say of recurring revenue and of what was posted."""
    recurring = [event for event in events if states_what_recurs(event)]
    if recurring:
        _write_levels(cur, recurring)
        _write_movements(cur, sorted({UUID(str(event.organization)) for event in recurring}))
    posted = posted_by(cur, entries_of(events))
    if posted:
        rows = [(*place, amount) for place, amount in sorted(posted.items())]
        cur.execute(_POSTED, _columns(rows))
    _write_shared(cur, [event for event in events if event.type in COMMITS and shares_in(event)])


def states_what_recurs(event: StoredEvent) -> bool:
    """Whether an event has the whole row of a subscription or a contract."""
    return event.stream_type in (SUBSCRIPTION, CONTRACT) and "next_at" in event.data


def levels_of(event: StoredEvent, terms: Mapping[UUID, PlanTerms]) -> tuple[str, Sequence[Level], int]:
    """Return the currency that an event's row is in, the levels that it states, and what it commits to. `terms`: of the
    plan versions that it names."""
    data = {
        **event.data,
        "id": str(event.stream_id),
        "organization": str(event.organization),
        "version": event.version,
    }
    if event.stream_type == CONTRACT:
        contract = read_row(data)
        return contract.currency, contract_levels(contract), contract_committed(contract)
    row = read_subscription(data)
    held = terms[row.selection.version]
    waiting = None if row.pending is None else terms[row.pending.selection.version]
    level = subscription_level(row, held, event.occurred_at)
    return row.currency, (level,), subscription_committed(row, held, waiting)


def terms_named(cur: Cursor, events: Iterable[StoredEvent]) -> dict[UUID, PlanTerms]:
    """Return the terms of all plan versions that rows of subscriptions in these events name."""
    named: set[UUID] = set()
    for event in events:
        if event.stream_type == SUBSCRIPTION:
            named.add(UUID(event.data["plan_version"]))
            if event.data["pending"] is not None:
                named.add(UUID(event.data["pending"]["plan_version"]))
    return {name: version.terms for name, version in versions_of(cur, sorted(named)).items()}


def entries_of(events: Iterable[StoredEvent]) -> list[Entry]:
    """Return the journal entries that these events carry."""
    return [
        (str(event.organization), event.occurred_at, one)
        for event in events
        for one in event.data.get("ledger", {}).get("entries", ())
    ]


def posted_by(cur: Cursor, entries: Sequence[Entry]) -> dict[Place, int]:
    """Return what entries post on accounts of income and cost, by day; a move of what partners earned before earns
    nothing."""
    named = sorted({account for *_, one in entries for account, _ in one["lines"]})
    kinds = dict(cur.execute(_KINDS, (named,)).fetchall()) if named else {}
    sums: dict[Place, int] = defaultdict(int)
    for organization, occurred_at, one in entries:
        day = _day(one.get("effective_at") or occurred_at)
        touched = {kinds[account] for account, _ in one["lines"]}
        for account, amount in one["lines"]:
            kind = kinds[account]
            if kind in ACCOUNTS and not (kind == PARTNERS and CLEARING in touched):
                name = CLAWED_BACK if kind == FEE and one.get("kind") == LOST else kind
                sums[organization, day, one["currency"], name] += amount
    return {place: amount for place, amount in sums.items() if amount}


def register_reader() -> None:
    """This function will make revenue metrics a subscriber of the events."""
    register(Subscriber(name=READER, handle=follow))


def shares_in(event: StoredEvent) -> Sequence[Sequence[Any]]:
    """Return [partner, payer, gross, share, own] of what partners get of a call."""
    parts: Sequence[Sequence[Any]] = (event.data.get("shares") or {}).get("parts", ())
    return parts


def _write_shared(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """Where the record is retired, what it was is not known any more: the hour is that of the commit."""
    if not events:
        return
    names = {event.seq: str(event.data.get("usage") or event.stream_id) for event in events}
    recorded = [event.recorded_at for event in events]
    given = {
        "owners": [str(event.organization) for event in events],
        "ids": [names[event.seq] for event in events],
        "first": min(recorded) - _AROUND,
        "last": max(recorded) + _AROUND,
    }
    calls = {row[0]: row[1:] for row in cur.execute(_CALLS, given).fetchall()}
    sums: dict[tuple[Any, ...], int] = defaultdict(int)
    for event in events:
        hour = event.occurred_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        call = calls.get(names[event.seq], (hour, event.data["shares"]["agent"], None, None))
        sums[(str(event.organization), *call)] += sum(part[3] for part in shares_in(event))
    cur.execute(_SHARED, _columns([(*place, amount) for place, amount in sums.items()]))


def _write_levels(cur: Cursor, events: Sequence[StoredEvent]) -> None:
    """Of a contract the last row has all of its time; of a subscription each event adds its moment."""
    terms = terms_named(cur, events)
    levels: dict[UUID, dict[datetime, tuple[Any, ...]]] = defaultdict(dict)
    committed = []
    for event in events:
        source = UUID(str(event.stream_id))
        currency, found, commits = levels_of(event, terms)
        committed.append((source, event.version, event.organization, currency, event.occurred_at, commits))
        if event.stream_type == CONTRACT:
            levels[source] = {}
        for each in found:
            levels[source][each.at] = (
                source, each.at, event.organization, event.stream_type, currency, each.mrr, each.trial, each.status,
                event.version,
            )  # fmt: skip
    contracts = sorted({UUID(str(one.stream_id)) for one in events if one.stream_type == CONTRACT})
    if contracts:
        cur.execute(_FORGET, (contracts,))
    rows = [row for by_time in levels.values() for row in by_time.values()]
    if rows:
        cur.execute(_LEVEL, _columns(rows))
    cur.execute(_COMMITMENT, _columns(committed))


def _write_movements(cur: Cursor, organizations: Sequence[UUID]) -> None:
    levels: dict[UUID, list[SourceLevel]] = defaultdict(list)
    for organization, *level in cur.execute(_LEVELS, (list(organizations),)).fetchall():
        levels[organization].append(SourceLevel(*level))
    rows = [
        (organization, each.at, each.source, each.currency, each.kind, each.amount)
        for organization, held in levels.items()
        for each in movements_of(held)
    ]
    cur.execute(_FORGET_MOVEMENTS, (list(organizations),))
    if rows:
        cur.execute(_MOVEMENT, _columns(rows))


def _day(moment: datetime | str) -> date:
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return known.astimezone(UTC).date()


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
