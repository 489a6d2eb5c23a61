"""How long and how much the gate's entry waits: a deadline per call, a bound on all of them, an orderly end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from django.conf import settings

from common.api import rsgi
from common.api.limiter import Limiter
from common.api.rsgi import Request
from orgs.api.keyring import Keyring
from orgs.operations.api_keys import revoke_api_key
from spend.api import gate as module
from spend.api.admitted import Admitted
from spend.api.gate import GateEntry, Submit, find_endpoint
from spend.operations.gate.lanes import close_lanes, submit
from spend.rules.commands import Command
from spend.rules.effects import Answer
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import AUTHOR, make_key, unique, write
from tests.builders.rsgi import HOST, Answered, Exchange, Headers, Scope

encode = module.encode


@pytest.fixture(scope="module")
def customer() -> Customer:
    return make_customer("1000")


async def ask(
    entry: GateEntry,
    secret: str,
    body: Any,
    *,
    key: str = "",
    path: str = "/v1/reservations",
    exchange: Exchange | None = None,
) -> Answered:
    """One call and its answer."""
    raw = encode(body)
    headers = Headers(
        {
            "host": HOST, "authorization": f"Bearer {secret}", "content-type": "application/json",
            "content-length": str(len(raw)), "idempotency-key": key or unique(),
        }
    )  # fmt: skip
    exchange = exchange or Exchange(b"")
    exchange.body = raw
    scope: Any = Scope("POST", path, headers)
    endpoint = find_endpoint("POST", path)
    assert endpoint is not None
    await entry.answer(Request(scope, exchange), *endpoint)  # type: ignore[arg-type]
    assert exchange.answered is not None
    return exchange.answered


def with_entry(
    use: Callable[[GateEntry], Awaitable[Any]],
    *,
    submit: Submit,
    per_second: int = 1_000,
    deadline: float = 3,
    remembers: bool = True,
) -> Any:
    """What the use of a new entry gives; the entry is closed in an orderly way."""

    async def run() -> Any:
        keyring = Keyring(settings.GATE_DATABASE_URL, settings.GATE_CONNECTION_OPTIONS, admit=Admitted)
        await keyring.open()
        entry = GateEntry(
            keyring=keyring,
            limiter=Limiter(per_second),
            submit=submit,
            deadline_seconds=deadline,
            remembers=remembers,
        )
        try:
            return await use(entry)
        finally:
            await entry.close()
            await close_lanes()
            await keyring.close()

    return asyncio.run(run())


def delayed(seconds: float) -> Submit:
    """The gate behind a queue that takes so long."""

    async def later(commands: Sequence[Command]) -> list[Answer]:
        await asyncio.sleep(seconds)
        return await submit(commands)

    return later


class TestACallThatTheGateKeepsWaiting:
    def test_is_answered_by_its_deadline_and_has_its_effect(self, customer: Customer) -> None:
        key, body = unique(), reserve_body("1")

        async def use(entry: GateEntry) -> tuple[Answered, float]:
            begun, exchange = time.monotonic(), Exchange(b"")
            answer = await ask(entry, customer.api.secret, body, key=key, exchange=exchange)
            return answer, exchange.answered_at - begun

        late, took = with_entry(use, submit=delayed(0.6), deadline=0.2)
        assert (late.status_code, late.json()["code"]) == (503, "gate_unavailable")
        assert (late.headers["Retry-After"], late.json()["retryable"]) == ("1", True)
        assert 0.2 <= took < 0.5
        again = customer.api.post("/v1/reservations", body, key=key)  # the end of the entry waited for it
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")

    def test_is_refused_at_once_when_too_many_wait(
        self, customer: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "MAX_RUNNING", 3)

        async def use(entry: GateEntry) -> list[int]:
            answers = await asyncio.gather(
                *(ask(entry, customer.api.secret, reserve_body("1")) for _ in range(5))
            )
            assert {answer.json()["code"] for answer in answers if answer.status_code == 503} == {
                "gate_unavailable"
            }
            return [answer.status_code for answer in answers]

        assert sorted(with_entry(use, submit=delayed(0.3))) == [201, 201, 201, 503, 503]

    def test_fails_with_an_honest_answer_when_the_gate_has_a_defect(self, customer: Customer) -> None:
        async def broken(commands: Sequence[Command]) -> list[Answer]:
            raise ZeroDivisionError("secret")

        async def use(entry: GateEntry) -> Answered:
            return await ask(entry, customer.api.secret, reserve_body("1"))

        answer = with_entry(use, submit=broken)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert b"secret" not in answer.content


class TestAKeyThatCallsTooOften:
    def test_is_told_to_wait_and_what_binds(self, customer: Customer) -> None:
        async def use(entry: GateEntry) -> list[Answered]:
            return [await ask(entry, customer.api.secret, reserve_body("0.01")) for _ in range(4)]

        answers = with_entry(use, submit=submit, per_second=3)
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
        refused = answers[3].json()
        assert (refused["code"], refused["retryable"], refused["retry_after"]) == ("rate_limited", True, 1)
        assert answers[3].headers["Retry-After"] == "1"
        assert (refused["binding"]["scope"], refused["binding"]["limit"]) == ("key", "3")
        assert refused["also_failing"] == []

    def test_pays_for_every_item_of_a_batch_good_or_bad(self, customer: Customer) -> None:
        items = [{**reserve_body("0.01"), "idempotency_key": unique()} for _ in range(3)]

        async def use(entry: GateEntry) -> list[int]:
            batch = {"items": [*items, {"colour": "red"}]}
            first = await ask(entry, customer.api.secret, batch, path="/v1/reservations/batch")
            second = await ask(entry, customer.api.secret, reserve_body("0.01"))
            return [first.status_code, second.status_code]

        assert with_entry(use, submit=submit, per_second=4) == [200, 429]

    def test_learns_first_what_is_wrong_with_its_call(self, customer: Customer) -> None:
        async def use(entry: GateEntry) -> list[int]:
            bodies = [reserve_body("0.01"), {"colour": "red"}]
            return [(await ask(entry, customer.api.secret, body)).status_code for body in bodies]

        assert with_entry(use, submit=submit, per_second=1) == [201, 400]


def test_without_a_database_the_gate_says_so(customer: Customer) -> None:
    async def run() -> Answered:
        keyring = Keyring("postgresql://nobody@127.0.0.1:1/x", {}, admit=Admitted)
        await keyring.open()
        entry = GateEntry(keyring=keyring, limiter=Limiter(10), submit=submit, deadline_seconds=3)
        answer = await ask(entry, customer.api.secret, reserve_body("1"))
        await keyring.close()
        return answer

    answer = asyncio.run(run())
    assert (answer.status_code, answer.json()["code"]) == (503, "gate_unavailable")
    assert answer.headers["Retry-After"] == "1"


def test_a_body_that_does_not_come_is_refused_in_time(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rsgi, "BODY_SECONDS", 0.2)

    class Slow(Exchange):
        async def __call__(self) -> bytes:
            await asyncio.sleep(60)
            return b""

    async def use(entry: GateEntry) -> tuple[Answered | None, float]:
        headers = Headers(
            {
                "host": HOST, "authorization": f"Bearer {customer.api.secret}", "content-length": "20",
                "content-type": "application/json",
            }
        )  # fmt: skip
        exchange, scope = Slow(b""), Scope("POST", "/v1/reservations", headers)
        endpoint = find_endpoint("POST", "/v1/reservations")
        assert endpoint is not None
        begun = time.monotonic()
        await entry.answer(Request(scope, exchange), *endpoint)  # type: ignore[arg-type]
        return exchange.answered, time.monotonic() - begun

    answer, took = with_entry(use, submit=submit)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")
    assert 0.2 <= took < 2


class TestAKeyThatIsRevoked:
    """In both ways of knowing keys: read for every call, and remembered where the gate checks them."""

    @pytest.mark.parametrize("remembers", [False, True])
    @pytest.mark.parametrize("body", [reserve_body("1"), {"colour": "red"}], ids=["good", "wrong"])
    def test_is_refused_at_its_next_call(self, customer: Customer, body: Any, remembers: bool) -> None:
        issued = make_key(customer.id, "spend:write")

        def revoke() -> None:
            name = str(issued.key.id)
            write(lambda cur: revoke_api_key(cur, organization=customer.id, name=name, author=AUTHOR))

        async def use(entry: GateEntry) -> list[int]:
            before = await ask(entry, issued.secret, reserve_body("1"))
            await asyncio.to_thread(revoke)
            after = await ask(entry, issued.secret, body)
            return [before.status_code, after.status_code]

        assert with_entry(use, submit=submit, remembers=remembers) == [201, 401]

    def test_is_refused_for_a_wrong_call_though_it_is_remembered(self, customer: Customer) -> None:
        issued = make_key(customer.id, "spend:write")

        def revoke() -> None:
            name = str(issued.key.id)
            write(lambda cur: revoke_api_key(cur, organization=customer.id, name=name, author=AUTHOR))

        async def use(entry: GateEntry) -> list[int]:
            before = await ask(entry, issued.secret, {"colour": "red"})
            again = await ask(entry, issued.secret, {"colour": "red"})
            await asyncio.to_thread(revoke)
            after = await ask(entry, issued.secret, {"colour": "red"})
            return [before.status_code, again.status_code, after.status_code]

        assert with_entry(use, submit=submit, remembers=True) == [400, 400, 401]


class TestALargeBodyThatIsWrong:
    def test_does_not_stop_the_calls_of_others(self, customer: Customer) -> None:
        items = b",".join([b'{"a":0}'] * 120_000)
        body = msgspec.Raw(b'{"items":[' + items + b',{"a":1,"a":2}]}')

        async def use(entry: GateEntry) -> tuple[Answered, int]:
            await ask(entry, customer.api.secret, reserve_body("1"))  # its key is known from here on
            steps = 0

            async def others() -> None:
                nonlocal steps
                while True:
                    await asyncio.sleep(0.005)
                    steps += 1

            meanwhile = asyncio.create_task(others())
            await asyncio.sleep(0)
            answer = await ask(entry, customer.api.secret, body, path="/v1/reservations/batch")
            meanwhile.cancel()
            return answer, steps

        answer, steps = with_entry(use, submit=submit)
        assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_key")
        assert steps > 10
