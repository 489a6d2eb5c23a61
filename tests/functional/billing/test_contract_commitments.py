"""Commitments as usage draws from them: every unit is paid for once, and what is missing at the end."""

import csv
import io
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from billing.operations.revenue.closing import close_books
from billing.queries.contracts import drawn_from, postpaid_commitments
from billing.queries.due import next_boundary
from ledger.operations.books import lock_books
from spend.operations.charging import charge_quantity
from spend.rules.charging import MeteredCharge
from tests.builders.books import balances, rows
from tests.builders.catalog import make_entity
from tests.builders.contracts import (
    PATH,
    acted,
    agreed,
    commitment,
    figures,
    make_postpaid,
    owed,
    owner,
    pass_days,
    receipts,
    report,
    run_contracts,
    use,
)
from tests.builders.gate import Customer, make_customer, units
from tests.builders.orgs import AUTHOR, write
from tests.builders.subscriptions import move_clock, now_of

WINDOW = ("committed", "drawn", "overage", "surcharge", "true_up")
HOUR = timedelta(hours=1)
ENTRIES = "SELECT entry_id, effective_at FROM v_entries WHERE organization = %s"


@pytest.fixture
def customer() -> Customer:
    return make_postpaid()


class TestPostpaid:
    def test_usage_draws_from_it_and_what_is_missing_is_trued_up(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", commitment=commitment("postpaid", "week"))
        assert owed(customer.id) == []  # nothing in advance
        use(customer, "40.004")
        pass_days(customer.id, 8)
        assert owed(customer.id) == []  # what is rated late still draws from it
        pass_days(customer.id, 3)
        # 100.00 less the rounded line of 40.00
        assert owed(customer.id) == [("true_up", "60.00")]
        assert figures(customer.id, made, *WINDOW)[0] == ("100", "40.004", "0", "0", "60")

    def test_what_exceeds_it_is_on_the_line_and_costs_its_factor(self, customer: Customer) -> None:
        over = commitment("postpaid", "month", overage={"factor": "1.5"})
        made = agreed(customer.id, "100", commitment=over)
        use(customer, "70")
        use(customer, "50")  # 30 of it are committed
        assert receipts(customer.id) == {"commitment": units("100"), "postpaid": units("20")}
        pass_days(customer.id, 35)
        assert owed(customer.id) == [("overage", "10.00")]
        assert figures(customer.id, made, *WINDOW)[0] == ("100", "100", "20", "10", "0")
        (item,) = rows("SELECT steps FROM invoice_items WHERE organization = %s", customer.id)
        assert [step["words"] for step in item[0]] == [
            "20 x 1.5 = 30",
            "30 - 20 at contract prices = 10",
        ]

    def test_overage_may_have_a_rate_per_unit(self, customer: Customer) -> None:
        over = commitment("postpaid", "month", overage={"rate": "0.5", "unit": "calls"})
        agreed(customer.id, "10", commitment=over)
        use(customer, "15")  # a third of the call exceeds it
        use(customer, "5")
        pass_days(customer.id, 35)
        # 1 1/3 calls at 0.50 instead of 10.00
        assert owed(customer.id) == [("overage", "-9.33")]

    def test_a_good_window_does_not_help_a_bad_one(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", days=62, commitment=commitment("postpaid", "month"))
        use(customer, "150")
        pass_days(customer.id, 70)
        assert figures(customer.id, made, *WINDOW)[0][1:] == ("100", "50", "0", "0")
        assert owed(customer.id)[0] == ("true_up", "100.00")

    def test_late_charges_of_a_window_draw_from_it_until_it_is_settled(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", commitment=commitment("postpaid", "week"))
        start = now_of(customer.id)
        pass_days(customer.id, 8)
        metered = MeteredCharge(
            "billing", "calls-1", units("30"), "USD", "api_calls", "calls", start, start + 5 * 24 * HOUR
        )
        write(lambda cur: charge_quantity(cur, organization=customer.id, charge=metered, author=AUTHOR))
        pass_days(customer.id, 3)
        assert figures(customer.id, made, *WINDOW)[0] == ("100", "30", "0", "0", "70")

    def test_a_charge_after_the_settlement_is_on_the_line_once(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", commitment=commitment("postpaid", "week"))
        start = now_of(customer.id)
        pass_days(customer.id, 11)
        metered = MeteredCharge(
            "billing", "calls-1", units("30"), "USD", "api_calls", "calls", start, start + 5 * 24 * HOUR
        )
        write(lambda cur: charge_quantity(cur, organization=customer.id, charge=metered, author=AUTHOR))
        assert receipts(customer.id) == {"postpaid": units("30")}
        assert owed(customer.id) == [("true_up", "100.00")]
        assert figures(customer.id, made, *WINDOW)[0] == ("100", "0", "0", "0", "100")

    def test_what_is_rated_after_a_termination_counts_against_the_true_up(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", days=300, commitment=commitment("postpaid", "segment"))
        start = now_of(customer.id)
        pass_days(customer.id, 6)
        acted(made, "terminate", {"commitment": "full"})
        metered = MeteredCharge(
            "billing", "calls-1", units("30"), "USD", "api_calls", "calls", start, start + 5 * 24 * HOUR
        )
        write(lambda cur: charge_quantity(cur, organization=customer.id, charge=metered, author=AUTHOR))
        pass_days(customer.id, 4)
        assert receipts(customer.id) == {"postpaid": units("30")}
        assert owed(customer.id) == [("true_up", "70.00")]

    def test_the_books_close_when_all_is_invoiced(self, customer: Customer) -> None:
        agreed(customer.id, "100", days=30, commitment=commitment("postpaid", "segment"))
        use(customer, "40.004")
        pass_days(customer.id, 36)
        found = balances(customer.id)
        items = units("60")
        # the item of the true-up and the line of 40.00 (exactly 40.004) turn deferred revenue into a receivable
        assert found["deferred_revenue"] + items + units("40") == 0
        assert "customer_credit" not in found
        assert found["revenue"] + found["breakage"] + found["rounding"] == units("100")

    def test_without_true_up_nothing_is_owed_for_what_was_not_used(self, customer: Customer) -> None:
        agreed(customer.id, "100", days=30, commitment=commitment("postpaid", "segment", true_up=False))
        use(customer, "40")
        pass_days(customer.id, 36)
        assert owed(customer.id) == []
        found = balances(customer.id)
        assert (found["revenue"], found["deferred_revenue"]) == (units("40"), -units("40"))
        assert "breakage" not in found and "customer_credit" not in found


class TestTheInvoicesSide:
    def test_knows_which_grants_are_still_to_pay_and_what_was_drawn(self, customer: Customer) -> None:
        made = agreed(customer.id, "1", commitment=commitment("postpaid", "month"))
        for _ in range(3):
            use(customer, "0.004")
        found = write(lambda cur: postpaid_commitments(cur, customer.id))
        ((grant, of),) = found.items()
        assert (str(of.contract), of.window, of.repaid) == (made["id"], 1, 0)
        condition = {
            "condition": "x.organization = %(organization)s",
            "values": {"organization": customer.id},
        }
        drawn = write(lambda cur: drawn_from(cur, grants=found, **condition))  # type: ignore[arg-type]
        assert drawn == {grant: 1_200_000}

    def test_a_prepaid_commitment_is_paid_already(self, customer: Customer) -> None:
        agreed(customer.id, "100", commitment=commitment("prepaid", "month"))
        assert write(lambda cur: postpaid_commitments(cur, customer.id)) == {}

    def test_debt_that_a_commitment_repays_is_owed_once(self) -> None:
        customer = make_customer("1")
        use(customer, "3.005")  # after the fact: 2.005 are debt
        agreed(customer.id, "100", commitment=commitment("postpaid", "month"))
        assert owed(customer.id) == [("commitment", "2.01")]
        pass_days(customer.id, 35)
        assert owed(customer.id)[1] == ("true_up", "97.99")


class TestPrepaid:
    def test_is_invoiced_at_the_start_and_burnt_before_credit(self) -> None:
        customer = make_customer("10")
        made = agreed(customer.id, "100", days=30, commitment=commitment("prepaid", "segment"))
        assert owed(customer.id) == [("commitment", "100.00")]
        use(customer, "104")
        assert receipts(customer.id) == {"commitment": units("100"), "credit": units("4")}
        assert figures(customer.id, made, "drawn", "remaining") == [("100", "0")]

    def test_what_is_left_is_breakage(self, customer: Customer) -> None:
        agreed(customer.id, "100", days=30, commitment=commitment("prepaid", "segment"))
        use(customer, "30")
        pass_days(customer.id, 36)
        found = balances(customer.id)
        assert (found["breakage"], found["revenue"]) == (units("70"), units("30"))
        assert owed(customer.id) == [("commitment", "100.00")]

    @pytest.mark.parametrize(("case", "opening"), [("M11", "1200")])
    def test_rolls_over_into_the_next_window_at_once(
        self, customer: Customer, case: str, opening: str
    ) -> None:
        rolling = commitment("prepaid", "month", rollover=True)
        made = agreed(customer.id, "1000", days=365, commitment=rolling)
        use(customer, "800")
        pass_days(customer.id, 31)
        assert owner(customer.id).get("/v1/balance").json()["available"] == opening
        pass_days(customer.id, 3)
        assert figures(customer.id, made, "rolled_over", "rolled_in")[:2] == [("200", "0"), ("0", "200")]

    def test_rolls_over_no_more_than_its_cap(self, customer: Customer) -> None:
        rolling = commitment("prepaid", "month", rollover=True, rollover_cap="150")
        made = agreed(customer.id, "1000", days=365, commitment=rolling)
        use(customer, "800")
        pass_days(customer.id, 31)
        use(customer, "30")  # of the first window's
        pass_days(customer.id, 4)
        assert figures(customer.id, made, "rolled_over")[0] == ("150",)
        # 150 rolled over, of which 30 were used
        assert owner(customer.id).get("/v1/balance").json()["available"] == "1120"
        assert balances(customer.id)["breakage"] == units("50")

    def test_a_stub_of_the_calendar_is_committed_by_days(self, customer: Customer) -> None:
        agreed(customer.id, "365", commitment=commitment("prepaid", "year", alignment="calendar"), days=730)
        today = now_of(customer.id).date()
        rest = (today.replace(year=today.year + 1, month=1, day=1) - today).days
        whole = 366 if today.year % 4 == 0 else 365
        ((kind, amount),) = owed(customer.id)
        assert (kind, amount) == ("commitment", f"{round(36500 * rest / whole) / 100:.2f}")


class TestAMinimum:
    def test_lifts_fees_and_use_of_a_window(self, customer: Customer) -> None:
        fee = {"key": "base", "name": "Base", "amount": "10", "interval": {"unit": "week", "count": 5}}
        minimum = commitment("minimum", "segment")
        made = agreed(customer.id, "100", days=35, commitment=minimum, fees=[fee])
        use(customer, "25")
        pass_days(customer.id, 39)
        assert owed(customer.id)[-1] == ("minimum", "65.00")
        assert figures(customer.id, made, "committed", "true_up") == [("100", "65")]

    def test_owes_nothing_above_it(self, customer: Customer) -> None:
        agreed(customer.id, "100", days=30, commitment=commitment("minimum", "segment"))
        use(customer, "125")
        pass_days(customer.id, 35)
        assert owed(customer.id) == []


class TestFees:
    def test_come_in_advance_and_in_arrears(self, customer: Customer) -> None:
        month: dict[str, Any] = {"interval": {"unit": "week"}, "amount": "7"}
        fees = [
            {"key": "a", "name": "Ahead", **month},
            {"key": "b", "name": "After", "timing": "arrears", **month},
        ]
        agreed(customer.id, days=10, fees=fees)
        assert owed(customer.id) == [("recurring", "7.00")]
        pass_days(customer.id, 7)
        assert owed(customer.id)[1:] == [("recurring", "7.00"), ("recurring", "3.00")]  # a week, the rest
        pass_days(customer.id, 4)
        assert owed(customer.id)[3:] == [("recurring", "3.00")]


class TestStandstill:
    def test_after_it_everything_has_the_date_it_would_have_had(self) -> None:
        slow, fast = make_postpaid(), make_postpaid()
        given = {"commitment": commitment("postpaid", "week", overage={"factor": "2"}), "days": 28}
        fee = {"key": "a", "name": "Fee", "amount": "5", "interval": {"unit": "week"}}
        for one in (slow, fast):
            agreed(one.id, "10", fees=[fee], **given)
            use(one, "4")
        for _ in range(13):
            pass_days(fast.id, 3)
        move_clock(slow.id, timedelta(days=39))
        run_contracts(slow.id)
        day = (
            "SELECT kind, amount, (due_at AT TIME ZONE 'UTC')::date, service_start, service_end FROM invoice_items "
            "WHERE organization = %s ORDER BY due_at, kind, service_start"
        )
        assert rows(day, slow.id) == rows(day, fast.id)
        assert len(rows(day, slow.id)) == 8
        run_contracts(slow.id)
        assert len(rows(day, slow.id)) == 8
        assert write(lambda cur: next_boundary(cur, slow.id)) is None

    def test_the_next_boundary_is_the_contracts_too(self, customer: Customer) -> None:
        made = agreed(customer.id, "10", commitment=commitment("postpaid", "month"))
        found = write(lambda cur: next_boundary(cur, customer.id))
        assert found is not None
        assert made["next_at"] == found.isoformat().replace("+00:00", "Z")


class TestTheReport:
    def test_says_what_is_drawn_left_and_when_it_will_be_used_up(self, customer: Customer) -> None:
        made = agreed(customer.id, "1000", commitment=commitment("prepaid", "segment"))
        assert report(customer.id, made)["forecast"] is None  # no whole day to go by
        for _ in range(10):
            use(customer, "10")
            pass_days(customer.id, 1)
        found = report(customer.id, made)
        (window,) = found["windows"]
        assert (window["state"], window["drawn"], window["remaining"]) == ("running", "100", "900")
        forecast = found["forecast"]
        assert forecast["rates"] == [{"days": 7, "per_day": "10"}]
        assert forecast["lasts"] is False
        assert forecast["earliest"] <= forecast["on"] <= forecast["latest"] < forecast["window_end"]

    def test_comes_as_csv(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", commitment=commitment("postpaid", "month"))
        use(customer, "40")
        answer = owner(customer.id).get(f"{PATH}/{made['id']}/drawdown.csv")
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
        assert (row["contract"], row["committed"], row["drawn"], row["remaining"]) == (
            made["id"], "100", "40", "60",
        )  # fmt: skip

    def test_nothing_is_lost_between_windows(self, customer: Customer) -> None:
        made = agreed(customer.id, "50", commitment=commitment("postpaid", "week"), days=30)
        for number in range(10):
            use(customer, f"{5 + number * 3}.37")
            pass_days(customer.id, 3)
        pass_days(customer.id, 4)
        shown = figures(customer.id, made, "drawn", "overage")
        total = sum(units(drawn) + units(over) for drawn, over in shown)
        assert total == sum(receipts(customer.id).values())

    def test_a_terminated_contract_keeps_its_report(self, customer: Customer) -> None:
        made = agreed(customer.id, "100", commitment=commitment("postpaid", "month"))
        use(customer, "5")
        acted(made, "terminate", {"commitment": "waive"})
        pass_days(customer.id, 4)
        (window,) = report(customer.id, made)["windows"]
        assert (window["state"], window["drawn"], window["true_up"]) == ("settled", "5", "0")


class TestABoundaryThatIsPassedLate:
    def test_posts_nothing_into_a_month_that_was_closed_meanwhile(self, customer: Customer) -> None:
        agreed(customer.id, "100", commitment=commitment("prepaid", "week"))
        begun = now_of(customer.id)
        move_clock(customer.id, timedelta(days=70))  # nobody passes a boundary
        month = (begun.replace(day=1) + timedelta(days=32)).date().replace(day=1)
        entity = make_entity().id
        assert write(
            partial(close_books, organization=customer.id, entity=entity, month=month, author=AUTHOR)
        )
        ended = write(lambda cur: lock_books(cur, customer.id)).closed_until
        before = {row[0] for row in rows(ENTRIES, customer.id)}
        run_contracts(customer.id)
        late = [at for entry, at in rows(ENTRIES, customer.id) if entry not in before]
        assert late and all(at >= ended for at in late)
