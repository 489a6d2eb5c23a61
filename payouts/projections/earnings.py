"""What commits earned, and how far it is on its way: sums by bucket, pair and source, in no order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from events.store import Cursor, Event, ProjectedTable, Projector, register
from spend.rules.splits import DEBT, LINE

REVERSED: Final = "journal.reversed"
CALLS: Final = frozenset({"reservation.committed", "usage.recorded"})
"""What says itself, where its caller names listings, what of it became debt."""
EARNED: Final = frozenset({"reservation.committed", "usage.recorded", REVERSED, "earning.adjusted"})
INVOICED: Final = "earning.invoiced"
SETTLED: Final = "earning.settled"
RECEIVED: Final = "earning.received"
OFF: Final = "off:"
"""How the cause of what is debt no more begins; what owed it follows."""

_BUCKETS: Final = """
INSERT INTO earning_buckets AS b (organization, partner, listing_id, agent_id, day, rule, payer, volume, gross,
    share, calls)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::date[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
ON CONFLICT (organization, partner, listing_id, agent_id, day, rule, payer)
DO UPDATE SET volume = b.volume + EXCLUDED.volume, gross = b.gross + EXCLUDED.gross,
    share = b.share + EXCLUDED.share, calls = b.calls + EXCLUDED.calls
"""
_PAIRS: Final = """
INSERT INTO earning_pairs AS p (organization, partner, earned, lost, collected, matured, moved)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (organization, partner) DO UPDATE SET earned = p.earned + EXCLUDED.earned, lost = p.lost + EXCLUDED.lost,
    collected = p.collected + EXCLUDED.collected, matured = p.matured + EXCLUDED.matured,
    moved = p.moved + EXCLUDED.moved
"""
_SOURCES: Final = """
INSERT INTO earning_sources AS s (organization, partner, source, share, collected, lost)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (organization, partner, source) DO UPDATE SET share = s.share + EXCLUDED.share,
    collected = s.collected + EXCLUDED.collected, lost = s.lost + EXCLUDED.lost
"""
_DEBTS: Final = """
INSERT INTO earning_debts (organization, id, amount, at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::timestamptz[])
"""
_OWING: Final = """
INSERT INTO earning_owing (organization, id, version, n, amount, at, cause)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::int[], %s::bigint[], %s::timestamptz[], %s::text[])
"""
_USED: Final = """
INSERT INTO earning_used AS u (organization, grant_id, amount)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[])
ON CONFLICT (organization, grant_id) DO UPDATE SET amount = u.amount + EXCLUDED.amount
"""
_COLLECTIONS: Final = """
INSERT INTO earning_collections AS c (organization, partner, source, hour, amount, matured)
SELECT o, p, s, h, a, false FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::bigint[])
    AS e(o, p, s, h, a)
ON CONFLICT (organization, partner, source, hour) DO UPDATE SET amount = c.amount + EXCLUDED.amount
"""
_MATURED: Final = """
UPDATE earning_collections c SET matured = true
FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS e(organization, partner, until)
WHERE c.organization = e.organization AND c.partner = e.partner AND c.hour <= e.until AND NOT c.matured
"""
_INVOICES: Final = """
INSERT INTO earning_invoices (invoice_id, organization) SELECT * FROM unnest(%s::uuid[], %s::uuid[])
"""
# What is debt stands on no invoice: there is nothing to look for. What a grant paid for does if it is of a postpaid
# commitment, which is not known here.
_REVERSALS: Final = """
INSERT INTO earning_reversals (organization, id, placed) SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::boolean[])
ON CONFLICT DO NOTHING
"""
_PLACED: Final = """
UPDATE earning_reversals r SET placed = true FROM unnest(%s::uuid[], %s::uuid[]) AS e(organization, id)
WHERE r.organization = e.organization AND r.id = e.id
"""
_DAYS: Final = """
INSERT INTO partner_days AS d (partner, day, received) SELECT * FROM unnest(%s::uuid[], %s::date[], %s::bigint[])
ON CONFLICT (partner, day) DO UPDATE SET received = d.received + EXCLUDED.received
"""
_FIGURES: Final = ("earned", "lost", "collected", "matured", "moved")
Sums = dict[tuple[Any, ...], list[int]]


class _Changes:
    """What a list of events adds up to, by row."""

    def __init__(self) -> None:
        self.buckets: Sums = {}
        self.pairs: Sums = {}
        self.sources: Sums = {}
        self.collections: Sums = {}
        self.used: Sums = {}
        self.matured: dict[tuple[Any, ...], str] = {}
        self.debts: list[tuple[Any, ...]] = []
        self.invoices: list[tuple[Any, ...]] = []
        self.reversals: list[tuple[Any, ...]] = []
        self.placed: list[tuple[Any, ...]] = []

    def earn(self, event: Event) -> None:
        shares = event.data.get("shares")
        if shares is None:
            return
        usage = shares.get("usage") or event.data.get("usage") or str(event.stream_id)
        owner, counted = str(event.organization), shares.get("calls", 1)
        for grant, amount in event.data.get("ledger", {}).get("burned", ()):
            _add(self.used, (owner, grant), (amount,))
        if shares.get("debt"):
            self.debts.append((owner, usage, shares["debt"], event.occurred_at))
        if event.type == REVERSED:
            is_on_no_invoice = all(part[1] == DEBT for part in shares.get("parts", ()))
            self.reversals.append((owner, usage, is_on_no_invoice))
        day = shares.get("day") or day_of(event.occurred_at)
        seen: set[str] = set()
        for partner, payer, volume, share, *own in shares.get("parts", ()):
            key = (owner, partner, shares["listing"], shares["agent"], day, shares["rule"], payer)
            gross = own[0] if own else volume  # events from before each party had its own part of the charge
            _add(self.buckets, key, (volume, gross, share, 0 if partner in seen else counted))
            seen.add(partner)
            self.pair(owner, partner, earned=share)
            self.source(owner, partner, shares.get("source") or source_of(payer, usage), share=share)

    def invoice(self, event: Event) -> None:
        owner, invoice = str(event.organization), event.data["invoice"]
        if "reversed" in event.data:
            self.placed += [(owner, usage) for usage in event.data["reversed"]]
        elif not event.data.get("voided"):
            self.invoices.append((invoice, owner))
        for partner, amount, *grants in event.data["parts"]:
            billed = ":".join(("invoice", str(invoice), *grants))
            self.source(owner, partner, f"grant:{grants[0]}" if grants else LINE, share=-amount)
            self.source(owner, partner, billed, share=amount)

    def settle(self, event: Event) -> None:
        owner, data = str(event.organization), event.data
        for partner, source, hour, amount in data.get("collected", ()):
            self.source(owner, partner, source, collected=amount)
            self.pair(owner, partner, collected=amount)
            _add(self.collections, (owner, partner, source, hour), (amount,))
        for partner, source, amount in data.get("lost", ()):
            self.source(owner, partner, source, lost=amount)
            self.pair(owner, partner, lost=amount)
        for partner, until, matured, moved in data.get("moved", ()):
            self.pair(owner, partner, matured=matured, moved=moved)
            if until is not None:
                known = self.matured.get((owner, partner))
                self.matured[owner, partner] = until if known is None else max(known, until)

    def pair(self, owner: str, partner: str, **figures: int) -> None:
        _add(self.pairs, (owner, partner), [figures.get(name, 0) for name in _FIGURES])

    def source(
        self, owner: str, partner: str, source: str, share: int = 0, collected: int = 0, lost: int = 0
    ) -> None:
        _add(self.sources, (owner, partner, source), (share, collected, lost))


def day_of(moment: datetime) -> str:
    """Return the day of a moment, UTC."""
    return moment.astimezone(UTC).date().isoformat()


def source_of(payer: str, usage: str) -> str:
    """Return by what a part is paid that a payer paid of a usage record."""
    if payer == LINE:
        return LINE
    return f"debt:{usage}" if payer == DEBT else f"grant:{payer}"


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will add what the events earned and settled to the sums."""
    changes = _Changes()
    for event in events:
        if event.type in EARNED:
            changes.earn(event)
        elif event.type == INVOICED:
            changes.invoice(event)
        elif event.type == SETTLED:
            changes.settle(event)
    _write(cur, _BUCKETS, _rows(changes.buckets))
    _write(cur, _PAIRS, _rows(changes.pairs))
    _write(cur, _SOURCES, _rows(changes.sources))
    _write(cur, _DEBTS, changes.debts)
    _write(cur, _USED, _rows(changes.used))
    _write(cur, _INVOICES, changes.invoices)
    _write(cur, _REVERSALS, changes.reversals)
    _write(cur, _PLACED, changes.placed)
    _write(cur, _COLLECTIONS, _rows(changes.collections))
    _write(cur, _MATURED, [(*key, until) for key, until in sorted(changes.matured.items())])


def project_received(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will add what came into partners' books to their days."""
    days: Sums = {}
    for event in events:
        _add(days, (str(event.organization), day_of(event.occurred_at)), (event.data["amount"],))
    _write(cur, _DAYS, _rows(days))


def project_owing(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write what became debt otherwise than by a call with a share, and what repaid debt."""
    _write(cur, _OWING, [row for event in events for row in _owing(event)])


def _owing(event: Event) -> list[tuple[Any, ...]]:
    """Below zero what a grant repaid, and what was taken off because it is debt no more: nothing repaid that."""
    ledger = event.data["ledger"]
    made = [
        (-grant["repaid"], f"grant:{grant['id']}")
        for grant in ledger.get("granted", ())
        if grant.get("repaid")
    ]
    rest = sum(amount for _, amount in ledger["debt"]) - sum(amount for amount, _ in made)
    if rest:
        made.append((rest, _cause(event) if rest > 0 else f"{OFF}{_reversed(event)}"))
    row = (event.organization, event.stream_id, event.version)
    return [(*row, n, amount, event.occurred_at, cause) for n, (amount, cause) in enumerate(made)]


def _cause(event: Event) -> str:
    """Whose payment is missing: `usage`, nobody's with a share; a payment's that went back; empty: not known."""
    if event.stream_type == "payment":
        return f"payment:{event.stream_id}"
    return "usage" if event.stream_type == "usage" else ""


def _reversed(event: Event) -> str:
    """What owed it: a usage record, or else the entry that made it debt. A reversal alone takes debt off."""
    shares = event.data.get("shares") or {}
    entries = event.data["ledger"].get("entries") or [{}]
    return str(shares.get("usage") or entries[0].get("reverses") or "")


def register_all() -> None:
    """This function will register the projectors of earnings."""
    register(OWING)
    register(EARNINGS)
    register(DAYS)


def _add(sums: Sums, key: tuple[Any, ...], amounts: Sequence[int]) -> None:
    row = sums.get(key)
    if row is None:
        sums[key] = list(amounts)
        return
    for place, amount in enumerate(amounts):
        row[place] += amount


def _rows(sums: Mapping[tuple[Any, ...], Sequence[int]]) -> list[tuple[Any, ...]]:
    return [(*key, *figures) for key, figures in sorted(sums.items())]


def _write(cur: Cursor, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        cur.execute(statement, [list(column) for column in zip(*rows, strict=True)])


EARNINGS: Final = Projector(
    name="payouts.earnings",
    wants=lambda event: event.type in EARNED or event.type in (INVOICED, SETTLED),
    project=project,
    tables=(
        ProjectedTable(
            "earning_buckets", ("organization", "partner", "listing_id", "agent_id", "day", "rule", "payer")
        ),
        ProjectedTable("earning_pairs", ("organization", "partner")),
        ProjectedTable("earning_sources", ("organization", "partner", "source")),
        ProjectedTable("earning_collections", ("organization", "partner", "source", "hour")),
        ProjectedTable("earning_debts", ("organization", "id")),
        ProjectedTable("earning_used", ("organization", "grant_id")),
        ProjectedTable("earning_invoices", ("invoice_id",)),
        ProjectedTable("earning_reversals", ("organization", "id")),
    ),
)
OWING: Final = Projector(
    name="payouts.owing",
    wants=lambda event: event.type not in CALLS and bool((event.data.get("ledger") or {}).get("debt")),
    project=project_owing,
    tables=(ProjectedTable("earning_owing", ("organization", "id", "version", "n")),),
    looks_inside=True,
)
DAYS: Final = Projector(
    name="payouts.days",
    wants=lambda event: event.type == RECEIVED,
    project=project_received,
    tables=(ProjectedTable("partner_days", ("partner", "day")),),
)
