"""The windows of a commitment over its term and ramp: where each begins and ends, and how much is committed in it.

A window ends with its interval, with its segment or with the term. Of one that is shorter than its interval the part
by days is committed (M1, M3); a whole one is committed in full whatever its length (M5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import step, sum_step
from billing.rules.commitments import RampSegment, segment_at
from billing.rules.contracts.row import Piece, anchor_day, midnight, wall_time
from billing.rules.contracts.terms import ContractTerms
from billing.rules.periods import Cycle, Interval
from billing.rules.rounding import round_to_document
from common.localtime import local_time

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Planned:
    """A window as it is planned: [start, end) and what is committed in it, by pieces."""

    start: datetime
    end: datetime
    piece: Piece


def plan_window(terms: ContractTerms, zone: str, at: datetime) -> Planned | None:
    """Return the window that begins at an instant, None at or after the end of the term."""
    day = local_time(at, zone=zone).date()
    if terms.commitment is None or day >= terms.end:
        return None
    first, last = _segment(terms, day)
    whole_start, whole_end = first, last
    if terms.commitment.window != "segment":
        whole_start, whole_end = _interval(terms, zone, day)
    end = min(whole_end, last)
    piece = Piece(day, end, _committed(terms, day), (whole_end - whole_start).days)
    return Planned(at, midnight(end, zone), piece)


def amount_of_pieces(pieces: Iterable[Piece], *, currency: str) -> int:
    """Return what the pieces commit together, in units at the currency's precision: rounded once (house rule 7)."""
    exact = sum((piece.amount * piece.share for piece in pieces), Fraction(0))
    return round_to_document(exact, currency=currency)


def cut_pieces(pieces: Sequence[Piece], day: date) -> tuple[Piece, ...]:
    """Return what of the pieces lies before a day."""
    return tuple(replace(piece, end=min(piece.end, day)) for piece in pieces if piece.start < day)


def with_piece(pieces: Sequence[Piece], added: Piece) -> tuple[Piece, ...]:
    """Return the pieces up to where another begins, and that one."""
    return (*cut_pieces(pieces, added.start), added)


def days_used_until(at: datetime, zone: str) -> date:
    """Return the day up to which days are used at an instant: the day that it falls into counts unless it is its first
    instant."""
    local = local_time(at, zone=zone)
    day = local.date()
    return day if midnight(day, zone) == at else day + _DAY


def piece_steps(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """Return how what is committed comes about."""
    parts, steps = [], []
    for piece in pieces:
        part = amount_of(piece.amount) * piece.share
        parts.append(part)
        if piece.share == 1:
            steps.append(step("commitment", "{committed}", part, committed=amount_of(piece.amount)))
        else:
            days = Fraction((piece.end - piece.start).days)
            steps.append(
                step(
                    "commitment",
                    "{committed} x {days} / {whole} days",
                    part,
                    committed=amount_of(piece.amount),
                    days=days,
                    whole=Fraction(piece.whole),
                )
            )
    if len(parts) > 1:
        steps.append(sum_step("commitment", "together", parts))
    return [step_json(one) for one in steps]


def _committed(terms: ContractTerms, day: date) -> int:
    segments = [RampSegment(segment.start, Fraction(segment.amount)) for segment in terms.ramp]
    found = segment_at(segments, day)
    return 0 if found is None else int(found.commitment)


def _segment(terms: ContractTerms, day: date) -> tuple[date, date]:
    """The segment that a day falls into, cut by the term."""
    starts = [segment.start for segment in terms.ramp if segment.start < terms.end]
    for start, end in pairwise([*starts, terms.end]):
        if start <= day < end:
            return start, end
    return terms.start, min((start for start in starts if start > day), default=terms.end)


def _interval(terms: ContractTerms, zone: str, day: date) -> tuple[date, date]:
    """The whole interval that a day falls into, as days."""
    assert terms.commitment is not None
    unit = terms.commitment.window
    first = anchor_day(terms.start, unit, terms.commitment.alignment)
    cycle = Cycle(wall_time(first), Interval(unit), zone)
    period = cycle.period_at(midnight(day, zone))
    return period.start_date, period.end_date
