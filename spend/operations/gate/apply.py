"""The gate's one transaction: lock, read, decide each command in order, write everything at once, answer each.

One command and five hundred take the same path. A command that is refused moves nothing and does not touch the others;
commands with the same key have one effect. Round trips: the lock with the clock and the rows, the writes with the
commit, and one between them for windows that were not expected; one for all where what is remembered does (`ahead`).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from uuid import UUID

import msgspec
import psycopg

from common.errors import GateUnavailable, InternalError, NotFound, ProblemError, ServiceUnavailable
from common.idempotency import UNIQUE_CONSTRAINTS
from common.transactions import is_conflict, problem_of
from events.questions import Question, Rows
from events.store import Cursor
from orgs import PLATFORM_ID
from spend.operations.gate.ahead import decide_ahead, remember, remember_runs, worth_remembering, writes
from spend.operations.gate.asking import books, history, read_windows, what_is_remembered
from spend.operations.gate.batch import Batch, Expire, MoreExpired, usage_digest
from spend.operations.gate.callers import current_caller
from spend.operations.gate.judging import decide_all
from spend.operations.gate.memory import Memory, Remembered
from spend.operations.gate.planning import Planner
from spend.operations.gate.wire import BEGIN, COMMIT, Wire
from spend.queries.gate_config import SUBJECTS, ConfigCache, GateConfig, Load, Missing, load_subjects
from spend.queries.gate_memory import NOT_SO, ask_last_seq
from spend.queries.gate_state import ask_counters, ask_keys, ask_reservations, ask_runs, ask_usage_keys
from spend.rules.commands import Caller, Command, Commit, RecordUsage, Reserve
from spend.rules.effects import Answer
from spend.rules.plan import Plan
from spend.rules.state import Books, CounterKey, LiveAccount, OrganizationState

logger = logging.getLogger(__name__)

ATTEMPTS = 3
RACES = UNIQUE_CONSTRAINTS | {f"usage_keys_{part}_pkey" for part in range(8)}
STALE_PLANS = frozenset({"0A000", "26000"})
"""A migration has changed the type of a column that a prepared statement returns; it is prepared no more."""
# The clock stands in a scalar subquery over an aggregate of the locked rows: it cannot be read before all locks are
# held. In the list beside FOR NO KEY UPDATE it would be read before the wait for the lock.
LOCK = b"""
WITH locked AS MATERIALIZED (
    SELECT id, currency, status, config_epoch, clock_offset FROM organizations WHERE id = ANY($1::uuid[])
    ORDER BY id FOR NO KEY UPDATE
)
SELECT id, currency, status, config_epoch,
    (SELECT clock_timestamp() FROM (SELECT count(*) FROM locked) AS all_locked) + clock_offset,
    (SELECT config_epoch FROM organizations WHERE id = $2::uuid)
FROM locked
"""
FREE = b"SELECT id FROM organizations WHERE id = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED"
Reads = Callable[[Load], Awaitable[None]]
Commands = Sequence[Command | Expire]


class Gate:
    """The gate of one process: its cache, and `apply`. `read` runs a load with a connection beside the gate's own."""

    def __init__(self, read: Reads) -> None:
        self.cache = ConfigCache()
        self.memory = Memory()
        self._read_aside = read

    async def apply(self, wire: Wire, commands: Commands) -> list[Answer]:
        """This function will decide the commands in order, in one transaction, and answer each.

        Accepted commands are durable when it returns (S4); a refusal is an Answer with its error. Raises
        GateUnavailable when the database cannot be asked: nothing is then decided, or what was is found by the key.
        """
        attempt = 0
        while attempt < ATTEMPTS:
            attempt += 1
            try:
                ahead = await self._once_ahead(wire, commands) if attempt == 1 else None
                return ahead if ahead is not None else await self._once(wire, commands)
            except MoreExpired as more:
                await self.apply(wire, [Expire(UUID(more.organization))])
                attempt -= 1
            except psycopg.Error as error:
                if not wire.is_open:
                    self.memory.forget_all()
                if error.sqlstate in STALE_PLANS and attempt < ATTEMPTS and wire.is_open:
                    wire.forget_statements()
                    continue
                if is_conflict(error, retry_unique=RACES) and attempt < ATTEMPTS and wire.is_open:
                    await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))
                    continue
                if len(commands) > 1 and not _is_unavailable(error):
                    return await self._in_halves(wire, commands)
                meaning = _meaning_of(error)
                if isinstance(meaning, ProblemError) and not isinstance(meaning, ServiceUnavailable):
                    return [
                        Answer.refused(meaning)
                    ]  # this command's own matter, also as the only one of a batch
                raise meaning from error
            except Exception as error:
                if len(commands) == 1 or isinstance(error, GateUnavailable):
                    raise
                return await self._in_halves(wire, commands)
        raise AssertionError("the last attempt returns or raises")

    async def locked_elsewhere(self, wire: Wire, organizations: Iterable[UUID]) -> list[UUID]:
        """This function will return whose rows another transaction has locked now; none when that cannot be asked."""
        free: Rows = []
        asked = list(organizations)
        try:
            await wire.ask([Question(FREE, ("{" + ",".join(map(str, asked)) + "}",), free.extend)])
        except psycopg.Error:
            return []
        known = {name for (name,) in free}
        return [organization for organization in asked if str(organization) not in known]

    async def _in_halves(self, wire: Wire, commands: Commands) -> list[Answer]:
        """A batch that failed as a whole: what is wrong with one command is not the others' fault. One of five hundred
        is found in twenty transactions.
        """
        answers: list[Answer] = []
        middle = len(commands) // 2
        for half in (commands[:middle], commands[middle:]):
            try:
                answers += await self.apply(wire, half)
            except GateUnavailable as error:
                if not answers:
                    raise
                # The first half is committed: decided again, its denials would be recorded twice.
                answers += [Answer.refused(error)] * len(half)
            except Exception as error:
                if len(half) > 1:
                    raise
                answers.append(Answer.refused(_problem_with_one(error)))
        return answers

    async def _once(self, wire: Wire, commands: Commands) -> list[Answer]:
        batch = Batch(list(commands))
        expected = self._expect(batch)
        seqs: list[int] = []  # where memory is wanted: the last given out at the begin and at the end
        try:
            await self._lock_and_read(wire, batch, expected, seqs)
            await self._plan(wire, batch)
            await read_windows(wire, batch, expected)
            answers = decide_all(batch)
            await wire.ask([*writes(batch), *([ask_last_seq(seqs.append)] if seqs else ()), COMMIT])
        finally:
            await wire.roll_back()
        remember_runs(batch)
        if len(seqs) == 2:
            self._remember(batch, before=seqs[0], after=seqs[1])
        return answers

    async def _once_ahead(self, wire: Wire, commands: Commands) -> list[Answer] | None:
        """The same on what is remembered, in one round trip; None when that does not do."""
        ahead = decide_ahead(self.cache, self.memory, commands)
        if ahead is None:
            return None
        seqs: list[int] = []
        try:
            await wire.ask(ahead.questions(seqs))
        except psycopg.Error as error:
            if error.sqlstate == NOT_SO:
                self.memory.was_wrong(ahead.remembered, last=ahead.last)
            elif isinstance(error, psycopg.errors.UniqueViolation):
                self.memory.distrust(ahead.remembered)
            else:
                raise
            return None
        finally:
            await wire.roll_back()
        remember_runs(ahead.batch)
        self._remember(ahead.batch, before=ahead.last, after=seqs[0], decided_on=ahead.remembered)
        return ahead.answers

    def _remember(
        self,
        batch: Batch,
        *,
        before: int | None,
        after: int,
        decided_on: Mapping[str, Remembered] = MappingProxyType({}),
    ) -> None:
        """The batch is committed: whatever is wrong here must not have it decided once more."""
        try:
            self.memory.heard(before=before, after=after, events=len(batch.effects.events))
            remember(self.memory, batch, after, decided_on)
        except Exception as error:
            logger.error("gate.not_remembered", exc_info=error)
            self.memory.forget_all()

    def _expect(self, batch: Batch) -> set[CounterKey]:
        """Plan what can be planned before the lock, by what is cached and by the clock as it should be.

        That shortens the time for which the lock is held, and says which windows will be wanted. Returns these.
        """
        wanted: set[CounterKey] = set()
        for place, command in enumerate(batch.commands):
            config = self.cache.peek(batch.names[place])
            if config is None or not isinstance(command, Reserve):
                continue
            planner = batch.planners.get(config.organization)
            if planner is None:
                planner = batch.planners[config.organization] = Planner(self.cache, config)
            if planner.unknown_runs(command.subject):
                continue
            try:
                plan = planner.reserve(command, config.expected_now())
            except Missing:
                continue
            batch.plans[place] = plan
            if plan.places is not None:
                wanted.update([place.key for place in plan.places.all() if place.first_bucket is None])
        return wanted

    async def _lock_and_read(
        self, wire: Wire, batch: Batch, expected: set[CounterKey], seqs: list[int]
    ) -> None:
        """Lock the organizations, and read under their locks everything that the commands name."""
        names = sorted(set(batch.names))
        remembered = self.memory.take_all(names)
        batch.wanted = worth_remembering(self.cache, self.memory, names)
        last = self.memory.last_if_alone(remembered.values())
        for name in names:
            batch.states[name] = OrganizationState(
                name, datetime.min.replace(tzinfo=UTC), "", "", Books(LiveAccount(""), None, [])
            )
        locked: Rows = []
        questions = [
            BEGIN,
            Question(LOCK, ("{" + ",".join(names) + "}", str(PLATFORM_ID)), locked.extend),
            *self._named(batch),
        ]
        if expected:
            questions += ask_counters(batch.states, expected, ())
        # What the locked rows say is taken in before the books: these need the currency.
        questions += books(batch, locked)
        if batch.wanted or len(self.memory) or remembered:
            questions += what_is_remembered(batch, remembered, last=last, keep=seqs.append)
        await wire.ask(questions)
        if len(locked) != len(names):
            raise NotFound("There is no such organization.")

    def _named(self, batch: Batch) -> list[Question]:
        keys, reservations, runs, usages = [], [], [], []
        for name, key, reservation, command in zip(
            batch.names, batch.keys, batch.reservations, batch.commands, strict=True
        ):
            if isinstance(command, Expire):
                continue
            if key:
                keys.append((name, key))
            if isinstance(command, (Reserve, RecordUsage)):
                planner = batch.planners.get(name)
                subject = command.subject
                named = [key for key in (subject.run, subject.parent_run) if key is not None]
                runs += [(name, key) for key in (planner.unknown_runs(subject) if planner else named)]
            if isinstance(command, RecordUsage):
                usages.append((name, command.source, usage_digest(command.external_id)))
            if reservation:
                reservations.append((name, reservation))
        batch.asked_runs = sorted(set(runs))
        asked = [
            ask_reservations(reservations, batch.states),
            *history(batch, batch.states),
        ]
        if keys:
            asked.append(ask_keys(keys, batch.kept))
        if batch.asked_runs:
            asked.append(ask_runs(batch.asked_runs, batch.found_runs))
        if usages:
            asked.append(ask_usage_keys(usages, batch.known_usage))
        return asked

    async def _plan(self, wire: Wire, batch: Batch) -> None:
        """Plan what was not planned before the lock, or not under what turned out to be true."""
        await self._configure(wire, batch)
        await self._check_callers(batch)
        await self._read_names(batch)
        for place, command in enumerate(batch.commands):
            if place in batch.refused:
                batch.plans[place] = None
                continue
            planner = batch.planners[batch.names[place]]
            state = batch.states[batch.names[place]]
            known = batch.plans[place]
            if known is None or not known.holds_at(state.now):
                batch.plans[place] = await self._planned(planner, state, command, batch.reservations[place])

    async def _check_callers(self, batch: Batch) -> None:
        """Read the keys again that were read before their organization last changed; all see the locked epoch."""
        checked: dict[tuple[bytes, int], Caller | ProblemError] = {}
        for place, command in enumerate(batch.commands):
            caller, epoch = command.caller, batch.epochs[batch.names[place]][0]
            if caller.secret_hash is None or caller.epoch == epoch:
                continue
            name = (caller.secret_hash, epoch)
            if name not in checked:
                checked[name] = await self._current(caller, epoch)
            found = checked[name]
            if isinstance(found, ProblemError):
                batch.refused[place] = found
            elif not isinstance(command, Expire):
                batch.commands[place] = msgspec.structs.replace(command, caller=found)
                batch.plans[place] = None

    async def _current(self, caller: Caller, epoch: int) -> Caller | ProblemError:
        found: list[Caller] = []
        try:
            await self._read_aside(lambda cur: found.append(current_caller(cur, caller, epoch=epoch)))
        except GateUnavailable:
            raise
        except ProblemError as error:
            return error
        return found[0]

    async def _configure(self, wire: Wire, batch: Batch) -> None:
        """Give each organization a planner with its configuration at the locked epochs."""
        known = set(batch.planners)
        found: dict[str, GateConfig] = {}
        while len(found) < len(batch.states):
            loads: list[Load] = []
            for name, state in batch.states.items():
                try:
                    found[name] = self.cache.get(name, epochs=batch.epochs[name], currency=state.currency)
                except Missing as missing:
                    loads.append(missing.load)
            await self._read_all_aside(loads)
        changed = {name for name, config in found.items() if self._takes_up(batch, config)}
        if changed:
            batch.plans = [
                None if name in changed else plan for name, plan in zip(batch.names, batch.plans, strict=True)
            ]
        ruled = {name for name in changed & known if found[name].rules.policies}
        if late := history(batch, ruled):  # what the rules of before did not want to know
            await wire.ask(late)
        for name, state in batch.states.items():
            rules = batch.planners[name].config.rules
            state.switches, state.standing = dict(rules.switches), rules.standing
            state.entitled = rules.entitled
        for name, key in batch.asked_runs:
            batch.planners[name].known_runs[key] = batch.found_runs.get((name, key))

    def _takes_up(self, batch: Batch, config: GateConfig) -> bool:
        """Set the configuration's clock, and its planner if it has none yet; returns whether it had none."""
        name = config.organization
        config.clock_ahead = batch.states[name].now - datetime.now(UTC)
        planner = batch.planners.get(name)
        if planner is not None and planner.config is config:
            return False
        if planner is not None and not config.runs:  # it was forgotten meanwhile; runs stay what they are
            config.runs = planner.config.runs
        batch.planners[name] = Planner(self.cache, config)
        return True

    async def _read_names(self, batch: Batch) -> None:
        """Read all subjects at once that commands name and no cache holds."""
        wanted: dict[tuple[str, str], set[str]] = {}
        for name, plan, command in zip(batch.names, batch.plans, batch.commands, strict=True):
            if plan is not None or not isinstance(command, (Reserve, RecordUsage)):
                continue
            known = batch.planners[name].config.subjects
            for kind in SUBJECTS:
                subject = getattr(command.subject, kind)
                if subject is not None and subject not in known[kind]:
                    wanted.setdefault((name, kind), set()).add(subject)
        await self._read_all_aside(
            [
                partial(load_subjects, config=batch.planners[name].config, kind=kind, names=names)
                for (name, kind), names in wanted.items()
            ]
        )

    async def _read_all_aside(self, loads: Sequence[Load]) -> None:
        def read(cur: Cursor) -> None:
            for load in loads:
                load(cur)

        if loads:
            await self._read_aside(read)

    async def _planned(
        self, planner: Planner, state: OrganizationState, command: Command | Expire, reservation: str
    ) -> Plan | None:
        while True:
            try:
                if isinstance(command, Reserve):
                    return planner.reserve(command, state.now)
                if isinstance(command, RecordUsage):
                    return planner.usage(command, state.now)
                if isinstance(command, Commit):
                    found = state.reservations.get(reservation)
                    return None if found is None else planner.commit(command, found)
                return None
            except Missing as missing:
                await self._read_aside(missing.load)


def _is_unavailable(error: psycopg.Error) -> bool:
    return isinstance(problem_of(error), ServiceUnavailable) or is_conflict(error, retry_unique=RACES)


def _problem_with_one(error: Exception) -> ProblemError:
    """What is wrong with one command of several; a defect of ours is logged, as at the border."""
    if isinstance(error, ProblemError):
        return error
    logger.error("gate.defect", exc_info=error)
    return InternalError()


def _meaning_of(error: psycopg.Error) -> Exception:
    """What a database error says to the caller: 503, 422 for a sum out of range, or a defect of ours as it is."""
    if _is_unavailable(error):
        return GateUnavailable(retry_after=1)
    return problem_of(error) or error


__all__ = ["Commands", "Expire", "Gate"]
