"""The ledger's own operation and usage after the fact: entries and records per second, single and in batches."""

import http.client
import time
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any

from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.posting import NewEntry, post_entries
from spend.rules.commands import Actual, RecordUsage, Subject
from tests.bench.gate import submit_all
from tests.bench.lifecycle import ACTION, USAGE, fresh_name
from tests.bench.population import AUTHOR, MODEL, PROVIDER, Customer
from tests.bench.web import Web

ENTRIES_IN_A_BATCH = 100
RECORDS_IN_A_BATCH = 500


class Posting:
    """Journal entries of two lines per second through the public operation: one, and a hundred, in a transaction."""

    name = "ledger"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, customer: Customer) -> None:
        self.customer = customer

    def run(self, seconds: float) -> dict[str, float]:
        return {
            "ledger.entries_per_s": self._rate(1, seconds / 2),
            "ledger.batch.entries_per_s": self._rate(ENTRIES_IN_A_BATCH, seconds / 2),
        }

    def _rate(self, size: int, seconds: float) -> float:
        name, done = fresh_name(), 0
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            entries = [_entry(f"{name}.{done + place}") for place in range(size)]
            run_in_transaction(partial(self._post, entries))
            done += size
        return done / (time.perf_counter() - begun)

    def _post(self, entries: list[NewEntry], cur: Cursor) -> None:
        post_entries(cur, organization=self.customer.id, entries=entries, author=AUTHOR)


def _entry(key: str) -> NewEntry:
    lines = (("provider_cost", -813_000), ("provider_payable", 813_000))
    return NewEntry(kind="accrual", source=f"bench:{key}", key=f"bench:{key}", lines=lines)


class UsageInProcess:
    """Usage records per second in batches of 500, one caller, one organization."""

    name = "usage"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, customer: Customer) -> None:
        self.customer = customer

    def run(self, seconds: float) -> dict[str, float]:
        name, done = fresh_name(), 0
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            records = [self._record(f"{name}.{done + place}", done) for place in range(RECORDS_IN_A_BATCH)]
            refused = [answer.error for answer in submit_all(records) if answer.error is not None]
            if refused:
                raise refused[0]
            done += len(records)
        return {"usage.records_per_s": done / (time.perf_counter() - begun)}

    def _record(self, identifier: str, number: int) -> RecordUsage:
        digest = sha256(identifier.encode()).digest()
        subject = Subject("bot", workflow="report", run=f"import-{number}", user="user-1")
        return RecordUsage(
            self.customer.id, self.customer.caller, None, "bench", identifier, digest, subject, ACTION, "completed",
            Actual(usage=USAGE, latency_ms=1_840), datetime.now(UTC),
        )  # fmt: skip


class UsageOverHttp:
    """The same through POST /v1/usage/batch."""

    name = "usage.http"
    against: tuple[str, ...] = ("floor.hot.1",)

    def __init__(self, web: Web, customer: Customer) -> None:
        self.web, self.customer = web, customer

    def run(self, seconds: float) -> dict[str, float]:
        connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        name, done = fresh_name(), 0
        begun = time.perf_counter()
        while time.perf_counter() < begun + seconds:
            items = [_item(f"{name}.{done + place}", done) for place in range(RECORDS_IN_A_BATCH)]
            results = self.web.post(connection, "/v1/usage/batch", self.customer.secret, {"items": items})[
                "results"
            ]
            if any(result["status"] != 201 for result in results):
                raise RuntimeError(f"usage was refused: {results[0]}")
            done += len(items)
        connection.close()
        return {"usage.http.records_per_s": done / (time.perf_counter() - begun)}


def _item(identifier: str, number: int) -> dict[str, Any]:
    return {
        "source": "bench",
        "id": identifier,
        "subject": {"agent": "bot", "workflow": "report", "run": f"import-{number}", "user": "user-1"},
        "action": {"kind": "llm.chat", "provider": PROVIDER, "model": MODEL},
        "usage": {"input_tokens": 1_730, "cache_read_input_tokens": 1_200, "output_tokens": 412},
        "occurred_at": datetime.now(UTC).isoformat(),
        "outcome": "completed",
    }
