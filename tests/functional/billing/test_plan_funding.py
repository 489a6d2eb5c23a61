"""What a plan says of use that no credit covers, and the gate's first call after it began, changed or ended (S75)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from billing.operations.entitling import entitle_due, entitle_untold
from billing.queries.entitlementintegrity import violations
from billing.rules.catalog import PlanVersion
from events.store import Cursor
from tests.builders.catalog import make_version
from tests.builders.gate import Customer, body_of, make_customer, units
from tests.builders.orgs import events_of, platform, write
from tests.builders.subscribed import fee
from tests.builders.subscriptions import acted, owner, run_boundaries, sell, subscribe
from tests.builders.waterfall import receipt_of
from tests.invariants import Still, assert_sound

LINE = {"USD": "5"}


def postpaid(line: str | None = "10", **given: Any) -> Customer:
    """A customer with a line of its own."""
    limit = None if line is None else units(line)
    return make_customer("0", funding="postpaid", credit_limit=limit, **given)


def funding(customer: Customer) -> tuple[Any, ...]:
    """Mode and line's limit as the API shows them."""
    found = body_of(customer.api.get("/v1/funding"), 200)
    return found["mode"], found["line"] and found["line"]["limit"]


def called(customer: Customer, amount: str = "1") -> tuple[int, str | None]:
    """Status and code of a call."""
    answer = customer.reserve(amount)
    return answer.status_code, answer.json().get("code")


def broken(organization: UUID) -> list[str]:
    """What E3 says of an organization."""

    def read(cur: Cursor) -> list[str]:
        return [str(each) for each in violations(cur) if each.organization == organization]

    return write(read)


def assert_told(customer: Customer) -> None:
    """The gate has what plans and contracts say, and everything else holds."""
    assert broken(customer.id) == []
    assert_sound(customer.id)


STOPPED = (402, "credit_exhausted")
PASSED = (201, None)


class TestAPlanThatSaysNothing:
    @pytest.mark.parametrize("line", ["10", None], ids=["limited", "unlimited"])
    def test_leaves_the_line_of_a_postpaid_organization(self, line: str | None) -> None:
        customer = postpaid(line)
        subscribe(owner(customer.id), sell(fee("30")))
        assert called(customer) == PASSED
        assert funding(customer) == ("credit_then_invoice", line)
        assert_told(customer)

    def test_leaves_a_prepaid_organization_without_one(self) -> None:
        customer = make_customer("0")
        subscribe(owner(customer.id), sell(fee("30")))
        assert called(customer) == STOPPED
        assert_told(customer)


class TestAPlanFromBefore:
    def test_that_says_credit_only_by_default_takes_no_line_away(self) -> None:
        customer, plan = postpaid(), sell(fee("30"), funding="credit_only")
        with stored(plan, "definition - 'credit_limit'"):
            made = subscribe(owner(customer.id), plan)
            assert called(customer) == PASSED
            shown = body_of(platform().get(f"/v1/plans/{plan.plan_key}/versions/1"), 200)
            assert shown["definition"]["funding"] == "organization"
            assert_told(customer)
            acted(owner(customer.id), made, "cancel", {"when": "now"})


@contextmanager
def stored(plan: PlanVersion, document: str) -> Iterator[None]:
    """A block in which a version's document is other than it was written: an SQL expression over `definition`."""
    set_to = "UPDATE plan_versions SET definition = {} WHERE id = %s"
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT definition::text FROM plan_versions WHERE id = %s", [plan.id])
        (written,) = cursor.fetchone()
        cursor.execute("ALTER TABLE plan_versions DISABLE TRIGGER USER")
        cursor.execute(set_to.format(document), [plan.id])
    try:
        yield
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute(set_to.format("%s::jsonb"), [written, plan.id])
            cursor.execute("ALTER TABLE plan_versions ENABLE TRIGGER USER")


class TestAPlanOfCreditOnly:
    def test_closes_the_line_while_it_is_live(self) -> None:
        customer = postpaid()
        who, plan = owner(customer.id), sell(fee("30"), funding="credit_only")
        assert called(customer) == PASSED
        made = subscribe(who, plan)
        with Still(customer.id, decisions=1):
            assert called(customer) == STOPPED
        assert funding(customer)[0] == "credit_only"
        shown = body_of(who.get("/v1/entitlements"), 200)
        assert shown["funding"] == {
            "mode": "credit_only", "credit_limit": None, "said_by": f"plan:{plan.plan_key}@1",
        }  # fmt: skip
        assert (shown["can_spend"], shown["reasons"]) == (False, ["credit"])
        assert_told(customer)
        acted(who, made, "cancel", {"when": "now"})
        assert called(customer) == PASSED
        assert funding(customer) == ("credit_then_invoice", "10")
        assert_told(customer)

    def test_lets_credit_pay(self) -> None:
        customer = postpaid()
        subscribe(owner(customer.id), sell(fee("30"), funding="credit_only"))
        customer.grant("2")
        body_of(customer.commit(customer.reserved("2")["id"], "2"), 200)
        assert called(customer) == STOPPED
        assert_told(customer)

    def test_settles_what_is_open_on_the_line(self) -> None:
        customer = postpaid()
        held = [customer.reserved("1")["id"] for _ in range(3)]
        subscribe(owner(customer.id), sell(fee("30"), funding="credit_only"))
        done = body_of(customer.commit(held[0], "1.5"), 200)
        assert customer.release(held[1]).status_code == 200
        assert customer.extend(held[2], 3_600).status_code == 200
        record = body_of(customer.api.get(f"/v1/usage/{done['usage_record']}"), 200)
        assert sum(units(amount) for _, amount in receipt_of(record)) == units("1.5")
        assert called(customer) == STOPPED
        assert funding(customer) == ("credit_only", "0")
        assert_told(customer)

    def test_is_not_opened_by_a_new_credit_limit_which_holds_afterwards(self) -> None:
        customer = postpaid()
        who = owner(customer.id)
        made = subscribe(who, sell(fee("30"), funding="credit_only"))
        answer = platform().patch(f"/v1/organizations/{customer.id}", {"credit_limit": "70"})
        assert answer.status_code == 200, answer.content
        assert called(customer) == STOPPED
        assert_told(customer)
        acted(who, made, "cancel", {"when": "now"})
        assert funding(customer) == ("credit_then_invoice", "70")
        assert_told(customer)

    def test_is_left_by_a_change_of_plan_at_once(self) -> None:
        customer = postpaid()
        who, other = owner(customer.id), sell(fee("40"), upgrade="prorate")
        made = subscribe(who, sell(fee("30"), funding="credit_only", upgrade="prorate"))
        acted(who, made, "change", {"plan": other.plan_key, "mode": "prorate"})
        assert called(customer) == PASSED
        assert_told(customer)

    def test_closes_it_from_the_end_of_the_period_on_where_the_change_waits(self) -> None:
        customer = postpaid()
        who, other = owner(customer.id), sell(fee("20"), funding="credit_only")
        made = subscribe(who, sell(fee("30")))
        acted(who, made, "change", {"plan": other.plan_key, "mode": "next_period"})
        assert called(customer) == PASSED
        customer.pass_time(days=32)
        run_boundaries(customer.id)
        assert called(customer) == STOPPED
        assert_told(customer)

    def test_ends_at_its_time_whether_the_billing_run_was_there_or_not(self) -> None:
        customer = postpaid()
        who = owner(customer.id)
        made = subscribe(who, sell(fee("30"), funding="credit_only"))
        acted(who, made, "cancel", {"when": "period_end"})
        customer.pass_time(days=32)
        assert called(customer) == STOPPED
        entitle_due()
        assert called(customer) == PASSED
        run_boundaries(customer.id)
        assert called(customer) == PASSED
        assert_told(customer)


class TestAPlanOfCreditThenInvoice:
    def test_opens_a_line_up_to_its_limit_for_a_prepaid_organization(self) -> None:
        customer = make_customer("0")
        who, plan = owner(customer.id), sell(fee("30"), funding="credit_then_invoice", credit_limit=LINE)
        made = subscribe(who, plan)
        record = body_of(customer.commit(customer.reserved("4")["id"], "4"), 200)
        found = body_of(customer.api.get(f"/v1/usage/{record['usage_record']}"), 200)
        assert receipt_of(found) == [("postpaid", "4")]
        assert (called(customer, "2"), called(customer, "1")) == (STOPPED, PASSED)
        assert funding(customer) == ("credit_then_invoice", "5")
        shown = body_of(who.get("/v1/entitlements"), 200)["funding"]
        assert shown == {
            "mode": "credit_then_invoice", "credit_limit": "5", "said_by": f"plan:{plan.plan_key}@1",
        }  # fmt: skip
        assert_told(customer)
        acted(who, made, "cancel", {"when": "now"})
        assert called(customer, "0.5") == STOPPED
        assert funding(customer) == ("credit_only", "0")
        assert_told(customer)

    def test_leaves_the_limit_that_was_decided_on_for_the_organization_alone(self) -> None:
        customer = postpaid("10")
        subscribe(owner(customer.id), sell(fee("30"), funding="credit_then_invoice", credit_limit=LINE))
        assert funding(customer) == ("credit_then_invoice", "10")
        assert_told(customer)

    def test_is_refused_where_no_limit_is_known_and_says_what_to_do(self) -> None:
        customer = make_customer("0")
        who, plan = owner(customer.id), sell(fee("30"), funding="credit_then_invoice")
        before = events_of(customer.id)
        answer = who.post("/v1/subscriptions", {"plan": plan.plan_key}, key="start")
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "credit_limit_unknown")
        assert "credit_limit in USD" in problem["detail"]
        assert events_of(customer.id) == before
        made = subscribe(who, sell(fee("20")))
        changed = who.post(f"/v1/subscriptions/{made['id']}/change", {"plan": plan.plan_key}, key="change")
        assert (changed.status_code, changed.json()["code"]) == (409, "credit_limit_unknown")
        better = make_version(
            plan.plan_key, charges=[fee("30")], credits=[], funding="credit_then_invoice", credit_limit=LINE
        )
        subscribe(who, better)
        assert called(customer) == PASSED
        assert_told(customer)


class TestSeveralPlans:
    def test_go_on_where_one_of_them_lets_the_customer_go_on(self) -> None:
        customer = make_customer("0")
        who = owner(customer.id)
        subscribe(who, sell(fee("30"), funding="credit_only"))
        small = sell(fee("30"), funding="credit_then_invoice", credit_limit={"USD": "2"})
        large = sell(fee("30"), funding="credit_then_invoice", credit_limit=LINE)
        subscribe(who, small)
        made = subscribe(who, large)
        assert funding(customer) == ("credit_then_invoice", "5")  # the highest, not their sum
        acted(who, made, "cancel", {"when": "now"})
        assert funding(customer) == ("credit_then_invoice", "2")
        assert_told(customer)

    def test_stop_where_one_says_so_and_the_others_say_nothing(self) -> None:
        customer = postpaid()
        who = owner(customer.id)
        subscribe(who, sell(fee("30")))
        made = subscribe(who, sell(fee("30"), funding="credit_only"))
        assert called(customer) == STOPPED
        acted(who, made, "pause")
        assert called(customer) == PASSED
        acted(who, made, "resume")
        assert called(customer) == STOPPED
        assert_told(customer)


class TestWhatIsPublished:
    def test_is_so_only_when_it_is_new(self) -> None:
        customer = postpaid()
        who = owner(customer.id)
        for _ in range(2):
            subscribe(who, sell(fee("30"), features={"sso": True}))
        assert published(customer) == 0
        plan = sell(fee("30"), features={}, funding="credit_only")
        subscribe(who, plan)
        subscribe(who, plan)
        assert published(customer) == 1

    def test_is_found_where_it_never_was(self) -> None:
        customer, plan = postpaid(), sell(fee("30"), features={})
        made = subscribe(owner(customer.id), plan)
        with stored(plan, "jsonb_set(definition, '{funding}', '\"credit_only\"')"):
            assert called(customer) == PASSED
            (finding,) = broken(customer.id)
            assert finding.startswith("E3")
            assert "line closed" in finding
            assert entitle_untold() >= 1
            assert called(customer) == STOPPED
            assert_told(customer)
            acted(owner(customer.id), made, "cancel", {"when": "now"})
        assert_told(customer)

    def test_is_found_of_a_plan_that_was_paused_when_that_lifted_its_limits(self) -> None:
        customer, plan = postpaid(), sell(fee("30"), features={})
        who = owner(customer.id)
        said = subscribe(who, sell(fee("5"), features={"agents_enabled": True}))
        acted(who, said, "cancel", {"when": "now"})
        made = subscribe(who, plan)
        acted(who, made, "pause")
        with stored(plan, "jsonb_set(definition, '{features}', '{\"agents_enabled\": false}')"):
            (finding,) = broken(customer.id)
            assert "agents_enabled" in finding
            assert entitle_untold() >= 1
            assert_told(customer)
            acted(who, made, "cancel", {"when": "now"})
        assert_told(customer)


def published(customer: Customer) -> int:
    """How often the gate was told something."""
    return sum(row[0] == "entitlement.published" for row in events_of(customer.id))
