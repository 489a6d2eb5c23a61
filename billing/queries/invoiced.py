"""Whether a usage record or an event is on an invoice, and if it is on none, why (S74: back from use to its line)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.meterevents import id_digest
from billing.queries.meters import meters_counting
from billing.queries.recordlines import (
    Fact,
    RecordLine,
    UsageFact,
    counts,
    find_event_facts,
    find_usage_fact,
    is_in_range,
    lines_of_meters,
    lines_of_usage,
    periods_at,
)
from billing.queries.standing import Standing, standing_of
from billing.rules.meters import EVENTS
from billing.rules.usagelines import POSTPAID
from events.store import Cursor
from ledger.queries.balances import find_grants
from ledger.rules.grants import GRANT_SOURCES
from spend.queries.charges import known_charge

OPEN_PERIOD: Final = "open_period"
GIVEN_BACK: Final = "given_back"
FUNDED: Final = "funded"
PROMOTIONAL: Final = "promotional"
FREE: Final = "free"
VOID: Final = "void"
LATE: Final = "late"
NO_METER: Final = "no_meter"
NO_CHARGE: Final = "no_charge"
REASONS: Final = {
    OPEN_PERIOD: "Its period is not invoiced yet.",
    GIVEN_BACK: "Its invoice is void; the customer's next boundary bills it again.",
    FUNDED: "Nothing of it was left to pay, and no fee was due with it: it makes no invoice.",
    PROMOTIONAL: "Credit that was given away paid for all of it, and no fee was due with it: it makes no invoice.",
    FREE: "It cost nothing, and no fee was due with it: it makes no invoice.",
    VOID: "It was taken back and counts no more.",
    LATE: "It came after its period was invoiced: what it changes, if anything, is on a later invoice.",
    NO_METER: "No meter counts it.",
    NO_CHARGE: "A meter counts it, but no subscription had a charge for that at its time.",
}
_CHARGES: Final = "billing"
_ENTRY: Final = """
SELECT id FROM journal_entries WHERE organization = %s
    AND md5(idempotency_key)::uuid = ANY(SELECT md5(k)::uuid FROM unnest(%s::text[]) AS k) AND source = %s
"""
# From when on a running subscription counts by these meters, and when the period ends in which it does.
_RUNNING: Final = """
SELECT min(s.period_end) FROM subscriptions s JOIN plan_versions v ON v.id = s.plan_version,
    jsonb_each_text(s.metered_since) m, jsonb_array_elements(v.definition->'charges') c
WHERE s.organization = %(organization)s AND s.ended_at IS NULL AND m.value::timestamptz <= %(at)s
    AND c->>'key' = m.key AND c->>'meter' = ANY(%(meters)s)
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What a source paid, in units; of a grant, which and of what kind."""

    source: str
    grant: UUID | None
    kind: str | None
    amount: int


@dataclass(frozen=True, slots=True)
class Invoiced:
    """Where use is billed: its lines, also those of void invoices, or the reason (one of REASONS) why no living one has
    it. `next_at`: when it will be billed at the latest, where that is known. `parts`: what paid for the record, or for
    the last metered line as a whole, whose charge is the usage record `charge`; `entry`: the entry that they are
    posted with."""

    lines: Sequence[RecordLine]
    reason: str | None
    next_at: datetime | None
    currency: str | None
    charge: UUID | None
    parts: Sequence[Part]
    entry: UUID | None


def usage_invoiced(cur: Cursor, *, organization: UUID, record: UUID) -> Invoiced:
    """This function will return on which invoice lines a usage record is, or why it is on none. Raises NotFound, also
    for another organization's, and RuntimeError where B1 does not hold: it is to pay, was cut off, and no line has it.
    """
    usage = find_usage_fact(cur, organization=organization, record=record)
    standing = standing_of(
        cur, organization
    )  # before the lines: a run in between adds them, and takes none away
    lines = lines_of_usage(cur, usage)
    parts = _parts(cur, organization, usage.receipt)
    reason = None if any(one.is_living for one in lines) else _why_unbilled(standing, usage, lines, parts)
    return Invoiced(
        lines,
        reason,
        standing.next_at if reason in (OPEN_PERIOD, GIVEN_BACK) else None,
        usage.currency,
        record if usage.is_charge else None,
        parts,
        _entry(cur, organization, record, usage.reservation),
    )


def event_invoiced(cur: Cursor, *, organization: UUID, event: UUID) -> Invoiced:
    """This function will return on which invoice lines an event is, or why none counts it: of each period the last
    living line says so. Raises NotFound, also for another organization's."""
    event_type, facts = find_event_facts(cur, organization=organization, event=event)
    lines = lines_of_meters(cur, EVENTS, facts, event_type=event_type)
    last = _last_lines(lines)
    reason, next_at = None, None
    if not any(one.counts for one in last):
        reason, next_at = _why_uncounted(cur, event_type, facts, lines)
    charge, receipt = _charge_of(cur, organization, last[-1]) if last else (None, ())
    return Invoiced(
        lines,
        reason,
        next_at,
        last[-1].currency if last else None,
        charge,
        _parts(cur, organization, receipt),
        None if charge is None else _entry(cur, organization, charge, None),
    )


def _why_unbilled(
    standing: Standing, usage: UsageFact, lines: Sequence[RecordLine], parts: Sequence[Part]
) -> str:
    """Why no living line has a usage record."""
    given_back = any(is_in_range(usage.fact, chosen) for chosen in standing.open_ranges)
    if given_back or any(one.line.kind == "usage" or usage.is_charge for one in lines):
        return GIVEN_BACK
    if not usage.fact.is_in(standing.cut):
        return OPEN_PERIOD
    if not usage.charge:
        return FREE
    if any(part.source == POSTPAID for part in parts):
        raise RuntimeError(f"B1: usage record {usage.fact.id} is to pay, was cut off, and is on no invoice")
    return PROMOTIONAL if all(part.kind == "promotional" for part in parts) else FUNDED


def _why_uncounted(
    cur: Cursor, event_type: str, facts: Sequence[Fact], lines: Sequence[RecordLine]
) -> tuple[str, datetime | None]:
    """Why no living line counts an event, and when one will where that is known."""
    last = facts[-1]
    if last.sign < 0:
        return VOID, None
    meters = [one.key for one in meters_counting(cur, EVENTS, event_type) if counts(cur, one, last)]
    if not meters:
        return NO_METER, None
    periods = periods_at(cur, last.organization, meters, last.occurred_at)
    waiting = [period.end_at for period in periods if period.invoice_id is None]
    if waiting:
        return (GIVEN_BACK if lines else OPEN_PERIOD), min(waiting)
    if periods:
        living = any(one.is_living for one in lines)
        return (GIVEN_BACK if lines and not living else LATE), None
    ends_at = _running_until(cur, last, meters)
    return (NO_CHARGE, None) if ends_at is None else (OPEN_PERIOD, ends_at)


def _running_until(cur: Cursor, fact: Fact, meters: Sequence[str]) -> datetime | None:
    given = {"organization": fact.organization, "at": fact.occurred_at, "meters": list(meters)}
    row = cur.execute(_RUNNING, given).fetchone()
    return None if row is None else row[0]


def _last_lines(lines: Sequence[RecordLine]) -> list[RecordLine]:
    """Of each metered period the line that a living invoice said last of it."""
    found: dict[str, RecordLine] = {}
    living = (one for one in lines if one.is_living)
    for one in sorted(living, key=lambda line: int(line.line.detail["charge_id"].rpartition(":")[2])):
        found[one.line.detail["period"]] = one
    return sorted(found.values(), key=lambda line: (line.line.detail["cut"]["taken_at"], line.line.n))


def _charge_of(
    cur: Cursor, organization: UUID, line: RecordLine
) -> tuple[UUID | None, Sequence[Sequence[Any]]]:
    """The usage record that a metered line charged, with its receipt; none where there was nothing to charge, or
    something came back."""
    digest = id_digest(f"\0{line.line.detail['charge_id']}")
    known = known_charge(cur, organization=organization, source=_CHARGES, digest=digest)
    return (None, ()) if known is None else known[1:]


def _parts(cur: Cursor, organization: UUID, receipt: Sequence[Sequence[Any]]) -> list[Part]:
    named = {UUID(name) for source, name, _ in receipt if source in GRANT_SOURCES and name is not None}
    kinds = {
        UUID(str(row.grant.id)): row.grant.kind
        for row in find_grants(cur, organization=organization, grants=sorted(named))
    }
    found = []
    for source, name, amount in receipt:
        grant = UUID(name) if source in GRANT_SOURCES and name is not None else None
        found.append(Part(source, grant, None if grant is None else kinds.get(grant), amount))
    return found


def _entry(cur: Cursor, organization: UUID, record: UUID, reservation: UUID | None) -> UUID | None:
    """The journal entry of a usage record, by the key that the gate posts it under."""
    keys = [f"recorded:{record}", f"charged:{record}", f"committed:{reservation}"]
    row = cur.execute(_ENTRY, (organization, keys, f"usage_record:{record}")).fetchone()
    return None if row is None else row[0]
