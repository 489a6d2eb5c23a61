"""Dunning and delivery as other systems work them out, a case for each id (dunning rows)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from uuid import UUID

import pytest

from billing.rules.dunning import machine
from billing.rules.dunning.case import Case
from billing.rules.dunning.policy import DEFAULT, Policy, Step
from billing.rules.dunning.timeline import timeline
from billing.rules.payments.views import Failure
from tests.builders.campaigns import POLICIES, Owing, document, policy_by
from tests.builders.dunning import DAY, PROCESSOR, in_arrears
from tests.builders.orgs import platform
from tests.builders.subscriptions import now_of, owner, sell, subscribe
from webhooks.rules.outbound.ladder import LADDER, Answer, judge

DUE = datetime(2027, 1, 4, 12, tzinfo=UTC)
INVOICE = UUID(int=1)
RETRIES = (2, 7, 14, 21)
ATTEMPTS = (0, 5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105)
"""In seconds since the first."""


def days_of(policy: Policy, event: str) -> list[int]:
    """On which days something happens to a customer that never pays."""
    return [each.day for each in timeline(policy, due_at=DUE, zone="UTC") if each.event == event]


@pytest.mark.parametrize("number", range(4), ids=lambda number: f"D1-+{RETRIES[number]}")
def test_d1_is_retried_on_its_days_and_then_ends(number: int) -> None:
    assert days_of(DEFAULT, "retried")[number] == RETRIES[number]
    assert days_of(DEFAULT, "canceled") == [RETRIES[-1]]


@pytest.mark.parametrize("grace", [0, *RETRIES], ids=lambda grace: f"D1-benefits {grace}")
def test_d1_for_how_long_benefits_stay_is_a_setting_of_its_own(grace: int) -> None:
    steps = [*(Step(day, "retry") for day in RETRIES), Step(grace, "suspend"), Step(RETRIES[-1], "cancel")]
    order = ("retry", "suspend", "cancel")
    policy = Policy(tuple(sorted(steps, key=lambda step: (step.day, order.index(step.action)))))
    found = timeline(policy, due_at=DUE, zone="UTC")
    assert [each.day for each in found if each.event == "retried"] == list(RETRIES)
    assert [each.day for each in found if each.event == "suspended"] == [grace]
    assert {each.standing for each in found if each.day < grace} <= {"clear"}
    assert days_of(policy, "canceled") == [RETRIES[-1]]


@pytest.mark.parametrize("retry", range(1, 5), ids=lambda retry: f"D2-{retry}")
def test_d2_retry_n_uses_interval_n_minus_1_and_all_run_before_the_end(retry: int) -> None:
    case, _ = machine.opened(
        identifier=INVOICE, organization=INVOICE, policy=(None, 0, DEFAULT), zone="UTC", anchor_at=DUE,
        invoices=[INVOICE], now=DUE, trigger=machine.PAYMENT,
    )  # fmt: skip
    case = failed(case, DUE)
    for number in range(1, retry + 1):
        assert case.failures == number  # the present failure counts
        case = until_retried(case, DUE + RETRIES[number - 1] * DAY)
    assert (case.failures, case.state == "canceled") == (retry + 1, False)
    action = machine.next_action(case, DUE + RETRIES[retry - 1] * DAY)
    assert (action is not None and action.target == "canceled") is (retry == 4)


def failed(case: Case, now: datetime) -> Case:
    """It was asked for, and failed."""
    return machine.failed(case, INVOICE, Failure("card_declined"), now=now, trigger=machine.PAYMENT)[0]


def until_retried(case: Case, now: datetime) -> Case:
    """Everything that is due before the retry of a day, and that, which fails."""
    assert machine.next_action(case, now - timedelta(seconds=1)) is None or case.failures > 1
    while (action := machine.next_action(case, now)) is not None and action.kind != "retry":
        assert action.target is not None
        case, _ = machine.moved(case, action.target, now=now, trigger=machine.TIMER, due_at=action.due_at)
    assert action is not None and action.due_at == now
    case, _ = machine.asked(case, {INVOICE: now}, now=now, trigger=machine.TIMER, due_at=now)
    return failed(case, now)


@pytest.mark.parametrize("first", [0, 1], ids=["D3-the first recovered", "D3-the second recovered"])
def test_d3_a_subscription_stays_past_due_until_all_its_invoices_are_paid(first: int) -> None:
    dunned = in_arrears(has_method=False)
    dunned.pay()
    dunned.invoices.clear()
    who = owner(dunned.id)
    subscription = subscribe(who, sell())
    for _ in range(2):
        dunned.made.customer.pass_time(hours=2)
        dunned.made.run()
        dunned.made.pass_months()
    dunned.made.run()
    dunned.invoices[:] = [one["id"] for one in dunned.made.invoices() if one["status"] == "open"][:2]
    dunned.on(max(*(dunned.due_at(place) for place in range(2)), now_of(dunned.id)) + DAY)

    def status() -> str:
        return str(who.get(f"/v1/subscriptions/{subscription['id']}").json()["status"])

    assert (status(), len(dunned.case().invoices)) == ("past_due", 2)
    dunned.pay(first)
    assert (status(), dunned.state() == "closed") == ("past_due", False)
    dunned.pay(1 - first)
    assert (status(), dunned.state()) == ("active", "closed")


@pytest.mark.parametrize("ours", ["USD", "EUR"], ids=["D5-USD is ours", "D5-EUR is ours"])
def test_d5_a_currency_is_asked_for_from_its_own_threshold_on(ours: str) -> None:
    """We invoice in one currency; what is overdue in the other lives at the processor, which collects it itself."""
    dunned = Owing(ours)

    def overdue(currency: str, amount: int, *, on: int) -> None:
        """It is, by the look of that day: what fails at the processor fails the day before."""
        if currency == ours:
            dunned.day(on)
            dunned.owes(f"{amount}.00")
            dunned.look()
        else:
            dunned.day(on - 1)
            dunned.fails_there(currency, amount * 100)
            dunned.day(on)

    made = {currency: "retried" if currency == ours else "retry_skipped" for currency in ("EUR", "USD")}
    with policy_by(document()):
        overdue("EUR", 149, on=1)
        overdue("USD", 120, on=3)
        assert dunned.attempts() == [("USD", 1, made["USD"])]
        assert not dunned.look()
        overdue("EUR", 10, on=5)
        assert sorted(dunned.attempts()[1:]) == [("EUR", 1, made["EUR"]), ("USD", 2, made["USD"])]
        for day in (6, 7, 9, 30):
            dunned.day(day)
            assert not dunned.look()
    assert dunned.attempts()[3:] == [("EUR", 2, made["EUR"])]  # two of each at most, and two days apart
    assert PROCESSOR.of(dunned.id) == (
        2 if ours == "USD" else 4
    )  # both invoices in EUR are asked for each time
    dunned.made.assert_sound()


@pytest.mark.parametrize(
    ("euros", "expected"),
    [("149.00", ["USD", "USD"]), ("159.00", ["EUR", "USD", "EUR", "USD"])],
    ids=["D5-preview", "D5-preview EUR +10"],
)
def test_d5_is_told_before_the_policy_is_saved(euros: str, expected: list[str]) -> None:
    body = {
        "policy": document(),
        "due_at": "2027-01-04T12:00:00Z",
        "overdue": {"EUR": euros, "USD": "120.00"},
    }
    answer = platform().post(f"{POLICIES}/preview", body)
    assert answer.status_code == 200, answer.content
    asked = [one for one in answer.json()["timeline"] if one["event"] == "retried"]
    assert [one["currency"] for one in asked] == expected
    assert {(one["attempt"], one["day"]) for one in asked} == {(1, 0), (2, 2)}


@pytest.mark.parametrize("attempt", range(1, 11), ids=lambda attempt: f"D7-{attempt}")
def test_d7_a_delivery_is_tried_again_by_the_published_ladder(attempt: int) -> None:
    pauses = [timedelta(), *accumulate(LADDER)]
    assert pauses[attempt - 1] == timedelta(seconds=ATTEMPTS[attempt - 1])
    verdict = judge(Answer(500), attempts=attempt, now=DUE + pauses[attempt - 1], jitter=0)
    following = DUE + timedelta(seconds=ATTEMPTS[attempt]) if attempt < 10 else None
    assert (verdict.outcome, verdict.next_at) == ("retry" if following else "given_up", following)
