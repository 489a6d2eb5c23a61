"""The billing run: subscriptions, metered charges and coupons on one invoice; thresholds; trouble that stops nobody."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.operations import runs
from billing.operations.runs import claim_customers, run_customer
from billing.tasks import bill_customers
from common.ids import new_id
from events.operations.due import run_job
from ledger.operations.grants import expire_grants
from orgs.operations.facts import Author
from tests.builders.billing import CENT, DOLLAR, Billed, billed
from tests.builders.books import balances
from tests.builders.catalog import make_coupon
from tests.builders.gate import usage_body
from tests.builders.metering import make_meter, new_event, record
from tests.builders.orgs import caller, make_organization, unique, write
from tests.builders.payments import findings
from tests.builders.subscribed import fee
from tests.builders.subscriptions import now_of, owner, run_boundaries, sell, subscribe

AUTHOR = Author("test")


def expired(organization: UUID) -> int:
    """How many ended grants broke now."""
    return write(lambda cur: expire_grants(cur, organization=organization, author=AUTHOR))


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def calls(meter: str, price: dict[str, Any], **given: Any) -> dict[str, Any]:
    """A metered charge of a plan."""
    return {
        "key": "calls",
        "name": "Calls",
        "kind": "metered",
        "meter": meter,
        "prices": {"USD": price},
        **given,
    }


GRADUATED = {
    "model": "graduated",
    "tiers": [{"up_to": "10", "unit_price": "1"}, {"up_to": None, "unit_price": "0.5"}],
}


class TestASubscription:
    def test_is_invoiced_at_its_start_and_at_each_period(self) -> None:
        made = billed()
        subscribe(owner(made.id), sell(fee("49")))
        made.run()
        made.customer.pass_time(hours=1)
        made.run()
        (first,) = made.invoices()
        assert (first["status"], first["cause"], first["total"]) == ("open", "items", "49.00")
        assert balances(made.id)["deferred_revenue"] == 49 * DOLLAR
        made.pass_months()
        made.run()
        assert [one["total"] for one in made.invoices()] == ["49.00", "49.00"]
        made.assert_sound()

    def test_has_its_metered_charge_rated_by_tiers_and_paid_by_the_waterfall(self) -> None:
        made, meter = billed(credit="4"), make_meter()
        subscribe(owner(made.id), sell(fee("5"), calls(meter.key, GRADUATED)))
        at = now_of(made.id)
        record(made.id, *(new_event(meter.definition.event_type or "", at, {"units": n}) for n in (8, 6)))
        made.pass_months()
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        made.run()
        metered = [
            line for one in made.invoices() for line in made.lines(one["id"]) if line["kind"] == "metered"
        ]
        assert [(line["quantity"], line["charge"], line["amount"]) for line in metered] == [
            ("14", "12", "8.00")
        ]
        assert metered[0]["funded"] == [{"source": "credit", "amount": "4"}]
        assert upcoming["currency"] == "USD"
        invoice = next(
            one for one in made.invoices() if any(line["kind"] == "metered" for line in made.lines(one["id"]))
        )
        number = next(line["number"] for line in made.lines(invoice["id"]) if line["kind"] == "metered")
        shown = made.reader.get(f"/v1/invoices/{invoice['id']}/lines/{number}/explain").json()
        assert [step["name"] for step in shown["steps"]][:2] == ["tier", "tier"]
        assert made.run() == 0
        made.assert_sound()

    def test_gets_late_facts_of_a_billed_period_as_an_adjustment_of_the_next_invoice(self) -> None:
        made, meter = billed(), make_meter()
        kind = meter.definition.event_type or ""
        subscribe(owner(made.id), sell(fee("5"), calls(meter.key, GRADUATED)))
        at = now_of(made.id)
        record(made.id, new_event(kind, at, {"units": 9}))
        made.pass_months()
        made.run()
        record(made.id, new_event(kind, at + timedelta(minutes=1), {"units": 3}))
        made.pass_months()
        made.run()
        metered = [
            (line["description"], line["quantity"], line["amount"])
            for one in made.invoices()
            for line in made.lines(one["id"])
            if line["kind"] == "metered"
        ]
        assert sorted(metered) == [
            ("Calls", "0", "0.00"),
            ("Calls", "9", "9.00"),
            ("Calls, late", "3", "2.00"),
        ]
        made.assert_sound()

    def test_that_is_billed_again_after_a_void_invoice_charges_its_use_once(self) -> None:
        made, meter = billed(), make_meter()
        subscribe(owner(made.id), sell(fee("5"), calls(meter.key, GRADUATED)))
        at = now_of(made.id)
        record(made.id, new_event(meter.definition.event_type or "", at, {"units": 9}))
        made.pass_months()
        made.run()
        first = next(one for one in made.invoices() if one["total"] == "14.00")
        assert made.act(first["id"], "void", {"reason": "wrong"}).status_code == 200
        made.assert_sound()
        made.pass_months()
        made.run()
        amounts = [
            line["amount"]
            for one in made.invoices()
            if one["status"] != "void"
            for line in made.lines(one["id"])
            if line["kind"] == "metered"
        ]
        assert sorted(amounts) == ["0.00", "9.00"]
        assert balances(made.id)["revenue"] == 9 * DOLLAR
        made.assert_sound()

    @pytest.mark.parametrize("after", ["ended", "billed"])
    def test_has_its_use_paid_by_its_periods_allowance_after_a_standstill_of_weeks(self, after: str) -> None:
        made, meter = billed(), make_meter()
        allowance = [{"amounts": {"USD": "10"}, "every": {"unit": "month", "count": 1}}]
        plan = sell(fee("5"), calls(meter.key, {"model": "per_unit", "unit_price": "1"}), credits=allowance)
        subscribe(owner(made.id), plan)
        at = now_of(made.id)
        record(made.id, new_event(meter.definition.event_type or "", at, {"units": 4}))
        made.customer.pass_time(days=55)  # its credit ended weeks ago
        assert expired(made.id) == 0
        if after == "ended":
            run_boundaries(made.id)
            assert expired(made.id) == 0
        made.run()
        metered = [
            line for one in made.invoices() for line in made.lines(one["id"]) if line["kind"] == "metered"
        ]
        assert [(line["charge"], line["amount"]) for line in metered] == [("4", "0.00")]
        assert metered[0]["funded"] == [{"source": "allowance", "amount": "4"}]
        assert expired(made.id) == 1
        assert balances(made.id)["breakage"] == DOLLAR  # five of the ten were given away
        made.assert_sound()

    def test_is_due_and_final_as_its_plan_says_and_else_as_the_profile(self) -> None:
        made = billed()
        made.profile(net_days=30, grace_hours=2)
        subscribe(owner(made.id), sell(fee("5"), net_days=7, grace_hours=48))
        subscribe(owner(made.id), sell(fee("6")))
        made.run()
        made.customer.pass_time(hours=3)
        made.run()
        assert {one["status"] for one in made.invoices()} == {"draft", "open"} or {
            one["status"] for one in made.invoices()
        } == {"draft"}
        made.customer.pass_time(hours=46)
        made.run()
        shown = {one["total"]: (one["net_days"], one["status"]) for one in made.invoices()}
        assert shown in ({"11.00": (7, "open")}, {"5.00": (7, "open"), "6.00": (30, "open")})

    def test_waits_three_days_and_is_due_at_once_where_nobody_says_otherwise(self) -> None:
        made = billed()
        made.profile(net_days=None, grace_hours=None)
        subscribe(owner(made.id), sell(fee("5")))
        made.run()
        made.customer.pass_time(hours=71, minutes=55)
        made.run()
        assert made.only()["status"] == "draft"
        made.customer.pass_time(minutes=10)
        made.run()
        shown = made.only()
        assert (shown["status"], shown["net_days"]) == ("open", 0)
        assert shown["due_at"] == shown["finalized_at"]

    def test_takes_a_coupon_off_the_use_of_a_period_that_has_it(self) -> None:
        made, meter = billed(), make_meter()
        coupon = make_coupon(percent="50")
        subscribe(owner(made.id), sell(fee("10"), calls(meter.key, GRADUATED)), coupons=[coupon.code])
        record(made.id, new_event(meter.definition.event_type or "", now_of(made.id), {"units": 4}))
        made.pass_months()
        made.run()
        found = [
            (line["kind"], line["amount"], line["discount"])
            for one in made.invoices()
            for line in made.lines(one["id"])
        ]
        assert sorted(found) == [
            ("metered", "4.00", "2.00"),
            ("recurring", "10.00", "0.00"),
            ("recurring", "10.00", "5.00"),
        ]
        made.assert_sound()

    def test_has_an_amount_taken_off_once_not_off_its_fee_and_its_use(self) -> None:
        made, meter = billed(), make_meter()
        coupon = make_coupon(amounts={"USD": "3"})
        subscribe(owner(made.id), sell(fee("10"), calls(meter.key, GRADUATED)), coupons=[coupon.code])
        record(made.id, new_event(meter.definition.event_type or "", now_of(made.id), {"units": 4}))
        made.pass_months()
        made.run()
        assert sum(float(one["discount"]) for one in made.invoices()) == 3
        made.assert_sound()

    def test_is_lowered_by_a_coupon_as_often_as_that_says(self) -> None:
        made = billed()
        who = owner(made.id)
        coupon = make_coupon(percent="50")
        redeemed = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key=unique())
        assert redeemed.status_code == 201, redeemed.content
        subscribe(who, sell(fee("49")))
        made.run()
        made.customer.pass_time(hours=1)
        made.run()
        made.pass_months()
        made.run()
        first, second = made.invoices()
        assert (first["subtotal"], first["discount"], first["total"]) == ("49.00", "24.50", "24.50")
        assert first["discounts"] == [{"coupon": coupon.code, "amount": "24.50"}]
        assert second["discount"] == "0.00"
        made.assert_sound()


class TestAThreshold:
    def test_makes_invoices_before_the_cycle_ends_recurs_and_bills_nothing_twice(self) -> None:
        made = billed()
        body = {"organization": str(made.id), "threshold": "2.50"}
        assert made.finance.patch("/v1/billing-cycle", body).json()["threshold"] == "2.5"
        made.use("1", "1")
        assert made.run() == 0
        assert made.reader.get("/v1/billing-cycle").json()["unbilled"] == "2"
        made.use("1")
        assert made.run() == 1
        made.use("1.25", "1.25")
        assert made.run() == 1
        made.use("0.75")
        made.pass_months()
        made.run()
        assert [(one["cause"], one["total"]) for one in made.invoices()] == [
            ("threshold", "3.00"),
            ("threshold", "2.50"),
            ("cycle", "0.75"),
        ]
        made.assert_sound()

    def test_counts_use_that_is_dated_ahead_when_its_time_has_come(self) -> None:
        made = billed(credit_limit=1000 * DOLLAR)
        body = {"organization": str(made.id), "threshold": "100"}
        assert made.finance.patch("/v1/billing-cycle", body).status_code == 200
        made.use("10")
        ahead = (now_of(made.id) + timedelta(minutes=4)).isoformat()
        assert made.customer.api.post("/v1/usage", usage_body("150", occurred_at=ahead)).status_code == 201
        with made.still():
            assert made.run() == 0
            assert made.reader.get("/v1/invoices/upcoming").status_code == 200
        made.use("95")
        assert made.run() == 1
        made.customer.pass_time(minutes=5)
        assert made.run() == 1
        assert [one["total"] for one in made.invoices()] == ["105.00", "150.00"]
        made.assert_sound()

    @pytest.mark.parametrize("threshold", ["0", "-1", 5, "1.123456789"])
    def test_that_is_wrong_is_refused(self, threshold: Any) -> None:
        made = billed()
        with made.still():
            body = {"organization": str(made.id), "threshold": threshold}
            assert problem(made.finance.patch("/v1/billing-cycle", body)) == (400, "invalid_amount")
            assert problem(made.reader.patch("/v1/billing-cycle", {"threshold": "5"})) == (403, "forbidden")


def set_ranges(organization: UUID, ranges: str) -> None:
    """Damage, or mend, where a customer's billing stands."""
    statement = "UPDATE billing_customers SET open_ranges = %s WHERE organization = %s"
    write(lambda cur: cur.execute(statement, (ranges, organization)))


class TestTrouble:
    def test_of_one_customer_stops_no_other_is_seen_and_ends(self) -> None:
        broken, sound = billed(), billed()
        for made in (broken, sound):
            made.use("1")
            made.pass_months()
        set_ranges(broken.id, "[[null, {}]]")
        for _ in range(5):
            assert run_customer(broken.id) is False
        assert run_customer(sound.id) is True
        assert sound.only()["total"] == "1.00"
        assert broken.invoices() == []
        rows = [one for one in pages(broken) if one["organization"] == str(broken.id)]
        assert [(one["status"], one["failures"]) for one in rows] == [("parked", 5)]
        assert "KeyError" in rows[0]["last_error"]
        (finding,) = findings(broken.id)
        assert (finding.kind, finding.subject) == ("billing_stopped", str(broken.id))
        claimed = write(claim_customers)
        assert broken.id not in claimed
        write(lambda cur: cur.execute("DELETE FROM billing_runs WHERE organization = ANY(%s)", (claimed,)))
        set_ranges(broken.id, "[]")
        stranger = caller(make_organization(), "admin")
        path = f"/v1/billing-runs/{broken.id}/resume"
        assert problem(stranger.post(path, None, key=unique())) == (403, "forbidden")
        resumed = broken.finance.post(path, None, key=unique())
        assert (resumed.status_code, resumed.json()["failures"]) == (200, 0)
        assert run_customer(broken.id) is True
        assert findings(broken.id) == []
        assert broken.only()["total"] == "1.00"
        assert problem(broken.finance.post(path, None, key=unique())) == (404, "not_found")
        broken.assert_sound()

    def test_ends_when_a_person_resolves_its_finding(self) -> None:
        broken = billed()
        broken.use("1")
        broken.pass_months()
        set_ranges(broken.id, "[[null, {}]]")
        for _ in range(5):
            assert run_customer(broken.id) is False
        set_ranges(broken.id, "[]")
        (finding,) = findings(broken.id)
        path = f"/v1/findings/{finding.id}/resolve"
        assert broken.finance.post(path, {"reason": "It is mended"}, key=unique()).status_code == 200
        claimed = write(claim_customers)
        assert broken.id in claimed
        write(lambda cur: cur.execute("DELETE FROM billing_runs WHERE organization = ANY(%s)", (claimed,)))
        assert run_customer(broken.id) is True
        assert broken.only()["total"] == "1.00"
        broken.assert_sound()

    def test_hands_out_no_more_than_workers_come_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = billed()
        made.use("1")
        made.pass_months()
        out = write(lambda cur: cur.execute(runs.OUT, (runs.CLAIM,)).fetchone()[0])
        monkeypatch.setattr(runs, "MOST_OUT", out)
        assert write(claim_customers) == []
        monkeypatch.setattr(runs, "MOST_OUT", out + 10_000)
        claimed = write(claim_customers)
        assert made.id in claimed
        write(lambda cur: cur.execute("DELETE FROM billing_runs WHERE organization = ANY(%s)", (claimed,)))

    def test_of_one_in_a_job_of_several_keeps_the_others_going(self) -> None:
        broken, sound = billed(), billed()
        for made in (broken, sound):
            made.use("1")
            made.pass_months()
        set_ranges(broken.id, "[[null, {}]]")
        bill_customers(organizations=[str(broken.id), str(sound.id)])
        assert sound.only()["total"] == "1.00"
        assert broken.invoices() == []
        set_ranges(broken.id, "[]")

    def test_is_not_noted_where_there_is_none(self) -> None:
        made = billed()
        assert problem(made.finance.post(f"/v1/billing-runs/{new_id()}/resume", None, key=unique())) == (
            404,
            "not_found",
        )
        assert problem(made.reader.get("/v1/billing-runs")) == (403, "forbidden")


def pages(made: Billed) -> list[dict[str, Any]]:
    """All customers with trouble."""
    found: list[dict[str, Any]] = made.finance.get("/v1/billing-runs", limit="100").json()["data"]
    return found


def test_the_due_job_bills_whoever_is_due() -> None:
    made = billed()
    made.use("1")
    made.pass_months()
    assert run_job(name="billing.run") >= 1
    assert made.only()["status"] == "open"
    assert datetime.fromisoformat(made.only()["created_at"]) > datetime.now(UTC)
    assert balances(made.id)["receivable"] == -100 * CENT
