"""What a call asks, written into the kind of its action: so a denial, which keeps no estimate, still says it all."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORDER = ("run", "user", "agent", "workflow", "connection", "team", "organization")
Subject = dict[str, str | None]


@dataclass(frozen=True)
class Call:
    """A call: its charge in units of 10^-8, tokens, tool calls and place in its run. `key` is the end of the API key's
    id, `parent` the run that it names as the parent of its own. `is_retry`: its run has tried the step before.
    """

    subject: Subject
    charge: int
    input: int = 0
    output: int = 0
    calls: int = 0
    step: int | None = None
    attempt: int | None = None
    fingerprint: str | None = None
    key: str = ""
    parent: str | None = None
    model: str | None = None
    tool: str | None = None
    is_retry: bool = False

    def kind(self) -> str:
        """The call as the kind of an action."""
        parts = (
            self.charge, self.input, self.output, self.calls, self.step, self.attempt, self.fingerprint, self.key,
            self.parent, self.tool,
        )  # fmt: skip
        return "|".join("" if part is None else str(part) for part in parts)

    def asks(self, letter: str) -> int:
        """What a counter with this letter is asked for."""
        if letter in "qng":
            return 1
        if letter == "s":
            return 0 if self.is_retry else 1
        return {
            "c": self.charge, "k": self.charge, "t": self.input + self.output, "i": self.input, "o": self.output,
            "x": self.calls,
        }[letter]  # fmt: skip


def read_call(kind: str, subject: Subject, model: str | None) -> Call:
    """The call that a kind stands for."""
    charge, read, written, calls, step, attempt, fingerprint, key, parent, tool = kind.split("|")
    return Call(
        subject, int(charge), int(read), int(written), int(calls), int(step) if step else None,
        int(attempt) if attempt else None, fingerprint or None, key, parent or None, model, tool or None,
    )  # fmt: skip


def escaped(name: str) -> str:
    """A name before a slash that ends it."""
    return name.replace("%", "%25").replace("/", "%2F")


def ceiling(value: int, by: int) -> int:
    """Division, rounded up."""
    return -(-value // by)


def seconds_of(span: timedelta) -> int:
    """Whole seconds, rounded up, at least one."""
    return max(1, ceiling(span // timedelta(microseconds=1), 10**6))


def nanoseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1) * 1_000


def window_start(window: str, at: datetime, length: timedelta | None = None) -> datetime:
    """The window of a moment; of a rolling one the part of this length."""
    if length is not None:
        return EPOCH + (at - EPOCH) // length * length
    if window == "minute":
        return at.replace(second=0, microsecond=0)
    if window == "hour":
        return at.replace(minute=0, second=0, microsecond=0)
    if window == "day":
        return at.replace(hour=0, minute=0, second=0, microsecond=0)
    assert window in ("run", "lifetime"), window
    return EPOCH


LENGTHS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def window_end(window: str, at: datetime) -> datetime | None:
    """When the window of a moment ends."""
    return window_start(window, at) + LENGTHS[window] if window in LENGTHS else None


def time_text(moment: datetime | None) -> str | None:
    """A time as the API writes it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def text(units: int) -> str:
    """An amount as the API writes it."""
    whole, rest = divmod(abs(units), 10**8)
    written = f"{whole}.{rest:08d}".rstrip("0").rstrip(".")
    return f"-{written}" if units < 0 else written


Figures = dict[str, Any]
Failure = tuple[str, str, Figures, int | None]
"""Code, scope, what is shown of the rule, and the seconds to wait (None: for ever)."""
