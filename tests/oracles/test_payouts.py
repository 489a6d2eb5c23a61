"""Payouts as other systems work them out, a case for each id (payout rows)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from common.errors import ProblemError
from common.ids import new_id
from payouts.rules.partners import Partner, Terms
from payouts.rules.paying.amounts import ONE, approval_above, least_payout, payable_part
from payouts.rules.paying.judging import Limits, amount_of, hold_of, next_state
from payouts.rules.paying.row import Payout
from payouts.rules.withdrawing import Figures, judge

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
LIMITS = Limits(1_000 * ONE, timedelta(hours=72))


def partner(currency: str = "USD", **given: object) -> Partner:
    values = {
        "status": "active", "terms": Terms(), "stripe_account": "acct_1", "destination": "ba_1",
        "payouts_enabled": True,
        **given,
    }  # fmt: skip
    return Partner(organization=new_id(), currency=currency, version=1, created_at=NOW, **values)  # type: ignore[arg-type]


def payout(state: str, *, hours_ago: float = 1, amount: int = 20 * ONE) -> Payout:
    at = NOW - timedelta(hours=hours_ago)
    return Payout(new_id(), new_id(), amount, "USD", state, "request", at, "key:1", "acct_1", "ba_1")


def asked(of: Partner, *, balance: int, wanted: int | None = None, last: Payout | None = None) -> int:
    figures = Figures(earned=balance, collected=balance, past_holdback=balance, balance=balance)
    return amount_of(of, judge(of, figures), wanted, last, now=NOW)


@pytest.mark.parametrize(
    ("currency", "least"),
    [("USD", 10), ("EUR", 13), ("GBP", 15), ("CHF", 15)],
    ids=lambda value: f"Z3-{value}",
)
def test_z3_less_than_the_minimum_of_the_currency_is_refused(currency: str, least: int) -> None:
    assert least_payout(currency, agreed=None) == least * ONE
    assert asked(partner(currency), balance=least * ONE) == least * ONE
    with pytest.raises(ProblemError) as refused:
        asked(partner(currency), balance=least * ONE - 10**6)
    assert (refused.value.code, refused.value.status) == ("below_minimum_payout", 422)


def test_z3_where_no_minimum_is_known_the_terms_say_one() -> None:
    assert least_payout("KWD", agreed=None) == 3 * ONE
    assert least_payout("XOF", agreed=None) == 5_900 * ONE
    assert least_payout("KPW", agreed=9 * ONE) == 9 * ONE
    with pytest.raises(ProblemError) as refused:
        asked(partner("KPW"), balance=10**6 * ONE)
    assert (refused.value.code, refused.value.status) == ("invalid_transition", 409)
    assert asked(partner("KPW", terms=Terms(minimum=9 * ONE)), balance=9 * ONE) == 9 * ONE


def test_z3_the_minimum_is_a_setting_of_the_partner() -> None:
    assert least_payout("USD", agreed=40 * ONE) == 40 * ONE


@pytest.mark.parametrize(
    ("currency", "above"),
    [("USD", 1_000), ("CHF", 1_000), ("HUF", 360_000), ("AUD", 1_500), ("JPY", 7), ("KPW", 0)],
)
def test_the_limit_of_one_person_is_about_as_much_in_every_currency(currency: str, above: int) -> None:
    assert approval_above(currency, plain=1_000 * ONE, named={"JPY": 7 * ONE}) == above * ONE


def test_z4_what_is_younger_than_the_holdback_is_not_available() -> None:
    figures = Figures(earned=50 * ONE, collected=50 * ONE, past_holdback=20 * ONE, balance=20 * ONE)
    found = judge(partner(), figures)
    assert found.withdrawable == 20 * ONE
    assert ("in_holdback", 30 * ONE) in [(one.code, one.amount) for one in found.reasons]


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (payout("processing"), "payout_under_way"),
        (payout("held"), "payout_under_way"),
        (payout("unknown", hours_ago=100), "payout_under_way"),
        (payout("paid", hours_ago=23.9), "payout_too_soon"),
    ],
    ids=["Z5-open", "Z5-held", "Z5-in doubt", "Z5-within 24 h"],
)
def test_z5_a_second_request_is_refused(last: Payout, code: str) -> None:
    with pytest.raises(ProblemError) as refused:
        asked(partner(), balance=50 * ONE, last=last)
    assert (refused.value.code, refused.value.status) == (code, 409)


def test_z5_a_day_later_it_is_not() -> None:
    assert asked(partner(), balance=50 * ONE, last=payout("paid", hours_ago=24)) == 50 * ONE


@pytest.mark.parametrize(("code", "state"), [("review", "held")], ids=["Z6"])
def test_of_a_partner_under_review_it_is_held(code: str, state: str) -> None:
    """That it is paid after its release goes through HTTP: tests/functional/payouts/test_payouts.py."""
    of = partner(terms=Terms(hold_reason="Under review"))
    assert asked(of, balance=50 * ONE) == 50 * ONE
    made = payout("requested")
    found = hold_of(of, made, LIMITS, now=NOW)
    assert found is not None
    assert (found.code, next_state(made, found, LIMITS)) == (code, state)


@pytest.mark.parametrize(
    ("currency", "units", "expected"),
    [
        ("HUF", 12_345_670_000_00, 12_345 * ONE),
        ("ISK", 1_999_990_000_00, 1_999 * ONE),
        ("TWD", 100_990_000_00, 100 * ONE),
        ("UGX", 36_000_500_000_00, 36_000 * ONE),
        ("JPY", 1_500_990_000_00, 1_500 * ONE),
        ("KWD", 12_345_678_90, 12_340_000_00),
        ("USD", 12_345_678_90, 12_340_000_00),
        ("USD", -5, 0),
    ],
    ids=["Y2-HUF", "Y2-ISK", "Y2-TWD", "Y2-UGX", "JPY", "Y4-KWD", "USD", "below zero"],
)
def test_an_amount_is_cut_down_to_what_reaches_a_bank(currency: str, units: int, expected: int) -> None:
    assert payable_part(units, currency=currency) == expected
