"""Who organizations are at the processor, and what their methods look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.customers import Customer, stream_of
from common.errors import NotFound
from events.store import Cursor

_SELECT: Final = """
SELECT id, organization, customer, status, default_method, methods::text, livemode, created_at, version
FROM payment_customers
"""
_METHODS: Final = """
SELECT id, kind, brand, last4, exp_month, exp_year FROM payment_methods WHERE organization = %s AND id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Method:
    """A payment method as its owner knows it. `kind` None: the processor has not told yet what it is."""

    id: str
    is_default: bool
    kind: str | None = None
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


def customer_of(cur: Cursor, organization: UUID) -> Customer:
    """Return who an organization is at the processor; version 0 where nothing was said yet."""
    row = cur.execute(f"{_SELECT} WHERE organization = %s", (organization,)).fetchone()
    return Customer(stream_of(organization), organization) if row is None else _customer(row)


def customer_named(cur: Cursor, customer: str) -> Customer | None:
    """Return the organization's row of a customer at the processor; None: none of ours."""
    row = cur.execute(f"{_SELECT} WHERE customer = %s", (customer,)).fetchone()
    return None if row is None else _customer(row)


def holder_of_method(cur: Cursor, method: str) -> UUID | None:
    """Return the organization that pays with a method; None: none of ours."""
    row = cur.execute(
        "SELECT organization FROM payment_customers WHERE methods @> jsonb_build_array(%s::text)", (method,)
    ).fetchone()
    return None if row is None else row[0]


def methods_of(cur: Cursor, organization: UUID) -> list[Method]:
    """Return what an organization may pay with, the newest first."""
    row = customer_of(cur, organization)
    found = cur.execute(_METHODS, (organization, list(row.methods))).fetchall()
    looks = {name: rest for name, *rest in found}
    return [Method(name, name == row.default_method, *looks.get(name, ())) for name in reversed(row.methods)]


def find_method(cur: Cursor, *, organization: UUID, method: str) -> Method:
    """Return one method. Raises NotFound, also for another organization's."""
    for found in methods_of(cur, organization):
        if found.id == method:
            return found
    raise NotFound("There is no such payment method.")


def _customer(row: tuple[Any, ...]) -> Customer:
    identifier, organization, customer, status, default, methods, livemode, created_at, version = row
    return Customer(
        identifier,
        organization,
        customer,
        status,
        default,
        tuple(json.loads(methods)),
        livemode,
        created_at,
        version,
    )
