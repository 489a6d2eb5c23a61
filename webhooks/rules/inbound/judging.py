"""What becomes of an event when it arrives and after each attempt: states, reasons, pauses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from webhooks.rules.inbound.reading import Hint, is_known_version
from webhooks.rules.inbound.routes import route_of, subject_of

STATES: Final = ("received", "processing", "applied", "ignored", "parked", "quarantined", "dead")
PLATFORM: Final = "platform"
CONNECT: Final = "connect"
SOURCES: Final = (PLATFORM, CONNECT)
MOST_ATTEMPTS: Final = 8
FIRST_PAUSE: Final = timedelta(seconds=5)
BUSY_PAUSE: Final = timedelta(seconds=3)
LONGEST_BUSY_PAUSE: Final = timedelta(minutes=2)
BUSY_PART: Final = 4
"""What waits in vain is tried again after this part of the time that it has waited."""
FIRST_PARKING: Final = timedelta(seconds=30)
LONGEST_PARKING: Final = timedelta(hours=6)
MOST_PARKINGS: Final = 40
"""With the pauses above that is more than a week, within which what is missing must come."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """State and reason of an event, and its subject: the object that is to be fetched (empty where there is none)."""

    state: str
    reason: str | None = None
    kind: str = ""
    object_id: str = ""


def judge(hint: Hint, *, source: str, is_live: bool, handled: frozenset[tuple[str, str]]) -> Judgement:
    """Return what becomes of an event that arrives at an endpoint of this kind; `handled` are the (source, kind) for
    which there is a handler.

    Not ours (mode, account): parked, so that a person sees it. Unknown types and kinds that nobody handles: ignored.
    Versions and shapes that are not known: quarantined, never guessed.
    """
    if hint.is_live not in (None, is_live):
        return Judgement("parked", "wrong_mode")
    if bool(hint.account) != (source == CONNECT):
        return Judgement("parked", "wrong_account")
    steps = route_of(hint.type)
    if steps is None:
        return Judgement("ignored", "unknown_type")
    if not hint.is_thin and not is_known_version(hint.version):
        return Judgement("quarantined", "unknown_version")
    subject = subject_of(steps, hint.found)
    if subject is None:
        return Judgement("quarantined", "unknown_shape")
    kind, object_id = subject
    if (source, kind) not in handled:
        return Judgement("ignored", "no_handler", kind, object_id)
    return Judgement("received", None, kind, object_id)


def pause_after(failures: int) -> timedelta | None:
    """Return how long to wait after that many failures in a row, three times as long each time; None after the
    last."""
    return None if failures >= MOST_ATTEMPTS else FIRST_PAUSE * int(3 ** (failures - 1))


def busy_for(waited: timedelta, *, asked: timedelta = timedelta()) -> timedelta:
    """Return when to look again at what was busy, after it has `waited` since it came: in growing pauses, at least as
    long as the processor `asked` for, so that a processor that is down is not kept down by what waits for it."""
    return min(max(BUSY_PAUSE, waited / BUSY_PART, asked), LONGEST_BUSY_PAUSE)


def parked_for(parkings: int) -> timedelta | None:
    """Return when to look again at what was parked that many times; None: no more by itself."""
    if parkings >= MOST_PARKINGS:
        return None
    return min(FIRST_PARKING * int(2 ** min(parkings - 1, 20)), LONGEST_PARKING)
