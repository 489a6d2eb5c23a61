"""Dunning cases: the open one, what of it is unpaid, what is overdue besides, and whose turn it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.queries.dunning_policies import DOCUMENT_OF
from billing.rules.dunning.campaigns import read_campaigns
from billing.rules.dunning.case import STREAM, Case
from billing.rules.dunning.policy import BY_BALANCE, BY_INVOICE, parse_policy
from billing.rules.findings import COMMAND_STOPPED, NOT_CHARGEABLE
from common.errors import NotFound
from common.money import UNITS_PER_MAJOR
from events.queries.log import LogFilter, event_log
from events.reading import StoredEvent
from events.store import Cursor

_READ: Final = """
SELECT id, organization, state, policy_id, policy_number, policy::text, zone, anchor_at, opened_at, changed_at,
    invoices::text, step, shift_days, pending::text, waits_until, asked_at, wants_retry, is_hard, failures,
    failure::text, exempt_until, extended_until, closed_at, closing, version, campaigns::text
FROM dunning_cases
"""
_BEYOND_METHODS: Final = f"""
EXISTS (SELECT FROM findings f WHERE f.organization = i.organization AND f.kind = '{NOT_CHARGEABLE}'
    AND f.subject = 'invoice:' || i.id AND f.status = 'open'
    AND (f.detail->>'due')::numeric = i.total - i.paid - i.credited)
"""
"""What is due on an invoice `i` is an amount that no method pays, and a person is to decide on it."""
# A payment that the processor has not answered says nothing of its customer: it is down, our key is refused, or a
# person is to look at the command.
_NOT_ASKED: Final = f"""
EXISTS (SELECT FROM payments p JOIN outbound_commands s ON s.organization = p.organization
        AND s.purpose = 'create_payment' AND s.business_key = 'payment:' || p.id
    WHERE p.invoice_id = i.id AND p.status = 'requested' AND (s.state IN ('pending', 'sending', 'unknown')
        OR s.state = 'wrong' AND EXISTS (SELECT FROM findings f WHERE f.organization = p.organization
            AND f.kind = '{COMMAND_STOPPED}' AND f.subject = 'command:' || s.id AND f.status = 'open')))
"""
_HELD: Final = f"({_BEYOND_METHODS} OR {_NOT_ASKED})"
# What is written off is not paid: a case that gave it up stays until it is, one that did not is over.
_UNPAID: Final = f"""
SELECT i.id, i.number, i.currency, i.due_at, i.status, i.due, i.is_ours, i.is_held FROM (
    SELECT i.id, i.organization, i.number, i.currency, i.due_at, i.status, i.total - i.paid - i.credited AS due,
        true AS is_ours, i.status = 'open' AND {_HELD} AS is_held
    FROM invoices i
    UNION ALL
    SELECT id, organization, coalesce(number, invoice), currency, coalesce(due_at, created_at), status, remaining,
        false, false
    FROM mirrored_invoices
) i WHERE i.organization = %(organization)s AND i.id = ANY(%(invoices)s)
    AND (i.status = 'open' OR i.status = 'uncollectible' AND %(gave_up)s) ORDER BY i.due_at, i.id
"""
_IN_NO_CASE: Final = """
NOT EXISTS (
    SELECT FROM dunning_cases c WHERE c.organization = i.organization AND (c.closed_at IS NULL OR c.closing = 'finance')
        AND jsonb_exists(c.invoices, i.id::text))
"""
# A first collection that is under way comes before any dunning. What was asked for and not made within a day is a
# command that a person has to look at; a bank debit takes its time. What no method can pay is a person's, too.
OVERDUE: Final = f"""
i.status = 'open' AND {_IN_NO_CASE} AND NOT {_BEYOND_METHODS.strip()} AND NOT EXISTS (
    SELECT FROM payments p WHERE p.invoice_id = i.id AND (p.status = 'processing'
        OR p.status = 'requested' AND p.created_at > clock_timestamp() - interval '1 day'))
"""
"""An invoice `i` that is to be paid, can be, is not being collected for the first time, is in no open case, and was not
let be by finance."""
FAILED_THERE: Final = f"i.status = 'open' AND i.failed AND {_IN_NO_CASE}"
"""An invoice `i` that lives at the processor, which tried to collect it and could not, and that is in no case."""


def _counted(organization: str, now: str) -> str:
    """What counts as an organization's overdue balance at a time, in two columns: the currency and what is due of each
    invoice of the open case, and of each that would come into one."""
    in_case = """EXISTS (SELECT FROM dunning_cases c WHERE c.organization = i.organization
        AND c.closed_at IS NULL AND jsonb_exists(c.invoices, i.id::text))"""
    return f"""
SELECT i.currency, i.total - i.paid - i.credited AS due FROM invoices i
WHERE i.organization = {organization} AND i.status = 'open' AND i.due_at <= {now} AND ({in_case} OR {OVERDUE})
UNION ALL
SELECT i.currency, i.remaining FROM mirrored_invoices i
WHERE i.organization = {organization} AND i.status = 'open' AND ({in_case} OR {FAILED_THERE})
"""


def _is_reached(thresholds: str, organization: str, currency: str, now: str) -> str:
    """Whether an organization's overdue balance in a currency is at its threshold."""
    return f"""({thresholds}->>{currency})::numeric * {UNITS_PER_MAJOR} <= (
    SELECT sum(b.due) FROM ({_counted(organization, now)}) b WHERE b.currency = {currency})"""


CALLED: Final = f"""
(NOT EXISTS (SELECT FROM dunning_policy_versions WHERE document->>'trigger' = '{BY_BALANCE}') OR EXISTS (
    SELECT FROM (SELECT coalesce((SELECT c.policy FROM dunning_cases c WHERE c.organization = w.organization
            AND c.closed_at IS NULL), ({DOCUMENT_OF})) AS document) p
    WHERE coalesce(p.document->>'trigger', '{BY_INVOICE}') <> '{BY_BALANCE}'
        OR {_is_reached("(p.document->'thresholds')", "w.organization", "w.currency", "w.now")}))
"""
"""Whether an overdue invoice `w` (`organization`, `id`, `currency`, `now` by its customer's clock) comes into a case:
by the policy of the open one, or else by its own, which where it goes by overdue balance needs its threshold."""
_BALANCES: Final = f"""
SELECT b.currency, sum(b.due) FROM ({_counted("%(organization)s", "%(now)s")}) b GROUP BY b.currency
"""
# What was paid and is owed again, as after a dispute, is a new debt: its days count from now.
_OVERDUE_OF: Final = f"""
SELECT i.id, i.due_at, EXISTS (SELECT FROM dunning_cases c WHERE c.organization = i.organization
        AND jsonb_exists(c.invoices, i.id::text))
    OR coalesce((SELECT sum(p.applied) FROM invoice_payments p WHERE p.invoice_id = i.id), 0) > i.paid, i.currency
FROM invoices i WHERE i.organization = %(organization)s AND i.due_at <= %(now)s AND {OVERDUE}
UNION ALL
SELECT i.id, least(coalesce(i.due_at, i.created_at), %(now)s), EXISTS (SELECT FROM dunning_cases c
    WHERE c.organization = i.organization AND jsonb_exists(c.invoices, i.id::text)), i.currency
FROM mirrored_invoices i WHERE i.organization = %(organization)s AND {FAILED_THERE}
ORDER BY 2, 1
"""
# What escalates waits while all that is unpaid in a case `c` is held: the timer need not look.
_WAITS: Final = f"""
c.pending = '[]' AND c.exempt_until IS NULL
AND coalesce(c.policy->'steps'->c.step->>'action', 'retry') NOT IN ('retry', 'notify')
AND EXISTS (SELECT FROM invoices i WHERE i.organization = c.organization AND jsonb_exists(c.invoices, i.id::text)
    AND i.status = 'open')
AND NOT EXISTS (SELECT FROM invoices i WHERE i.organization = c.organization AND jsonb_exists(c.invoices, i.id::text)
    AND (i.status = 'open' AND NOT {_HELD} OR i.status = 'uncollectible' AND c.state = 'written_off'))
AND NOT EXISTS (SELECT FROM mirrored_invoices i WHERE i.organization = c.organization
    AND jsonb_exists(c.invoices, i.id::text) AND i.status = 'open')
"""
# Nothing is decided here, so the clock may be asked. A moved clock is ahead, so the others are found by the index.
_DUE: Final = f"""
SELECT organization FROM (
    SELECT c.organization FROM dunning_cases c WHERE c.closed_at IS NULL AND c.next_at <= clock_timestamp()
        AND NOT ({_WAITS})
    UNION
    SELECT c.organization FROM organizations o JOIN dunning_cases c ON c.organization = o.id
    WHERE o.clock_offset > '0' AND c.closed_at IS NULL AND c.next_at <= clock_timestamp() + o.clock_offset
        AND NOT ({_WAITS})
    UNION
    SELECT w.organization FROM (
        SELECT i.organization, i.id, i.currency, clock_timestamp() AS now
        FROM invoices i WHERE i.due_at <= clock_timestamp() AND {OVERDUE}
        UNION ALL
        SELECT i.organization, i.id, i.currency, clock_timestamp() + o.clock_offset
        FROM organizations o JOIN invoices i ON i.organization = o.id
        WHERE o.clock_offset > '0' AND i.due_at <= clock_timestamp() + o.clock_offset AND {OVERDUE}
        UNION ALL
        SELECT i.organization, i.id, i.currency, clock_timestamp() + o.clock_offset
        FROM organizations o JOIN mirrored_invoices i ON i.organization = o.id WHERE {FAILED_THERE}
    ) w WHERE {CALLED}
) due WHERE NOT EXISTS (
    SELECT FROM dunning_claims g WHERE g.organization = due.organization AND (g.parked_at IS NOT NULL
        OR g.claimed_at > statement_timestamp() - %(claim)s
        OR g.failed_at > statement_timestamp() - least(%(longest)s, make_interval(secs => 10 * 2 ^ g.failures))))
ORDER BY organization LIMIT %(limit)s
"""
_SETTLED: Final = f"""
SELECT c.organization FROM dunning_cases c WHERE c.closed_at IS NULL AND NOT EXISTS (
    SELECT FROM invoices i WHERE i.organization = c.organization AND jsonb_exists(c.invoices, i.id::text)
        AND (i.status = 'open' OR i.status = 'uncollectible' AND c.state = 'written_off'))
    AND NOT EXISTS (
    SELECT FROM mirrored_invoices i WHERE i.organization = c.organization AND jsonb_exists(c.invoices, i.id::text)
        AND (i.status = 'open' OR i.status = 'uncollectible' AND c.state = 'written_off'))
UNION
SELECT c.organization FROM dunning_cases c JOIN organizations o ON o.id = c.organization
WHERE c.closed_at IS NULL AND c.state <> 'written_off' AND c.policy->>'trigger' = '{
    BY_BALANCE
}' AND NOT EXISTS (
    SELECT FROM jsonb_object_keys(c.policy->'thresholds') k(currency) WHERE {
    _is_reached(
        "(c.policy->'thresholds')", "c.organization", "k.currency", "clock_timestamp() + o.clock_offset"
    )
})
ORDER BY organization LIMIT %s
"""
_LIST: Final = f"""
{_READ} WHERE (%(organization)s::uuid IS NULL OR organization = %(organization)s)
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(open)s::boolean IS NULL OR (closed_at IS NULL) = %(open)s) AND (%(before)s::uuid IS NULL OR id < %(before)s)
ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An invoice that a case waits for; `due` in units, also what was written off. One that is not `is_ours` lives at
    the processor, which collects it: here nothing of it is written. `is_held`: that it is unpaid is not its customer's
    fault, for no method can pay it, or nobody was asked yet."""

    id: UUID
    number: str
    currency: str
    due_at: datetime
    status: str
    due: int
    is_ours: bool = True
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Overdue:
    """An invoice that is overdue and in no case. `was_settled`: it was paid once and is owed again."""

    id: UUID
    due_at: datetime
    was_settled: bool
    currency: str


def find_open_case(cur: Cursor, organization: UUID) -> Case | None:
    """Return the organization's open case; None without one."""
    row = cur.execute(f"{_READ} WHERE organization = %s AND closed_at IS NULL", (organization,)).fetchone()
    return None if row is None else _case(row)


def find_case(cur: Cursor, *, organization: UUID, case: UUID) -> Case:
    """Return a case of the organization. Raises NotFound."""
    row = cur.execute(f"{_READ} WHERE organization = %s AND id = %s", (organization, case)).fetchone()
    if row is None:
        raise NotFound("There is no such dunning case.")
    return _case(row)


def organization_of_case(cur: Cursor, case: UUID) -> UUID:
    """Return whose case this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM dunning_cases WHERE id = %s", (case,)).fetchone()
    if row is None:
        raise NotFound("There is no such dunning case.")
    owner: UUID = row[0]
    return owner


def list_cases(
    cur: Cursor,
    *,
    organization: UUID | None,
    state: str | None = None,
    is_open: bool | None = None,
    before: UUID | None = None,
    limit: int,
) -> list[Case]:
    """Return up to `limit` cases, newest first; of one organization, or of all (the platform's own list)."""
    given = {
        "organization": organization,
        "state": state,
        "open": is_open,
        "before": before,
        "limit": limit,
    }
    return [_case(row) for row in cur.execute(_LIST, given).fetchall()]


def unpaid_of(cur: Cursor, case: Case) -> list[Unpaid]:
    """Return what has to be settled before the case closes, the longest due first."""
    given = {
        "organization": case.organization,
        "invoices": list(case.invoices),
        "gave_up": case.state == "written_off",
    }
    return [Unpaid(*row) for row in cur.execute(_UNPAID, given).fetchall()]


def overdue_of(cur: Cursor, organization: UUID, now: datetime) -> list[Overdue]:
    """Return the organization's overdue invoices that are in no case, the longest due first."""
    rows = cur.execute(_OVERDUE_OF, {"organization": organization, "now": now}).fetchall()
    return [Overdue(*row) for row in rows]


def overdue_balances(cur: Cursor, organization: UUID, now: datetime) -> dict[str, int]:
    """Return what is overdue of an organization, in units by currency: what is in its open case or would come into one,
    so neither what is being collected for the first time nor what finance let be."""
    rows = cur.execute(_BALANCES, {"organization": organization, "now": now}).fetchall()
    return {row[0]: int(row[1]) for row in rows}


def organizations_due(cur: Cursor, *, limit: int, claim: timedelta, longest: timedelta) -> list[UUID]:
    """Return organizations with an overdue invoice outside of any case, or a case whose time has come by their own
    clock, in the order of their ids: neither parked, nor in work (`claim`: how long a claim is good), nor failed a
    moment ago (`longest`: the longest pause after failures)."""
    rows = cur.execute(_DUE, {"claim": claim, "longest": longest, "limit": limit}).fetchall()
    return [row[0] for row in rows]


def organizations_settled(cur: Cursor, *, limit: int) -> list[UUID]:
    """Return organizations whose open case waits for nothing: who settled it did not say so."""
    return [row[0] for row in cur.execute(_SETTLED, (limit,)).fetchall()]


def history_of_case(cur: Cursor, case: Case, *, after: int | None, limit: int) -> list[StoredEvent]:
    """Return what happened to a case, oldest first: every event of its stream with trigger, time and actor."""
    wanted = LogFilter(stream_type=STREAM, stream_id=case.id)
    return event_log(cur, organization=case.organization, wanted=wanted, after=after, limit=limit)


def _case(row: Sequence[Any]) -> Case:
    values: Any = list(row)
    values[5] = parse_policy(json.loads(row[5]))
    for place in (10, 13):
        values[place] = tuple(UUID(each) for each in json.loads(row[place]))
    values[19] = json.loads(row[19] or "null")
    values[25] = read_campaigns(json.loads(row[25] or "{}"))
    return Case(*values)
