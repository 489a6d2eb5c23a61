"""Customers whose subscriptions go through their decisions, with what recurs of them noted at each: no database."""

from datetime import datetime
from fractions import Fraction

from billing.rules.plans import PlanTerms
from billing.rules.rounding import round_to_document
from billing.rules.subscriptions.decision import Decision
from billing.rules.subscriptions.ending import decide_cancel_later, decide_cancel_now, decide_coupon
from billing.rules.subscriptions.pausing import (
    decide_past_due,
    decide_pause,
    decide_recover,
    decide_resume,
)
from billing.rules.subscriptions.row import Ending, Redemption, Selection
from payouts.rules.metrics.levels import subscription_level
from payouts.rules.metrics.movements import Movement, SourceLevel, movements_of
from tests.builders.subscribed import CENT, Catalog, Subscriber, day

BEGINNING = day("2026-01-15")


class Recurring:
    """A customer; `levels` are what its sources came to at every decision, as events state it."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self.held: list[Subscriber] = []
        self.levels: list[SourceLevel] = []

    def subscribe(
        self, plan: PlanTerms, at: datetime = BEGINNING, *, trial_days: int = 0, **quantities: int
    ) -> Subscriber:
        """Begin a subscription."""
        made = Subscriber(self.catalog, self.catalog.add(plan, **quantities), at, trial_days=trial_days)
        self.held.append(made)
        self._note(made, made.decisions[0])
        return made

    def until(self, at: datetime) -> None:
        """Pass every boundary of all subscriptions up to and at an instant."""
        for one in self.held:
            while one.row.next_at is not None and one.row.next_at <= at:
                for decision in one.until(one.row.next_at):
                    self._note(one, decision)

    def change(self, one: Subscriber, plan: PlanTerms, at: datetime, mode: str, **quantities: int) -> None:
        """Change what is subscribed to."""
        self._note(one, one.change(self.catalog.add(plan, **quantities), at, mode))

    def select(self, one: Subscriber, selection: Selection, at: datetime, mode: str) -> None:
        """Change to a selection of a plan that is known."""
        self._note(one, one.change(selection, at, mode))

    def cancel(self, one: Subscriber, at: datetime, *, now: bool = False) -> None:
        """Cancel a subscription, now or at the end of its period."""
        if now:
            made = decide_cancel_now(one.row, one.known, at=at, credit_unused_part=True, reason="")
        else:
            made = decide_cancel_later(one.row, one.known, Ending(None), at=at)
        self._take(one, made)

    def pause(self, one: Subscriber, at: datetime) -> None:
        """Pause it."""
        self._take(one, decide_pause(one.row, one.known, at=at))

    def resume(self, one: Subscriber, at: datetime) -> None:
        """Let it go on."""
        self._take(one, decide_resume(one.row, one.known, at=at))

    def fall_behind(self, one: Subscriber, at: datetime) -> None:
        """An invoice of it is overdue."""
        self._take(one, decide_past_due(one.row, one.known, at=at))

    def recover(self, one: Subscriber, at: datetime) -> None:
        """Nothing is overdue any more."""
        self._take(one, decide_recover(one.row, one.known, at=at))

    def redeem(self, one: Subscriber, made: Redemption, at: datetime) -> None:
        """Redeem a coupon for it."""
        self._take(one, decide_coupon(one.row, one.known, made, at=at))

    @property
    def movements(self) -> list[Movement]:
        """The movements."""
        return movements_of(self.levels)

    @property
    def moved(self) -> list[tuple[str, int, str]]:
        """The movements as (kind, cents, day)."""
        return [
            (one.kind, round_to_document(one.amount, currency="USD") // CENT, one.at.date().isoformat())
            for one in self.movements
        ]

    def mrr_before(self, at: datetime) -> int:
        """What the movements sum to before an instant."""
        return sum(one.amount for one in self.movements if one.at < at)

    def _take(self, one: Subscriber, decision: Decision | None) -> None:
        if decision is not None:
            one.take(decision)
            self._note(one, decision)

    def _note(self, one: Subscriber, decision: Decision) -> None:
        """As the reader of the events does: of two events of one moment the later one counts."""
        row = decision.row
        level = subscription_level(row, self.catalog.of(row.selection), decision.at)
        self.levels = [each for each in self.levels if (each.source, each.at) != (row.id, level.at)]
        self.levels.append(SourceLevel(row.id, row.currency, level.at, level.mrr))


def a_month(amount: Fraction | int) -> int:
    """An exact amount of units as a source is rounded."""
    exact = Fraction(amount)
    return int((2 * exact.numerator + exact.denominator) // (2 * exact.denominator))
