"""The ledger's part of events to rows: journal, holds, grants and the accounts with a limit.

Every event whose data has a `ledger` part is taken, whatever its type. All sums are made per row first, so that one
call writes each table at most once per kind of change, for one event and for ten thousand.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from events.store import Cursor, Event, ProjectedTable, Projector
from ledger.rules.effects import USAGE, amount_of
from orgs.projections import raise_config_epoch

INSERT_ACCOUNTS = """
INSERT INTO accounts (id, organization, kind, currency, counterparty, live, credit_limit, version)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::boolean[], %s::bigint[], %s::int[])
"""
UPDATE_LIMITS = """
UPDATE accounts a SET credit_limit = CASE WHEN e.said OR a.line IS NULL THEN e.credit_limit ELSE a.credit_limit END,
    line = CASE WHEN e.said THEN e.line ELSE a.line END
FROM unnest(%s::uuid[], %s::bigint[], %s::boolean[], %s::text[]) AS e(organization, credit_limit, said, line)
WHERE a.organization = e.organization AND a.kind = 'unbilled_receivable'
"""
INSERT_ENTRIES = """
INSERT INTO journal_entries (id, organization, effective_at, reverses, kind, source, idempotency_key, actor, reason,
    recorded_at, epoch)
SELECT e.*, clock.t, clock.epoch FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::uuid[], %s::text[],
    %s::text[], %s::text[], %s::text[], %s::text[]) AS e,
    (SELECT clock_timestamp() AS t, epoch FROM event_store) AS clock
"""
INSERT_POSTINGS = """
INSERT INTO postings (entry_id, n, account_id, organization, amount, currency, recorded_at, epoch)
SELECT p.*, clock.t, clock.epoch FROM unnest(%s::uuid[], %s::smallint[], %s::uuid[], %s::uuid[], %s::bigint[],
    %s::text[]) AS p, (SELECT clock_timestamp() AS t, epoch FROM event_store) AS clock
"""
# What a chunk adds to an account without a limit, which is not kept here, may be more than a bigint holds.
UPDATE_ACCOUNTS = """
UPDATE accounts a SET posted = a.posted + e.posted, held = a.held + e.held, debt = a.debt + e.debt
FROM unnest(%s::uuid[], %s::numeric[], %s::bigint[], %s::bigint[]) AS e(id, posted, held, debt)
WHERE a.id = e.id AND a.live
"""
INSERT_HOLDS = """
INSERT INTO holds (id, organization, account_id, amount, placed_at, ended_at, status, grants, grant_amounts, source)
SELECT id, organization, account, amount, placed, ended, status, grants::uuid[], amounts::bigint[], source
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[],
    %s::text[], %s::text[], %s::text[]) AS h(id, organization, account, amount, placed, ended, status, grants, amounts,
    source)
"""
UPDATE_HOLDS = """
UPDATE holds h SET status = e.status, ended_at = e.ended
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS e(id, status, ended) WHERE h.id = e.id
"""
INSERT_GRANTS = """
INSERT INTO credit_grants (id, organization, account_id, kind, currency, priority, scope, scope_target, amount,
    remaining, held, cost_basis, effective_at, expires_at, expired_at, reason, source, version, created_at,
    funding_source, gift, breaks_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::uuid[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
    %s::text[], %s::text[], %s::int[], %s::timestamptz[], %s::text[], %s::bigint[], %s::timestamptz[])
"""
UPDATE_GRANTS = """
UPDATE credit_grants g SET remaining = g.remaining + e.remaining, held = g.held + e.held,
    expired_at = COALESCE(g.expired_at, e.expired),
    version = g.version + CASE WHEN e.expired IS NULL THEN 0 ELSE 1 END
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[]) AS e(id, remaining, held, expired)
WHERE g.id = e.id
"""
UPSERT_CLOSED = """
INSERT INTO closed_books (organization, closed_until) SELECT * FROM unnest(%s::uuid[], %s::timestamptz[])
ON CONFLICT (organization) DO UPDATE SET closed_until = EXCLUDED.closed_until
"""
UPSERT_ADJUSTMENTS = """
INSERT INTO adjustments (id, organization, amount, currency, contra_kind, reason, status, proposed_by, decided_by,
    decided_at, decision_reason, entry_id, version, created_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::int[], %s::timestamptz[])
ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, decided_by = EXCLUDED.decided_by,
    decided_at = EXCLUDED.decided_at, decision_reason = EXCLUDED.decision_reason, entry_id = EXCLUDED.entry_id,
    version = EXCLUDED.version
"""
Row = dict[str, Any]


class _Changes:
    """What a list of events adds up to, by row."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.postings: list[tuple[Any, ...]] = []
        self.accounts: dict[str, list[int]] = {}
        self.placed: dict[str, list[Any]] = {}
        self.settled: dict[str, tuple[str, datetime]] = {}
        self.granted: dict[str, list[Any]] = {}
        self.grants: dict[str, list[Any]] = {}
        self.closed: dict[UUID, str | None] = {}
        self.closings: Counter[UUID] = Counter()

    def add(self, event: Event) -> None:
        part, stream = event.data["ledger"], str(event.stream_id)
        if "entries" in part:
            default_key = f"{event.type.partition('.')[2]}:{stream}"
            default_source = f"usage_record:{event.data.get('usage') or stream}"
            for entry in part["entries"]:
                self._entry(event, entry, default_key, default_source)
        for hold in part.get("placed", ()):
            self._place(event, hold, stream)
        for hold in part.get("settled", ()):
            self._settle(event, hold, stream)
        for grant in part.get("granted", ()):
            self._grant(event, grant)
        for name, amount in part.get("burned", ()):
            self._move_grant(name, -amount, 0)
        for name in part.get("expired", ()):
            self._move_grant(name, 0, 0, event.occurred_at)
        for name, amount in part.get("debt", ()):
            self._move_account(name, 0, 0, amount)
        if "closed_until" in part:
            self.closed[event.organization] = part["closed_until"]
            self.closings[event.organization] += 1

    def _entry(self, event: Event, entry: Row, default_key: str, default_source: str) -> None:
        name, organization, currency = entry["id"], event.organization, entry["currency"]
        self.entries.append(
            (name, organization, entry.get("effective_at") or event.occurred_at, entry.get("reverses"),
             entry.get("kind", USAGE), entry.get("source") or default_source, entry.get("key") or default_key,
             event.actor, entry.get("reason", ""))
        )  # fmt: skip
        for number, (account, amount) in enumerate(entry["lines"]):
            self.postings.append((name, number, account, organization, amount, currency))
            self._move_account(account, amount, 0, 0)

    def _place(self, event: Event, hold: Row, stream: str) -> None:
        name, grants, source = hold.get("hold"), hold.get("grants", ()), hold.get("source")
        amount = amount_of(hold)
        if name is not None and source is None:  # a reservation's second hold
            source = f"{event.stream_type}:{stream}"
        name = name or stream
        self.placed[name] = [
            name, event.organization, hold["account"], amount, event.occurred_at, None, "placed",
            "{" + ",".join([grant for grant, _ in grants]) + "}",
            "{" + ",".join([str(part) for _, part in grants]) + "}",
            source,
        ]  # fmt: skip
        self._move_account(hold["account"], 0, amount, 0)
        for grant, part in grants:
            self._move_grant(grant, 0, part)

    def _settle(self, event: Event, hold: Row, stream: str) -> None:
        name = hold.get("hold") or stream
        row = self.placed.get(name)
        if row is None:
            self.settled[name] = (hold["status"], event.occurred_at)
        else:
            row[5:7] = event.occurred_at, hold["status"]
        self._move_account(hold["account"], 0, -amount_of(hold), 0)
        for grant, amount in hold.get("grants", ()):
            self._move_grant(grant, 0, -amount)

    def _grant(self, event: Event, grant: Row) -> None:
        remaining = grant["amount"] - grant.get("repaid", 0)
        self.granted[grant["id"]] = [
            grant["id"], event.organization, grant["account"], grant["kind"], grant["currency"],
            grant.get("priority", 0), grant.get("scope", "organization"), grant.get("scope_target"), grant["amount"],
            remaining, 0, grant["cost_basis"], grant["effective_at"], grant.get("expires_at"), None,
            grant.get("reason", ""), grant["source"], event.version, event.occurred_at,
            grant.get("funding_source", "credit"), grant.get("gift", 0), grant.get("breaks_at"),
        ]  # fmt: skip

    def _move_grant(self, name: str, remaining: int, held: int, expired: datetime | None = None) -> None:
        new = self.granted.get(name)
        if new is not None:
            new[9] += remaining
            new[10] += held
            new[14] = new[14] or expired
            new[17] += expired is not None
            return
        row = self.grants.get(name)
        if row is None:
            self.grants[name] = [remaining, held, expired]
            return
        row[0] += remaining
        row[1] += held
        row[2] = row[2] or expired

    def _move_account(self, name: str, posted: int, held: int, debt: int) -> None:
        row = self.accounts.get(name)
        if row is None:
            self.accounts[name] = [posted, held, debt]
        else:
            row[0] += posted
            row[1] += held
            row[2] += debt


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write journal entries with their postings, holds, grants and balances of the events."""
    changes = _Changes()
    for event in events:
        changes.add(event)
    _insert(cur, INSERT_ENTRIES, changes.entries)
    _insert(cur, INSERT_POSTINGS, changes.postings)
    moved = sorted((name, *figures) for name, figures in changes.accounts.items() if any(figures))
    _insert(cur, UPDATE_ACCOUNTS, moved)
    _insert(cur, INSERT_GRANTS, list(changes.granted.values()))
    _insert(cur, UPDATE_GRANTS, [(name, *row) for name, row in sorted(changes.grants.items()) if any(row)])
    _insert(cur, INSERT_HOLDS, list(changes.placed.values()))
    _insert(cur, UPDATE_HOLDS, [(name, *row) for name, row in sorted(changes.settled.items())])
    _insert(cur, UPSERT_CLOSED, list(changes.closed.items()))
    raise_config_epoch(cur, changes.closings)  # the gate says of late usage that it is an adjustment


def open_accounts(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will insert the accounts that `account.opened` events name."""
    rows = [
        (event.stream_id, event.organization, data["kind"], data["currency"], data.get("counterparty"), data["live"],
         data.get("credit_limit"), event.version)
        for event in events
        for data in (event.data,)
    ]  # fmt: skip
    _insert(cur, INSERT_ACCOUNTS, rows)


def project_adjustments(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write each adjustment as its last event defines it."""
    rows = []
    for event in {event.stream_id: event for event in events}.values():
        data = event.data
        rows.append(
            (event.stream_id, event.organization, data["amount"], data["currency"], data["contra_kind"],
             data["reason"], data["status"], data["proposed_by"], data.get("decided_by"), data.get("decided_at"),
             data.get("decision_reason", ""), data.get("entry"), event.version, data["created_at"])
        )  # fmt: skip
    _insert(cur, UPSERT_ADJUSTMENTS, rows)


def change_limits(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will give each postpaid line the last credit limit of its organization, unless somebody above has
    published that it is closed, or open, whatever the organization's own limit says."""
    limits: dict[UUID, tuple[int | None, bool, str | None]] = {}
    for event in events:
        organization = event.organization
        _, said, line = limits.get(organization, (None, False, None))
        published = _published_line(event)
        if published is not None:
            limits[organization] = (published["credit_limit"], True, published["line"])
        elif line is None:
            limits[organization] = (event.data["credit_limit"], said, None)
    _insert(cur, UPDATE_LIMITS, [(name, *row) for name, row in limits.items()])


def _published_line(event: Event) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (event.data.get("ledger") or {}).get("line")
    return found


def _insert(cur: Cursor, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        cur.execute(sql, [list(column) for column in zip(*rows, strict=True)])


ACCOUNTS = Projector(
    name="ledger.accounts",
    wants=lambda event: event.type == "account.opened",
    project=open_accounts,
    tables=(ProjectedTable("accounts", ("id",)),),
)
ADJUSTMENTS = Projector(
    name="ledger.adjustments",
    wants=lambda event: event.stream_type == "adjustment",
    project=project_adjustments,
    tables=(ProjectedTable("adjustments", ("id",)),),
)
# After ACCOUNTS: a chunk may open an account and change its limit. The two streams that an account's limit comes from
# are taken by one projector, in the order in which they were written.
LIMITS = Projector(
    name="ledger.limits",
    wants=lambda event: (
        _published_line(event) is not None
        or (event.type == "organization.changed" and "credit_limit" in event.data["changed"])
    ),
    project=change_limits,
    looks_inside=True,
)
JOURNAL = Projector(
    name="ledger.journal",
    wants=lambda event: "ledger" in event.data,
    project=project,
    tables=(
        ProjectedTable("credit_grants", ("id",)),
        ProjectedTable("holds", ("id",)),
        ProjectedTable("journal_entries", ("id",), ("recorded_at", "tx", "epoch")),
        ProjectedTable("postings", ("entry_id", "n"), ("recorded_at", "tx", "epoch")),
        ProjectedTable("closed_books", ("organization",)),
    ),
    looks_inside=True,
)
