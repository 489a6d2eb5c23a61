"""Meters in plain Python: what is known at a moment, and what each kind of meter makes of it. No code of the product."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True)
class Said:
    """What counts of an event: when, and with which data. `order`: when it was said."""

    at: datetime
    data: dict[str, str]
    order: int


@dataclass(frozen=True)
class Knowledge:
    """What was known of the events when a cut was taken, up to its end."""

    events: tuple[Said, ...]
    until: datetime


Groups = dict[str | None, Fraction]


def value(kind: str, known: Knowledge | None, start: datetime, end: datetime) -> Groups:
    """What a meter of a kind says of [start, end), by the property `region`."""
    if known is None:
        return {}
    if kind == "weighted_sum":
        return _levels(known, start, end)
    by_region: dict[str | None, list[Said]] = defaultdict(list)
    for one in sorted(known.events, key=lambda one: (one.at, one.order)):
        if start <= one.at < min(end, known.until):
            by_region[one.data.get("region")].append(one)
    return {region: _of(kind, found) for region, found in by_region.items()}


def difference(
    kind: str, known: Knowledge, before: Knowledge | None, start: datetime, end: datetime
) -> Groups:
    """What a cut adds to the one before it."""
    now, then = value(kind, known, start, end), value(kind, before, start, end)
    changed = {name: now.get(name, Fraction(0)) - then.get(name, Fraction(0)) for name in {*now, *then}}
    return {name: amount for name, amount in changed.items() if amount}


def _of(kind: str, found: list[Said]) -> Fraction:
    units = [_exact(one) for one in found]
    match kind:
        case "count":
            return Fraction(len(found))
        case "sum":
            return sum(units, Fraction(0))
        case "max":
            return max(units)
        case "latest":
            return units[-1]
    return Fraction(len({one.data["disk"] for one in found}))


def _levels(known: Knowledge, start: datetime, end: datetime) -> Groups:
    """Second by second would be the same: each level times the part of the period in which it held."""
    horizon, levels = min(end, known.until), defaultdict(Fraction)
    for disk in {one.data["disk"] for one in known.events}:
        states = [one for one in known.events if one.data["disk"] == disk and one.at < horizon]
        states.sort(key=lambda one: (one.at, one.order))
        for place, one in enumerate(states):
            till = states[place + 1].at if place + 1 < len(states) else horizon
            held = min(till, horizon) - max(one.at, start)
            if held.total_seconds() > 0:
                seconds = Fraction(held.days * 86_400 + held.seconds) + Fraction(held.microseconds, 10**6)
                whole = Fraction(int((end - start).total_seconds()))
                levels[one.data.get("region")] += _exact(one) * seconds / whole
    return dict(levels)


def _exact(one: Said) -> Fraction:
    return Fraction(Decimal(one.data["units"]))
