"""An outbound command's life: what leads where, how long a key is good, and how long to wait."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.rules.payments import commands
from billing.rules.payments.commands import Command, ended, must_look, pause_after, started
from billing.rules.payments.outcomes import Busy, Refused, Succeeded, Unknown, Wrong
from common.errors import InvalidTransition

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ONE = UUID(int=1)
OUTCOMES: dict[str, Any] = {
    "succeeded": Succeeded("pi_1", None),
    "refused": Refused("card_declined"),
    "unknown": Unknown("no answer"),
    "wrong": Wrong("another request"),
}
ENDS = {
    "pending": set[str](),
    "sending": {"succeeded", "refused", "unknown", "wrong"},
    "unknown": {"succeeded", "refused", "unknown", "wrong"},
    "wrong": {"succeeded", "refused", "unknown"},
    "succeeded": set[str](),
    "refused": set[str](),
    "lapsed": set[str](),
}


def command(state: str = "pending", **given: Any) -> Command:
    sent = None if state == "pending" else NOW
    values = {"first_sent_at": sent, **given}
    return Command(
        ONE, ONE, "create_payment", "payment:1", 1, "key", "payment_intents", "create", None, {}, "", "v", None, None,
        state, NOW, **values,
    )  # fmt: skip


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("state", ENDS)
def test_an_outcome_moves_a_command_only_where_it_may(state: str, outcome: str) -> None:
    if outcome in ENDS[state]:
        assert ended(command(state), OUTCOMES[outcome], at=NOW).state == outcome
        return
    with pytest.raises(InvalidTransition):
        ended(command(state), OUTCOMES[outcome], at=NOW)


def test_a_busy_processor_moves_nothing() -> None:
    with pytest.raises(InvalidTransition):
        ended(command("sending"), Busy(), at=NOW)


def test_it_is_started_once() -> None:
    first = started(command(), at=NOW)

    assert (first.state, first.first_sent_at, first.version) == ("sending", NOW, 2)
    with pytest.raises(InvalidTransition):
        started(first, at=NOW)


class TestAKey:
    def test_is_another_one_for_each_generation_purpose_thing_and_organization(self) -> None:
        said = [
            ("a", "b", 1, ONE),
            ("a", "b", 2, ONE),
            ("a", "c", 1, ONE),
            ("b", "b", 1, ONE),
            ("a", "b", 1, UUID(int=2)),
        ]
        keys = {
            commands.idempotency_key(purpose=p, business_key=b, generation=g, organization=o)
            for p, b, g, o in said
        }

        assert len(keys) == 5
        assert all(len(key) <= 255 and key.isascii() for key in keys)

    @pytest.mark.parametrize(
        ("state", "after", "looks"),
        [
            ("sending", timedelta(hours=23) - timedelta(seconds=1), False),
            ("sending", timedelta(hours=23), True),
            ("unknown", timedelta(hours=22), False),
            ("unknown", timedelta(hours=23), True),
            ("pending", timedelta(hours=30), False),
            ("succeeded", timedelta(hours=30), False),
        ],
        ids=["just good", "just over", "in doubt", "in doubt and over", "never sent", "ended"],
    )
    def test_is_good_for_23_hours(self, state: str, after: timedelta, looks: bool) -> None:
        assert must_look(command(state), now=NOW + after) is looks

    def test_that_answers_a_stored_failure_is_looked_up_at_once(self) -> None:
        done = ended(command("sending"), Unknown("500", stored=True), at=NOW)

        assert must_look(done, now=NOW) is True
        assert must_look(ended(command("sending"), Unknown("500"), at=NOW), now=NOW) is False

    def test_of_a_command_that_stopped_is_looked_up_when_a_person_asks(self) -> None:
        asked = commands.asked_to_look(command("wrong"))

        assert (asked.state, must_look(asked, now=NOW)) == ("unknown", True)
        for state in ("pending", "sending", "succeeded", "refused", "lapsed"):
            with pytest.raises(InvalidTransition):
                commands.asked_to_look(command(state))


def test_only_what_was_never_sent_is_withdrawn() -> None:
    assert commands.withdrawn(command(), "paid", at=NOW).state == "lapsed"
    with pytest.raises(InvalidTransition):
        commands.withdrawn(command("sending"), "paid", at=NOW)


class TestAPause:
    @pytest.mark.parametrize("jitter", [0, 999], ids=["least", "most"])
    def test_is_at_least_what_the_processor_asks_for(self, jitter: int) -> None:
        pause = pause_after(Busy(30.0), attempts=1, jitter=jitter)

        assert timedelta(seconds=30) <= pause <= timedelta(seconds=37.5)

    @pytest.mark.parametrize("jitter", [0, 999], ids=["least", "most"])
    def test_for_a_locked_object_is_short_and_random(self, jitter: int) -> None:
        pauses = [pause_after(Busy(None, "lock_timeout"), attempts=n, jitter=jitter) for n in range(1, 20)]

        assert timedelta(seconds=0.2) <= min(pauses)
        assert max(pauses) <= timedelta(seconds=5.2)

    def test_doubles_up_to_ten_minutes(self) -> None:
        pauses = [pause_after(Unknown("x"), attempts=n, jitter=999) for n in range(30)]

        assert pauses == sorted(pauses)
        assert pauses[0] <= timedelta(seconds=2)
        assert timedelta(minutes=9) < pauses[-1] <= timedelta(minutes=10)
