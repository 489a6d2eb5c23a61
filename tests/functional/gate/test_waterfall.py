"""Calls over a plan's allowance, a contract's commitment, prepaid credit and the postpaid line (S75, S9, B5)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.builders.books import balances
from tests.builders.gate import UNIT, Customer, body_of, units, usage_body
from tests.builders.orgs import unique
from tests.builders.waterfall import Receipt, clock_of, grant_of, make_payer, receipt_of
from tests.invariants import Still, assert_sound


def called(customer: Customer, amount: str, used: str | None = None) -> dict[str, Any]:
    """The usage record of a call that was reserved and committed."""
    held = customer.reserved(amount)
    done = body_of(customer.commit(held["id"], used or amount), 200)
    return body_of(customer.api.get(f"/v1/usage/{done['usage_record']}"), 200)


def held_by(customer: Customer, reservation: str) -> Receipt:
    return receipt_of(body_of(customer.api.get(f"/v1/reservations/{reservation}"), 200))


def report(customer: Customer, **query: str) -> dict[str, str]:
    found = body_of(customer.api.get("/v1/reports/funding", **query), 200)
    parts = {part["source"]: part["charge"] for part in found["data"]}
    assert sum(units(amount) for amount in parts.values()) == units(found["total"])
    assert found["retired"] == "0"
    return {**parts, "total": found["total"]}


class TestADayOfCalls:
    def test_is_paid_by_the_allowance_then_the_commitment_then_credit_then_the_line(self) -> None:
        customer = make_payer("1", "2", "1", line="5")
        receipts = [receipt_of(called(customer, "0.75")) for _ in range(8)]
        assert receipts == [
            [("allowance", "0.75")],
            [("allowance", "0.25"), ("commitment", "0.5")],
            [("commitment", "0.75")],
            [("commitment", "0.75")],
            [("credit", "0.75")],
            [("credit", "0.25"), ("postpaid", "0.5")],
            [("postpaid", "0.75")],
            [("postpaid", "0.75")],
        ]
        assert report(customer) == {
            "allowance": "1", "commitment": "2", "credit": "1", "postpaid": "2", "debt": "0", "total": "6",
        }  # fmt: skip
        assert balances(customer.id) == {
            "revenue": 6 * UNIT, "unbilled_receivable": -2 * UNIT, "deferred_revenue": -3 * UNIT, "cash": -UNIT,
            "provider_cost": -6 * UNIT, "provider_payable": 6 * UNIT,
        }  # fmt: skip
        assert_sound(customer.id)

    def test_stops_where_the_limit_of_the_line_is_reached(self) -> None:
        customer = make_payer("1", line="1")
        called(customer, "2")
        with Still(customer.id, decisions=1):
            refused = body_of(customer.reserve("0.00000001"), 402)
        assert refused["code"] == "credit_exhausted"

    def test_of_credit_only_stops_where_the_sources_are_used_up(self) -> None:
        customer = make_payer("1", "1", "1")
        assert receipt_of(called(customer, "3")) == [("allowance", "1"), ("commitment", "1"), ("credit", "1")]
        with Still(customer.id, decisions=1):
            assert body_of(customer.reserve("1"), 402)["code"] == "credit_exhausted"

    def test_beyond_all_sources_of_credit_only_is_debt(self) -> None:
        customer = make_payer("1", "1")
        record = called(customer, "2", used="2.5")
        assert receipt_of(record) == [("allowance", "1"), ("commitment", "1"), ("debt", "0.5")]
        assert report(customer)["debt"] == "0.5"
        assert_sound(customer.id)


class TestAHold:
    def test_names_its_sources_until_the_commit_names_what_it_took(self) -> None:
        customer = make_payer("1", "1", line="5")
        held = customer.reserved("2.5")["id"]
        assert held_by(customer, held) == [("allowance", "1"), ("commitment", "1"), ("postpaid", "0.5")]
        customer.commit(held, "1.25")
        assert held_by(customer, held) == [("allowance", "1"), ("commitment", "0.25")]
        (decision,) = body_of(customer.api.get("/v1/decisions"), 200)["data"]
        assert receipt_of(decision) == [("allowance", "1"), ("commitment", "0.25")]

    def test_gives_back_what_it_took_last(self) -> None:
        customer = make_payer("1", "1", "1")
        record = called(customer, "3", used="1.5")
        assert receipt_of(record) == [("allowance", "1"), ("commitment", "0.5")]
        assert [grant_of(customer, source)[1] for source in ("allowance", "commitment", "credit")] == [
            0, UNIT // 2, UNIT,
        ]  # fmt: skip

    def test_is_settled_in_the_order_taken_also_when_a_better_source_has_come_meanwhile(self) -> None:
        customer = make_payer(credit="1", line="5")
        held = customer.reserved("1")["id"]
        customer.grant("0.5", kind="included", source="allowance")
        customer.commit(held, "2")
        assert held_by(customer, held) == [("credit", "1"), ("allowance", "0.5"), ("postpaid", "0.5")]
        assert_sound(customer.id)

    def test_of_others_leaves_the_next_source_to_a_call(self) -> None:
        customer = make_payer("1", "1")
        first = customer.reserved("1")["id"]
        second = customer.reserved("1")["id"]
        assert held_by(customer, second) == [("commitment", "1")]
        customer.release(first)
        assert receipt_of(called(customer, "1")) == [("allowance", "1")]

    def test_that_expired_is_charged_late_in_the_order_of_that_moment(self) -> None:
        customer = make_payer("1", "1")
        held = customer.reserved("1", ttl_seconds=60)["id"]
        customer.pass_time(seconds=61)
        other = customer.reserved("1")["id"]
        assert held_by(customer, other) == [("allowance", "1")]
        customer.commit(held, "1")
        assert held_by(customer, held) == [("commitment", "1")]
        assert_sound(customer.id)


class TestUsageAfterTheFact:
    def test_is_paid_in_the_same_order(self) -> None:
        customer = make_payer("1", "1", "1", line="1")
        moment = clock_of(customer).isoformat()
        made = body_of(customer.use("5", occurred_at=moment), 201)
        record = body_of(customer.api.get(f"/v1/usage/{made['id']}"), 200)
        assert receipt_of(record) == [
            ("allowance", "1"), ("commitment", "1"), ("credit", "1"), ("postpaid", "2"),
        ]  # fmt: skip
        assert_sound(customer.id)

    def test_sent_again_has_one_effect(self) -> None:
        customer = make_payer("2", "1")
        body = usage_body("1.5")
        first = customer.api.post("/v1/usage", body)
        with Still(customer.id):
            assert customer.api.post("/v1/usage", body).json() == first.json()


class TestTheEndOfAnAllowance:
    """Its window ends: what is left of it is gone, what is held stays for its hold."""

    def test_leaves_the_next_source_from_the_first_moment_on(self) -> None:
        customer = make_payer(commitment="5")
        customer.grant("5", kind="included", source="allowance", lifetime=timedelta(hours=1))
        customer.pass_time(hours=1)
        assert receipt_of(called(customer, "1")) == [("commitment", "1")]

    def test_while_it_is_held_lets_the_hold_burn_it_and_breaks_the_rest(self) -> None:
        customer = make_payer(commitment="5")
        customer.grant("5", kind="included", source="allowance", lifetime=timedelta(hours=1))
        held = customer.reserved("2", ttl_seconds=7_200)["id"]
        customer.pass_time(hours=1)
        customer.expire_grants()
        assert balances(customer.id)["breakage"] == 3 * UNIT
        customer.commit(held, "1.5")
        assert held_by(customer, held) == [("allowance", "1.5")]
        assert balances(customer.id)["breakage"] == 3 * UNIT + UNIT // 2
        assert_sound(customer.id)

    def test_gives_back_what_nobody_paid_for_and_is_breakage_for_what_was_paid(self) -> None:
        customer = make_payer()
        customer.grant(
            "25", kind="included", source="allowance", lifetime=timedelta(hours=1),
            contra=(("deferred_revenue", 20 * UNIT), ("promotional_expense", 5 * UNIT)),
        )  # fmt: skip
        held = customer.reserved("8", ttl_seconds=7_200)["id"]
        customer.pass_time(hours=1)
        customer.expire_grants()
        customer.commit(held, "2")
        assert balances(customer.id) == {
            "deferred_revenue": -20 * UNIT, "revenue": 2 * UNIT, "breakage": 18 * UNIT,
            "provider_cost": -2 * UNIT, "provider_payable": 2 * UNIT,
        }  # fmt: skip
        assert_sound(customer.id)


class TestFunding:
    def test_shows_the_sources_in_their_order_with_their_windows_and_the_line(self) -> None:
        customer = make_payer("1", "2", "3", line="4")
        customer.grant(
            "9", kind="included", source="allowance", effective_at=clock_of(customer) + timedelta(days=1)
        )
        held = customer.reserved("1.5")["id"]
        found = body_of(customer.api.get("/v1/funding"), 200)
        assert (found["mode"], found["currency"], found["debt"]) == ("credit_then_invoice", "USD", "0")
        assert [
            (one["source"], one["remaining"], one["held"], one["available"], len(one["grants"]))
            for one in found["sources"]
        ] == [
            ("allowance", "1", "1", "0", 2), ("commitment", "2", "0.5", "1.5", 1), ("credit", "3", "0", "3", 1),
        ]  # fmt: skip
        assert found["line"] == {"limit": "4", "owed": "0", "held": "0", "available": "4"}
        assert found["available"] == "8.5"
        grant = found["sources"][0]["grants"][0]
        assert (grant["source"], grant["kind"], grant["expires_at"]) == ("allowance", "included", None)
        body_of(customer.commit(held, "9"), 200)
        after = body_of(customer.api.get("/v1/funding"), 200)
        assert after["line"] == {"limit": "4", "owed": "3", "held": "0", "available": "1"}
        assert after["available"] == "1"

    def test_of_credit_only_has_no_line_and_counts_debt(self) -> None:
        customer = make_payer("1")
        body_of(customer.commit(customer.reserved("1")["id"], "2"), 200)
        found = body_of(customer.api.get("/v1/funding"), 200)
        assert (found["mode"], found["line"], found["debt"], found["available"]) == (
            "credit_only", None, "1", "0",
        )  # fmt: skip

    def test_without_a_limit_has_no_end(self) -> None:
        customer = make_payer("1", funding="postpaid", credit_limit=None)
        found = body_of(customer.api.get("/v1/funding"), 200)
        assert (found["available"], found["line"]["limit"], found["line"]["available"]) == (None, None, None)

    def test_leaves_out_what_has_ended(self) -> None:
        customer = make_payer()
        customer.grant("5", kind="included", source="allowance", lifetime=timedelta(hours=1))
        customer.pass_time(hours=1)
        (allowance, _, _) = body_of(customer.api.get("/v1/funding"), 200)["sources"]
        assert (allowance["remaining"], allowance["grants"]) == ("0", [])

    def test_shows_the_source_of_each_grant_in_the_balance(self) -> None:
        customer = make_payer("1", "1", "1")
        grants = body_of(customer.api.get("/v1/balance"), 200)["grants"]
        assert sorted(grant["source"] for grant in grants) == ["allowance", "commitment", "credit"]

    @pytest.mark.parametrize("path", ["/v1/funding", "/v1/reports/funding"])
    def test_is_read_with_the_right_scope_and_of_the_own_organization_only(self, path: str) -> None:
        customer, other = make_payer("1"), make_payer("2")
        assert other.api.get(path, organization=str(customer.id)).status_code == 404
        body_of(make_payer(scopes=("audit:read",)).api.get(path), 403)
        body_of(customer.api.get(path, nothing="x"), 400)

    def test_report_takes_a_period_and_what_occurred_in_it(self) -> None:
        customer = make_payer("5")
        called(customer, "1")
        customer.pass_time(hours=2)
        edge = (clock_of(customer) - timedelta(hours=1)).isoformat()
        called(customer, "2")
        assert report(customer, to=edge)["allowance"] == "1"
        assert report(customer, **{"from": edge})["allowance"] == "2"
        assert report(customer)["total"] == "3"
        later = (clock_of(customer) + timedelta(hours=1)).isoformat()
        body_of(customer.api.get("/v1/reports/funding", **{"from": later, "to": edge}), 400)


def test_call_keys_do_not_meet() -> None:
    """A day's calls again under their keys: the same answers, and each is paid for once."""
    customer = make_payer("1", "1", line="1")
    keys = [unique() for _ in range(3)]
    first = [customer.reserve("0.75", key=key).json()["id"] for key in keys]
    with Still(customer.id):
        assert [customer.reserve("0.75", key=key).json()["id"] for key in keys] == first
