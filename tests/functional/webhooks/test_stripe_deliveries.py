"""What Stripe, and whoever says that he is Stripe, may post to us (S81, S82; bad inputs B97 to B115)."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.builders.deliveries import (
    CONNECT,
    CONNECT_SECRET,
    PLATFORM,
    Objects,
    count,
    deliver,
    event,
    handling,
    identifier,
    now,
    post,
    row_of,
    stored,
)
from tests.builders.orgs import http
from tests.builders.rsgi import HOST, Exchange, Headers, Scope, entry
from tests.builders.signing import SECRET, signature, signed
from webhooks.api.doors import MOST_READING

OLD, NEW = SECRET, "whsec_the_new_one"
Header = Callable[[bytes, int], str]


@pytest.fixture(autouse=True)
def _configured(settings: Any) -> Iterator[None]:
    settings.STRIPE_WEBHOOK_SECRETS = (NEW, OLD)
    settings.STRIPE_CONNECT_WEBHOOK_SECRETS = (CONNECT_SECRET,)
    with handling(Objects()):
        yield


def v1(body: bytes, at: int, secret: str = OLD) -> str:
    return signature(body, at=at, secret=secret)


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


ACCEPTED: dict[str, Header] = {
    "as it should be": lambda body, at: f"t={at},v1={v1(body, at)}",
    "the signature before the time": lambda body, at: f"v1={v1(body, at)},t={at}",
    "other schemes beside it": lambda body, at: f"t={at},v0=abc,v1={v1(body, at)},v2=def",
    "two signatures, the second one right": lambda body, at: f"t={at},v1={'0' * 64},v1={v1(body, at)}",
    "two signatures, the first one right": lambda body, at: f"t={at},v1={v1(body, at)},v1={'0' * 64}",
    "the newest secret": lambda body, at: f"t={at},v1={v1(body, at, NEW)}",
    "290 seconds old": lambda body, at: signed(body, at=at - 290),
    "290 seconds ahead": lambda body, at: signed(body, at=at + 290),
    "two times, right for the first": lambda body, at: f"t={at},t={at - 5},v1={v1(body, at)}",
    "a time with leading zeros": lambda body, at: f"t=000{at},v1={v1(body, at)}",
}
REFUSED: dict[str, Header] = {
    "an empty header": lambda body, at: "",
    "garbage": lambda body, at: "garbage",
    "only another scheme": lambda body, at: f"t={at},v0={v1(body, at)}",
    "no signature": lambda body, at: f"t={at}",
    "an empty signature": lambda body, at: f"t={at},v1=",
    "a wrong signature": lambda body, at: f"t={at},v1={'0' * 64}",
    "another secret": lambda body, at: signed(body, at=at, secret="whsec_of_somebody"),
    "the secret of the other endpoint": lambda body, at: signed(body, at=at, secret=CONNECT_SECRET),
    "310 seconds old": lambda body, at: signed(body, at=at - 310),
    "310 seconds ahead": lambda body, at: signed(body, at=at + 310),
    "an hour ahead": lambda body, at: signed(body, at=at + 3600),
    "a day ahead": lambda body, at: signed(body, at=at + 86_400),
    "another body": lambda body, at: signed(body + b"\n", at=at),
    "the body in another spelling": lambda body, at: signed(
        json.dumps(json.loads(body), indent=1).encode(), at=at
    ),
    "a space after the comma": lambda body, at: f"t={at}, v1={v1(body, at)}",
    "a space before the sign": lambda body, at: f"t={at},v1 ={v1(body, at)}",
    "two times, right for the second": lambda body, at: f"t={at - 5},t={at},v1={v1(body, at)}",
    "no time": lambda body, at: f"v1={v1(body, at)}",
    "a time that is none": lambda body, at: f"t=abc,v1={v1(body, at)}",
    "a time with decimals": lambda body, at: f"t={at}.0,v1={v1(body, at)}",
    "upper case": lambda body, at: f"t={at},v1={v1(body, at).upper()}",
    "a letter that is no ASCII": lambda body, at: f"t={at},v1=é{v1(body, at)[1:]}",
    "a time beyond all calendars": lambda body, at: f"t={'9' * 30},v1={v1(body, at)}",
    "a hundred thousand signatures": lambda body, at: f"t={at}" + ",v1=00" * 100_000,
    "more than four kilobytes with the right one in it": lambda body, at: (
        f"t={at},v1={v1(body, at)},v0={'0' * 4096}"
    ),
}


ONLY_BY_THE_BODY = {
    "a wrong signature", "another secret", "the secret of the other endpoint", "another body",
    "the body in another spelling", "two times, right for the second",
}  # fmt: skip
"""Those of them whose header looks as it should."""


FORGERIES: dict[str, Callable[[bytes, int, int], str]] = {
    "forged": lambda body, at, number: f"t={at},v1={number:064x}",
    "stale": lambda body, at, number: signed(body, at=at - 310 - number),
    "future": lambda body, at, number: signed(body, at=at + 400 + number),
    "in another spelling": lambda body, at, number: signed(
        json.dumps(json.loads(body), indent=number % 7).encode(), at=at
    ),
    "by another secret": lambda body, at, number: signed(body, at=at, secret=f"whsec_{number}"),
    "of another delivery": lambda body, at, number: signed(json.dumps(event()).encode(), at=at),
}
NESTED = b'{"a":' * 200 + b"1" + b"}" * 200
NO_EVENTS: dict[str, bytes | dict[str, Any]] = {
    "no JSON": b"not json",
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "a text": b'"text"',
    "no UTF-8": b"\xff\xfe{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "forty thousand braces": b"{" * 40_000,
    "an object too deep": b'{"id":"evt_1","object":"event","type":"a.b","created":1,"livemode":false,"data":{"object":'
    + NESTED
    + b"}}",
    "an empty id": {"id": ""},
    "NUL in its id": {"id": "evt\x00"},
    "a long id": {"id": "x" * 300},
    "no type": {"type": ""},
    "another object": {"object": "charge"},
    "a time in words": {"created": "soon"},
    "a time beyond all calendars": {"created": 10**30},
    "no data": {"data": None},
    "data without an object": {"data": {}},
    "a list as object": {"data": {"object": []}},
    "a list as account": {"account": ["a"]},
    "an account with a space": {"account": "a b"},
}


class TestASignature:
    @pytest.mark.parametrize("case", ACCEPTED)
    def test_is_accepted(self, case: str) -> None:
        value = event()
        body = json.dumps(value).encode()
        answer = post(body, ACCEPTED[case](body, now()))
        assert (answer.status_code, answer.json()) == (200, {"received": True})
        assert row_of(value).secret == (0 if case == "the newest secret" else 1)

    @pytest.mark.parametrize("case", REFUSED)
    def test_is_refused_and_nothing_is_stored(self, case: str) -> None:
        value, before = event(), count()
        body = json.dumps(value).encode()
        assert problem(post(body, REFUSED[case](body, now()))) == (400, "invalid_signature")
        assert count() == before

    def test_that_is_not_there_is_refused(self) -> None:
        before = count()
        assert problem(post(json.dumps(event()).encode(), None)) == (400, "invalid_signature")
        assert problem(post(b"", None)) == (400, "invalid_signature")
        assert count() == before

    def test_is_over_the_bytes_as_they_came(self) -> None:
        """Also over what a parser would write differently."""
        value = event()
        body = (
            json.dumps(value, indent=3)
            .replace("payment_intent.succeeded", "payment_intent\\u002esucceeded")
            .encode()
        )
        assert post(body, signed(body, at=now())).status_code == 200
        assert row_of(value).type == "payment_intent.succeeded"

    def test_is_looked_for_with_the_secrets_of_its_own_endpoint(self) -> None:
        value = event(account=identifier("acct"))
        body = json.dumps(value).encode()
        assert problem(post(body, signed(body, at=now()), CONNECT)) == (400, "invalid_signature")
        assert deliver(value, path=CONNECT).status_code == 200

    def test_cannot_be_checked_without_a_secret(self, settings: Any) -> None:
        settings.STRIPE_WEBHOOK_SECRETS = ()
        answer = deliver(event())
        assert problem(answer) == (503, "webhooks_not_configured")
        assert "STRIPE_WEBHOOK_SECRETS" in answer.json()["detail"]


class TestAThousandForgeries:
    def test_are_all_refused_and_none_is_an_error_of_ours(self) -> None:
        before, at = count(), now()
        answers = []
        for number in range(1_000):
            body = json.dumps(event()).encode()
            case = list(FORGERIES)[number % len(FORGERIES)]
            answers.append(problem(post(body, FORGERIES[case](body, at, number))))
        assert set(answers) == {(400, "invalid_signature")}
        assert count() == before


class Coming(Exchange):
    """A body that comes when it is let go; `is_awaited`: somebody wants to have it. What is swallowed of it after a
    refusal is not wanted."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self.is_awaited = False
        self.goes = threading.Event()

    async def __call__(self) -> bytes:
        self.is_awaited = True
        while not self.goes.is_set():
            await asyncio.sleep(0.005)
        return self.body

    def begin(self, header: str) -> "Future[None]":
        """Deliver what is not there yet."""
        given = Headers({"host": HOST, "content-length": str(len(self.body)), "stripe-signature": header})
        web = entry()
        call = web.web.__rsgi__(Scope("POST", PLATFORM, given), self)  # type: ignore[arg-type]
        return asyncio.run_coroutine_threadsafe(call, web._loop)


class TestABodyThatIsNotThereYet:
    def test_is_waited_for_only_where_the_header_may_be_right(self) -> None:
        body, at = json.dumps(event()).encode(), now()
        found = {}
        for case, header in REFUSED.items():
            one = Coming(body)
            one.goes.set()
            one.begin(header(body, at)).result(timeout=5)
            assert one.answered is not None and problem(one.answered) == (400, "invalid_signature"), case
            found[case] = one.is_awaited
        assert found == {case: case in ONLY_BY_THE_BODY for case in REFUSED}

    def test_leaves_no_place_for_another_beyond_a_bound(self) -> None:
        before = count()
        forged = [Coming(b"{}") for _ in range(MOST_READING)]
        calls = [one.begin(f"t={now()},v1={'0' * 64}") for one in forged]
        try:
            deadline = time.monotonic() + 5
            while not all(one.is_awaited for one in forged):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            answer = deliver(event())
            assert (problem(answer), answer.headers["Retry-After"]) == ((503, "service_unavailable"), "1")
            assert problem(post(b"{}", "garbage")) == (400, "invalid_signature")
            assert count() == before
        finally:
            for one in forged:
                one.goes.set()
        for call in calls:
            call.result(timeout=5)
        assert deliver(event()).status_code == 200


class TestASignedBody:
    @pytest.mark.parametrize("case", NO_EVENTS)
    def test_that_is_no_event_is_refused_and_not_stored(self, case: str) -> None:
        before, given = count(), NO_EVENTS[case]
        body = given if isinstance(given, bytes) else json.dumps(event(**given)).encode()
        assert problem(post(body, signed(body, at=now()))) == (400, "invalid_payload")
        assert count() == before

    def test_is_too_large_before_anything_is_hashed(self) -> None:
        before = count()
        body = json.dumps(event(about={"padding": "x" * 1_048_576})).encode()
        assert problem(post(body, signed(body, at=now()))) == (413, "body_too_large")
        assert problem(post(body, None)) == (413, "body_too_large")
        assert count() == before

    def test_may_be_just_below_the_limit(self) -> None:
        value = event(about={"padding": "x" * 1_040_000})
        assert deliver(value).status_code == 200
        assert row_of(value).state == "received"

    def test_is_kept_as_it_came(self) -> None:
        from common.transactions import run_in_transaction

        value = event(about={"text": "ünï\u2028"})
        body = json.dumps(value, ensure_ascii=False, indent=2).encode()
        assert post(body, signed(body, at=now())).status_code == 200
        kept = run_in_transaction(
            lambda cur: cur.execute(
                "SELECT body FROM stripe_events WHERE event = %s", (value["id"],)
            ).fetchone()
        )
        assert kept is not None and bytes(kept[0]) == body


class TestADelivery:
    @pytest.mark.parametrize("path", [PLATFORM, PLATFORM[:-1]])
    def test_needs_no_redirect(self, path: str) -> None:
        value = event()
        body = json.dumps(value).encode()
        assert post(body, signed(body, at=now()), path).status_code == 200
        assert stored(value["id"]) is not None

    @pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
    def test_is_a_post(self, method: str) -> None:
        answer = getattr(http(), method)(PLATFORM)
        assert problem(answer) == (405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"

    def test_is_stored_once_however_often_it_comes(self) -> None:
        value = event()
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: deliver(value).status_code, range(50)))
        assert answers == [200] * 50
        assert row_of(value).state == "received"

    def test_of_the_same_id_by_another_account_is_another_event(self) -> None:
        name = identifier("evt")
        first, second = (event(id=name, account=identifier("acct")) for _ in range(2))
        before = count()
        assert [deliver(one, path=CONNECT).status_code for one in (first, second, first)] == [200] * 3
        assert count() == before + 2


class TestAnEvent:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({}, ("received", None)),
            ({"livemode": True}, ("parked", "wrong_mode")),
            ({"account": "acct_1"}, ("parked", "wrong_account")),
            ({"type": "tax.settings.updated"}, ("ignored", "unknown_type")),
            ({"type": "transfer.paid"}, ("ignored", "unknown_type")),
            ({"type": "account.updated"}, ("ignored", "no_handler")),
            ({"api_version": "2027-03-31.fuchsia"}, ("quarantined", "unknown_version")),
            ({"api_version": None}, ("quarantined", "unknown_version")),
            ({"api_version": "latest"}, ("quarantined", "unknown_version")),
            ({"api_version": "2025\x00"}, ("quarantined", "unknown_version")),
            ({"api_version": "2024-06-20"}, ("received", None)),
            ({"api_version": "2024-12-18.acacia"}, ("received", None)),
            ({"api_version": "2025-03-31.basil"}, ("received", None)),
            ({"data": {"object": {"object": "payment_intent"}}}, ("quarantined", "unknown_shape")),
            ({"data": {"object": {"id": "pi/../../v1"}}}, ("quarantined", "unknown_shape")),
        ],
        ids=str,
    )
    def test_is_judged_when_it_comes(self, change: dict[str, Any], expected: tuple[str, str | None]) -> None:
        value = event(**change)
        assert deliver(value).status_code == 200
        row = row_of(value)
        assert (row.state, row.reason) == expected
        assert (row.next_at is not None) == (row.state == "received")

    def test_of_the_connected_endpoint_names_its_account(self) -> None:
        value = event()
        assert deliver(value, path=CONNECT).status_code == 200
        assert (row_of(value).state, row_of(value).reason) == ("parked", "wrong_account")

    def test_that_is_thin_is_known_by_what_it_relates_to(self) -> None:
        name = identifier("pi")
        value = {
            "id": identifier("evt"),
            "object": "v2.core.event",
            "type": "v1.payment_intent.succeeded",
            "created": "2026-11-01T10:00:00.000Z",
            "livemode": False,
            "related_object": {"id": name, "type": "payment_intent", "url": f"/v1/payment_intents/{name}"},
        }
        assert deliver(value).status_code == 200
        row = row_of(value)
        assert (row.state, row.kind, row.object_id, row.api_version) == ("received", "payment", name, None)

    @pytest.mark.parametrize("charge", ["charge.succeeded", "charge.updated", "charge.captured"])
    def test_of_a_charge_is_about_its_payment(self, charge: str) -> None:
        payment = identifier("pi")
        value = event(charge, identifier("ch"), about={"payment_intent": payment})
        assert deliver(value).status_code == 200
        assert (row_of(value).kind, row_of(value).object_id) == ("payment", payment)
