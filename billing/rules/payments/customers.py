"""Who an organization is at the processor, and what it may pay with. Pure.

Only the processor's ids stand here and in events; what a method looks like is personal data and stands apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from common.errors import InvalidField, InvalidTransition, NotFound
from orgs.rules.facts import Fact, time_text

ACTIVE, DELETED = "active", "deleted"
MOST_METHODS: Final = 50


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's row: `customer` is the processor's id, None while there is none; `methods` are the processor's ids
    of what it may pay with, the oldest first; `default_method` is what pays. `version` 0: nothing was said yet."""

    id: UUID
    organization: UUID
    customer: str | None = None
    status: str = ACTIVE
    default_method: str | None = None
    methods: tuple[str, ...] = ()
    livemode: bool = False
    created_at: datetime | None = None
    version: int = 0

    @property
    def can_pay(self) -> bool:
        """Whether there is something to charge."""
        return self.customer is not None and self.default_method is not None


def stream_of(organization: UUID) -> UUID:
    """Return the id of an organization's row: there is one, for ever."""
    return uuid5(NAMESPACE_OID, f"payment_customer:{organization}")


def created(row: Customer, customer: str, *, livemode: bool, at: datetime) -> Customer:
    """Return the row with a customer at the processor. Another one than before has no methods."""
    if row.customer == customer:
        return row
    return _next(
        row,
        customer=customer,
        status=ACTIVE,
        livemode=livemode,
        methods=(),
        default_method=None,
        created_at=row.created_at or at,
    )


def deleted(row: Customer, *, at: datetime) -> Customer:
    """Return the row of a customer that was deleted at the processor: it has no id and nothing to pay with."""
    if row.customer is None:
        return row
    return _next(row, customer=None, status=DELETED, methods=(), default_method=None)


def attached(row: Customer, method: str) -> Customer:
    """Return the row with one more method; the first one pays. One that is there already changes nothing. Raises
    InvalidTransition for more than fifty, and without a customer."""
    if method in row.methods:
        return row
    if row.customer is None:
        raise InvalidTransition("There is no customer to attach a method to.")
    if len(row.methods) >= MOST_METHODS:
        raise InvalidTransition(f"A customer has at most {MOST_METHODS} payment methods.")
    return _next(row, methods=(*row.methods, method), default_method=row.default_method or method)


def detached(row: Customer, method: str) -> Customer:
    """Return the row without a method; when it paid, the newest of the others does."""
    if method not in row.methods:
        return row
    left = tuple(one for one in row.methods if one != method)
    default = row.default_method if row.default_method != method else (left[-1] if left else None)
    return _next(row, methods=left, default_method=default)


def chosen(row: Customer, method: str) -> Customer:
    """Return the row with another method that pays. Raises NotFound for one that it has not."""
    if method not in row.methods:
        raise NotFound("There is no such payment method.")
    return row if row.default_method == method else _next(row, default_method=method)


def read_method_id(value: object, *, pointer: str = "") -> str:
    """Return the processor's id of a method. Raises InvalidField."""
    if (
        type(value) is not str
        or not value.isascii()
        or not value.replace("_", "").isalnum()
        or len(value) > 255
    ):
        raise InvalidField("That is no id of a payment method.", pointer=pointer)
    return value


def fact(row: Customer, verb: str, *, at: datetime) -> Fact:
    """Return what happened to it: its whole new row."""
    return Fact(row.organization, "payment_customer", row.id, row.version, verb, data_of(row), at)


def data_of(row: Customer) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        "customer": row.customer,
        "status": row.status,
        "default_method": row.default_method,
        "methods": list(row.methods),
        "livemode": row.livemode,
        "created_at": time_text(row.created_at),
    }


def _next(row: Customer, **changes: Any) -> Customer:
    return replace(row, version=row.version + 1, **changes)
