"""Credit of a plan in the ledger: granted out of the fee, burnt and held, taken back as far as it is free."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from ledger.operations.grants import expire_grants
from ledger.operations.holding import place_hold, post_hold
from ledger.operations.taking_back import claw_back
from tests.builders.books import balances, give, one, open_books
from tests.builders.gate import UNIT
from tests.builders.orgs import AUTHOR, write
from tests.builders.subscribed import fee
from tests.builders.subscriptions import (
    acted,
    items_of,
    move_clock,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)
from tests.invariants import violations_of

DAY = timedelta(days=1)


def credit(amount: str, **given: Any) -> dict[str, Any]:
    return {"credits": [{"amounts": {"USD": amount}, **given}]}


def hold(organization: UUID, amount: int) -> UUID:
    return write(
        lambda cur: place_hold(
            cur,
            organization=organization,
            kind="customer_credit",
            amount=amount * UNIT,
            source="test:1",
            author=AUTHOR,
        )
    )


def burn(organization: UUID, amount: int) -> None:
    """Use credit, as a charge does."""
    held = hold(organization, amount)
    write(
        lambda cur: post_hold(
            cur,
            organization=organization,
            hold=held,
            amount=amount * UNIT,
            contra_kind="revenue",
            reason="test",
            author=AUTHOR,
        )
    )


class TestLeavingAPlan:
    @pytest.mark.parametrize(("burnt", "held"), [(0, 0), (12, 0), (10, 6), (20, 0), (0, 20)])
    def test_takes_back_no_more_than_is_free(self, burnt: int, held: int) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49"), downgrade="invoice", **credit("20")))
        if burnt:
            burn(organization, burnt)
        if held:
            hold(organization, held)
        move_clock(organization, 10 * DAY)
        after = acted(who, made, "change", {"plan": sell(fee("9")).plan_key, "mode": "invoice"})
        back = sum(float(entry["taken_back"]) for entry in after["credits"])
        free = 20 - burnt - held
        assert back <= free
        # two thirds or so of the month are unused, and so is as much of the credit
        assert back == pytest.approx(min(free, 20 * 2 / 3), abs=1)
        assert balances(organization).get("customer_credit", 0) == round((20 - burnt - back) * UNIT)
        credited = -items_of(organization)[1][1]
        service = 29 * 2 / 3
        assert credited / 100 == pytest.approx(service + back, abs=1.2)
        # a hold of a test's own belongs to no reservation
        assert set(violations_of([organization])) <= (
            {"L4 all held money is that of active reservations"} if held else set()
        )

    def test_leaves_bought_credit_alone(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49"), downgrade="invoice", **credit("20")))
        give(organization, "5")
        burn(organization, 20)
        after = acted(who, made, "change", {"plan": sell(fee("9")).plan_key, "mode": "invoice"})
        assert [entry["taken_back"] for entry in after["credits"]] == ["0"]
        assert balances(organization)["customer_credit"] == 5 * UNIT

    def test_again_and_again_never_pays_out_what_was_burnt(self) -> None:
        organization = open_books()
        who = owner(organization)
        big = sell(fee("90"), downgrade="invoice", **credit("60"))
        small = sell(fee("30"), **credit("25"))
        made = subscribe(who, big)
        used = 0
        for turn in range(4):
            part = balances(organization).get("customer_credit", 0) // UNIT
            if part:
                burn(organization, part)
                used += part
            move_clock(organization, 2 * DAY)
            plan = small if turn % 2 == 0 else big
            acted(who, made, "change", {"plan": plan.plan_key, "mode": "invoice"})
        net = sum(amount for _, amount, _ in items_of(organization)) / 100
        kept = balances(organization).get("customer_credit", 0) / UNIT
        assert used + kept <= net
        assert violations_of([organization]) == {}


class TestPeriods:
    def test_end_with_breakage_and_begin_with_new_credit(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("49"), downgrade="invoice", **credit("20")))
        burn(organization, 5)
        move_clock(organization, 36 * DAY)
        run_boundaries(organization)
        write(lambda cur: expire_grants(cur, organization=organization, author=AUTHOR))
        assert balances(organization) == {
            "customer_credit": 20 * UNIT,
            "deferred_revenue": -40 * UNIT,
            "revenue": 5 * UNIT,
            "breakage": 15 * UNIT,
        }
        assert [entry["amount"] for entry in shown(who, made)["credits"]] == ["20"]
        assert violations_of([organization]) == {}

    def test_of_a_debtor_repay_the_debt_and_leave_nothing_to_take_back(self) -> None:
        organization = open_books()
        who = owner(organization)
        write(
            lambda cur: claw_back(
                cur, organization=organization, amount=50 * UNIT, key="d", reason="dispute", author=AUTHOR
            )
        )
        made = subscribe(who, sell(fee("49"), downgrade="invoice", **credit("20")))
        assert balances(organization)["customer_credit"] == -30 * UNIT
        move_clock(organization, 10 * DAY)
        after = acted(who, made, "change", {"plan": sell(fee("9")).plan_key, "mode": "invoice"})
        assert [entry["taken_back"] for entry in after["credits"]] == ["0"]
        assert -items_of(organization)[1][1] / 100 == pytest.approx(29 * 2 / 3, abs=1.2)
        assert violations_of([organization]) == {}

    def test_grant_from_the_allowance(self) -> None:
        organization = open_books()
        subscribe(owner(organization), sell(fee("9"), **credit("20", priority=7)))
        row = one(
            "SELECT (kind, funding_source, priority, amount, cost_basis, gift)::text FROM credit_grants "
            "WHERE organization = %s",
            organization,
        )
        assert row == f"(included,allowance,7,{20 * UNIT},{9 * UNIT},{11 * UNIT})"
