"""Clients that reserve and commit without a pause and keep what they were told: acknowledged, refused, or nothing."""

import http.client
import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.builders.crowd import Client, Reply
from tests.crash.stack import Stack, Tenant

LOST = (OSError, http.client.HTTPException)


@dataclass
class Call:
    """One call and what became of it; `reply` None: nobody said."""

    tenant: Tenant
    path: str
    body: dict[str, Any]
    key: str
    reply: Reply | None = None

    @property
    def is_known(self) -> bool:
        """Whether the client knows what became of it: a 5xx may stand for a lost answer."""
        return self.reply is not None and self.reply.status < 500


@dataclass
class Told:
    """Everything that the clients were told."""

    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        """Remember a call that was sent."""
        with self.lock:
            self.calls.append(call)

    def accepted(self) -> list[Call]:
        """Acknowledged calls."""
        return [call for call in self.calls if call.reply is not None and call.reply.status in (200, 201)]

    def unknown(self) -> list[Call]:
        """Calls of which nobody knows."""
        return [call for call in self.calls if not call.is_known]


class Load:
    """Threads that call until they are stopped; one customer each, in turn."""

    def __init__(
        self, stack: Stack, tenants: Sequence[Tenant], *, clients: int, ttl_seconds: int = 3_600
    ) -> None:
        self.url, self.tenants, self.ttl_seconds = stack.http, tenants, ttl_seconds
        self.told = Told()
        self._stop = threading.Event()
        self._numbers = itertools.count()
        self._threads = [
            threading.Thread(target=self._work, args=(tenants[place % len(tenants)],))
            for place in range(clients)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, tenant: Tenant) -> None:
        client = Client(self.url, tenant.secret, timeout=10)
        while not self._stop.is_set():
            number = next(self._numbers)
            reserved = self._call(
                client, tenant, "/v1/reservations", self._reservation(number), f"r-{number}"
            )
            if reserved is None or reserved.status != 201:
                time.sleep(0.2)  # somebody is being restarted
                continue
            name = reserved.json()["id"]
            if number % 5 == 4:
                continue  # left to expire
            verb = "release" if number % 5 == 3 else "commit"
            body = (
                {"reason": "done"}
                if verb == "release"
                else {"outcome": "completed", "amount": f"0.{number % 9 + 1}"}
            )
            self._call(client, tenant, f"/v1/reservations/{name}/{verb}", body, f"{verb}-{number}")
        client.close()

    def _reservation(self, number: int) -> dict[str, Any]:
        subject = {"agent": "bot", "run": f"run-{number % 7}"}
        return {"subject": subject, "estimate": {"amount": "0.5"}, "ttl_seconds": self.ttl_seconds}

    def _call(
        self, client: Client, tenant: Tenant, path: str, body: dict[str, Any], key: str
    ) -> Reply | None:
        call = Call(tenant, path, body, key)
        try:
            call.reply = client.post(path, body, key=key)
        except ConnectionRefusedError:
            return None  # nobody heard it
        except LOST:
            pass
        self.told.add(call)
        return call.reply
