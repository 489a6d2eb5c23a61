"""What a transaction asks under its locks beside what its commands name: the books, windows, what was before."""

from collections.abc import Callable, Container, Mapping

from events.questions import Question, Rows
from ledger.queries.gate import ask_books
from spend.operations.gate.batch import Batch
from spend.operations.gate.memory import Remembered
from spend.operations.gate.planning import Planner
from spend.operations.gate.wire import Wire
from spend.queries.gate_memory import ask_last_seq, ask_next_expiries, ask_unchanged
from spend.queries.gate_state import (
    ask_beginnings,
    ask_counters,
    ask_history,
    ask_last_numbers,
    ask_numbered,
)
from spend.rules.commands import Commit, Reserve
from spend.rules.meters import SHADOW
from spend.rules.plan import Plan
from spend.rules.settlement import takes_more
from spend.rules.state import CounterKey, LiveAccount


def what_is_remembered(
    batch: Batch, remembered: Mapping[str, Remembered], *, last: int | None, keep: Callable[[int], None]
) -> list[Question]:
    """Take what is remembered of these organizations into their states where it still holds.

    That is so where `last` is still the last number given out to an event, which `keep` takes; without it one asks for
    each of them. And ask when the first reservation expires of each that is to be remembered.
    """

    def collect(seq: int) -> None:
        keep(seq)
        for name, known in remembered.items() if seq == last else ():
            _carry_over(batch, name, known)

    asked = [ask_last_seq(collect)]
    if batch.wanted:
        asked.append(ask_next_expiries(sorted(batch.wanted), batch.until))
    if remembered and last is None:
        numbers = {name: known.seq for name, known in remembered.items()}
        asked.append(ask_unchanged(numbers, lambda name: _carry_over(batch, name, remembered[name])))
    return asked


def _carry_over(batch: Batch, name: str, known: Remembered) -> None:
    state, before = batch.states[name], known.state
    batch.read_at[name] = known.read_at
    for key, counter in before.counters.items():
        if key not in state.counters:
            state.counters[key] = state.counters_by_number[counter.number] = counter
    for reservation in before.reservations.values():
        state.reservations.setdefault(reservation.id, reservation)
    if known.is_numbered:
        state.last_counter = before.last_counter
        batch.numbered.add(name)


def history(batch: Batch, names: Container[str]) -> list[Question]:
    """What the runs of these organizations' calls did before.

    The house detects loops where nobody set a rule, and a policy may count wall time and depth. Of a run that is new it
    is its parent that knows the root.
    """
    traced: list[tuple[str, str]] = []
    ruled: list[tuple[str, str]] = []
    tried: list[tuple[str, str, int]] = []
    summed: list[tuple[str, str]] = []
    for name, command in zip(batch.names, batch.commands, strict=True):
        if not isinstance(command, Reserve) or command.subject.run is None or name not in names:
            continue
        planner, subject = batch.planners.get(name), command.subject
        named = [key for key in (subject.run, subject.parent_run) if key is not None]
        prefixes = ("", SHADOW) if _observes_runs(planner) else ("",)
        has_policies = planner is None or bool(planner.config.rules.policies)
        if command.action.fingerprint is not None or has_policies:
            traced += [(name, prefix + run) for run in named for prefix in prefixes]
        if has_policies:
            ruled += [(name, run) for run in named]
        # A first attempt is judged by nothing that was tried before, and the row of its step keeps the greater count.
        if subject.step is not None and subject.attempt is not None and subject.attempt > 1:
            tried += [(name, f"{prefix}{subject.run}", subject.step) for prefix in prefixes]
            summed.append((name, named[0]))
    return ask_history(traced, ruled, tried, [*traced, *summed], batch.states)


def books(batch: Batch, locked: Rows) -> list[Question]:
    """The books, taken in after what the locked rows say."""
    asked = ask_books(batch.states, LiveAccount)

    def collect(rows: Rows) -> None:
        for name, currency, status, epoch, now, price_epoch in locked:
            state = batch.states[name]
            state.currency, state.status, state.now = currency, status, now
            batch.epochs[name] = (epoch, price_epoch)
        asked.collect(rows)

    return [Question(asked.statement, asked.parameters, collect)]


async def read_windows(wire: Wire, batch: Batch, expected: set[CounterKey]) -> None:
    """Read the counters that were not expected; a number is wanted where a window has no counter yet."""
    unread: set[CounterKey] = set()
    rolling: set[CounterKey] = set()
    opening: set[str] = set()
    exceeding: set[tuple[str, int]] = set()
    begun: set[tuple[str, str]] = set()
    for place_in_batch, (name, plan) in enumerate(zip(batch.names, batch.plans, strict=True)):
        if plan is None:
            continue
        known = batch.states[name].counters
        for place in plan.places.all() if plan.places is not None else ():
            if place.key in known:
                continue
            opening.add(name)
            if place.first_bucket is not None:
                rolling.add((place.key[0], place.target, place.first_bucket))
            elif place.key not in expected:
                unread.add(place.key)
        if isinstance(batch.commands[place_in_batch], Commit):
            counters = _exceeded(batch, place_in_batch, plan)
            exceeding.update(counters)
            run = (
                batch.states[name].reservations[batch.reservations[place_in_batch]].run_id
                if counters
                else None
            )
            if run is not None:
                begun.add((name, run))
    asked = []
    if opening:
        asked = ask_counters(batch.states, unread, rolling)
        asked.append(ask_last_numbers([batch.states[name] for name in sorted(opening)]))
    if exceeding:
        asked.append(ask_numbered(sorted(exceeding), batch.states))
    if begun:
        asked.append(ask_beginnings(sorted(begun), batch.states))
    if asked:
        await wire.ask(asked)
    batch.numbered |= opening


def _observes_runs(planner: Planner | None) -> bool:
    """Whether the shadow gate keeps a history of runs; nobody knows of an organization that is not cached."""
    return planner is None or planner.config.rules.observes_runs


def _exceeded(batch: Batch, place: int, plan: Plan) -> list[tuple[str, int]]:
    """The counters of a reservation that a commit may push over a threshold: it takes more than was held."""
    name = batch.names[place]
    state = batch.states[name]
    reservation = state.reservations.get(batch.reservations[place])
    if reservation is None or plan.error is not None:
        return []
    if takes_more(
        reservation, plan, is_freed=reservation.status != "active" or reservation.expires_at <= state.now
    ):
        return [(name, number) for number in reservation.counters]
    return []
