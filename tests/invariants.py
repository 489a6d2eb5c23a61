"""The invariants of the ledger and the gate, worked out from the readers' views: no code of the writers is used.

`violations_of(organizations)` names what does not hold; `Still` shows that a refused call moved nothing (S8).
"""

import os
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final
from uuid import UUID

import psycopg

# Each query gives the rows that break the invariant, for the organizations in %(organizations)s.
CHECKS: Final = {
    "L1 an entry's postings sum to zero per currency": """
        SELECT p.entry_id, p.currency, sum(p.amount) FROM v_entries e JOIN v_postings p USING (entry_id)
        WHERE e.organization = ANY(%(organizations)s) GROUP BY p.entry_id, p.currency HAVING sum(p.amount) <> 0
    """,
    "L1 an entry has postings of its own organization and a posting its entry": """
        SELECT e.entry_id, p.account_id FROM v_entries e LEFT JOIN v_postings p USING (entry_id)
        WHERE e.organization = ANY(%(organizations)s) AND p.organization IS DISTINCT FROM e.organization
        UNION ALL
        SELECT p.entry_id, p.account_id FROM v_postings p LEFT JOIN v_entries e USING (entry_id)
        WHERE p.account_id IN (SELECT id FROM accounts WHERE organization = ANY(%(organizations)s))
            AND e.entry_id IS NULL
    """,
    "L3 a balance equals the sum of its postings": """
        SELECT b.account_id, b.account_kind, b.posted, p.summed FROM v_balances b, LATERAL (
            SELECT COALESCE(sum(amount), 0) AS summed FROM v_postings WHERE account_id = b.account_id) p
        WHERE b.organization = ANY(%(organizations)s) AND b.posted <> p.summed
    """,
    "L4 an account's held equals its open holds": """
        SELECT b.account_id, b.account_kind, b.held, COALESCE(sum(h.amount), 0)
        FROM v_balances b LEFT JOIN holds h ON h.account_id = b.account_id AND h.status = 'placed'
        WHERE b.organization = ANY(%(organizations)s)
        GROUP BY b.account_id, b.account_kind, b.held HAVING b.held <> COALESCE(sum(h.amount), 0)
    """,
    "L4 all held money is that of active reservations": """
        SELECT o.id, b.held, r.held FROM unnest(%(organizations)s::uuid[]) AS o(id),
            LATERAL (SELECT COALESCE(sum(held), 0) AS held FROM v_balances WHERE organization = o.id) b,
            LATERAL (SELECT COALESCE(sum(held), 0) AS held FROM v_reservations WHERE organization = o.id
                AND status = 'active') r
        WHERE b.held <> r.held
    """,
    "L4 a grant's held equals what open holds took of it": """
        SELECT g.id, g.held, COALESCE(t.taken, 0) FROM credit_grants g LEFT JOIN (
            SELECT u.id, sum(u.amount) AS taken FROM holds h, unnest(h.grants, h.grant_amounts) AS u(id, amount)
            WHERE h.status = 'placed' AND h.organization = ANY(%(organizations)s) GROUP BY u.id) t ON t.id = g.id
        WHERE g.organization = ANY(%(organizations)s) AND g.held <> COALESCE(t.taken, 0)
    """,
    "L4 a budget's held equals what active reservations took of it": """
        SELECT c.id, c.held, COALESCE(t.taken, 0) FROM budget_counters c LEFT JOIN (
            SELECT r.organization, u.number, sum((ARRAY[r.held, r.estimated_cost, r.tokens, r.credits, r.risk_points,
                r.input_tokens, r.tokens - r.input_tokens, r.tool_calls, 1])[position(u.letter in 'cktrpioxn')])
                AS taken
            FROM reservations r, unnest(r.counters, string_to_array(r.measures, NULL)) AS u(number, letter)
            WHERE r.status = 'active' AND r.organization = ANY(%(organizations)s) GROUP BY 1, 2) t
            ON t.organization = c.organization AND t.number = c.number
        WHERE c.organization = ANY(%(organizations)s) AND c.held <> COALESCE(t.taken, 0)
    """,
    "L5 a hold is open exactly as long as its reservation": """
        SELECT h.id, h.status, r.status, r.late FROM holds h JOIN reservations r
            ON (h.source = 'reservation:' || r.id OR h.source IS NULL AND h.id = r.id)
            AND r.organization = h.organization WHERE h.organization = ANY(%(organizations)s)
            AND h.status <> CASE WHEN r.status = 'active' THEN 'placed'
                WHEN r.status = 'committed' AND NOT r.late THEN 'posted'
                WHEN r.status = 'released' THEN 'voided' ELSE 'expired' END
    """,
    "L5 a reservation is reserved once, and ended and committed at most once": """
        SELECT stream, array_agg(type ORDER BY version) FROM v_events
        WHERE organization = ANY(%(organizations)s) AND type LIKE 'reservation.%%' GROUP BY stream
        HAVING count(*) FILTER (WHERE type = 'reservation.reserved') <> 1
            OR count(*) FILTER (WHERE type = 'reservation.committed') > 1
            OR count(*) FILTER (WHERE type IN ('reservation.released', 'reservation.expired')) > 1
            OR (count(*) FILTER (WHERE type = 'reservation.committed') = 1
                AND count(*) FILTER (WHERE type = 'reservation.released') = 1)
    """,
    "L7 the grants' remaining less the debt equals the posted credit": """
        SELECT b.organization, b.posted, g.remaining, a.debt FROM v_balances b JOIN accounts a ON a.id = b.account_id,
            LATERAL (SELECT COALESCE(sum(remaining), 0) AS remaining FROM credit_grants
                WHERE account_id = b.account_id) g
        WHERE b.account_kind = 'customer_credit' AND b.organization = ANY(%(organizations)s)
            AND g.remaining - a.debt <> b.posted
    """,
    "L8 intercompany_clearing sums to zero over all organizations": """
        SELECT currency, sum(amount) FROM v_postings WHERE account_kind = 'intercompany_clearing'
        GROUP BY currency HAVING sum(amount) <> 0
    """,
    "S3 every committed reservation has one usage record": """
        SELECT r.id, r.charged, count(u.id), sum(u.charge) FROM v_reservations r
        LEFT JOIN (SELECT substr(stream, 13) AS reservation, (data->>'usage')::uuid AS usage FROM v_events
            WHERE organization = ANY(%(organizations)s) AND type = 'reservation.committed') e
            ON e.reservation = r.id::text
        LEFT JOIN usage_records u ON u.organization = r.organization AND u.id = e.usage AND u.reservation_id = r.id
        WHERE r.organization = ANY(%(organizations)s) AND r.status = 'committed'
        GROUP BY r.id, r.charged HAVING count(u.id) <> 1 OR sum(u.charge) <> r.charged
    """,
    "S3 every charge is posted once, as revenue or as what the platform keeps and partners get": """
        SELECT u.id, u.charge, e.posted, e.n FROM usage_records u LEFT JOIN (
            SELECT e.source, count(DISTINCT e.entry_id) AS n, sum(p.amount) AS posted FROM v_entries e
            JOIN v_postings p USING (entry_id)
            WHERE e.organization = ANY(%(organizations)s) AND p.account_kind IN
                ('revenue', 'platform_fee', 'partner_earned')
            GROUP BY e.source) e ON e.source = 'usage_record:' || u.id
        WHERE u.organization = ANY(%(organizations)s)
            AND (COALESCE(e.posted, 0) <> u.charge OR COALESCE(e.n, 0) <> (u.charge > 0)::int)
    """,
    "S7 hourly rollups equal the sum of the usage records": """
        SELECT * FROM (
            SELECT organization, hour, agent_id, team_id, workflow_id, connection_id, provider, model, outcome,
                calls::numeric, input_tokens::numeric, output_tokens::numeric, cost, charge, max_charge::numeric
            FROM usage_hourly WHERE organization = ANY(%(organizations)s)) live
        FULL JOIN (
            SELECT organization, date_trunc('hour', occurred_at, 'UTC') AS hour, agent_id, team_id, workflow_id,
                connection_id, provider, model, outcome, count(*)::numeric AS calls, sum(input_tokens) AS input_tokens,
                sum(output_tokens) AS output_tokens, sum(cost) AS cost, sum(charge) AS charge,
                max(charge)::numeric AS max_charge
            FROM usage_records WHERE organization = ANY(%(organizations)s) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9) summed
        ON live::text = summed::text WHERE live IS NULL OR summed IS NULL
    """,
    "S9 the receipts of a usage record sum to its charge": """
        SELECT u.id, u.charge, u.funding FROM usage_records u
        WHERE u.organization = ANY(%(organizations)s) AND u.charge <>
            (SELECT COALESCE(sum((part->>2)::bigint), 0) FROM json_array_elements(u.funding) AS part)
    """,
    "S9 a receipt names each grant with its source": """
        SELECT u.id, part FROM usage_records u CROSS JOIN json_array_elements(u.funding) AS part
        LEFT JOIN credit_grants g ON g.id::text = part->>1 AND g.organization = u.organization
        WHERE u.organization = ANY(%(organizations)s)
            AND COALESCE(g.funding_source, 'none') <> CASE WHEN part->>0 IN ('postpaid', 'debt') THEN 'none'
                ELSE part->>0 END
    """,
    "B5 what receipts took of a grant is what its events burnt": """
        WITH burnt AS (
            SELECT part->>0 AS name, sum((part->>1)::bigint) AS amount
            FROM v_events e CROSS JOIN jsonb_array_elements(e.data->'ledger'->'burned') AS part
            WHERE e.organization = ANY(%(organizations)s) AND NOT e.data ? 'funding'
                AND e.type IN ('reservation.committed', 'usage.recorded', 'usage.charged') GROUP BY 1
        ), told AS (
            SELECT part->>1 AS name, sum((part->>2)::bigint) AS amount
            FROM v_events e CROSS JOIN jsonb_array_elements(e.data->'funding') AS part
            WHERE e.organization = ANY(%(organizations)s) AND part->>1 IS NOT NULL
                AND e.type IN ('reservation.committed', 'usage.recorded', 'usage.charged') GROUP BY 1
        ), taken AS (
            SELECT part->>1 AS name, sum((part->>2)::bigint) AS amount
            FROM usage_records u, json_array_elements(u.funding) AS part
            WHERE u.organization = ANY(%(organizations)s) AND part->>1 IS NOT NULL GROUP BY 1
        )
        SELECT g.id, COALESCE(b.amount, 0) + COALESCE(f.amount, 0), t.amount FROM credit_grants g
        LEFT JOIN burnt b ON b.name = g.id::text LEFT JOIN told f ON f.name = g.id::text
        LEFT JOIN taken t ON t.name = g.id::text
        WHERE g.organization = ANY(%(organizations)s)
            AND COALESCE(b.amount, 0) + COALESCE(f.amount, 0) <> COALESCE(t.amount, 0)
    """,
    # Requests (q), steps (s) and meters (g) are spent when a reservation is made, all else when it is committed.
    "S5 a budget has spent what the facts booked on it": """
        WITH booked AS (
            SELECT e.organization, e.seq, e.type, e.data, part.n, part.number::int AS number,
                COALESCE(substr(e.data->>'measures', part.n::int, 1), 'c') AS letter
            FROM v_events e, jsonb_array_elements_text(e.data->'counters') WITH ORDINALITY AS part(number, n)
            WHERE e.organization = ANY(%(organizations)s)
                AND e.type IN ('reservation.reserved', 'reservation.committed', 'usage.recorded')
        ), meters AS (
            SELECT *, row_number() OVER (PARTITION BY seq, letter ORDER BY n) - 1 AS place FROM booked
            WHERE type = 'reservation.reserved' AND letter IN ('q', 's', 'g')
        ), spent AS (
            SELECT organization, number, CASE letter WHEN 'c' THEN data->>'charge'
                WHEN 'k' THEN COALESCE(data->>'cost', data->>'charge') WHEN 't' THEN data->>'tokens'
                WHEN 'r' THEN data->>'credits' WHEN 'p' THEN data->>'risk_points' WHEN 'i' THEN data->>'input'
                WHEN 'x' THEN data->>'calls' WHEN 'o' THEN (COALESCE((data->>'tokens')::bigint, 0)
                - COALESCE((data->>'input')::bigint, 0))::text END::bigint AS amount
            FROM booked WHERE type <> 'reservation.reserved'
            UNION ALL
            SELECT organization, number,
                CASE letter WHEN 'g' THEN (data->'arrivals'->>place::int)::bigint ELSE 1 END FROM meters
            UNION ALL
            SELECT organization, (data->>'counter')::int, 1 FROM v_events
            WHERE organization = ANY(%(organizations)s) AND type = 'strike.counted'
        )
        SELECT c.id, c.spent, COALESCE(t.spent, 0) FROM budget_counters c LEFT JOIN (
            SELECT organization, number, sum(COALESCE(amount, 0)) AS spent FROM spent GROUP BY 1, 2) t
            ON t.organization = c.organization AND t.number = c.number
        WHERE c.organization = ANY(%(organizations)s) AND c.spent <> COALESCE(t.spent, 0)
    """,
    "R1 recognised + deferred - unbilled is what was invoiced and bought": """
        WITH lines AS (
            SELECT p.organization, e.kind, p.account_kind, p.amount FROM v_postings p JOIN v_entries e USING (entry_id)
            WHERE p.organization = ANY(%(organizations)s)
        ), recorded AS (
            SELECT organization, sum(amount) AS amount FROM lines WHERE account_kind IN ('revenue', 'breakage',
                'promotional_expense', 'deferred_revenue', 'customer_credit', 'unbilled_receivable', 'platform_fee',
                'partner_earned', 'intercompany_clearing', 'partner_payable', 'payout_in_transit') GROUP BY 1
        ), documented AS (
            SELECT organization, net + greatest(-total, 0) AS amount FROM invoices
            WHERE organization = ANY(%(organizations)s) AND status IN ('open', 'paid', 'uncollectible')
            UNION ALL SELECT organization, credit - net FROM credit_notes WHERE organization = ANY(%(organizations)s)
            UNION ALL SELECT organization, CASE WHEN method IN ('credit', 'assigned') THEN 0 ELSE amount END - applied
                FROM invoice_payments WHERE organization = ANY(%(organizations)s)
            UNION ALL SELECT organization, -amount FROM lines WHERE account_kind = 'rounding'
            UNION ALL SELECT organization, -amount FROM lines
                WHERE account_kind IN ('cash', 'processor_clearing', 'receivable', 'tax_payable', 'bad_debt',
                    'suspense', 'fx', 'processor_fees', 'provider_cost', 'provider_payable')
                AND kind NOT IN ('invoice', 'invoice_void', 'payment', 'write_off', 'credit_note')
        )
        SELECT r.organization, r.amount, d.amount FROM recorded r LEFT JOIN
            (SELECT organization, sum(amount) AS amount FROM documented GROUP BY 1) d USING (organization)
        WHERE r.amount <> COALESCE(d.amount, 0)
    """,
    "R2 what documents deferred and recognition has not booked is what schedules and included credit have": """
        SELECT o.id, d.amount, s.amount, c.amount FROM unnest(%(organizations)s::uuid[]) AS o(id), LATERAL (
            SELECT COALESCE(sum(p.amount), 0) AS amount FROM v_entries e JOIN v_postings p USING (entry_id)
            WHERE e.organization = o.id AND p.account_kind = 'deferred_revenue'
                AND e.kind IN ('invoice', 'invoice_void', 'credit_note', 'recognition')) d, LATERAL (
            SELECT COALESCE(sum(amount) - sum(recognised), 0) AS amount FROM recognition_schedules
            WHERE organization = o.id) s, LATERAL (
            SELECT COALESCE(sum(CASE WHEN l.amount < 0 THEN -1 ELSE 1 END * (l.detail->>'included')::bigint), 0)
                AS amount FROM invoices i JOIN invoice_lines l ON l.invoice_id = i.id
            WHERE i.organization = o.id AND i.status IN ('open', 'paid', 'uncollectible')
                AND l.account = 'deferred_revenue') c
        WHERE d.amount <> s.amount + c.amount
    """,
    "E a stream's versions count from one": """
        SELECT stream, count(*), min(version), max(version) FROM v_events WHERE organization = ANY(%(organizations)s)
        GROUP BY stream HAVING min(version) <> 1 OR max(version) <> count(*)
    """,
}

# S1 speaks of the moment of a grant; without overage, lowered limits and late commits it holds at all times.
WITHIN_LIMITS: Final = """
    SELECT v.budget_id, v.target, v.window_start, v.amount_limit + v.overdraft, v.held, v.spent
    FROM v_budgets v JOIN budgets b ON b.id = v.budget_id
    WHERE v.organization = ANY(%(organizations)s) AND b.mode = 'enforce'
        AND v.spent + v.held > v.amount_limit + v.overdraft
"""

PICTURE: Final = {
    name: f"SELECT {columns} WHERE organization = %(organization)s" + (f" ORDER BY {order}" if order else "")
    for name, (columns, order) in {
        "events": ("count(*), max(seq) FROM v_events", ""),
        "entries": ("count(*) FROM v_entries", ""),
        "posted": ("count(*) FROM v_entries e JOIN v_postings p USING (entry_id, organization)", ""),
        "balances": ("account_id, posted, held FROM v_balances", "1"),
        "grants": ("id, remaining, held FROM credit_grants", "1"),
        "holds": ("id, status FROM holds", "1"),
        "counters": ("budget_id, target, window_start, held, spent FROM v_budgets", "1, 2, 3"),
        "reservations": ("id, status, held, charged, expires_at FROM v_reservations", "1"),
        "runs": ("* FROM runs", "id"),
        "usage": ("count(*), sum(charge) FROM usage_records", ""),
        "rollups": ("sum(calls), sum(charge) FROM usage_hourly", ""),
        "decisions": ("COALESCE(sum(count), 0) FROM v_decisions", ""),
    }.items()
}


_KEPT = threading.local()


def reading(url: str | None = None) -> psycopg.Connection[Any]:
    """A connection of the readers' role, to this session's database unless another is named."""
    return psycopg.connect(url or os.environ["DATABASE_READONLY_URL"], autocommit=True)


def violations_of(
    organizations: Iterable[UUID],
    *,
    connection: psycopg.Connection[Any] | None = None,
    within_limits: bool = False,
) -> dict[str, list[tuple[Any, ...]]]:
    """What does not hold: the rows, by invariant; empty when all is well. `within_limits` adds S1."""
    named = {"organizations": list(organizations)}
    checks = {**CHECKS, "S1 no budget is overdrawn": WITHIN_LIMITS} if within_limits else CHECKS
    connection = connection or _kept_reading()
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with connection.pipeline():
            asked = {name: connection.execute(sql, named) for name, sql in checks.items()}
            found = {name: cursor.fetchmany(5) for name, cursor in asked.items()}
    return {name: rows for name, rows in found.items() if rows}


def assert_sound(*organizations: UUID, within_limits: bool = False) -> None:
    """Fail with what does not hold of these organizations."""
    assert violations_of(organizations, within_limits=within_limits) == {}


def picture(
    organization: UUID, *, connection: psycopg.Connection[Any] | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """Everything of an organization that a call may move."""
    connection = connection or _kept_reading()
    named = {"organization": organization}
    with connection.pipeline():
        asked = {name: connection.execute(sql, named) for name, sql in PICTURE.items()}
        return {name: cursor.fetchall() for name, cursor in asked.items()}


def _kept_reading() -> psycopg.Connection[Any]:
    """This thread's connection: pictures are taken by the hundred. Its database may have been dropped meanwhile."""
    url = os.environ["DATABASE_READONLY_URL"]
    kept: psycopg.Connection[Any] | None = getattr(_KEPT, "connection", None)
    if kept is not None and _KEPT.url == url:
        try:
            kept.execute("SELECT 1")
            return kept
        except psycopg.OperationalError:
            pass
    if kept is not None:
        kept.close()
    _KEPT.url, _KEPT.connection = url, reading(url)
    fresh: psycopg.Connection[Any] = _KEPT.connection
    return fresh


class Still:
    """A block in which nothing of the organization moves; denials leave `decisions` more decisions."""

    def __init__(self, organization: UUID, *, decisions: int = 0) -> None:
        self.organization, self.decisions = organization, decisions

    def __enter__(self) -> "Still":
        self.before = picture(self.organization)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        after = picture(self.organization)
        left = after.pop("decisions")[0][0] - self.before.pop("decisions")[0][0]
        assert after == self.before
        assert left == self.decisions
