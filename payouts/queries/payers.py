"""How far each source of a caller's shares is paid: by an invoice, bought credit, a fee, or what repaid debt."""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from events.store import Cursor
from payouts.projections.earnings import OFF
from payouts.queries.differences import differences_of
from payouts.rules.collecting import (
    ALL,
    GONE,
    NOTHING,
    Fraction,
    InvoiceFigures,
    Source,
    blended,
    tail,
)
from payouts.rules.owing import NOBODY, Debt, Repaid, Used, unpaid

USAGE: Final = "usage"
"""Why there is debt that is of no call with a share; of a reversed one, too: its share was taken back."""
_Parts = dict[str, list[tuple[int, str | None]]]
"""What of a grant stands on which invoice (None: on none yet), by grant."""

_OWED: Final = """
SELECT debt FROM accounts WHERE organization = %s AND kind = 'customer_credit' AND counterparty IS NULL
"""
# What was reversed is nobody's payment any more; a clawback's stream is its entry.
_DEBTS: Final = """
SELECT id::text, 'debt:' || id, amount, at, EXISTS (
    SELECT FROM earning_reversals r WHERE r.organization = d.organization AND r.id = d.id)
FROM earning_debts d WHERE organization = %s
"""
_OWING: Final = """
SELECT id::text, 'owing:' || id || ':' || version || ':' || n, amount, at, cause,
    amount > 0 AND EXISTS (SELECT FROM journal_entries e WHERE e.reverses = o.id)
FROM earning_owing o WHERE organization = %s
"""
_GRANTS: Final = """
SELECT g.id::text, g.kind, g.cost_basis, coalesce(u.amount, 0), coalesce(r.amount, 0), g.created_at, p.id::text,
    coalesce(p.credit_back, 0) > 0
FROM credit_grants g
LEFT JOIN earning_used u ON u.organization = g.organization AND u.grant_id = g.id
LEFT JOIN (SELECT cause, -sum(amount)::bigint AS amount FROM earning_owing
    WHERE organization = %(organization)s AND amount < 0 GROUP BY cause) r ON r.cause = 'grant:' || g.id
LEFT JOIN payments p ON p.id = CASE WHEN g.source LIKE 'payment:%%' THEN substr(g.source, 9)::uuid END
WHERE g.organization = %(organization)s AND (g.id = ANY(%(grants)s::uuid[])
    OR %(is_owed)s AND g.kind = 'paid' AND (u.amount > 0 OR r.amount > 0))
ORDER BY g.created_at, g.id
"""
# What an open dispute took is paid still, for nobody is asked for it, and is not here: no share is paid out of it.
_INVOICES: Final = """
SELECT i.id::text, i.status, i.total, i.paid - coalesce(d.pending, 0), coalesce(n.total, 0), i.written_off
FROM invoices i LEFT JOIN LATERAL (SELECT sum(total)::bigint AS total FROM credit_notes c
    WHERE c.invoice_id = i.id) n ON true
LEFT JOIN LATERAL (SELECT sum(p.invoice_back - p.reopened)::bigint AS pending FROM payments p
    WHERE p.invoice_id = i.id) d ON true
WHERE i.organization = %s AND i.id = ANY(%s::uuid[])
"""
# The fee that gave a plan's credit is an item of its subscription that includes credit, and whose service begins with
# it, or runs while it does.
_FEES: Final = """
SELECT g.id::text, f.amount, f.invoice_id::text FROM credit_grants g CROSS JOIN LATERAL (
    SELECT i.amount, i.invoice_id FROM invoice_items i WHERE i.organization = g.organization AND i.amount > 0
        AND i.included > 0 AND i.source = regexp_replace(g.reason, '^Credit of subscription ', 'subscription:')
        AND (i.service_start = g.effective_at OR i.service_start <= g.effective_at AND i.service_end > g.effective_at)
    ORDER BY i.service_start = g.effective_at DESC, i.created_at, i.id LIMIT 1) f
WHERE g.organization = %s AND g.id = ANY(%s::uuid[])
"""
# What was invoiced in advance for a commitment's window by the time that it gave a grant.
_ADVANCES: Final = """
SELECT g.id::text, (x.made->>1)::bigint, (t.item->>1)::bigint, i.invoice_id::text
FROM contract_windows w JOIN contracts c ON c.id = w.contract AND c.kind = 'prepaid'
CROSS JOIN jsonb_array_elements(w.grants) AS x(made) JOIN credit_grants g ON g.id = (x.made->>0)::uuid
CROSS JOIN jsonb_array_elements(w.items) WITH ORDINALITY AS t(item, n)
JOIN invoice_items i ON i.id = (t.item->>0)::uuid AND i.created_at <= g.created_at
WHERE w.organization = %s AND g.id = ANY(%s::uuid[]) ORDER BY g.id, t.n
"""
# What a postpaid commitment repaid of debt is an item by itself; what is used of it afterwards is on lines.
_REPAID: Final = """
SELECT g.id::text, i.amount, i.invoice_id::text
FROM contract_windows w JOIN contracts c ON c.id = w.contract AND c.kind = 'postpaid'
CROSS JOIN jsonb_array_elements(w.grants) AS x(made) JOIN credit_grants g ON g.id = (x.made->>0)::uuid
JOIN invoice_items i ON i.organization = w.organization AND i.contract = w.contract AND i.kind = 'commitment'
    AND i.service_start IS NULL AND i.amount > 0 AND i.created_at = g.created_at
WHERE w.organization = %s AND g.id = ANY(%s::uuid[])
"""


class _Grant(NamedTuple):
    """Credit that paid for calls, or repaid debt; of the payment that bought it, if one did."""

    id: str
    kind: str
    cost_basis: int
    used: int
    repaid: int
    created_at: datetime
    payment: str | None
    is_back: bool

    @property
    def source(self) -> str:
        return f"grant:{self.id}"

    @property
    def is_given(self) -> bool:
        """Whether nobody pays for it."""
        return self.kind == "promotional" or self.cost_basis == 0


@dataclass(frozen=True, slots=True)
class _Owing:
    """What a caller owes, what became debt (`calls`: their own; `others` with why), and what repaid some."""

    debt: int
    calls: list[Debt] = field(default_factory=list)
    others: list[tuple[Debt, str]] = field(default_factory=list)
    repaid: list[Repaid] = field(default_factory=list)


def fractions_of(cur: Cursor, organization: UUID, sources: Sequence[Source]) -> dict[str, Fraction]:
    """Return how far what pays for each source is paid, by `payer` of the sources; what is missing is nobody's payment
    yet. The caller holds the organization's lock."""
    names = {source.name for source in sources}
    owing = _owing(cur, organization)
    grants = _grants(cur, organization, names, owing)
    others = [one.id for one in grants if one.kind != "paid" and not one.is_given]
    fees, repaying = _fees(cur, organization, others), _repaying(cur, organization, others)
    billing = {invoice for parts in (*fees.values(), *repaying.values()) for _, invoice in parts if invoice}
    invoices = _invoices(cur, organization, billing | set(_ids(names, "invoice")))
    found = _by_parts(fees, invoices)
    payers = {
        **found,
        **_by_parts(repaying, invoices),
        **{one.source: GONE for one in grants if one.is_given},
    }
    given = {one.source: payers.get(one.source, NOTHING) for one in grants if one.kind != "paid"}
    found |= unpaid(_used(grants, owing), owing.debt, _debts(grants, owing), owing.repaid, given)
    found |= {one.source: ALL for one in grants if one.is_given}
    found |= {f"invoice:{name}": fraction for name, fraction in invoices.items()}
    return found | differences_of(cur, organization, sources, found, owing.calls)


def _owing(cur: Cursor, organization: UUID) -> _Owing:
    """What was reversed stays in the list as far as it was repaid by then: else what repaid it would be that of older
    debt."""
    owed = cur.execute(_OWED, (organization,)).fetchone()
    made = _Owing(0 if owed is None else owed[0])
    owing = cur.execute(_OWING, (organization,)).fetchall()
    off = {cause.removeprefix(OFF): -amount for _, _, amount, _, cause, _ in owing if cause.startswith(OFF)}
    for id_, name, amount, at, is_reversed in cur.execute(_DEBTS, (organization,)).fetchall():
        if is_reversed:
            made.others.append((Debt(name, amount - off.get(id_, 0), at), USAGE))
        else:
            made.calls.append(Debt(name, amount, at, (name,)))
    for id_, name, amount, at, cause, is_reversed in owing:
        if amount > 0:
            made.others.append((Debt(name, amount - off.get(id_, 0), at), USAGE if is_reversed else cause))
        elif not cause.startswith(OFF):
            made.repaid.append(Repaid(name, -amount, at, cause))
    return made


def _grants(cur: Cursor, organization: UUID, names: Some[str], owing: _Owing) -> list[_Grant]:
    """Those of the sources and those that repaid debt; with all that were bought and used where something is missing of
    any: it is owed, or was repaid by what was not bought."""
    repaying = {one.by for one in owing.repaid}
    wanted = _ids({*names, *repaying}, "grant")

    def read(*, is_owed: bool) -> list[_Grant]:
        given = {"organization": organization, "grants": wanted, "is_owed": is_owed}
        return [_Grant(*row) for row in cur.execute(_GRANTS, given).fetchall()]

    found = read(is_owed=owing.debt > 0)
    if owing.debt or all(one.kind == "paid" for one in found if one.source in repaying):
        return found
    return read(is_owed=True)


def _used(grants: Iterable[_Grant], owing: _Owing) -> list[Used]:
    bought = [
        Used(one.source, one.used, one.created_at, one.repaid, one.is_back)
        for one in grants
        if one.kind == "paid"
    ]
    return bought + [Used(one.name, one.amount, one.at) for one in owing.calls]


def _debts(grants: Iterable[_Grant], owing: _Owing) -> list[Debt]:
    """What went back of a payment is missing of what that bought."""
    known = {USAGE: [NOBODY]}
    for one in grants:
        if one.kind == "paid" and one.payment is not None:
            known.setdefault(f"payment:{one.payment}", []).append(one.source)
    others = [replace(debt, sources=tuple(known.get(cause, ()))) for debt, cause in owing.others]
    return owing.calls + others


def _fees(cur: Cursor, organization: UUID, grants: Sequence[str]) -> _Parts:
    """What of the credit that a plan or an advance gave stands on which invoice."""
    if not grants:
        return {}
    rows = cur.execute(_FEES, (organization, grants)).fetchall()
    found: _Parts = {grant: [(amount, invoice)] for grant, amount, invoice in rows}
    advances: dict[tuple[str, int], list[tuple[int, str | None]]] = {}
    for grant, given, amount, invoice in cur.execute(_ADVANCES, (organization, grants)).fetchall():
        advances.setdefault((grant, given), []).append((amount, invoice))
    return found | {grant: tail(items, given) for (grant, given), items in advances.items()}


def _repaying(cur: Cursor, organization: UUID, grants: Sequence[str]) -> _Parts:
    """What postpaid commitments repaid of debt, by invoice."""
    if not grants:
        return {}
    found: _Parts = {}
    for grant, amount, invoice in cur.execute(_REPAID, (organization, grants)).fetchall():
        found.setdefault(grant, []).append((amount, invoice))
    return found


def _by_parts(grants: _Parts, invoices: Mapping[str, Fraction]) -> dict[str, Fraction]:
    made = {
        grant: blended((amount, invoices.get(invoice or "", NOTHING)) for amount, invoice in parts)
        for grant, parts in grants.items()
    }
    return {f"grant:{grant}": fraction for grant, fraction in made.items() if fraction is not None}


def _invoices(cur: Cursor, organization: UUID, names: Some[str]) -> dict[str, Fraction]:
    """By id, and by `<id>:<grant>` what a commitment's grant paid for of it."""
    if not names:
        return {}
    ids = {name: name.partition(":")[0] for name in names}
    rows = cur.execute(_INVOICES, (organization, sorted(set(ids.values())))).fetchall()
    found = {name: InvoiceFigures(*figures).fraction() for name, *figures in rows}
    return {name: found[invoice] for name, invoice in ids.items() if invoice in found}


def _ids(names: Iterable[str], kind: str) -> list[str]:
    return sorted(name.removeprefix(f"{kind}:") for name in names if name.startswith(f"{kind}:"))
