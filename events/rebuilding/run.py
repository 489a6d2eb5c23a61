"""The whole check: replay, compare, settle; and take a checkpoint of what was replayed."""

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from events.database import own_session
from events.rebuilding.checkpoints import Checkpoint, load_into, newest, register, save_from
from events.rebuilding.compare import Difference, Since, find_suspects, settle
from events.rebuilding.replay import Replay, start_position
from events.rebuilding.tables import make_temporary, rebuilt_tables
from events.store import Cursor

_ALONE: Final = "SELECT pg_try_advisory_lock(hashtext('counterfoil checkpoint'))"
_SMALL_REST: Final = 2_000
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.1
MOST_DIFFERENCES: Final = 1_000


class AlreadyRunning(Exception):
    """Another process takes a checkpoint now."""


@dataclass(slots=True)
class Outcome:
    """What a rebuild found. `seconds` are those of the replay, in which `events` events were projected."""

    events: int = 0
    seconds: float = 0.0
    compare_seconds: float = 0.0
    tables: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    more_differences: int = 0
    from_checkpoint: str | None = None
    checkpoint: str | None = None

    @property
    def events_per_second(self) -> int:
        """How many events a second were replayed."""
        return int(self.events / self.seconds) if self.seconds else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for machines."""
        return {"ok": not self.differences, "events_per_s": self.events_per_second, **asdict(self)}


def _is_alone(cur: Cursor) -> bool:
    """Whether no other checkpoint is being taken; the server may still be ending the session of the last one."""
    for _ in range(_TRIES):
        if cur.execute(_ALONE).fetchone() == (True,):
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def rebuild(
    *, from_checkpoint: bool = False, take_checkpoint: bool = False, database: str = "default"
) -> Outcome:
    """This function will make every projection again, in temporary tables, and compare it with the live one (E1).

    From the first event, or from the newest checkpoint whose files are whole. It may run while the application
    writes. Needs SELECT and TEMP; holds each organization's lock only while its differing rows are looked at again.
    With `take_checkpoint` the rebuilt tables are kept as files when nothing differs.

    Raises TooLongTransaction, AlreadyRunning (checkpoints only), and LockNotAvailable when an organization stays
    locked.
    """
    outcome = Outcome()
    with ExitStack() as stack:
        session = stack.enter_context(own_session(database))
        reader = stack.enter_context(own_session(database))
        cur = session.cursor()
        if take_checkpoint and not _is_alone(cur):
            raise AlreadyRunning
        tables = rebuilt_tables(cur)
        make_temporary(cur, tables)
        start = newest(cur, tables) if from_checkpoint else None
        replay = _replayed(Replay(session, reader, tables, start_position()), start, outcome)
        draft = save_from(cur, tables, replay.position) if take_checkpoint else None
        _compare(replay, start, outcome)
        if draft is not None:
            outcome.checkpoint = register(cur, draft, is_good=not outcome.differences)
    return outcome


def _replayed(replay: Replay, start: Checkpoint | None, outcome: Outcome) -> Replay:
    if start is not None:
        load_into(replay.session.cursor(), start, replay.tables)
        replay.position = start_position(start.seq, start.epoch, start.hi)
        outcome.from_checkpoint = start.location
    else:
        replay.add_retired()
    began = time.monotonic()
    while replay.catch_up() > _SMALL_REST:
        pass
    outcome.seconds = round(time.monotonic() - began, 3)
    outcome.events = replay.events
    return replay


def _compare(replay: Replay, start: Checkpoint | None, outcome: Outcome) -> None:
    began = time.monotonic()
    cur = replay.session.cursor()
    for table in replay.tables:
        row = cur.execute(f"SELECT count(*) FROM pg_temp.{table.name}".encode()).fetchone()
        outcome.tables[table.name] = row[0] if row else 0
    since = Since(start.epoch, start.hi) if start else None
    for difference in settle(replay, find_suspects(cur, replay.tables, since)):
        if len(outcome.differences) < MOST_DIFFERENCES:
            outcome.differences.append(difference)
        else:
            outcome.more_differences += 1
    outcome.compare_seconds = round(time.monotonic() - began, 3)
