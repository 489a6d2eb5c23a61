"""Subscriptions in the hand: rows made by the decisions alone, without a database."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from billing.rules.agreed import DatedPrice
from billing.rules.couponterms import parse_terms, write_terms
from billing.rules.plans import PlanTerms, parse_plan
from billing.rules.subscriptions.allowances import Left, Running, still_running
from billing.rules.subscriptions.boundaries import decide_boundary
from billing.rules.subscriptions.changing import Change, decide_change
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.row import Redemption, Selection, Subscription
from billing.rules.subscriptions.starting import NewSubscription, decide_start
from billing.rules.subscriptions.work import Known
from common.ids import new_id

CENT = 1_000_000
DOLLAR = 100 * CENT
ORGANIZATION = UUID(int=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def day(text: str) -> datetime:
    """Midnight of a day in UTC, or the instant of a longer text."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def fee(amount: str, key: str = "base", **given: Any) -> dict[str, Any]:
    """A recurring fee of this much."""
    return {
        "key": key,
        "name": key.capitalize(),
        "kind": "recurring",
        "prices": {"USD": {"model": "flat", "amount": amount}},
        **given,
    }


def seats(amount: str, key: str = "seats", **given: Any) -> dict[str, Any]:
    """Licensed seats at this much each."""
    price = {"model": "per_unit", "unit_price": amount}
    return {"key": key, "name": "Seats", "kind": "licensed", "prices": {"USD": price}, **given}


def metered(key: str = "calls", **given: Any) -> dict[str, Any]:
    """Calls at a cent each."""
    price = {"model": "per_unit", "unit_price": "0.01"}
    meter = {"key": key, "name": "Calls", "kind": "metered", "meter": "api_calls"}
    return {**meter, "prices": {"USD": price}, **given}


def terms(*charges: dict[str, Any], **given: Any) -> PlanTerms:
    """A monthly plan with these charges, changed at once with an invoice unless it says otherwise."""
    document = {
        "name": "Plan",
        "interval": {"unit": "month", "count": 1},
        "currencies": ["USD"],
        "charges": list(charges),
        "upgrade": "invoice",
        "downgrade": "invoice",
        **given,
    }
    return parse_plan(document)


class Catalog:
    """The terms of plans by version, as the operations find them."""

    def __init__(self) -> None:
        self._terms: dict[UUID, PlanTerms] = {}

    def add(self, plan: PlanTerms, **quantities: int) -> Selection:
        """Remember a plan; what subscribes to it."""
        version = new_id()
        self._terms[version] = plan
        return Selection(new_id(), version, {key: Fraction(held) for key, held in quantities.items()})

    def of(self, selection: Selection) -> PlanTerms:
        """The terms of a selection."""
        return self._terms[selection.version]


class Subscriber:
    """One subscription that goes through decisions; what they made is kept."""

    def __init__(
        self,
        catalog: Catalog,
        selection: Selection,
        at: datetime,
        *,
        agreed: Sequence[DatedPrice] = (),
        others: Sequence["Subscriber"] = (),
        **given: Any,
    ) -> None:
        self.catalog = catalog
        self.agreed = agreed
        self.others = others
        self.left: dict[UUID, Left] = {}
        self.decisions: list[Decision] = []
        new = NewSubscription(
            **{
                "id": new_id(),
                "organization": ORGANIZATION,
                "currency": "USD",
                "selection": selection,
                "zone": "UTC",
                **given,
            }
        )
        self.row: Subscription
        self.take(decide_start(new, Known(catalog.of(selection), running=self.running, agreed=agreed), at=at))

    @property
    def known(self) -> Known:
        """What decisions know."""
        return Known(self.catalog.of(self.row.selection), self.left, self.running, agreed=self.agreed)

    @property
    def running(self) -> list[Running]:
        """What the organization's other subscriptions gave away, as far as their rows know it."""
        return [
            one
            for who in self.others
            if who is not self
            for one in still_running(who.row.allowances, LONG_AGO)
        ]

    def take(self, decision: Decision | None) -> Decision | None:
        """Go on from a decision; its grants are free until they are burnt."""
        if decision is not None:
            self.row = decision.row
            self.decisions.append(decision)
            for made in decision.grants:
                self.left[made.grant] = Left(made.amount, made.amount)
            for back in decision.clawbacks:
                old = self.left[back.grant]
                self.left[back.grant] = Left(old.remaining - back.amount, old.free - back.amount)
        return decision

    def burn(self, amount: int) -> int:
        """Burn free credit, oldest first, as far as there is any; how much it was."""
        burnt = 0
        for grant, left in self.left.items():
            part = min(amount - burnt, left.free)
            self.left[grant] = Left(left.remaining - part, left.free - part)
            burnt += part
        return burnt

    def change(self, selection: Selection, at: datetime, mode: str | None = None, **given: Any) -> Decision:
        """Change what is subscribed to."""
        wanted = Change(selection, self.catalog.of(selection), mode, given.get("when"))
        made = self.take(decide_change(self.row, wanted, self.known, at=at))
        assert made is not None
        return made

    def until(self, at: datetime) -> list[Decision]:
        """Pass every boundary up to and at an instant."""
        passed = []
        while self.row.next_at is not None and self.row.next_at <= at:
            pending = self.row.pending
            waiting = None if pending is None else self.catalog.of(pending.selection)
            decision = self.take(decide_boundary(self.row, self.known, waiting=waiting))
            assert decision is not None
            passed.append(decision)
        return passed


def amounts(decision: Decision, unit: int = CENT) -> list[tuple[str, Fraction]]:
    """Kind and amount of the items that a decision made, in cents."""
    return [(item.kind, Fraction(item.amount, unit)) for item in decision.items]


def coupon(since: datetime, left: int | None = 1, **given: Any) -> Redemption:
    """A redeemed coupon: `percent` or `amounts`, with `targets` if any."""
    values: Mapping[str, Any] = write_terms(parse_terms({**given, "duration": "once"}))
    return Redemption(new_id(), new_id(), "SAVE", values, since, left)
