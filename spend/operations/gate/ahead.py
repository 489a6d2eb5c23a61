"""Decided ahead of the lock: ordinary calls of organizations that the process remembers take one round trip.

They are decided on what is remembered, at the moment that the organization's clock should show, by the same code as
all others. Then one packet locks the rows, makes sure that nothing was written since and that the clock is right, and
writes; if anything is not as it was taken to be, nothing of it happens, and the calls are decided on what is read. So
the decision is as good as one made under the lock: between its moment and the lock nothing has changed.

What is not remembered may only be taken for absent where writing it finds out: an idempotency key, a run, and the
counters of a run that is new. So only calls that are all accepted are decided like this: a refusal writes none of them.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from common.errors import ProblemError
from events.questions import Question
from events.writer import Collector
from orgs import PLATFORM_ID
from spend.operations.gate.batch import Batch, Expire
from spend.operations.gate.judging import decide_all
from spend.operations.gate.memory import Memory, Remembered
from spend.operations.gate.planning import Planner
from spend.operations.gate.wire import BEGIN, COMMIT
from spend.operations.gate.writing import write
from spend.queries.gate_config import ConfigCache, Missing
from spend.queries.gate_memory import Taken, ask_last_seq, lock_and_insist
from spend.rules.commands import Command, Commit, Extend, Release, Reserve
from spend.rules.effects import Answer
from spend.rules.plan import Plan
from spend.rules.settlement import takes_more
from spend.rules.state import OrganizationState, Reservation

ORDINARY = frozenset(("reservation", "run", "budget_counter"))
"""Streams whose events the working state follows in everything that is remembered."""
KINDS = (Reserve, Commit, Release, Extend)


@dataclass(slots=True)
class Ahead:
    """A batch that is decided and not yet written, and what it was decided on. `last` is the last number given out to
    an event, if this process alone has written since it began to remember.
    """

    batch: Batch
    remembered: dict[str, Remembered]
    answers: list[Answer]
    last: int | None

    def questions(self, seqs: list[int]) -> list[Question]:
        """Return its one packet; `seqs` takes the last number given out to an event in the end."""
        taken = {name: Taken(known.state.now, known.seq) for name, known in self.remembered.items()}
        price_epoch = next(iter(self.remembered.values())).epochs[1]
        insist = lock_and_insist(taken, last=self.last, platform=str(PLATFORM_ID), price_epoch=price_epoch)
        return [BEGIN, *insist, *writes(self.batch), ask_last_seq(seqs.append), COMMIT]


def decide_ahead(cache: ConfigCache, memory: Memory, commands: Sequence[Command | Expire]) -> Ahead | None:
    """This function will decide the commands on what is remembered; None when they have to be decided on what is read.

    What it decides on is remembered no more until `remember` is called.
    """
    batch = Batch(list(commands))
    unusual = {name for name, command in zip(batch.names, commands, strict=True) if not _is_ordinary(command)}
    if unusual:  # where such calls are usual it is not worth while
        memory.take_all(unusual)
        memory.distrust(unusual)
        return None
    remembered = _all_remembered(cache, memory, batch)
    if not remembered or not _plan(batch, remembered):
        return None
    memory.take_all(remembered)
    answers = decide_all(batch)
    if all(answer.error is None and answer.status < 300 and not answer.replayed for answer in answers):
        return Ahead(batch, remembered, answers, memory.last_if_alone(remembered.values()))
    memory.distrust(remembered)
    return None


def writes(batch: Batch) -> list[Question]:
    """Return everything that a batch decided, to be written at once."""
    collected = Collector()
    write(collected, batch.effects, batch.new_keys)
    combined = collected.combined()
    return [] if combined is None else [Question(*combined)]


def worth_remembering(cache: ConfigCache, memory: Memory, names: Sequence[str]) -> set[str]:
    """Return of which organizations the state is to be remembered after a transaction that reads it."""
    found = set()
    for name in names:
        config = cache.peek(name)
        if config is not None and config.is_ordinary and memory.is_trusted(name):
            found.add(name)
    return found


def remember(
    memory: Memory, batch: Batch, seq: int, before: Mapping[str, Remembered] = MappingProxyType({})
) -> None:
    """This function will remember what a batch that has committed left behind, where all of it is known to be so.

    `before` is what it was decided on, where that was not read; `seq` the last number given out to an event.
    """
    strange = _with_strange_effects(batch)
    for name, until in _first_expiries(batch).items():
        state, planner = batch.states[name], batch.planners[name]
        if name in strange or state.rolling or not planner.config.is_ordinary:
            continue
        if until is not None and until <= state.now:  # freed just now, so the one after it is not known
            continue
        _leave_what_is_read(batch, state, is_new=name not in before)
        read_at = batch.read_at.get(name, time.monotonic())
        known = Remembered(state, batch.epochs[name], seq, until, name in batch.numbered, read_at)
        memory.keep(name, known)


def remember_runs(batch: Batch) -> None:
    """Keep where the runs of a batch that has committed stand in their trees."""
    for planner in batch.planners.values():
        for run in planner.started_runs():
            planner.config.remember_run(run)


def _is_ordinary(command: Command | Expire) -> bool:
    """Whether the state that is remembered is all that such a call is decided on."""
    if not isinstance(command, Reserve):
        return isinstance(command, KINDS)
    subject = command.subject
    if command.dry_run or command.action.fingerprint is not None or subject.parent_run is not None:
        return False
    return subject.attempt is None or subject.attempt <= 1


def _all_remembered(cache: ConfigCache, memory: Memory, batch: Batch) -> dict[str, Remembered]:
    """What is remembered of all organizations of a batch, set to the moment; nothing where one of them is missing."""
    found: dict[str, Remembered] = {}
    for name in batch.names:
        if name in found:
            continue
        known, config = memory.find(name), cache.peek(name)
        if known is None or config is None or config.epochs != known.epochs or not config.is_ordinary:
            return {}
        if found and known.epochs[1] != next(iter(found.values())).epochs[1]:
            return {}
        now = max(known.state.now, config.expected_now())
        if known.until is not None and now >= known.until:
            return {}
        known.state.now = now
        found[name] = known
        batch.states[name], batch.epochs[name] = known.state, known.epochs
        batch.planners[name], batch.read_at[name] = Planner(cache, config), known.read_at
        if known.until is not None:
            batch.until[name] = known.until
        if known.is_numbered:
            batch.numbered.add(name)
    batch.wanted = set(found)
    return found


def _plan(batch: Batch, remembered: dict[str, Remembered]) -> bool:
    """Plan the commands; returns whether each of them is ordinary and everything it names is remembered."""
    try:
        for place, command in enumerate(batch.commands):
            name = batch.names[place]
            caller = command.caller
            if caller.secret_hash is not None and caller.epoch != batch.epochs[name][0]:
                return False
            plan = _planned(batch, place, name)
            if plan is None or plan.error is not None:
                return False
            batch.plans[place] = plan
    except (Missing, ProblemError):
        return False
    return True


def _planned(batch: Batch, place: int, name: str) -> Plan | None:
    command, state, planner = batch.commands[place], batch.states[name], batch.planners[name]
    if isinstance(command, Reserve):
        return _planned_reserve(command, state, planner, is_numbered=name in batch.numbered)
    reservation = state.reservations.get(batch.reservations[place])
    if reservation is None or reservation.status != "active":
        return None
    if isinstance(command, Commit):
        return _planned_commit(command, reservation, planner)
    return Plan()


def _planned_commit(command: Commit, reservation: Reservation, planner: Planner) -> Plan | None:
    plan = planner.commit(command, reservation)
    if plan.error is None and takes_more(reservation, plan, is_freed=False):
        return None
    return plan


def _planned_reserve(
    command: Reserve, state: OrganizationState, planner: Planner, *, is_numbered: bool
) -> Plan | None:
    """Of a run that is not known neither row nor counters are there, or writing them shows that they are."""
    for key in planner.unknown_runs(command.subject):
        planner.known_runs[key] = None
    plan = planner.reserve(command, state.now)
    if plan.error is not None or plan.places is None or not plan.places.is_plain:
        return None
    is_new = plan.who is not None and plan.who.run is not None and plan.who.run.is_new
    for counted in plan.places.budgets:
        if counted.first_bucket is not None:
            return None
        if counted.key in state.counters:
            continue
        if not is_numbered or not is_new or counted.budget.window_kind != "run":
            return None
    return plan


def _with_strange_effects(batch: Batch) -> set[str]:
    """The organizations of which a batch did more than the working state follows."""
    found = {str(event.organization) for event in batch.effects.events if event.stream_type not in ORDINARY}
    for name, command in zip(batch.names, batch.commands, strict=True):
        if not isinstance(command, KINDS):
            found.add(name)
    return found


def _first_expiries(batch: Batch) -> dict[str, datetime | None]:
    """When the first active reservation expires of each organization that is to be remembered; a little early where
    that one was extended or has ended.
    """
    found = {name: batch.until.get(name) for name in batch.wanted}
    for event in batch.effects.events:
        name = str(event.organization)
        if event.type == "reservation.reserved" and name in found:
            made, first = batch.states[name].reservations[event.stream_id].expires_at, found[name]
            found[name] = made if first is None else min(first, made)
    return found


def _leave_what_is_read(batch: Batch, state: OrganizationState, *, is_new: bool) -> None:
    """Leave what reading it again would give: no reservation that has ended, no window that has no row since its call
    was refused, no grant that is used up, and no line that is none.
    """
    ended = batch.reservations
    if is_new:
        ended = [name for name, made in state.reservations.items() if made.status != "active"]
        for key in [key for key, counter in state.counters.items() if not counter.number]:
            del state.counters[key]
    for name in ended:
        known = state.reservations.get(name)
        if known is not None and known.status != "active":
            del state.reservations[name]
    books = state.books
    if any(grant.remaining <= 0 for grant in books.grants):
        books.grants = [grant for grant in books.grants if grant.remaining > 0]
    line = books.line
    if line is not None and line.credit_limit == 0 and not line.posted and not line.held:
        books.line = None
