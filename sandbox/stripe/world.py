"""What every resource works with: objects, their events, time, and who calls."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.store import Store

CURRENT_VERSION = "2026-10-28.endive"
PLATFORM = ""
PLATFORM_ID = "acct_counterfoil"
_LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TO_LETTERS = (_LETTERS * 5)[:256]

Body = dict[str, Any]


def new_id(prefix: str, length: int = 24) -> str:
    """Return a new id in Stripe's manner."""
    return f"{prefix}_{secrets.token_bytes(length).translate(_TO_LETTERS).decode()}"


@dataclass
class Settings:
    """What may be set at the control API."""

    fee_per_mille: int = 29
    fee_fixed: int = 30
    available_after: int = 2 * 86_400
    key: str = "sk_test_counterfoil"

    @property
    def publishable_key(self) -> str:
        """The key that a page carries: good for nothing without an object's client secret."""
        return f"pk{self.key[2:]}"


@dataclass
class World:
    """One simulator's state. `told` collects what happened while the clock is advanced."""

    store: Store
    clock: Clock
    settings: Settings = field(default_factory=Settings)
    told: list[Body] | None = None
    wake: Callable[[], None] = lambda: None
    enqueue: Callable[[Body, str], int] = lambda event, account: 0
    observe: Callable[[str, Body], None] = lambda type, subject: None

    def tell(self, what: str, **more: Any) -> None:
        if self.told is not None:
            self.told.append({"at": self.clock.seconds(), "what": what, **more})

    def later(self, at: float, what: str, *, account: str, subject: str) -> None:
        """Remember what falls due."""
        self.store.db.execute(
            "INSERT INTO due (at, what, account, subject) VALUES (?, ?, ?, ?)", (at, what, account, subject)
        )


@dataclass
class Call:
    """One call, or one thing that happens by itself (`request` is then None)."""

    world: World
    account: str = PLATFORM
    version: str = CURRENT_VERSION
    request: str | None = None
    key: str | None = None
    params: Body = field(default_factory=dict)

    @property
    def now(self) -> int:
        return self.world.clock.seconds()

    def on(self, account: str) -> Call:
        """Return the same call on another account."""
        return Call(self.world, account, self.version, self.request, self.key, self.params)

    def find(self, id: str | None) -> Body | None:
        return self.world.store.find(account=self.account, id=id) if id else None

    def get(self, kind: str, id: str | None, *, param: str = "id") -> Body:
        """Return the object; raises resource_missing (404 for the call's own object, else 400)."""
        found = self.find(id)
        if found is None or found["object"] != kind:
            raise missing(kind.replace(".", " "), id or "", param=param, status=404 if param == "id" else 400)
        return found

    def add(self, body: Body, *, event: str | None = None) -> Body:
        """Store a new object and tell of it."""
        self.world.store.add(account=self.account, kind=body["object"], body=body)
        if event:
            self.emit(event, body)
        return body

    def save(self, body: Body, *events: str) -> Body:
        """Store a changed object and tell of the change; without a change nothing happens."""
        before = self.find(body["id"])
        if before == body:
            return body
        self.world.store.save(body)
        for event in events:
            self.emit(event, body, previous=before)
        return body

    def emit(self, type: str, body: Body, *, previous: Body | None = None) -> Body:
        """Record an event with the object as it is now; endpoints get it."""
        data: Body = {"object": body}
        if previous is not None:
            data["previous_attributes"] = changed_attributes(previous, body)
        event = {
            "id": new_id("evt"), "object": "event", "api_version": self.version, "created": self.now,
            "data": data, "livemode": False, "pending_webhooks": 0,
            "request": {"id": self.request, "idempotency_key": self.key}, "type": type,
        }  # fmt: skip
        if self.account:
            event["account"] = self.account
        self.world.store.add(account=self.account, kind="event", body=event)
        event["pending_webhooks"] = self.world.enqueue(event, self.account)
        if event["pending_webhooks"]:
            self.world.store.save(event)
        self.world.observe(type, body)
        self.world.tell(type, account=self.account or None, object=body.get("id"))
        return event


def changed_attributes(before: Body, after: Body) -> Body:
    """Return the values before of what differs, as Stripe's `previous_attributes`."""
    found: Body = {}
    for name, value in after.items():
        old = before.get(name)
        if name.startswith("_") or old == value:
            continue
        both = isinstance(old, dict) and isinstance(value, dict)
        found[name] = changed_attributes(old, value) | _gone(old, value) if both else old  # type: ignore[arg-type]
    return found


def _gone(before: Body, after: Body) -> Body:
    return {name: value for name, value in before.items() if name not in after}


def merged_metadata(known: Body, given: Body | None) -> Body:
    """Return the metadata after a change: an empty value deletes its key, an empty map all of them."""
    if given is None:
        return {}
    return {name: value for name, value in {**known, **given}.items() if value != ""}


def secretly(call: Call, intent: Body) -> Body:
    """Return the intent; a client secret that was given has to be its own."""
    given = call.params.get("client_secret")
    if given not in (None, "", intent["client_secret"]):
        raise refuse("The client_secret provided does not match the client_secret associated with this object.",
                     param="client_secret")  # fmt: skip
    return intent


def refuse(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """Return a plain refusal (400)."""
    return StripeError(message, code=code, param=param)
