"""What the gate says to a customer in arrears: slower, not at all, and again after the payment (S79, S91, S93)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.operations.dunning.telling import KIND as NOTICES
from billing.operations.letters import send_due
from common.errors import InvalidField, InvalidTransition
from events.store import Cursor
from orgs import PLATFORM_ID
from spend.operations.standing import publish_standing
from spend.queries.gate_config import ConfigCache, Missing
from tests.builders.billing import billed
from tests.builders.dunning import AUTHOR, DAY, Dunned, in_arrears, usual_policy
from tests.builders.orgs import caller, write
from tests.builders.simulated import move_to
from tests.invariants import Still


def suspended(**given: Any) -> Dunned:
    """A customer whom finance suspended just now."""
    dunned = in_arrears(**given)
    answer = dunned.finance("move", to="suspended")
    assert answer.status_code == 200, answer.content
    return dunned


class TestASuspension:
    def test_refuses_new_calls_and_says_why_and_what_to_do(self) -> None:
        dunned = suspended()
        with Still(dunned.id, decisions=1):
            answer = dunned.made.customer.reserve("0.01")
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["retryable"]) == (403, "suspended", False)
        binding = problem["binding"]
        assert (binding["scope"], binding["case"]) == ("organization", str(dunned.case().id))
        assert binding["since"]
        assert binding["resolution"].startswith("Pay what is overdue")

    def test_is_told_by_a_dry_run_and_by_the_decisions(self) -> None:
        dunned = suspended()
        told = dunned.made.customer.dry("0.01")
        assert (told["decision"], told["code"]) == ("deny", "suspended")
        dunned.call()
        reader = caller(dunned.id, "spend:read")
        (last,) = [one for one in reader.get("/v1/decisions", limit="100").json()["data"] if one["code"]][:1]
        assert (last["answer"], last["code"], last["binding"]["case"]) == (
            "deny", "suspended", str(dunned.case().id),
        )  # fmt: skip

    def test_lets_what_is_open_commit_extend_and_release(self) -> None:
        dunned = in_arrears()
        customer = dunned.made.customer
        first, second, third = (customer.reserved("0.5")["id"] for _ in range(3))
        assert dunned.finance("move", to="suspended").status_code == 200
        assert customer.extend(first, 3_600).status_code == 200
        assert customer.commit(first, "0.7").status_code == 200
        assert customer.release(second).status_code == 200
        assert customer.commit(third, "0.5").status_code == 200
        assert dunned.call() == (403, "suspended")
        dunned.made.assert_sound()

    def test_books_what_was_used_nevertheless(self) -> None:
        dunned = suspended()
        assert dunned.made.customer.use("0.5").status_code == 201

    def test_keeps_prepaid_credit_unspent(self) -> None:
        dunned = in_arrears()
        dunned.made.customer.grant("5")
        before = dunned.made.customer.available()
        dunned.finance("move", to="suspended")
        assert dunned.call() == (403, "suspended")
        assert dunned.made.customer.available() == before
        dunned.pay()
        assert dunned.call() == (201, None)

    def test_leaves_credit_that_was_bought_where_the_policy_says_so_and_no_line(self) -> None:
        with usual_policy(prepaid_credit="spendable"):
            dunned = in_arrears()
        dunned.made.customer.grant("5")
        dunned.finance("move", to="suspended")
        assert dunned.call("4") == (201, None)
        assert dunned.call("2") == (403, "suspended")
        shown = dunned.made.reader.get("/v1/entitlements").json()
        assert (shown["access"], shown["can_spend"]) == ("read_only", True)
        assert "dunning:credit_only" in shown["reasons"]
        dunned.made.assert_sound()

    def test_is_the_first_of_two_reasons_only_where_it_is_the_narrower(self) -> None:
        dunned = suspended()
        answer = dunned.made.customer.reserve("0.01", subject={"agent": "nobody"})
        assert answer.status_code == 404  # what is wrong with the request comes before


class TestGrace:
    def test_lets_only_so_many_calls_pass_in_a_minute(self) -> None:
        with usual_policy((0, "throttle"), throttle_per_minute=2):
            dunned = in_arrears()
        assert dunned.state() == "grace"
        answers = [dunned.made.customer.reserve("0.01") for _ in range(7)]
        passed = [answer for answer in answers if answer.status_code == 201]
        refused = [answer.json() for answer in answers if answer.status_code == 429]
        assert 2 <= len(passed) <= 4  # the minute may end meanwhile
        assert len(passed) + len(refused) == 7
        assert refused[0]["code"] == "rate_limited"
        assert (refused[0]["binding"]["kind"], refused[0]["binding"]["rule"]) == (
            "dunning", str(dunned.case().id),
        )  # fmt: skip
        assert refused[0]["retry_after"] <= 60
        shown = dunned.made.reader.get("/v1/entitlements").json()
        assert (shown["access"], shown["can_spend"]) == ("full", True)
        assert "dunning:throttled" in shown["reasons"]
        dunned.pay()
        assert {dunned.call() for _ in range(4)} == {(201, None)}
        dunned.made.assert_sound()


class TestOneAnswer:
    @pytest.mark.parametrize(
        ("state", "access", "call"),
        [
            ("past_due", "full", (201, None)),
            ("suspended", "none", (403, "suspended")),
            ("canceled", "none", (403, "suspended")),
            ("closed", "full", (201, None)),
        ],
    )
    def test_is_given_by_gate_entitlements_and_case(
        self, state: str, access: str, call: tuple[int, str | None]
    ) -> None:
        dunned = in_arrears()
        if state != "past_due":
            dunned.finance("move", to=state)
        shown = dunned.made.reader.get("/v1/entitlements").json()
        case = dunned.made.reader.get(f"/v1/dunning-cases/{dunned.cases()[0].id}").json()
        assert (shown["access"], dunned.call()) == (access, call)
        assert (case["standing"] == "suspended") is (access == "none")
        assert shown["can_spend"] is (access == "full")


class TestAnExemption:
    def test_opens_the_gate_until_it_expires(self) -> None:
        dunned = suspended()
        until = dunned.finance("exempt", days=3).json()["exempt_until"]
        assert dunned.call() == (201, None)
        shown = dunned.made.reader.get("/v1/entitlements").json()
        assert shown["access"] == "full"
        dunned.on(datetime.fromisoformat(until))
        assert dunned.call() == (403, "suspended")
        assert dunned.history().count("exemption_ended") == 1

    def test_puts_off_a_step_whose_retry_was_under_way_and_its_letter_goes_out_after_it(self) -> None:
        dunned = in_arrears()
        last = next(step.day for step in dunned.case().policy.steps if step.action == "suspend")
        for day in (2, 7):
            dunned.on_day(day)
        dunned.on_day(last, fails=False)
        move_to(dunned.id, dunned.case().anchor_at + DAY * last + timedelta(hours=5))
        until = datetime.fromisoformat(dunned.finance("exempt", days=10).json()["exempt_until"])
        dunned.fail()
        dunned.on(until - timedelta(hours=4))
        assert (dunned.state(), "suspended" in dunned.notices()) == ("grace", False)
        assert dunned.call() == (201, None)
        dunned.on(until)
        assert (dunned.state(), dunned.call()) == ("suspended", (403, "suspended"))
        send_due([NOTICES])
        statement = "SELECT status FROM dunning_notices WHERE organization = %s AND notice = 'suspended'"
        letters = write(lambda cur: cur.execute(statement, (dunned.id,)).fetchall())
        assert letters != [("superseded",)]

    def test_may_be_ended_before(self) -> None:
        dunned = suspended()
        dunned.finance("exempt", days=3)
        assert dunned.finance("end-exemption").status_code == 200
        assert dunned.call() == (403, "suspended")
        assert dunned.finance("end-exemption").status_code == 409


class TestTheStanding:
    def test_is_new_only_once(self) -> None:
        made = billed()

        def publish(**given: Any) -> bool:
            return write(lambda cur: publish_standing(cur, organization=made.id, author=AUTHOR, **given))

        assert not publish(standing="clear")
        assert publish(standing="throttled", per_minute=5)
        assert not publish(standing="throttled", per_minute=5)
        assert publish(standing="throttled", per_minute=6)
        assert publish(standing="clear")
        assert not publish(standing="clear")

    @pytest.mark.parametrize(
        "given",
        [
            {"standing": "blocked"},
            {"standing": "throttled"},
            {"standing": "throttled", "per_minute": 0},
            {"standing": "suspended", "per_minute": 3},
            {"standing": "clear", "spends_credit": True},
        ],
        ids=["unknown", "no rate", "none at all", "a rate too much", "clear and spending"],
    )
    def test_makes_sense(self, given: dict[str, Any]) -> None:
        made = billed()
        with made.still(), pytest.raises(InvalidField):
            write(lambda cur: publish_standing(cur, organization=made.id, author=AUTHOR, **given))

    def test_is_no_matter_of_the_platform(self) -> None:
        with pytest.raises(InvalidTransition):
            write(
                lambda cur: publish_standing(
                    cur, organization=PLATFORM_ID, standing="suspended", author=AUTHOR
                )
            )


class TestOrdinaryCustomers:
    def test_are_decided_ahead_of_the_lock_as_before_and_after_their_case(self) -> None:
        dunned = in_arrears()
        dunned.call()
        assert is_ordinary(dunned)
        dunned.finance("move", to="suspended")
        dunned.call()
        assert not is_ordinary(dunned)
        dunned.pay()
        dunned.call()
        assert is_ordinary(dunned)


def is_ordinary(dunned: Dunned) -> bool:
    """Whether the gate would decide its calls ahead of the lock."""
    cache, name = ConfigCache(), str(dunned.id)

    def load(cur: Cursor) -> bool:
        try:
            cache.get(name, epochs=(1, 1), currency="USD")
        except Missing as missing:
            missing.load(cur)
        return cache.get(name, epochs=(1, 1), currency="USD").is_ordinary

    return write(load)
