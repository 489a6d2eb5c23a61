"""What makes sure that what is remembered of organizations still holds; asked under their locks."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from events.questions import Question, Rows, question
from events.writer import array_literal

# A statement of its own behind the lock: it sees what whoever held the row before has committed.
UNCHANGED: Final = b"""
SELECT w.o FROM unnest($1::uuid[], $2::bigint[]) AS w(o, s)
WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.organization = w.o AND e.seq > w.s)
"""
# These two divide by zero, which nothing else here can do, unless everything is for each organization as the decisions
# took it: the moment is not to come and just past, and nothing was written since. That is so where no event of anybody
# has been given a number, which costs nothing to find out; else it takes a look for events of these organizations.
NOBODY_WROTE: Final = b"""
SELECT 1 / (CASE WHEN count(*) = cardinality($1::uuid[]) AND (SELECT last_value FROM event_seq) = $3::bigint
    THEN 1 ELSE 0 END)
FROM unnest($1::uuid[], $2::timestamptz[]) AS w(o, t) JOIN organizations g ON g.id = w.o
WHERE clock_timestamp() + g.clock_offset BETWEEN w.t AND w.t + interval '1 second'
"""
NONE_CHANGED: Final = b"""
SELECT 1 / (CASE WHEN count(*) = cardinality($1::uuid[]) THEN 1 ELSE 0 END)
FROM unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) AS w(o, t, s) JOIN organizations g ON g.id = w.o
WHERE clock_timestamp() + g.clock_offset BETWEEN w.t AND w.t + interval '1 second'
AND (SELECT p.config_epoch FROM organizations p WHERE p.id = $4::uuid) = $5::bigint
AND NOT EXISTS (SELECT 1 FROM events e WHERE e.organization = w.o AND e.seq > w.s)
"""
NOT_SO: Final = "22012"
LOCK_ONLY: Final = b"SELECT 1 FROM organizations WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
LAST_SEQ: Final = b"SELECT last_value FROM event_seq"
NEXT_EXPIRIES: Final = b"""
SELECT w.o, r.expires_at FROM unnest($1::uuid[]) AS w(o) CROSS JOIN LATERAL (SELECT x.expires_at FROM reservations x
    WHERE x.organization = w.o AND x.status = 'active' ORDER BY x.expires_at LIMIT 1) r
"""


def ask_unchanged(numbers: Mapping[str, int], unchanged: Callable[[str], None]) -> Question:
    """Ask which of these organizations have no event above the number beside them, and call `unchanged` for each."""

    def collect(rows: Rows) -> None:
        for (name,) in rows:
            unchanged(name)

    return question(UNCHANGED, ("uuid", "bigint"), [list(numbers), list(numbers.values())], collect)


def ask_next_expiries(organizations: Sequence[str], until: dict[str, datetime]) -> Question:
    """Ask when the first active reservation of each expires, or has expired."""

    def collect(rows: Rows) -> None:
        until.update(dict(rows))

    return question(NEXT_EXPIRIES, ("uuid",), (organizations,), collect)


def ask_last_seq(keep: Callable[[int], None]) -> Question:
    """Ask for the last number that was given out to an event. While an organization's row is locked, and when its own
    events are written, each later event of it has a higher one.
    """
    return Question(LAST_SEQ, (), lambda rows: keep(rows[0][0]))


class Taken(msgspec.Struct, frozen=True):
    """What a decision took for true of an organization: its clock's moment, and that no event is above a number."""

    at: datetime
    seq: int


def lock_and_insist(
    taken: Mapping[str, Taken], *, last: int | None, platform: str, price_epoch: int
) -> list[Question]:
    """Lock the organizations and fail, with NOT_SO, unless it is so: each clock is at its moment or less than a second
    past it, and no event was written since; with `last` none of anybody after that number, else none of theirs, and
    none that changed the price book.
    """
    names = sorted(taken)
    locked = array_literal("uuid", names)
    moments = array_literal("timestamptz", [taken[name].at for name in names])
    if last is not None:
        insist = Question(NOBODY_WROTE, (locked, moments, str(last)))
    else:
        numbers = array_literal("bigint", [taken[name].seq for name in names])
        insist = Question(NONE_CHANGED, (locked, moments, numbers, platform, str(price_epoch)))
    return [Question(LOCK_ONLY, (locked,)), insist]
