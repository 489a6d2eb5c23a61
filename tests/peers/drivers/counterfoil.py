"""Counterfoil itself: over HTTP, or in process through the gate's `submit`. A wallet is an organization with credit.

Each has the six budgets of the benchmarks, all with room, so that credit is what refuses.
"""

import http.client
import json
import os
import threading
import time
from typing import Any
from uuid import UUID

from tests.peers.drivers.base import Driver, Refused

PAUSES = (0.05, 0.1, 0.2, 0.4)  # before a call that was answered "not now" is made again with its key
OUT_OF_MONEY = {"credit_exhausted", "budget_exhausted", "budget_busy", "too_large", "run_ceiling_reached"}


class Counterfoil(Driver):
    """What both ways share: customers are made, and books read, in this process."""

    has_holds = True
    has_keys = True

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        self.customers: dict[str, Any] = {}

    def open_wallets(self, names: list[str], units: int) -> None:
        from tests.bench.population import make_customer

        for name in names:
            self.customers[name] = customer = make_customer(credit=units)
            self._remember(name, customer)

    def _remember(self, name: str, customer: Any) -> None:
        path = os.path.join(self.settings["folder"], f"{name}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump([str(customer.id), customer.caller.actor, customer.secret], file)

    def find_wallets(self, names: list[str]) -> None:
        from spend.rules.commands import Caller
        from tests.bench.population import Customer

        for name in names:
            path = os.path.join(self.settings["folder"], f"{name}.json")
            with open(path, encoding="utf-8") as file:
                identifier, actor, secret = json.load(file)
            self.customers[name] = Customer(UUID(identifier), Caller(actor), secret)

    def available(self, wallet: str) -> int:
        from common.transactions import run_in_transaction
        from ledger.queries.balances import credit_balance

        organization = self.customers[wallet].id
        balance = run_in_transaction(lambda cur: credit_balance(cur, organization=organization))
        return int(balance.available)

    def charges(self, wallet: str) -> int:
        from django.db import connection

        with connection.cursor() as cur:
            cur.execute(
                "SELECT count(*) FROM usage_records WHERE organization = %s", (self.customers[wallet].id,)
            )
            return int(cur.fetchone()[0])

    def thread_ends(self) -> None:
        from django.db import connections

        connections.close_all()


class OverHttp(Counterfoil):
    """Through the web server, one keep-alive connection for each thread."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.local = threading.local()

    def _post(self, path: str, wallet: str, key: str, body: dict[str, Any]) -> Any:
        headers = {
            "Authorization": f"Bearer {self.customers[wallet].secret}",
            "Idempotency-Key": key,
            "Content-Type": "application/json",
        }
        for pause in PAUSES:
            status, found = self._said(path, json.dumps(body), headers)
            if status in (200, 201):
                return found
            if found.get("code") in OUT_OF_MONEY:
                raise Refused(found["code"])
            if status != http.client.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause)
        raise RuntimeError(f"{status} {found.get('code')}")

    def _said(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, Any]:
        try:
            status, content = self._send(path, body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            # The server hangs up on a connection that was idle; the key makes it safe to say it again.
            self.local.connection.close()
            status, content = self._send(path, body, headers)
        return status, json.loads(content)

    def _send(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection("127.0.0.1", self.settings["port"], timeout=30)
        connection = self.local.connection
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def reserve(self, wallet: str, units: int, key: str, ttl_seconds: int) -> str:
        body = {
            "subject": {"agent": "bot", "workflow": "report", "run": f"run-{key}", "user": "user-1"},
            "action": {"kind": "llm.chat", "provider": "anthropic", "model": "claude-sonnet-4-5"},
            "estimate": {"amount": _decimal(units)},
            "currency": "USD",
            "ttl_seconds": ttl_seconds,
        }
        return str(self._post("/v1/reservations", wallet, key, body)["id"])

    def commit(self, wallet: str, hold: str, units: int, key: str) -> None:
        body = {"outcome": "completed", "amount": _decimal(units)}
        self._post(f"/v1/reservations/{hold}/commit", wallet, key, body)


class InProcess(Counterfoil):
    """Through the gate's `submit`, from threads."""

    def _submit(self, command: Any) -> Any:
        from common.errors import GateUnavailable
        from tests.bench.gate import submit_from_thread

        for pause in PAUSES:
            try:
                (answer,) = submit_from_thread([command])
                break
            except GateUnavailable:
                time.sleep(pause)
        else:
            raise RuntimeError("gate_unavailable")
        if answer.error is None:
            return answer
        if answer.error.code in OUT_OF_MONEY:
            raise Refused(answer.error.code) from answer.error
        raise answer.error

    def reserve(self, wallet: str, units: int, key: str, ttl_seconds: int) -> str:
        from spend.rules.commands import Estimate, Reserve, Subject
        from tests.bench.inproc import reservation_of
        from tests.bench.lifecycle import ACTION, request_key

        customer = self.customers[wallet]
        subject = Subject("bot", workflow="report", run=f"run-{key}", user="user-1")
        answer = self._submit(
            Reserve(
                customer.id, customer.caller, request_key(key), subject, ACTION, Estimate(amount=units), "USD",
                ttl_seconds=ttl_seconds,
            )
        )  # fmt: skip
        return str(reservation_of(answer))

    def commit(self, wallet: str, hold: str, units: int, key: str) -> None:
        from spend.rules.commands import Actual, Commit
        from tests.bench.lifecycle import request_key

        customer = self.customers[wallet]
        actual = Actual(amount=units)
        self._submit(Commit(customer.id, customer.caller, request_key(key), UUID(hold), "completed", actual))


def _decimal(units: int) -> str:
    return f"{units // 10**8}.{units % 10**8:08d}"


def Peer(settings: dict[str, Any]) -> Counterfoil:  # noqa: N802 - what every driver calls its class
    """The way that the settings name."""
    return OverHttp(settings) if "port" in settings else InProcess(settings)
