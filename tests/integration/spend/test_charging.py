"""What a meter counted, charged when its period is over: once, by the sources of its period, with one record (S75)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from common.errors import (
    AmountOutOfRange,
    CurrencyMismatch,
    InvalidAmount,
    InvalidField,
    InvalidPeriod,
    NotFound,
)
from common.ids import new_id
from common.money import MAX_UNITS
from common.transactions import run_in_transaction
from events.operations.advance import advance_subscriber
from orgs.operations.organizations import close_organization
from spend.operations.charging import charge_quantity
from spend.queries.charges import PASSED_THE_GATE
from spend.queries.integrity import violations
from spend.rules.charging import Charged, MeteredCharge
from spend.rules.denials import UsageIdReused
from tests.builders.books import balances, one, rows
from tests.builders.gate import UNIT, Customer, body_of, units
from tests.builders.orgs import AUTHOR, write
from tests.builders.waterfall import HOUR, charge, clock_of, make_charge, make_payer, parts
from tests.invariants import Still, assert_sound


def done(customer: Customer, made: MeteredCharge) -> Charged:
    return write(lambda cur: charge_quantity(cur, organization=customer.id, charge=made, author=AUTHOR))


def sound(customer: Customer) -> None:
    assert_sound(customer.id)
    assert run_in_transaction(lambda cur: list(violations(cur, organization=customer.id))) == []


class TestACharge:
    def test_takes_allowance_commitment_credit_and_then_the_line_over_its_limit(self) -> None:
        customer = make_payer("1", "2", "1", line="1")
        charged = charge(customer, "6.5")
        assert parts(charged) == [
            ("allowance", UNIT), ("commitment", 2 * UNIT), ("credit", UNIT), ("postpaid", 5 * UNIT // 2),
        ]  # fmt: skip
        assert (charged.is_new, charged.of("postpaid"), charged.of("debt")) == (True, 5 * UNIT // 2, 0)
        assert balances(customer.id) == {
            "revenue": 13 * UNIT // 2, "unbilled_receivable": -5 * UNIT // 2, "deferred_revenue": -3 * UNIT,
            "cash": -UNIT,
        }  # fmt: skip
        sound(customer)

    def test_of_credit_only_is_debt_beyond_its_sources_and_shuts_the_gate(self) -> None:
        customer = make_payer("1")
        assert parts(charge(customer, "3")) == [("allowance", UNIT), ("debt", 2 * UNIT)]
        assert body_of(customer.reserve("1"), 402)["code"] == "credit_exhausted"
        sound(customer)

    def test_of_nothing_is_a_record_without_an_entry(self) -> None:
        customer = make_payer("1")
        assert charge(customer, "0").receipt == ()
        assert balances(customer.id) == {"customer_credit": UNIT, "deferred_revenue": -UNIT}
        sound(customer)

    def test_leaves_a_record_that_the_api_shows_with_its_meter_period_and_receipt(self) -> None:
        customer = make_payer("1", line="5")
        made = replace(make_charge("1.5"), quantity="1500", detail={"amount": 7, "steps": ["1500 x 0.001"]})
        charged = done(customer, made)
        record = body_of(customer.api.get(f"/v1/usage/{charged.usage}"), 200)
        assert (record["charge"], record["cost"], record["action"]) == ("1.5", "0", {"kind": "metered"})
        assert (record["source"], record["external_id"], record["subject"]["agent"]) == (
            made.source,
            made.id,
            None,
        )
        assert record["metered"]["meter"] == "api_calls"
        assert (record["metered"]["charge"], record["metered"]["quantity"]) == ("calls", "1500")
        assert [(part["source"], part["amount"]) for part in record["funding"]] == [
            ("allowance", "1"), ("postpaid", "0.5"),
        ]  # fmt: skip
        sound(customer)

    def test_is_counted_by_attribution_and_no_budget_or_pace(self) -> None:
        customer = make_payer("9")
        customer.budget("5")
        body_of(customer.commit(customer.reserved("1")["id"], "1"), 200)
        charge(customer, "7")
        shown = body_of(customer.api.get("/v1/usage/attribution", group_by="agent"), 200)
        assert (shown["total"]["charge"], shown["unattributed"]["charge"]) == ("8", "7")
        assert rows("SELECT spent FROM v_budgets WHERE organization = %s", customer.id) == [(UNIT,)]
        for _ in range(200):
            for reader in ("spend.usage_daily_fine", "spend.usage_by_minute"):
                advance_subscriber(name=reader)
            fine = rows(
                "SELECT sum(charge) FROM usage_daily_fine WHERE organization = %s AND dimension = 'user'", customer.id
            )  # fmt: skip
            if fine == [(8 * UNIT,)]:
                break
        assert fine == [(8 * UNIT,)]
        assert one("SELECT sum(charge) FROM usage_by_minute WHERE organization = %s", customer.id) == UNIT
        by_user = body_of(customer.api.get("/v1/usage/attribution", group_by="user"), 200)
        assert by_user["total"]["charge"] == "8"
        sound(customer)

    def test_is_told_apart_from_what_passed_the_gate_also_when_a_caller_gives_its_kind(self) -> None:
        customer = make_payer("9")
        pretends = customer.reserved("1", action={"kind": "metered"})["id"]
        body_of(customer.commit(pretends, "1"), 200)
        charge(customer, "2")
        rated = one(
            f"SELECT sum(charge) FROM usage_records WHERE organization = %s AND {PASSED_THE_GATE}",
            customer.id,
        )
        assert rated == UNIT

    def test_of_a_closed_organization_is_booked(self) -> None:
        customer = make_payer("1", line="1")
        write(lambda cur: close_organization(cur, organization=customer.id, author=AUTHOR))
        assert charge(customer, "2").of("postpaid") == UNIT


class TestItsPeriod:
    def test_is_paid_by_its_own_allowance_although_that_has_ended_and_not_by_the_next(self) -> None:
        customer = make_payer(line="9")
        begin = clock_of(customer)
        end = begin + HOUR
        window = {"kind": "included", "source": "allowance"}
        customer.grant("2", expires_at=end, breaks_after=timedelta(days=2), **window)
        customer.grant("2", effective_at=end, expires_at=end + HOUR, **window)
        customer.pass_time(hours=1, minutes=1)
        assert customer.expire_grants() == 0
        made = make_charge("3", start=begin - HOUR, end=end)
        assert parts(done(customer, made)) == [("allowance", 2 * UNIT), ("postpaid", UNIT)]
        next_one = make_charge("1", start=end, end=end + HOUR)
        assert parts(done(customer, next_one)) == [("allowance", UNIT)]
        assert one(
            "SELECT occurred_at FROM usage_records WHERE external_id = %s", made.id
        ) == end - timedelta(microseconds=1)
        sound(customer)

    def test_what_its_allowance_has_left_breaks_when_it_may_no_more_be_charged(self) -> None:
        customer = make_payer()
        customer.grant(
            "2", kind="included", source="allowance", lifetime=HOUR, breaks_after=timedelta(hours=2)
        )
        customer.pass_time(hours=2)
        assert customer.expire_grants() == 0
        assert body_of(customer.reserve("1"), 402)["code"] == "credit_exhausted"
        customer.pass_time(hours=1)
        assert customer.expire_grants() == 1
        assert balances(customer.id) == {"breakage": 2 * UNIT, "deferred_revenue": -2 * UNIT}
        sound(customer)

    def test_is_paid_by_credit_that_came_later_rather_than_by_debt(self) -> None:
        customer = make_payer()
        begin = clock_of(customer)
        customer.pass_time(hours=2)
        customer.grant("5")
        made = make_charge("2", start=begin, end=begin + HOUR)
        assert parts(done(customer, made)) == [("credit", 2 * UNIT)]
        sound(customer)

    def test_holds_that_have_expired_keep_nothing_from_it(self) -> None:
        customer = make_payer("3", line="9")
        held = [customer.reserved("1", ttl_seconds=60)["id"] for _ in range(2)]
        customer.reserved("0.5", ttl_seconds=3_600)
        customer.pass_time(seconds=61)
        assert parts(charge(customer, "3")) == [("allowance", 5 * UNIT // 2), ("postpaid", UNIT // 2)]
        assert [customer.api.get(f"/v1/reservations/{name}").json()["status"] for name in held] == [
            "expired"
        ] * 2
        sound(customer)


class TestItsName:
    def test_makes_a_repetition_move_nothing_and_give_the_first_receipt(self) -> None:
        customer = make_payer("1", line="9")
        made = make_charge("2")
        first = done(customer, made)
        customer.grant("5", kind="included", source="allowance")
        with Still(customer.id):
            again = done(customer, made)
        assert again == replace(first, is_new=False)

    @pytest.mark.parametrize(
        "changed", [{"amount": 3}, {"meter": "other"}, {"charge_key": "x"}, {"quantity": "9"}]
    )
    def test_is_refused_for_another_charge(self, changed: dict[str, Any]) -> None:
        customer = make_payer("9")
        made = make_charge("2")
        done(customer, made)
        with Still(customer.id), pytest.raises(UsageIdReused):
            done(customer, replace(made, **changed))

    def test_is_not_to_be_taken_by_a_caller_of_the_gate_and_is_each_organizations_own(self) -> None:
        customer, other = make_payer("9"), make_payer("9")
        made = make_charge("2")
        body_of(customer.use("1", source=made.source, id=made.id), 201)
        assert done(customer, made).is_new
        assert done(other, made).is_new
        sound(customer)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (lambda c: {"amount": -1}, InvalidAmount),
        (lambda c: {"amount": MAX_UNITS}, AmountOutOfRange),
        (lambda c: {"currency": "EUR"}, CurrencyMismatch),
        (lambda c: {"end": c.start}, InvalidPeriod),
        (lambda c: {"source": ""}, InvalidField),
        (lambda c: {"id": ""}, InvalidField),
        (lambda c: {"meter": ""}, InvalidField),
    ],
)
def test_a_wrong_charge_moves_nothing(
    changed: Callable[[MeteredCharge], dict[str, Any]], error: type[Exception]
) -> None:
    customer = make_payer("1", line="1")
    charge(customer, "2")
    made = make_charge("1")
    with Still(customer.id), pytest.raises(error):
        done(customer, replace(made, **changed(made)))


def test_nobody_unknown_is_charged() -> None:
    made = make_charge("1")
    with pytest.raises(NotFound):
        write(lambda cur: charge_quantity(cur, organization=new_id(), charge=made, author=AUTHOR))


def test_a_charge_whose_transaction_fails_leaves_nothing() -> None:
    customer, made = make_payer("1", line="1"), make_charge("2")

    def fails(cur: Any) -> None:
        charge_quantity(cur, organization=customer.id, charge=made, author=AUTHOR)
        raise RuntimeError("the invoice could not be drafted")

    with Still(customer.id), pytest.raises(RuntimeError):
        write(fails)
    assert done(customer, made).is_new


AMOUNTS = st.integers(0, 3 * UNIT)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    given_of=st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
    line=st.booleans(),
    charges=st.lists(AMOUNTS, min_size=1, max_size=5),
)
def test_parts_of_any_charges_sum_to_them_in_the_order_of_the_waterfall(
    given_of: tuple[int, int, int], line: bool, charges: list[int]
) -> None:
    customer = make_payer(line="0.00000001" if line else None)
    left = dict(zip(("allowance", "commitment", "credit"), given_of, strict=True))
    for source, amount in left.items():
        if amount:
            kind = "paid" if source == "credit" else "included"
            customer.grant(_text(amount), kind=kind, source=source)
    for amount in charges:
        found, rest = parts(charge(customer, _text(amount))), amount
        expected = []
        for source, has in left.items():
            part = min(has, rest)
            left[source], rest = has - part, rest - part
            expected += [(source, part)] if part else []
        expected += [("postpaid" if line else "debt", rest)] if rest else []
        assert found == expected
    sound(customer)


def _text(amount: int) -> str:
    assert units(f"{amount // UNIT}.{amount % UNIT:08}") == amount
    return f"{amount // UNIT}.{amount % UNIT:08}"


def test_the_record_of_a_charge_names_its_entry() -> None:
    customer = make_payer("1")
    usage: UUID = charge(customer, "1").usage
    assert one("SELECT count(*) FROM v_entries WHERE source = %s", f"usage_record:{usage}") == 1
