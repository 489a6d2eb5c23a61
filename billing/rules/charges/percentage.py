"""A percentage of the amount of every event, with a fixed fee, a minimum and a maximum per event (house rule 15).

Free events and free volume are taken in order of time. An event that is wholly free bears neither fixed fee nor
minimum; a free event takes nothing from the free volume. Nothing is rounded per event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, ClassVar, Final

from billing.rules.amounts import PERCENT, ZERO, exact_text
from billing.rules.charges import reading
from billing.rules.charges.formula import Formula, Step, Terms, step
from billing.rules.charges.usage import Measured
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField

FIELDS = frozenset(("rate", "fixed", "event_minimum", "event_maximum", "free_volume", "free_events"))
PER_EVENT: Final = ("fixed", "event_minimum", "event_maximum", "free_events")
"""What is counted by events, and not of their sum."""
MAX_FREE_EVENTS: Final = 10**12


@dataclass(frozen=True, slots=True)
class Percentage:
    """`rate` as a share of 1; `fixed`, `event_minimum` and `event_maximum` per event, amounts of the currency."""

    rate: Fraction
    fixed: Fraction = ZERO
    event_minimum: Fraction = ZERO
    event_maximum: Fraction | None = None
    free_volume: Fraction = ZERO
    free_events: int = 0

    kind: ClassVar[str] = "percentage"
    splits: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset()

    def formula(self, measured: Measured, terms: Terms) -> Formula:
        """Return the sum over all events."""
        # Whole numbers of 1 / scale: a period may have a million events, and fractions take ten times as long.
        coarse = lcm(self.free_volume.denominator, *{amount.denominator for amount in measured.events})
        bounds = (self.fixed, self.event_minimum, self.event_maximum or ZERO)
        scale = lcm(coarse * self.rate.denominator, *(bound.denominator for bound in bounds))
        rate = int(self.rate * scale / coarse)
        fixed, least, most = (int(bound * scale) for bound in bounds)
        count = volumes = lifts = cuts = 0
        for charged in self._charged(measured.events, coarse):
            count, volumes = count + 1, volumes + charged
            due = charged * rate + fixed
            if due < least:
                lifts += least - due
            elif self.event_maximum is not None and due > most:
                cuts += due - most
        volume, lifted, cut = Fraction(volumes, coarse), Fraction(lifts, scale), Fraction(cuts, scale)
        amount = volume * self.rate + count * self.fixed + lifted - cut
        events = measured.total
        free = step("free", "amounts {events} - free {free}", volume, events=events, free=events - volume)
        steps = () if events == volume else (free,)
        return Formula(amount, volume, (*steps, *self._steps(count, volume, lifted, cut, amount)))

    def written(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        numbers = {
            "fixed": self.fixed,
            "event_minimum": self.event_minimum,
            "event_maximum": self.event_maximum,
            "free_volume": self.free_volume,
        }
        events = {"free_events": self.free_events} if self.free_events else {}
        return {"rate": reading.percent_text(self.rate)} | reading.written_fields(numbers) | events

    def _charged(self, events: tuple[Fraction, ...], scale: int) -> Iterator[int]:
        """Yield the part of each event's amount that is not free, times `scale`; nothing for a wholly free event."""
        free = int(self.free_volume * scale)
        for event in events[self.free_events :]:
            amount = event.numerator * (scale // event.denominator)
            taken = min(free, amount)
            is_wholly_free = free > 0 and taken == amount
            free -= taken
            if not is_wholly_free:
                yield amount - taken

    def _steps(
        self, count: int, volume: Fraction, lifted: Fraction, cut: Fraction, amount: Fraction
    ) -> Iterator[Step]:
        percentage = volume * self.rate
        words = f"{{volume}} x {exact_text(self.rate * PERCENT)} %"
        yield step("percentage", words, percentage, volume=volume, rate=self.rate)
        if self.fixed:
            fees = count * self.fixed
            yield step("fixed", "{events} events x {fixed}", fees, events=Fraction(count), fixed=self.fixed)
        if lifted:
            words = "raised to {minimum} an event: {lifted} in all"
            yield step("event_minimum", words, lifted, minimum=self.event_minimum, lifted=lifted)
        if cut:
            words = "cut to {maximum} an event: -{cut} in all"
            yield step("event_maximum", words, -cut, maximum=self.event_maximum or ZERO, cut=cut)
        if amount != percentage:
            words = "{percentage} + {fixed} + {lifted} - {cut}"
            parts = {"percentage": percentage, "fixed": count * self.fixed, "lifted": lifted, "cut": cut}
            yield step("sum", words, amount, **parts)


def read(reader: BodyReader) -> Percentage:
    """Return the model of a definition."""
    found = Percentage(
        rate=reader.required("rate", reading.percent),
        fixed=reader.defaulted("fixed", reading.money, ZERO),
        event_minimum=reader.defaulted("event_minimum", reading.money, ZERO),
        event_maximum=reader.optional("event_maximum", reading.money),
        free_volume=reader.defaulted("free_volume", reading.money, ZERO),
        free_events=reader.defaulted("free_events", fields.integer, 0, minimum=0, maximum=MAX_FREE_EVENTS),
    )
    least, most = found.event_minimum, found.event_maximum
    if least is not None and most is not None and most < least:
        reader.refuse(
            InvalidField("The maximum is at least the minimum.", pointer=reader.pointer("event_maximum"))
        )
    return found
