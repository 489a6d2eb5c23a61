"""MRR and its movements, from what customers do to what the platform reads (S106)."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from billing.operations.subscriptions.ending import mark_past_due
from billing.rules.months import month_text, next_month
from payouts.queries.metrics.asked import month_start
from tests.builders.catalog import make_coupon
from tests.builders.contracts import act as act_on_contract
from tests.builders.contracts import agreed, make_postpaid, run_contracts
from tests.builders.gate import make_customer
from tests.builders.metrics import broken, metric, moved, only
from tests.builders.orgs import AUTHOR, unique, write
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import acted, move_clock, now_of, owner, run_boundaries, sell, subscribe

DAY = timedelta(days=1)
YEAR = {"unit": "year", "count": 1}


def at_month_start() -> tuple[Any, Any, datetime]:
    """A customer whose clock stands an hour into a month, what decides for it, and that month's first instant."""
    made = make_customer("0", funding="postpaid", credit_limit=None)
    start = month_start(next_month(now_of(made.id).date().replace(day=1)))
    move_clock(made.id, start - now_of(made.id) + timedelta(hours=1))
    return made, owner(made.id), start


def pass_to(organization: Any, moment: datetime) -> None:
    """Let the clock come to a moment, and do what is due."""
    move_clock(organization, moment - now_of(organization))
    run_boundaries(organization)


class TestMrr:
    def test_counts_recurring_fees_net_of_discounts_and_nothing_else(self) -> None:
        made, who, _ = at_month_start()
        code = make_coupon(percent="10", duration="forever").code
        plan = sell(
            fee("1200"), seats("120"), metered(meter=unique("meter")), fee("99", key="setup", kind="one_time"),
            interval=YEAR,
        )  # fmt: skip
        subscribe(who, plan, quantities={"seats": 5}, coupons=[code])
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["arr"], shown["arpa"]) == ("135", "1620", "135")
        assert (shown["customers"], shown["sources"], shown["committed_mrr"]) == (1, 1, "135")

    def test_counts_a_trial_apart_until_it_is_over(self) -> None:
        made, who, start = at_month_start()
        subscribe(who, sell(fee("30"), trial_days=14))
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["trial_mrr"], shown["trials"], shown["customers"]) == ("0", "30", 1, 0)
        assert shown["committed_mrr"] == "0"
        pass_to(made.id, start + 20 * DAY)
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["trial_mrr"], shown["committed_mrr"]) == ("30", "0", "30")
        assert [kind for _, kind, _ in moved(made.id)] == ["new"]

    def test_is_nothing_in_a_pause_and_comes_back_after_it(self) -> None:
        made, who, start = at_month_start()
        held = subscribe(who, sell(fee("30")))
        pass_to(made.id, start + 5 * DAY)
        acted(who, held, "pause")
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["paused"]) == ("0", 1)
        pass_to(made.id, start + 9 * DAY)
        acted(who, held, "resume")
        assert [(kind, cents) for _, kind, cents in moved(made.id)] == [
            ("new", 3_000), ("churn", -3_000), ("reactivation", 3_000),
        ]  # fmt: skip

    def test_counts_what_is_past_due_and_says_how_much_that_is(self) -> None:

        made, who, _ = at_month_start()
        held = subscribe(who, sell(fee("30")))
        write(lambda cur: mark_past_due(cur, made.id, UUID(held["id"]), author=AUTHOR))
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["past_due_mrr"]) == ("30", "30")

    def test_knows_what_is_arranged_before_it_happens(self) -> None:
        made, who, start = at_month_start()
        held = subscribe(who, sell(fee("30")))
        other = sell(fee("50"))
        acted(who, held, "change", {"plan": other.plan_key, "mode": "next_period"})
        later = (start + 40 * DAY).isoformat()
        subscribe(who, sell(fee("7")), start_at=later)
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["committed_mrr"]) == ("30", "57")
        pass_to(made.id, start + 2 * DAY)
        acted(who, held, "cancel")
        assert only("mrr", made.id)["committed_mrr"] == "7"
        before = start + 1 * DAY
        assert only("mrr", made.id, as_of=before.isoformat())["committed_mrr"] == "57"


class TestMovements:
    def test_are_of_five_kinds_and_lead_from_month_to_month(self) -> None:
        made, who, start = at_month_start()
        first = subscribe(who, sell(seats("10"), downgrade="invoice"), quantities={"seats": 3})
        pass_to(made.id, start + 2 * DAY)
        second = subscribe(who, sell(fee("20")))
        pass_to(made.id, start + 3 * DAY)
        acted(who, first, "quantity", {"quantities": {"seats": 1}, "mode": "invoice"})
        pass_to(made.id, start + 4 * DAY)
        acted(who, second, "cancel", {"when": "now"})
        pass_to(made.id, start + 5 * DAY)
        acted(who, first, "cancel", {"when": "period_end"})
        pass_to(made.id, start + 40 * DAY)
        subscribe(who, sell(fee("8")))
        kinds = [(kind, cents) for _, kind, cents in moved(made.id)]
        assert kinds == [
            ("new", 3_000), ("expansion", 2_000), ("contraction", -2_000), ("contraction", -2_000),
            ("churn", -1_000), ("reactivation", 800),
        ]  # fmt: skip
        months = metric("movements", made.id, **{"from": month_text(start.date())})
        assert [(row["start"], row["end"]) for row in months] == [("0", "10"), ("10", "8")]
        assert (months[0]["new"], months[0]["contraction"], months[1]["churn"]) == ("30", "40", "10")
        assert [row["customers_end"] for row in months] == [1, 1]
        assert (months[1]["customers_churned"], months[1]["customers_reactivated"]) == (1, 1)
        assert broken(made.id) == []

    def test_of_a_past_date_stay_when_later_facts_arrive(self) -> None:
        made, who, start = at_month_start()
        held = subscribe(who, sell(fee("30")))
        pass_to(made.id, start + 10 * DAY)
        then = now_of(made.id)
        before = moved(made.id, then), only("mrr", made.id, as_of=then.isoformat())
        acted(who, held, "cancel", {"when": "now"})
        pass_to(made.id, start + 20 * DAY)
        subscribe(who, sell(fee("99")))
        agreed(made.id, "500", days=400)
        assert (moved(made.id, then), only("mrr", made.id, as_of=then.isoformat())) == before
        assert only("mrr", made.id)["mrr"] != before[1]["mrr"]

    def test_of_a_past_date_change_when_a_fact_is_dated_before_it(self) -> None:
        """A contract may begin before it is activated: then what came after it was no first purchase."""
        made, who, start = at_month_start()
        subscribe(who, sell(fee("30")))
        pass_to(made.id, start + 10 * DAY)
        then = now_of(made.id)
        assert [kind for _, kind, _ in moved(made.id, then)] == ["new"]
        agreed(made.id, "500", offset=-20, days=400)
        run_contracts(made.id)
        assert [(kind, cents) for _, kind, cents in moved(made.id, then)] == [
            ("new", 50_000), ("expansion", 3_000),
        ]  # fmt: skip
        assert only("mrr", made.id, as_of=then.isoformat())["mrr"] == "530"
        assert broken(made.id) == []


class TestAContract:
    @pytest.mark.parametrize(
        ("given", "mrr"),
        [
            pytest.param({"commitment": {"kind": "prepaid", "window": "month"}}, "1100", id="prepaid"),
            pytest.param(
                {"commitment": {"kind": "postpaid", "window": "quarter"}}, "433.33333333", id="quarter"
            ),
            pytest.param({"commitment": {"kind": "minimum", "window": "month"}}, "1000", id="minimum"),
            pytest.param(
                {"commitment": {"kind": "postpaid", "window": "month", "true_up": False}},
                "100",
                id="no-true-up",
            ),
        ],
    )
    def test_comes_to_its_fees_and_what_it_commits_to(self, given: dict[str, Any], mrr: str) -> None:
        made = make_postpaid()
        support = {"key": "support", "name": "Support", "amount": "1200", "interval": {"unit": "year"}}
        agreed(made.id, "1000", fees=[support], **given)
        assert only("mrr", made.id)["mrr"] == mrr

    def test_grows_with_its_ramp_and_ends_when_it_is_terminated(self) -> None:
        made = make_postpaid()
        start = now_of(made.id).date()
        step = start + 60 * DAY
        held = agreed(made.id, "100", str(step), "250", days=365)
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["committed_mrr"]) == ("100", "250")
        move_clock(made.id, 70 * DAY)
        assert only("mrr", made.id)["mrr"] == "250"
        act_on_contract(held, "terminate", {"reason": "They left.", "commitment": "waive"})
        shown = only("mrr", made.id)
        assert (shown["mrr"], shown["committed_mrr"], shown["customers"]) == ("0", "0", 0)
        found = moved(made.id)
        assert [(kind, cents) for _, kind, cents in found] == [
            ("new", 10_000), ("expansion", 15_000), ("churn", -25_000),
        ]  # fmt: skip
        assert found[1][0] == str(step)
        assert broken(made.id) == []
