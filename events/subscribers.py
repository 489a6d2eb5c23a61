"""Who is told of events after they are committed. Apps register their subscribers in `ready()`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from events.reading import StoredEvent
from events.store import Cursor

Handler = Callable[[Cursor, Sequence[StoredEvent]], None]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """`handle(cur, events)` gets every event once, in the order of `seq`, in batches, in the transaction that moves
    the cursor; so its effects in the database happen exactly once. It works under 5 s a batch and calls nobody
    outside. `name` is the cursor's name: it never changes."""

    name: str
    handle: Handler
    batch_size: int = 1_000


_subscribers: dict[str, Subscriber] = {}


def register(subscriber: Subscriber) -> None:
    """Add a subscriber."""
    _subscribers[subscriber.name] = subscriber


def subscribers() -> Iterable[Subscriber]:
    """Return all subscribers."""
    return _subscribers.values()


def subscriber(name: str) -> Subscriber:
    """Return one subscriber. Raises KeyError."""
    return _subscribers[name]
