"""Webhook deliveries: who gets an event, how it is signed, sent, repeated, given up; and how it may be spoiled."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from sandbox.stripe.resources.events import shown_event
from sandbox.stripe.store import text
from sandbox.stripe.world import CURRENT_VERSION, Body, Call, World, new_id

PAUSES = (5, 60, 300, 1800, 7200, 18_000, 36_000, 86_400)
DISABLED_AFTER_SECONDS = 3 * 86_400
TIMEOUT_SECONDS = 10
_SENDERS = 16


@dataclass
class DeliverySettings:
    """`rules` spoil deliveries; `factor` shortens the pauses between attempts."""

    rules: list[Body] = field(default_factory=list)
    pauses: tuple[float, ...] = PAUSES
    factor: float = 1.0
    disabled_after: float = DISABLED_AFTER_SECONDS
    senders: int = _SENDERS
    holding: bool = False


def signature(body: bytes, secret: str, timestamp: int) -> str:
    """Return the hex HMAC-SHA256 that Stripe signs with."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def _wants(endpoint: Body, event: Body, account: str) -> bool:
    is_meant = endpoint["_connect"] == bool(account)
    return (
        is_meant
        and endpoint["status"] == "enabled"
        and any(name in ("*", event["type"]) for name in endpoint["enabled_events"])
    )


class Deliveries:
    """The engine: rows in the store are its queue, tasks of the event loop its senders."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = DeliverySettings()
        self._wake = asyncio.Event()
        self._random = random.Random(0)
        self._sending: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._endpoints: list[Body] | None = None
        world.wake = self._wake.set
        world.enqueue = self.enqueue

    def endpoints(self) -> list[Body]:
        return self.world.store.select(account="", kind="webhook_endpoint", order="ASC")

    # Queueing

    def enqueue(self, event: Body, account: str) -> int:
        """Queue the event for every endpoint that wants it; returns how many are waited for."""
        waited = 0
        for endpoint in self.endpoints():
            if _wants(endpoint, event, account):
                self._queue(event, endpoint)
                waited += 1
        if waited:
            self._wake.set()
        return waited

    def _queue(self, event: Body, endpoint: Body) -> None:
        now = self.world.clock.now()
        rules = [rule for rule in self.settings.rules if self._applies(rule, event)]
        changes: Body = {}
        delay, copies = 0.0, 1
        for rule in rules:
            changes |= {name: rule[name] for name in _CHANGES if rule.get(name)}
            delay += rule.get("delay", 0) + (
                self._random.uniform(0, rule["reorder"]) if rule.get("reorder") else 0
            )
            copies += rule.get("duplicate", 0)
        state = "dropped" if changes.get("drop") else "held" if changes.get("hold") else "pending"
        for number in range(copies):
            late = self._random.uniform(0, rule["reorder"]) if number and rules and rule.get("reorder") else 0
            self._insert(event["id"], endpoint["id"], state, now + delay + late, changes, counted=number == 0)
        if changes.get("twin"):
            twin = new_id("evt")
            self._insert(
                event["id"], endpoint["id"], state, now + delay, {**changes, "id": twin}, counted=False
            )

    def _insert(
        self, event: str, endpoint: str, state: str, due: float, changes: Body, *, counted: bool
    ) -> None:
        self.world.store.db.execute(
            "INSERT INTO deliveries (event, endpoint, state, due, first, changes, counted) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (event, endpoint, state, due, self.world.clock.now(), text(changes), int(counted)),
        )

    def _applies(self, rule: Body, event: Body) -> bool:
        types = rule.get("types", ["*"])
        if "*" not in types and event["type"] not in types:
            return False
        if rule.get("count") is not None and rule.setdefault("hit", 0) >= rule["count"]:
            return False
        if rule.get("probability", 1) < 1 and self._chance(rule) >= rule["probability"]:
            return False
        rule["hit"] = rule.get("hit", 0) + 1
        return True

    def _chance(self, rule: Body) -> float:
        source = rule.get("_random")
        if source is None:
            source = rule["_random"] = random.Random(rule.get("seed", 0))
        return float(source.random())

    def release(self, *, order: str = "asis") -> int:
        """Send what is held, in order or shuffled; returns how many."""
        rows = self.world.store.db.execute(
            "SELECT id FROM deliveries WHERE state = 'held' ORDER BY id"
        ).fetchall()
        ids = [row[0] for row in rows]
        if order == "random":
            self._random.shuffle(ids)
        if order == "reversed":
            ids.reverse()
        now = self.world.clock.now()
        for number, id in enumerate(ids):
            self.world.store.db.execute(
                "UPDATE deliveries SET state = 'pending', due = ? WHERE id = ?", (now + number * 1e-4, id)
            )
        self._wake.set()
        return len(ids)

    def resend(self, event: str, endpoint: str | None = None) -> int:
        """Send an event once more, as the dashboard's button does."""
        targets = [one["id"] for one in self.endpoints() if endpoint in (None, one["id"])]
        for target in targets:
            self._insert(event, target, "pending", self.world.clock.now(), {}, counted=False)
        self._wake.set()
        return len(targets)

    # Sending

    async def run(self) -> None:
        """Send what is due until canceled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=15)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            while True:
                self._wake.clear()
                self._start_due(session)
                try:
                    await asyncio.wait_for(self._wake.wait(), timeout=self._pause())
                except TimeoutError:
                    continue

    def _pause(self) -> float:
        if len(self._sending) >= self.settings.senders:
            return 1.0
        row = self.world.store.db.execute(
            "SELECT min(due) FROM deliveries WHERE state = 'pending'"
        ).fetchone()
        until = (row[0] - self.world.clock.now()) if row[0] is not None else 1.0
        return min(max(until, 0.005), 1.0)

    def _start_due(self, session: aiohttp.ClientSession) -> None:
        free = self.settings.senders - len(self._sending)
        if free <= 0:
            return
        rows = self.world.store.db.execute(
            "SELECT id, event, endpoint, attempts, first, changes, counted FROM deliveries "
            "WHERE state = 'pending' AND due <= ? ORDER BY due, id LIMIT ?",
            (self.world.clock.now(), free + len(self._sending)),
        ).fetchall()
        for row in [row for row in rows if row[0] not in self._sending][:free]:
            self._sending.add(row[0])
            task = asyncio.get_running_loop().create_task(self._send(session, *row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(
        self, session: aiohttp.ClientSession, id: int, event_id: str, endpoint_id: str, attempts: int, first: float,
        changes_text: str, counted: int,
    ) -> None:  # fmt: skip
        try:
            found = self.world.store.db.execute(
                "SELECT body FROM objects WHERE id = ?", (event_id,)
            ).fetchone()
            endpoint = self.world.store.find(account="", id=endpoint_id)
            if found is None or endpoint is None or endpoint["status"] != "enabled":
                self._finish(id, "given_up", attempts)
                return
            body, headers = self.message(
                msgspec.json.decode(found[0]),
                endpoint,
                _spoiling(msgspec.json.decode(changes_text), attempts),
            )
            status = await self._post(session, endpoint["url"], body, headers)
            self._record(id, event_id, endpoint, attempts + 1, first, status, counted)
        finally:
            self._sending.discard(id)
            self._wake.set()

    async def _post(
        self, session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str]
    ) -> int:
        """Return the status; 0 when there was no answer."""
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    def message(self, event: Body, endpoint: Body, changes: Body) -> tuple[bytes, dict[str, str]]:
        """Return the body and headers of a delivery, spoiled as the rules want."""
        shown = shown_event(event, endpoint["api_version"] or CURRENT_VERSION)
        if changes.get("id"):
            shown = {**shown, "id": changes["id"]}
        body = msgspec.json.format(msgspec.json.encode(shown), indent=2)
        at = int(time.time()) - int(changes.get("stale", 0)) + int(changes.get("future", 0))
        now = self.world.clock.now()
        secrets = [
            one["secret"] for one in endpoint["_secrets"] if one["until"] is None or one["until"] > now
        ]
        if changes.get("wrong_secret"):
            secrets = ["whsec_wrong"]
        signed = [signature(body, secret, at) for secret in secrets]
        if changes.get("two_signatures"):
            signed = [signature(body, "whsec_another", at), *signed]
        if changes.get("tamper"):
            body = body.replace(b'"livemode": false', b'"livemode": true ', 1)
        headers = {
            "Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": ",".join([f"t={at}", *(f"v1={one}" for one in signed)]),
        }  # fmt: skip
        return body, headers

    # Outcomes

    def _record(
        self, id: int, event: str, endpoint: Body, attempts: int, first: float, status: int, counted: int
    ) -> None:
        is_good = 200 <= status < 300
        store, now = self.world.store, self.world.clock.now()
        with store.transaction():
            self._log(event, endpoint, attempts, status)
            if is_good:
                self._finish(id, "delivered", attempts)
                if counted:
                    store.db.execute(
                        "UPDATE objects SET body = json_set(body, '$.pending_webhooks', "
                        "max(0, json_extract(body, '$.pending_webhooks') - 1)) WHERE id = ?", (event,),
                    )  # fmt: skip
            else:
                self._try_again(id, attempts, first, now)
            self._note_health(endpoint, is_good, now)

    def _finish(self, id: int, state: str, attempts: int) -> None:
        self.world.store.db.execute(
            "UPDATE deliveries SET state = ?, attempts = ? WHERE id = ?", (state, attempts, id)
        )

    def _try_again(self, id: int, attempts: int, first: float, now: float) -> None:
        pauses = self.settings.pauses
        pause = pauses[min(attempts - 1, len(pauses) - 1)] * self.settings.factor
        if now - first > self.settings.disabled_after:
            self._finish(id, "given_up", attempts)
            return
        self.world.store.db.execute(
            "UPDATE deliveries SET attempts = ?, due = ? WHERE id = ?", (attempts, now + pause, id)
        )

    def _note_health(self, endpoint: Body, is_good: bool, now: float) -> None:
        """An endpoint that fails for too long is disabled."""
        known = self.world.store.find(account="", id=endpoint["id"])
        if known is None:
            return
        failing = None if is_good else known["_failing"] or now
        is_lost = failing is not None and now - failing > self.settings.disabled_after
        if failing != known["_failing"] or is_lost:
            status = "disabled" if is_lost else known["status"]
            self.world.store.save({**known, "_failing": failing, "status": status})

    def _log(self, event: str, endpoint: Body, attempt: int, status: int) -> None:
        entry = {"delivery": event, "endpoint": endpoint["id"], "url": endpoint["url"], "attempt": attempt,
                 "status": status, "at": self.world.clock.now()}  # fmt: skip
        self.world.store.db.execute("INSERT INTO log (entry) VALUES (?)", (text(entry),))

    def waiting(self) -> int:
        """Return how many deliveries are due or being sent now."""
        row = self.world.store.db.execute(
            "SELECT count(*) FROM deliveries WHERE state = 'pending' AND due <= ?",
            (self.world.clock.now() + 0.001,),
        ).fetchone()
        return int(row[0])


_CHANGES = ("drop", "hold", "tamper", "wrong_secret", "stale", "future", "two_signatures", "twin")


def _spoiling(changes: Body, attempts: int) -> Body:
    """What is done on the way is done to the first attempt; Stripe's next one arrives as it was sent."""
    return (
        changes
        if attempts == 0
        else {name: changes[name] for name in ("id", "two_signatures") if name in changes}
    )


def call_of(world: World) -> Call:
    """Return a call by nobody, for what the control API does."""
    return Call(world)


def rules_of(given: list[dict[str, Any]]) -> list[Body]:
    """Return the rules without what would not be understood. Raises ValueError."""
    known = {*_CHANGES, "types", "duplicate", "delay", "reorder", "count", "probability", "seed"}
    for rule in given:
        if set(rule) - known:
            raise ValueError(f"unknown in a rule: {', '.join(sorted(set(rule) - known))}")
    return [dict(rule) for rule in given]
