"""An amount that never passed the gate: funded like usage after the fact, and one record of it (S75, S9). Pure.

It is charged for a moment of its period, its last one, so that the allowance and the commitment of that very period pay
for it although it is rated when they have ended. Credit may also be younger: what is there now is better than debt.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidAmount, InvalidField, InvalidPeriod
from common.ids import new_id_text
from events.rules.facts import Event
from ledger.rules.grants import Grant, GrantSubject, applies, in_burn_order, is_live, take_in_order
from spend.rules.admission import Receipt, check_booking
from spend.rules.booking import Accounts, Burn, burn_charge, post
from spend.rules.effects import UsageRow
from spend.rules.plan import written
from spend.rules.state import OrganizationState

METERED: Final = "metered"
"""The kind of such a record. It has no agent, which every record of the gate has: that is what tells them apart."""
_ANYBODY: Final = GrantSubject()
_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class MeteredCharge:
    """A rated quantity of the period [start, end): `amount` in units, not below zero.

    (`source`, `id`) names it for ever. `meter` and `charge_key` say what was rated, `quantity` how much (as text), and
    `detail` is whatever explains the amount, as JSON.
    """

    source: str
    id: str
    amount: int
    currency: str
    meter: str
    charge_key: str
    start: datetime
    end: datetime
    quantity: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises InvalidField without a name, InvalidAmount below zero, and InvalidPeriod for an empty period."""
        if not all((self.source, self.id, self.meter, self.charge_key)):
            raise InvalidField("A charge has a source, an id, a meter and a charge key.")
        if self.amount < 0:
            raise InvalidAmount("A charge is not below zero.")
        if self.end <= self.start:
            raise InvalidPeriod

    def digest(self) -> bytes:
        """Return what tells whether the same charge comes again (16 bytes)."""
        parts = (
            self.amount, self.currency, self.meter, self.charge_key, self.quantity, written(self.start),
            written(self.end),
        )  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).digest()[:16]

    def moment(self, now: datetime) -> datetime:
        """Return the moment that it is charged for: the period's last, or now while it runs."""
        return min(self.end - _TICK, now)


@dataclass(frozen=True, slots=True)
class FundedPart:
    """A part of a charge: its source (allowance, commitment, credit, postpaid, debt), the grant and units."""

    source: str
    grant: UUID | None
    amount: int


@dataclass(frozen=True, slots=True)
class Charged:
    """What became of a charge: its usage record and what paid for it, in the order taken; the parts sum to it (S9)."""

    usage: UUID
    receipt: tuple[FundedPart, ...]
    is_new: bool

    def of(self, source: str) -> int:
        """Return what a source paid, in units."""
        return sum(part.amount for part in self.receipt if part.source == source)


def parts_of(receipt: Receipt) -> tuple[FundedPart, ...]:
    """Return the parts of a stored receipt."""
    return tuple(
        FundedPart(source, None if grant is None else UUID(str(grant)), amount)
        for source, grant, amount in receipt
    )


def payers(grants: Iterable[Grant], *, at: datetime, now: datetime) -> list[Grant]:
    """Return the grants that may pay for a moment, in burn order: those of that moment, and credit of today."""
    usable = [
        grant
        for grant in grants
        if applies(grant, _ANYBODY)
        and (is_live(grant, at) or (grant.source == "credit" and is_live(grant, now)))
    ]
    return in_burn_order(usable)


def decide_charge(
    state: OrganizationState, charge: MeteredCharge, accounts: Accounts, *, actor: str, key: str | None
) -> tuple[UsageRow, Event]:
    """Return the usage record and the event of a charge, and move the books on.

    No budget counts it: it is known when its period is over, and would take from the next one's. Raises
    AmountOutOfRange.
    """
    books, now, at = state.books, state.now, charge.moment(state.now)
    check_booking(books, charge.amount)
    ordered = payers(books.grants, at=at, now=now)
    taken, _ = take_in_order(ordered, charge.amount, debt=books.credit.debt)
    burn = burn_charge(state, taken, charge.amount, _ANYBODY, at=at)
    usage = _record(state, charge, burn, at)
    ledger: dict[str, Any] = {}
    post(state, ledger, burn, accounts, charge=charge.amount, cost=0)
    data: dict[str, Any] = {
        "charge": charge.amount,
        "counters": [],
        "funding": burn.receipt,
        "metered": _metered(charge),
    }
    if ledger:
        data["ledger"] = ledger
    return usage, Event(
        state.id, "usage", usage.id, 1, "usage.charged", data, now, actor, idempotency_key=key
    )


def _record(state: OrganizationState, charge: MeteredCharge, burn: Burn, at: datetime) -> UsageRow:
    return UsageRow(
        organization=state.id, id=new_id_text(), occurred_at=at, currency=state.currency, outcome="completed", cost=0,
        charge=charge.amount, funding=burn.receipt, agent_id=None, team_id=None, workflow_id=None, connection_id=None,
        run_id=None, root_run_id=None, user_label=None, action={"kind": METERED}, source=charge.source,
        external_id=charge.id,
        detail={METERED: {**_metered(charge), "amount": charge.amount, "detail": dict(charge.detail)}},
    )  # fmt: skip


def _metered(charge: MeteredCharge) -> dict[str, Any]:
    made = {
        "meter": charge.meter,
        "charge": charge.charge_key,
        "start": written(charge.start),
        "end": written(charge.end),
    }
    return {**made, "quantity": charge.quantity} if charge.quantity else made
