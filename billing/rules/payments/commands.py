"""An outbound command: what the processor is to do, frozen, and how far that came. Pure (ADR 0016).

pending -> sending -> succeeded | refused | unknown | wrong; unknown ends like sending, or lapses: then nobody ever did
it, and the next generation begins. One that is not wanted any more before it is sent lapses, too. `wrong` waits for a
person. Nothing leaves succeeded, refused and lapsed.

Lease, attempts and the time of the next try are operational: they are no part of the events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from billing.rules.payments.outcomes import Busy, Outcome, Refused, Succeeded, Unknown, Wrong
from common.errors import InvalidTransition
from orgs.rules.facts import Fact, time_text

PENDING, SENDING, UNKNOWN = "pending", "sending", "unknown"
SUCCEEDED, REFUSED, WRONG, LAPSED = "succeeded", "refused", "wrong", "lapsed"
STATES: Final = (PENDING, SENDING, UNKNOWN, SUCCEEDED, REFUSED, WRONG, LAPSED)
OPEN_STATES: Final = (PENDING, SENDING, UNKNOWN)
"""Of which something is still to be done without a person."""
HOLDING: Final = frozenset({PENDING, SENDING, UNKNOWN, SUCCEEDED, WRONG})
"""In which the same request is no new one. `wrong` too: what was done under its key only a person can tell."""
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    PENDING: frozenset({SENDING, LAPSED}),
    SENDING: frozenset({SUCCEEDED, REFUSED, UNKNOWN, WRONG, LAPSED}),
    UNKNOWN: frozenset({SUCCEEDED, REFUSED, UNKNOWN, WRONG, LAPSED}),
    WRONG: frozenset({SUCCEEDED, REFUSED, UNKNOWN, LAPSED}),
    SUCCEEDED: frozenset(),
    REFUSED: frozenset(),
    LAPSED: frozenset(),
}

SAME_KEY_FOR: Final = timedelta(hours=23)
"""How long a call is repeated under its key: the processor keeps a key for 24 h at least."""
LOOK_APART: Final = timedelta(hours=1)
LOOKS: Final = 2
"""That find nothing, before a new generation begins."""
STORED_FAILURE, ASKED_TO_LOOK, WITHDRAWN = "stored_failure", "asked_to_look", "withdrawn"
_LOOKED_UP: Final = frozenset({STORED_FAILURE, ASKED_TO_LOOK})
"""Why a command is looked up although its key is still good: it would only be answered the same."""
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Command:
    """A command's row. `params` are the processor's own (minor units), frozen; `target`: the object that the verb is
    called on; `order_key`: the object whose commands go one after the other. `key`: the idempotency key. `error`: code
    and message of what ended or hinders it.

    `attempts`, `next_try_at`, `lease_until`, `looks`, `looked_at` and `note` (what the last try met) are operational.
    """

    id: UUID
    organization: UUID
    purpose: str
    business_key: str
    generation: int
    key: str
    resource: str
    verb: str
    target: str | None
    params: Mapping[str, Any]
    params_hash: str
    api_version: str
    account: str | None
    order_key: str | None
    state: str
    requested_at: datetime
    first_sent_at: datetime | None = None
    ended_at: datetime | None = None
    object_id: str | None = None
    request_id: str | None = None
    error_code: str | None = None
    decline_code: str | None = None
    error: str | None = None
    version: int = 1
    attempts: int = 0
    next_try_at: datetime | None = None
    lease_until: datetime | None = None
    looks: int = 0
    looked_at: datetime | None = None
    note: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be done."""
        return self.state in OPEN_STATES


def idempotency_key(*, purpose: str, business_key: str, generation: int, organization: UUID) -> str:
    """Return the key of a call: one for each generation of what is to happen, for ever."""
    said = json.dumps([str(organization), purpose, business_key, generation]).encode()
    return "cf-" + hashlib.sha256(said).hexdigest()


def params_hash(params: Mapping[str, Any]) -> str:
    """Return what shows that parameters are the stored ones."""
    said = json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


def started(command: Command, *, at: datetime) -> Command:
    """Return the command as it is sent for the first time: `first_sent_at` is set once."""
    return _moved(command, SENDING, first_sent_at=at)


def ended(command: Command, outcome: Outcome, *, at: datetime) -> Command:
    """Return the command after an outcome that moves it. Raises InvalidTransition where it has ended."""
    if isinstance(outcome, Succeeded):
        return _moved(
            command, SUCCEEDED, ended_at=at, object_id=outcome.object_id, request_id=outcome.request_id,
            error_code=None, decline_code=None, error=None,
        )  # fmt: skip
    if isinstance(outcome, Refused):
        return _moved(
            command, REFUSED, ended_at=at, object_id=outcome.object_id, request_id=outcome.request_id,
            error_code=outcome.code, decline_code=outcome.decline_code, error=outcome.message,
        )  # fmt: skip
    if isinstance(outcome, Unknown):
        code = STORED_FAILURE if outcome.stored else "unknown"
        return _moved(command, UNKNOWN, request_id=outcome.request_id, error_code=code, error=outcome.reason)
    if isinstance(outcome, Wrong):
        return _moved(
            command, WRONG, request_id=outcome.request_id, error_code=outcome.code, error=outcome.reason
        )
    raise InvalidTransition("A command that met a busy processor goes on as it is.")


def lapsed(command: Command, *, at: datetime) -> Command:
    """Return the command that was never done: looked for twice and not found. Raises InvalidTransition."""
    return _moved(command, LAPSED, ended_at=at, error_code="not_found", error="It was never done.")


def withdrawn(command: Command, reason: str, *, at: datetime) -> Command:
    """Return the command that is not wanted any more and was never sent. Raises InvalidTransition once it was."""
    if command.first_sent_at is not None:
        raise InvalidTransition("A command that was sent is not withdrawn.")
    return _moved(command, LAPSED, ended_at=at, error_code=WITHDRAWN, error=reason)


def asked_to_look(command: Command) -> Command:
    """Return the command whose doubt a person wants looked up now. Raises InvalidTransition unless it is in doubt."""
    if command.state not in (UNKNOWN, WRONG):
        raise InvalidTransition(f"A command that is {command.state} leaves nothing to look for.")
    return _moved(command, UNKNOWN, error_code=ASKED_TO_LOOK)


def says_nothing_new(command: Command, outcome: Outcome) -> bool:
    """Whether the outcome is only a doubt that is known already."""
    if not isinstance(outcome, Unknown) or command.state != UNKNOWN:
        return False
    return command.error_code in _LOOKED_UP or not outcome.stored


def same_key_ends(command: Command) -> datetime | None:
    """Return until when it is sent under its key; None before it was sent."""
    return None if command.first_sent_at is None else command.first_sent_at + SAME_KEY_FOR


def must_look(command: Command, *, now: datetime) -> bool:
    """Whether it is looked up instead of sent: its key may be forgotten soon, or answers a stored failure."""
    until = same_key_ends(command)
    if command.state not in (SENDING, UNKNOWN) or until is None:
        return False
    return now >= until or command.error_code in _LOOKED_UP


def pause_after(outcome: Outcome, *, attempts: int, jitter: int) -> timedelta:
    """Return how long to wait before the next try. `jitter`: 0 to 999, thousandths.

    What the processor asks for is kept, and up to a quarter more; a locked object needs a short, random wait under the
    same key; everything else doubles up to ten minutes.
    """
    if isinstance(outcome, Busy) and outcome.retry_after is not None:
        return timedelta(milliseconds=outcome.retry_after * (1000 + jitter // 4))
    if isinstance(outcome, Busy) and not outcome.is_limit:
        return timedelta(milliseconds=200 + jitter * min(5, attempts))
    doubled: timedelta = FIRST_PAUSE * (1 << min(attempts, 12))
    return min(doubled, LONGEST_PAUSE) * (500 + jitter // 2) / 1000


def fact(command: Command, verb: str, *, at: datetime) -> Fact:
    """Return what happened: the command's whole new row, without what is operational."""
    return Fact(command.organization, "command", command.id, command.version, verb, data_of(command), at)


def data_of(command: Command) -> dict[str, Any]:
    """Return the row as events hold it."""
    return {
        **{name: getattr(command, name) for name in _PLAIN},
        **{name: time_text(getattr(command, name)) for name in _TIMES},
        "params": dict(command.params),
    }


_PLAIN: Final = (
    "purpose", "business_key", "generation", "key", "resource", "verb", "target", "params_hash", "api_version",
    "account", "order_key", "state", "object_id", "request_id", "error_code", "decline_code", "error",
)  # fmt: skip
_TIMES: Final = ("requested_at", "first_sent_at", "ended_at")


def _moved(command: Command, state: str, **changes: Any) -> Command:
    if state not in TRANSITIONS[command.state]:
        raise InvalidTransition(f"A command that is {command.state} does not become {state}.")
    return replace(command, state=state, version=command.version + 1, **changes)
