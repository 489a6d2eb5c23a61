"""The ladder, the signature, sealed secrets and patterns, as plain rules."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from standardwebhooks import Webhook

from common.errors import InvalidField
from common.ids import new_id
from webhooks.rules.outbound.endpoints import check_event_types, matches
from webhooks.rules.outbound.ladder import FAILING_FOR, LADDER, MOST_ATTEMPTS, Answer, is_dead, judge
from webhooks.rules.outbound.secrets import (
    SealedElsewhere,
    new_secret,
    opened,
    sealed,
    shown,
    signature_headers,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = "k" * 40


class TestTheLadder:
    def test_is_the_published_one(self) -> None:
        """D7: 0, 5 s, 5 min 5 s, 35 min 5 s, 2:35:05, 7:35:05, 17:35:05, 31:35:05, 51:35:05, 75:35:05."""
        seconds = [0, *(int(total.total_seconds()) for total in accumulate(LADDER))]
        assert seconds == [0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105]
        assert MOST_ATTEMPTS == 10

    def test_waits_a_tenth_longer_at_most(self) -> None:
        waits = [judge(Answer(500), attempts=2, now=NOW, jitter=jitter).next_at for jitter in (0, 999)]
        assert waits == [NOW + timedelta(seconds=300), NOW + timedelta(seconds=329.97)]

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [(200, "delivered"), (299, "delivered"), (199, "retry"), (302, "retry"), (400, "retry"), (404, "retry"),
         (410, "gone"), (429, "retry"), (500, "retry"), (None, "retry")],
    )  # fmt: skip
    def test_takes_any_2xx_for_delivered_and_410_for_the_end(self, status: int | None, outcome: str) -> None:
        assert judge(Answer(status), attempts=1, now=NOW, jitter=0).outcome == outcome

    def test_ends_after_the_tenth_attempt(self) -> None:
        assert judge(Answer(500), attempts=9, now=NOW, jitter=0).outcome == "retry"
        assert judge(Answer(500), attempts=10, now=NOW, jitter=0).outcome == "given_up"

    def test_a_shorter_wish_than_the_ladder_is_not_one(self) -> None:
        asked = Answer(503, retry_after=timedelta(seconds=1))
        assert judge(asked, attempts=3, now=NOW, jitter=0).next_at == NOW + timedelta(minutes=30)

    def test_an_endpoint_is_dead_after_five_days(self) -> None:
        assert is_dead(failing_since=NOW - FAILING_FOR, now=NOW)
        assert not is_dead(failing_since=NOW - FAILING_FOR + timedelta(seconds=1), now=NOW)
        assert not is_dead(failing_since=None, now=NOW)


class TestSecrets:
    def test_open_only_with_their_id_and_the_servers_key(self) -> None:
        identifier, secret = new_id(), new_secret()
        closed = sealed(secret, identifier=identifier, server_key=KEY)
        assert opened(closed, identifier=identifier, server_key=KEY) == secret
        assert secret.hex() not in closed
        for other in (
            {"identifier": new_id(), "server_key": KEY},
            {"identifier": identifier, "server_key": "x" * 40},
        ):
            with pytest.raises(SealedElsewhere):
                opened(closed, **other)  # type: ignore[arg-type]

    def test_sign_so_that_the_library_verifies_either(self) -> None:
        old, new = new_secret(), new_secret()
        body = '{"type":"x","data":"ä"}'.encode()
        headers = signature_headers(message="msg_1", at=datetime.now(UTC), body=body, secrets_=[new, old])
        assert headers["webhook-signature"].count("v1,") == 2
        for secret in (old, new):
            assert Webhook(shown(secret)).verify(body, headers) == {"type": "x", "data": "ä"}


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "name", "is_meant"),
        [("*", "a.b", True), ("invoice.*", "invoice.paid", True), ("invoice.*", "invoices.paid", False),
         ("invoice.paid", "invoice.paid", True), ("invoice.paid", "invoice.paid_x", False)],
    )  # fmt: skip
    def test_mean_what_they_say(self, pattern: str, name: str, is_meant: bool) -> None:
        assert matches(pattern, name) == is_meant

    def test_each_means_a_known_type(self) -> None:
        assert check_event_types(["a.*", "a.b", "a.*"], ["a.b"]) == ("a.*", "a.b")
        for wrong in (["b.*"], ["a"], ["a.b.c"], ["A.*"], ["a.**"], ["a*"], [], ["*"] * 51):
            with pytest.raises(InvalidField):
                check_event_types(wrong, ["a.b"])
