"""What the database recorded of one organization, played again in the plain model, each decision at its place.

An organization's transactions follow one another under its lock, so the clock read there (`at`) orders them. Within a
transaction events have numbers, and ids of version 7 are made in order by the one process that decides it: a grant's
decision, a commit's usage record and the first of equal denials stand where their ids stand. Events without an id of
their own (release, extend) leave a denial beside them two or more places. Of `count` equal denials the row places the
first; each other one stands at any place from there to the end of the transaction.

So a denial has a set of places. It must be right at one of them with every figure that the row keeps: code, binding
layer, limit, spent, held, what remains, and the same of all other layers that fail. `told` are the denials as the
clients got them: each is matched with one row, in whose set of places it is right, figure by figure, and no row is left
over.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from tests.concurrency.gate.plain import Organization
from tests.concurrency.gate.plaincalls import Call, read_call
from tests.concurrency.gate.plainjudging import signature

GRANTED = ("allow", "allow_with_caps")
LED_TO = ("threshold", "strike", "incident", "switch", "approval", "run_mark")
"""Streams of one event each, whose id is made when it is decided."""
OWN = (
    "threshold.crossed", "strike.counted", "incident.opened", "switch.set", "run_mark.set", "budget_counter.opened",
)  # fmt: skip
"""What a denial may leave before its own row."""
EVENTS = """
SELECT tx::text, type, stream_id::text, data::text, occurred_at FROM events WHERE organization = %s ORDER BY seq
"""
DECISIONS = """
SELECT tx::text, id::text, at, answer, code, binding_scope, binding_budget::text, requested, count, agent_id::text,
    reservation_id::text, detail::text, dry FROM decisions WHERE organization = %s ORDER BY id
"""


@dataclass
class Event:
    """A fact, and the id that was made when it was decided, if there is one."""

    type: str
    stream: str
    data: dict[str, Any]
    made: str | None


@dataclass
class Denial:
    """A row of decisions, and what is right at its places: `first` where its id stands, `options` up to the end."""

    id: str
    at: datetime
    count: int
    call: Call
    kept: str
    first: set[str | None] = field(default_factory=set)
    options: set[str | None] = field(default_factory=set)
    places: int = 0


@dataclass
class Transaction:
    """What one transaction did to the organization."""

    at: datetime
    events: list[Event] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)


@dataclass
class Told:
    """An answer as a client got it: when it asked and when it heard."""

    sent: datetime
    heard: datetime
    body: dict[str, Any]


@dataclass
class Replayed:
    """The model at the end, and everything that was decided."""

    model: Organization
    grants: dict[str, dict[str, Any]]
    denials: list[Denial]
    transactions: int


def transactions_of(organization: UUID) -> list[Transaction]:
    """The organization's history, in order."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        events = connection.execute(EVENTS, (organization,)).fetchall()
        decisions = connection.execute(DECISIONS, (organization,)).fetchall()
    found: dict[str, Transaction] = {}
    granted = {row[10]: row[1] for row in decisions if row[3] in GRANTED}
    for tx, kind, stream, written, at in events:
        data = json.loads(written)
        transaction = found.setdefault(tx, Transaction(at))
        assert transaction.at == at, f"{tx} read its clock twice"
        made = granted.pop(stream) if kind == "reservation.reserved" else data.get("usage")
        if kind.partition(".")[0] in LED_TO:
            made = stream
        transaction.events.append(Event(kind, stream, data, made))
    assert not granted, "decisions that allow, without an event"
    for row in decisions:
        if row[3] not in GRANTED:
            transaction = found.setdefault(row[0], Transaction(row[2]))
            assert transaction.at == row[2]
            transaction.denials.append(_denial(*row[1:]))
    in_order = list(found.values())
    with_events = [transaction.at for transaction in in_order if transaction.events]
    assert with_events == sorted(with_events), "the clock under the lock and the events' numbers disagree"
    assert len({transaction.at for transaction in in_order}) == len(in_order), (
        "two transactions at one moment"
    )
    return sorted(in_order, key=lambda transaction: transaction.at)


def _denial(
    name: str, at: datetime, answer: str, code: str, scope: str, budget: str | None, requested: int, count: int,
    agent: str, _: str | None, written: str, dry: bool,
) -> Denial:  # fmt: skip
    assert answer == "deny" and not dry
    detail = json.loads(written)
    subject = {"agent": agent, **{name: detail.get(name) for name in ("team", "workflow", "user", "run")}}
    kept = {"code": code, "binding": detail["binding"], "also_failing": detail.get("also_failing", [])}
    call = read_call(detail["kind"], subject, detail.get("model"))
    return Denial(name, at, count, call, signature(kept))


def replay(organization: UUID) -> Replayed:
    """Play the history again; fails at the first grant above a limit, and at the first denial that was not right."""
    model, grants, denials = Organization(), {}, []
    transactions = transactions_of(organization)
    for transaction in transactions:
        known = model.counters.last
        runs = {denial.id: denial.call.subject["run"] in model.runs for denial in transaction.denials}
        _play(model, transaction, grants)
        for denial in transaction.denials:
            assert denial.kept in denial.first, (
                f"{denial.id} was denied {denial.kept} at {denial.at}; right would have been {denial.first}"
            )
            layers = json.loads(denial.kept)
            model.assert_told(layers, denial.call, known, denial.at, is_run_known=runs[denial.id])
        denials += transaction.denials
    return Replayed(model, grants, denials, len(transactions))


def _play(model: Organization, transaction: Transaction, grants: dict[str, dict[str, Any]]) -> None:
    bounds = [(denial, *_bounds(transaction.events, denial.id)) for denial in transaction.denials]
    place = 0
    while True:
        for denial, low, high in bounds:
            if place < low or (place > high and denial.count == 1):
                continue
            assert not model.has_lapsed(denial.at), (
                f"{denial.id} was denied before holds were freed that had run out"
            )
            refusal = model.refusal(denial.call, denial.at)
            denial.options.add(None if refusal is None else signature(refusal, wait=True))
            if place <= high:
                denial.first.add(None if refusal is None else signature(refusal))
                denial.places += 1
        if place == len(transaction.events):
            return
        place = _step(model, transaction, place, grants)


def _step(
    model: Organization, transaction: Transaction, place: int, grants: dict[str, dict[str, Any]]
) -> int:
    """Move on by one event and by everything that it leads to; returns the place after it."""
    event, at = transaction.events[place], transaction.at
    is_grant = event.type == "reservation.reserved"
    is_capped = is_grant and model.is_capped(model.call(event.data), at)
    expected = model.move(event.type, event.stream, event.data, at)
    if is_grant:
        grants[event.stream] = model.told(model.counted_for(model.call(event.data))[0], at) | {
            "held": event.data["held"], "decision": "allow_with_caps" if is_capped else "allow",
        }  # fmt: skip
    followed = transaction.events[place + 1 : place + 1 + len(expected)]
    assert len(followed) == len(expected), f"after {event} there is no {expected[len(followed) :]}"
    if event.type == "budget.changed":  # of several windows in any order
        assert Counter(expected) == Counter((one.type, *model.said(one.type, one.data)) for one in followed)
        for one in followed:
            model.take_up(one.type, one.stream, one.data, at)
        return place + 1 + len(expected)
    for one, other in zip(expected, followed, strict=True):
        model.follow(one, other.type, other.stream, other.data, at)
    return place + 1 + len(expected)


def _bounds(events: Sequence[Event], name: str) -> tuple[int, int]:
    """The first and the last place that a denial with this id can have: before the event of that place."""
    low, high = 0, len(events)
    for place, event in enumerate(events):
        if event.type == "reservation.expired" or (event.made is not None and event.made < name):
            low = place + 1
        elif event.made is not None:
            high = place
            break
    while low > 0 and events[low - 1].type in OWN:
        low -= 1
    # What a grant opens stands before it and after every denial that came earlier.
    while high > low and events[high - 1].type in ("budget_counter.opened", "run.started"):
        high -= 1
    return low, high


def unmatched(denials: Sequence[Denial], told: Sequence[Told]) -> tuple[list[Told], int]:
    """The denials told that no row stands for, and how often rows stand for none that was told."""
    by_signature: dict[str | None, list[int]] = defaultdict(list)
    for number, denial in enumerate(denials):
        for option in denial.options:
            by_signature[option].append(number)
    taken: list[list[int]] = [[] for _ in denials]
    wishes = [
        [
            number
            for number in by_signature[signature(one.body, wait=True)]
            if one.sent <= denials[number].at <= one.heard
        ]
        for one in told
    ]
    missing = [told[place] for place in range(len(told)) if not _seat(place, wishes, denials, taken)]
    return missing, sum(denial.count - len(seats) for denial, seats in zip(denials, taken, strict=True))


def _seat(
    place: int, wishes: Sequence[Sequence[int]], denials: Sequence[Denial], taken: Sequence[list[int]]
) -> bool:
    """Give a told denial a seat in a row, moving others if need be (augmenting paths)."""
    seen: set[int] = set()

    def find(one: int) -> bool:
        for row in wishes[one]:
            if row in seen:
                continue
            seen.add(row)
            if len(taken[row]) < denials[row].count:
                taken[row].append(one)
                return True
            for seat, other in enumerate(taken[row]):
                if find(other):
                    taken[row][seat] = one
                    return True
        return False

    return find(place)
