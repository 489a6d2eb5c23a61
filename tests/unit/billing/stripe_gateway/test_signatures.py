"""Each row of the table of signatures (S81): what is accepted and what is not, whatever error the SDK raises."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.stripe_gateway import SignatureRejected, verify
from tests.builders.signing import SECRET, event_body, signature, signed

T = 1_790_000_100
NOW = datetime.fromtimestamp(T, UTC)
BODY = event_body()
RIGHT = signature(BODY, at=T)
WRONG = "0" * 64
OTHER = "whsec_of_somebody_else"


def _thin() -> bytes:
    event = {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": "v1.invoice.paid",
        "created": "2026-10-28T12:00:00.000Z",
        "livemode": True,
        "context": "acct_1",
        "related_object": {"id": "in_1", "type": "invoice", "url": "/v1/invoices/in_1"},
    }
    return json.dumps(event).encode()


ACCEPTED: dict[str, tuple[bytes, str, list[str]]] = {
    "a right signature": (BODY, f"t={T},v1={RIGHT}", [SECRET]),
    "v1 before t": (BODY, f"v1={RIGHT},t={T}", [SECRET]),
    "an extra v0 and v2": (BODY, f"t={T},v0={WRONG},v1={RIGHT},v2={WRONG}", [SECRET]),
    "two v1, the first right": (BODY, f"t={T},v1={RIGHT},v1={WRONG}", [SECRET]),
    "two v1, the second right": (BODY, f"t={T},v1={WRONG},v1={RIGHT}", [SECRET]),
    "300 s old": (BODY, signed(BODY, at=T - 300), [SECRET]),
    "300 s ahead": (BODY, signed(BODY, at=T + 300), [SECRET]),
    "299 s old": (BODY, signed(BODY, at=T - 299), [SECRET]),
    "299 s ahead": (BODY, signed(BODY, at=T + 299), [SECRET]),
    "two t, right for the first": (BODY, f"t={T},t=1,v1={RIGHT}", [SECRET]),
    "t with a plus": (BODY, f"t=+{T},v1={RIGHT}", [SECRET]),
    "t with leading zeros": (BODY, f"t=00{T},v1={RIGHT}", [SECRET]),
    "the older secret": (BODY, signed(BODY, at=T, secret=OTHER), [SECRET, OTHER]),
    "a secret that was stored with a newline": (BODY, f"t={T},v1={RIGHT}", [SECRET + "\n"]),
    "a blank secret beside the right one": (BODY, f"t={T},v1={RIGHT}", [" ", SECRET]),
    "text that is not ASCII": (
        event_body(note="Größe €"),
        signed(event_body(note="Größe €"), at=T),
        [SECRET],
    ),
    "a thin event": (_thin(), signed(_thin(), at=T), [SECRET]),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_webhook_is_accepted_with(case: str) -> None:
    body, header, secrets = ACCEPTED[case]

    verify(body, header, secrets, NOW)


def _sign(body: bytes) -> tuple[bytes, str, list[str]]:
    return body, signed(body, at=T), [SECRET]


_UPPER = f"t={T},v1={RIGHT.upper()}"
REJECTED: dict[str, tuple[bytes, str, list[str], str]] = {
    "only a v0": (BODY, f"t={T},v0={RIGHT}", [SECRET], "signature"),
    "no v1": (BODY, f"t={T}", [SECRET], "signature"),
    "an empty v1": (BODY, f"t={T},v1=", [SECRET], "signature"),
    "a wrong signature": (BODY, f"t={T},v1={WRONG}", [SECRET], "signature"),
    "another secret": (BODY, signed(BODY, at=T, secret=OTHER), [SECRET], "signature"),
    "301 s old": (BODY, signed(BODY, at=T - 301), [SECRET], "stale"),
    "ten days old": (BODY, signed(BODY, at=T - 864_000), [SECRET], "stale"),
    "301 s ahead": (BODY, signed(BODY, at=T + 301), [SECRET], "future"),
    "a day ahead": (BODY, signed(BODY, at=T + 86_400), [SECRET], "future"),
    "a body that was written anew": (json.dumps(json.loads(BODY), indent=1).encode(), signed(BODY, at=T), [SECRET],
                                     "signature"),
    "a newline more": (BODY + b"\n", signed(BODY, at=T), [SECRET], "signature"),
    "no secret": (BODY, signed(BODY, at=T), [], "no_secret"),
    "blank secrets": (BODY, signed(BODY, at=T, secret=""), ["", " \n"], "no_secret"),
    "an empty header": (BODY, "", [SECRET], "header"),
    "a space after the comma": (BODY, f"t={T}, v1={RIGHT}", [SECRET], "signature"),
    "a space before the equals sign": (BODY, f"t={T},v1 ={RIGHT}", [SECRET], "signature"),
    "two t, right only for the second": (BODY, f"t=1,t={T},v1={RIGHT}", [SECRET], "signature"),
    "no t": (BODY, f"v1={RIGHT}", [SECRET], "signature"),
    "a t of letters": (BODY, f"t=abc,v1={RIGHT}", [SECRET], "signature"),
    "a t with a point": (BODY, f"t={T}.0,v1={RIGHT}", [SECRET], "signature"),
    "a t beyond every calendar": (BODY, signed(BODY, at=10**30), [SECRET], "header"),
    "a t below zero": (BODY, signed(BODY, at=-T), [SECRET], "stale"),
    "garbage": (BODY, "garbage", [SECRET], "signature"),
    "commas": (BODY, ",,,", [SECRET], "signature"),
    "upper-case hexadecimals": (BODY, _UPPER, [SECRET], "signature"),
    "a signature that is not ASCII": (BODY, f"t={T},v1={RIGHT[:-1]}é", [SECRET], "header"),
    "a body that is not UTF-8": (b"\xff\xfe", f"t={T},v1={signature(b'x', at=T)}", [SECRET], "signature"),
    "a signed body that is not UTF-8": (*_sign(b'{"id": "\xff"}'), "signature"),
    "signed, and no JSON": (*_sign(b"evt_1"), "body"),
    "signed, and empty": (*_sign(b""), "body"),
    "signed, with a byte order mark": (*_sign(b"\xef\xbb\xbf" + BODY), "body"),
    "signed, with NaN": (*_sign(BODY.replace(b"1790000000", b"NaN")), "body"),
    "signed, nested too deep": (*_sign(b"[" * 100_000), "body"),
    "signed, a list": (*_sign(b"[]"), "shape"),
    "signed, null": (*_sign(b"null"), "shape"),
    "signed, nothing in it": (*_sign(b"{}"), "shape"),
    "signed, without an id": (*_sign(event_body(id="")), "shape"),
    "signed, with a number as id": (*_sign(event_body(id=1)), "shape"),
    "signed, without a type": (*_sign(event_body(type=None)), "shape"),
    "signed, of another kind": (*_sign(event_body(object="payment_intent")), "shape"),
    "signed, without an object": (*_sign(event_body(data={})), "shape"),
    "signed, with a text as object": (*_sign(event_body(data={"object": "pi_1"})), "shape"),
    "signed, with a time that is none": (*_sign(event_body(created="now")), "shape"),
    "signed, with a time beyond every calendar": (*_sign(event_body(created=10**30)), "shape"),
}  # fmt: skip


@pytest.mark.parametrize("case", REJECTED)
def test_a_webhook_is_rejected_with(case: str) -> None:
    body, header, secrets, reason = REJECTED[case]

    with pytest.raises(SignatureRejected) as caught:
        verify(body, header, secrets, NOW)

    assert caught.value.reason == reason


class TestWhatIsVerified:
    def test_says_which_secret_matched_and_when_it_was_signed(self) -> None:
        found = verify(BODY, signed(BODY, at=T - 5, secret=OTHER), [SECRET, OTHER], NOW)

        assert (found.secret, found.signed_at) == (1, NOW - timedelta(seconds=5))

    def test_is_the_event(self) -> None:
        event = verify(BODY, signed(BODY, at=T), [SECRET], NOW).event

        assert (event.id, event.type, event.object_id, event.object_type) == (
            "evt_1",
            "payment_intent.succeeded",
            "pi_1",
            "payment_intent",
        )
        assert (event.livemode, event.account, event.thin) == (False, None, False)
        assert (event.request_id, event.idempotency_key) == ("req_1", "key_1")

    def test_of_a_connected_account_names_it(self) -> None:
        body = event_body(account="acct_1")

        assert verify(body, signed(body, at=T), [SECRET], NOW).event.account == "acct_1"

    def test_may_be_thin_and_names_the_object_only(self) -> None:
        event = verify(_thin(), signed(_thin(), at=T), [SECRET], NOW).event

        assert (event.object_id, event.object_type, event.account, event.thin) == (
            "in_1",
            "invoice",
            "acct_1",
            True,
        )

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview], ids=["bytes", "bytearray", "memoryview"])
    def test_may_come_as(self, kind: Any) -> None:
        assert verify(kind(BODY), signed(BODY, at=T), [SECRET], NOW).event.id == "evt_1"
