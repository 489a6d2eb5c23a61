"""Contracts, their versions and windows, and what other parts of billing ask about them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from billing.queries.plans import ids_of_plans
from billing.rules.agreed import DatedPrice
from billing.rules.contracts.charging import dated_prices
from billing.rules.contracts.decision import STREAM
from billing.rules.contracts.pricing import CHARGE
from billing.rules.contracts.row import STATES, Contract, Version, Window
from billing.rules.contracts.writing import read_row, read_version, read_window
from billing.rules.entitlements import Override
from common.errors import NotFound
from events.store import Cursor

STATUSES: Final = STATES
# As one JSON text, so that a row and an event are read by the same code on any connection.
_READ: Final = "SELECT row_to_json(c)::text FROM contracts c"
_DUE: Final = f"""
{_READ} WHERE c.organization = %s AND c.next_at <= %s ORDER BY c.next_at, c.id LIMIT 1
"""
_HISTORY: Final = """
SELECT version, type, occurred_at, recorded_at, actor, data::text FROM events
WHERE organization = %(organization)s AND stream_type = %(stream)s AND stream_id = %(contract)s
    AND (%(before)s::int IS NULL OR version < %(before)s)
ORDER BY version DESC LIMIT %(limit)s
"""
_OWED: Final = """
SELECT (g->>0)::uuid, w.contract, w.number, w.start_at, w.end_at, c.name, w.repaid, w.repaid_billed
FROM contract_windows w JOIN contracts c ON c.id = w.contract, jsonb_array_elements(w.grants) AS g
WHERE w.organization = %s AND c.kind = 'postpaid'
ORDER BY w.contract, w.number, 1
"""
# Drafts agree on nothing; contracts that have ended priced the periods that began in their time.
_AGREEING: Final = f"""
{_READ} WHERE c.organization = %s AND c.activated_at IS NOT NULL
    AND jsonb_path_exists(c.versions, '$[*].document.prices[*].charge') ORDER BY c.id
"""
_OVERLAPPING: Final = """
SELECT EXISTS (SELECT FROM contracts WHERE organization = %s AND id <> %s AND status = 'active'
    AND starts_at < %s AND coalesce(terminates_at, ends_at) > %s)
"""


class HistoryRow(NamedTuple):
    """What happened to a contract: an event with its data."""

    version: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PostpaidGrant:
    """A grant that usage draws from and that is invoiced as it is used: of which window [start, end) of which contract.

    What is drawn from all grants of one window is billed as one running sum: its lines sum to the rounded whole. It
    begins at `repaid` (exact) and `repaid_billed` (on an item already), in units.
    """

    grant: UUID
    contract: UUID
    window: int
    start: datetime
    end: datetime
    name: str
    repaid: int
    repaid_billed: int


@dataclass(frozen=True, slots=True)
class InvoicingTerms:
    """What the contracts that run say about invoices: the purchase order number and the days to pay."""

    contract: UUID
    purchase_order: str | None
    net_days: int


def find_contract(cur: Cursor, *, organization: UUID, contract: UUID) -> Contract:
    """Return a contract of the organization. Raises NotFound."""
    row = cur.execute(f"{_READ} WHERE c.organization = %s AND c.id = %s", (organization, contract)).fetchone()
    if row is None:
        raise NotFound("There is no such contract.")
    return _row(row)


def organization_of_contract(cur: Cursor, contract: UUID) -> UUID:
    """Return whose contract this is; for the platform's own requests only. Raises NotFound."""
    row = cur.execute("SELECT organization FROM contracts WHERE id = %s", (contract,)).fetchone()
    if row is None:
        raise NotFound("There is no such contract.")
    owner: UUID = row[0]
    return owner


def list_contracts(
    cur: Cursor,
    *,
    organization: UUID,
    status: str | None,
    with_drafts: bool,
    before: UUID | None,
    limit: int,
) -> list[Contract]:
    """Return up to `limit` contracts, newest first, made before `before`; drafts only on request."""
    statement = f"{_READ} WHERE c.organization = %(organization)s"
    if status is not None:
        statement += " AND c.status = %(status)s"
    if not with_drafts:
        statement += " AND c.activated_at IS NOT NULL"
    if before is not None:
        statement += " AND c.id < %(before)s"
    values = {"organization": organization, "status": status, "before": before, "limit": limit}
    cur.execute(statement + " ORDER BY c.id DESC LIMIT %(limit)s", values)
    return [_row(row) for row in cur.fetchall()]


def next_due(cur: Cursor, *, organization: UUID, until: datetime) -> Contract | None:
    """Return the contract whose boundary is the earliest up to and at `until`."""
    row = cur.execute(_DUE, (organization, until)).fetchone()
    return None if row is None else _row(row)


def unended_contracts(cur: Cursor, *, organization: UUID) -> list[Contract]:
    """Return the organization's contracts that have not ended, drafts among them, oldest first."""
    cur.execute(f"{_READ} WHERE c.organization = %s AND c.ended_at IS NULL ORDER BY c.id", (organization,))
    return [_row(row) for row in cur.fetchall()]


def overlaps_another(cur: Cursor, row: Contract, *, start: datetime, end: datetime) -> bool:
    """Whether another active contract of the organization has a part of [start, end) in its term."""
    found = cur.execute(_OVERLAPPING, (row.organization, row.id, end, start)).fetchone()
    return found == (True,)


def versions_of_contract(
    cur: Cursor, *, organization: UUID, contract: UUID, below: int | None, limit: int
) -> list[Version]:
    """Return up to `limit` versions, newest first, with a number below `below`."""
    cur.execute(
        "SELECT row_to_json(v)::text FROM contract_versions v WHERE v.organization = %s AND v.contract = %s "
        "AND (%s::int IS NULL OR v.number < %s) ORDER BY v.number DESC LIMIT %s",
        (organization, contract, below, below, limit),
    )
    return [read_version(json.loads(row[0])) for row in cur.fetchall()]


def windows_of(cur: Cursor, *, organization: UUID, contract: UUID) -> list[Window]:
    """Return all windows of a contract, the first one first."""
    cur.execute(
        "SELECT row_to_json(w)::text FROM contract_windows w WHERE w.organization = %s AND w.contract = %s "
        "ORDER BY w.number",
        (organization, contract),
    )
    return [read_window(json.loads(row[0])) for row in cur.fetchall()]


def history_of_contract(
    cur: Cursor, *, organization: UUID, contract: UUID, before: int | None, limit: int
) -> list[HistoryRow]:
    """Return up to `limit` events of a contract, newest first, with a version below `before`."""
    values = {
        "organization": organization,
        "stream": STREAM,
        "contract": contract,
        "before": before,
        "limit": limit,
    }
    cur.execute(_HISTORY, values)
    return [HistoryRow._make((*row[:5], json.loads(row[5]))) for row in cur.fetchall()]


def postpaid_commitments(cur: Cursor, organization: UUID) -> dict[UUID, PostpaidGrant]:
    """Return the grants of the organization's postpaid commitments, settled ones, too: what receipts draw from them is
    still to pay, and stands on an invoice as it is used."""
    rows = cur.execute(_OWED, (organization,)).fetchall()
    return {row[0]: PostpaidGrant(*row) for row in rows}


def drawn_from(
    cur: Cursor, *, grants: Iterable[UUID], condition: str, values: Mapping[str, Any]
) -> dict[UUID, int]:
    """Return what the usage records `x` under a condition of SQL drew from each of these grants, in units."""
    wanted = [str(grant) for grant in grants]
    if not wanted:
        return {}
    cur.execute(
        "SELECT (p->>1)::uuid, sum((p->>2)::bigint) FROM usage_records x, json_array_elements(x.funding) AS p "
        f"WHERE {condition} AND p->>1 = ANY(%(grants)s) GROUP BY 1",
        {**values, "grants": wanted},
    )
    return {row[0]: int(row[1]) for row in cur.fetchall()}


def invoicing_terms(cur: Cursor, *, organization: UUID, at: datetime) -> InvoicingTerms | None:
    """Return what the contract that runs at a moment says about invoices, None when none does."""
    row = cur.execute(
        "SELECT id, purchase_order, net_days FROM contracts WHERE organization = %s AND activated_at IS NOT NULL "
        "AND starts_at <= %s AND coalesce(terminates_at, ends_at) > %s ORDER BY id LIMIT 1",
        (organization, at, at),
    ).fetchone()
    return None if row is None else InvoicingTerms(*row)


def contract_features(cur: Cursor, *, organization: UUID, at: datetime) -> list[Override]:
    """Return what the contracts that run at a moment say of features; it counts whatever plans give (S79)."""
    cur.execute(
        f"{_READ} WHERE c.organization = %s AND c.activated_at IS NOT NULL AND c.starts_at <= %s "
        "AND coalesce(c.terminates_at, c.ends_at) > %s ORDER BY c.id",
        (organization, at, at),
    )
    found = []
    for row in map(_row, cur.fetchall()):
        terms = _terms_at(row.versions, at)
        source = f"contract:{row.id}@{terms.number}"
        found += [Override(name, value, source) for name, value in terms.terms.features.items()]
    return found


def agreed_prices(cur: Cursor, *, organization: UUID) -> list[DatedPrice]:
    """Return what the organization's contracts agree on for charges of plans, whenever it holds."""
    rows = [_row(row) for row in cur.execute(_AGREEING, (organization,)).fetchall()]
    prices = [price for row in rows for each in row.versions for price in each.terms.prices]
    plans = ids_of_plans(cur, {price.given["plan"] for price in prices if price.kind == CHARGE})
    return [price for row in rows for price in dated_prices(row, plans)]


def _terms_at(versions: Sequence[Version], at: datetime) -> Version:
    """What holds at a moment, whether the billing run has been there or not."""
    begun = [each for each in versions if each.effective_at <= at]
    return max(begun, key=lambda each: each.number, default=versions[0])


def _row(row: tuple[Any, ...]) -> Contract:
    return read_row(json.loads(row[0]))
