"""The gate over HTTP through the real web server, and batches of reservations through the same door."""

import http.client
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from config.metrics import MULTIPROCESS_FOLDER
from sandbox.children import ChildSpec
from sandbox.places import free_port
from tests import servers
from tests.bench.cpu import tree_seconds
from tests.bench.generator import Found, Order, generate
from tests.bench.inproc import floors, latencies, rates
from tests.bench.lifecycle import fresh_name
from tests.bench.place import Place
from tests.bench.population import MODEL, PROVIDER, Customer
from tests.builders.signing import SECRET
from tests.servers import serving

BATCH = 500


class Web:
    """The running web server on the benchmarks' database: its port, and the pids of its processes by name."""

    def __init__(self, place: Place) -> None:
        self.port = free_port()
        self.pids: dict[str, int] = {}
        self._stack = ExitStack()
        self.close: Callable[[], None] = self._stack.close
        try:
            self._start(place.folder / "log")
        except BaseException:
            self.close()
            raise

    def _start(self, folder: Path) -> None:
        """Web alone, or with app behind it once there are two; they count for /metrics as `make run`'s do."""
        more = {
            "STRIPE_WEBHOOK_SECRETS": SECRET,
            MULTIPROCESS_FOLDER: self._stack.enter_context(tempfile.TemporaryDirectory()),
            "API_KEY_CALLS_PER_SECOND": "1000000",  # the limiter runs; one key calls more often than any customer's
        }
        for spec in self._specs():
            counting = replace(spec, environment={**spec.environment, **more})
            child = self._stack.enter_context(serving(counting, folder=folder))
            assert child.process is not None
            self.pids[spec.name] = child.process.pid

    def _specs(self) -> Iterator[ChildSpec]:
        app_spec: Any = getattr(servers, "app_spec", None)
        if app_spec is None:
            yield servers.web_spec(self.port)
            return
        place: Path = self._stack.enter_context(getattr(servers, "socket_folder")())  # noqa: B009
        web_spec: Any = servers.web_spec
        yield app_spec(place / "app.sock")
        yield web_spec(self.port, f"unix:{place / 'app.sock'}")

    def post(self, connection: http.client.HTTPConnection, path: str, secret: str, body: Any) -> Any:
        """POST without an idempotency key of its own and return the answer's body."""
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{path}: {answer.status} {content[:400]!r}")
        return json.loads(content)


class Meter:
    """CPU that the processes of the product use from now on."""

    def __init__(self, place: Place, web: Web) -> None:
        self.pids = {**web.pids, "postgres": place.postmaster}
        self.before = {name: tree_seconds(pid) for name, pid in self.pids.items()}

    def used(self, name: str, found: Found) -> dict[str, float]:
        """Microseconds for each lifecycle by process; the generator's own also for each answer."""
        done, answers = max(1, len(found.commit)), max(1, sum(found.statuses.values()))
        used = {process: tree_seconds(pid) - self.before[process] for process, pid in self.pids.items()}
        used["client"] = found.cpu
        parts = {f"{name}.{process}_cpu_us": seconds / done * 1e6 for process, seconds in used.items()}
        return {**parts, f"{name}.client_cpu_per_request_us": found.cpu / answers * 1e6}


class GateOverHttp:
    """Lifecycles per second over HTTP with that many clients, hot (one customer) or spread (all)."""

    def __init__(
        self, place: Place, web: Web, customers: Sequence[Customer], *, spread: str, clients: int
    ) -> None:
        self.place, self.web, self.clients = place, web, clients
        self.secrets = [customer.secret for customer in (customers[:1] if spread == "hot" else customers)]
        self.name = f"gate.http.{spread}.{clients}"
        self.against = floors(spread, clients)

    def run(self, seconds: float) -> dict[str, float]:
        order = Order(
            port=self.web.port, clients=self.clients, seconds=seconds, name=fresh_name(), secrets=self.secrets
        )
        meter = Meter(self.place, self.web)
        found = generate(order)
        return {
            **rates(self.name, len(found.commit), found.seconds),
            **latencies(self.name, found.reserve, found.commit),
            f"{self.name}.retried": found.retried,
            **meter.used(self.name, found),
        }


class BatchOverHttp:
    """Reservations per second in batches of five hundred, one caller, one organization; each batch is released by
    committing it, which is not counted."""

    name = "gate.http.batch"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, web: Web, customer: Customer) -> None:
        self.web, self.customer = web, customer

    def run(self, seconds: float) -> dict[str, float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        name, taken, done, number = fresh_name(), 0.0, 0, 0
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            number += 1
            body = {"items": [_reservation(f"{name}-{number}-{place}", number) for place in range(BATCH)]}
            begun = time.perf_counter()
            results = self.web.post(connection, "/v1/reservations/batch", self.customer.secret, body)[
                "results"
            ]
            taken += time.perf_counter() - begun
            done += sum(result["status"] == 201 for result in results)
            commits = [_commit(f"c-{name}-{number}-{place}", result) for place, result in enumerate(results)]
            self.web.post(
                connection, "/v1/reservations/commit_batch", self.customer.secret, {"items": commits}
            )
        connection.close()
        return {"gate.http.batch.reservations_per_s": done / taken}


def _reservation(key: str, run: int) -> dict[str, Any]:
    return {
        "idempotency_key": key,
        "subject": {"agent": "bot", "workflow": "report", "run": f"batch-{run}", "user": "user-1"},
        "action": {"kind": "llm.chat", "provider": PROVIDER, "model": MODEL},
        "estimate": {"input_tokens": 1_800, "max_output_tokens": 900},
        "currency": "USD",
    }


def _commit(key: str, result: dict[str, Any]) -> dict[str, Any]:
    usage = {"input_tokens": 1_730, "cache_read_input_tokens": 1_200, "output_tokens": 412}
    return {"idempotency_key": key, "id": result["body"]["id"], "outcome": "completed", "usage": usage}
