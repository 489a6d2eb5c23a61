"""What a reservation answers and holds (S29, S36, S20, S22)."""

from typing import Any

import pytest

from tests.builders.gate import Customer, body_of, make_customer, make_model, reserve_body
from tests.builders.orgs import (
    caller,
    make_agent,
    make_connection,
    make_key,
    make_team,
    make_workflow,
    unique,
    write,
)
from tests.invariants import Still, assert_sound, reading


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


class TestAnAcceptedReservation:
    def test_answers_with_the_hold_and_every_layer(self) -> None:
        customer = make_customer("100")
        wide = customer.budget("50", window="month")
        narrow = customer.budget("5", scope="agent")
        shown = customer.reserved("0.25", ttl_seconds=60)
        assert shown["budgets"] == [
            {
                "id": str(budget.id),
                "scope": scope,
                "target": target,
                "window": window,
                "unit": "USD",
                "limit": limit,
                "spent": "0",
                "held": "0.25",
                "remaining": rest,
                "resets_at": shown["budgets"][place]["resets_at"],
            }
            for place, (budget, scope, target, window, limit, rest) in enumerate(
                [
                    (narrow, "agent", "bot", "day", "5", "4.75"),
                    (wide, "organization", None, "month", "50", "49.75"),
                ]
            )
        ]
        del shown["budgets"]
        ids = {"id": shown["id"], "expires_at": shown["expires_at"]}
        assert shown == {
            **ids,
            "decision": "allow",
            "status": "active",
            "held": "0.25",
            "currency": "USD",
            "estimated_cost": "0.25",
            "price_version": None,
            "remaining_ttl_ms": 60_000,
            "caps": {},
            "credit": {"available": "99.75", "held": "0.25"},
            "warnings": [],
        }
        assert customer.available() == "99.75"
        assert_sound(customer.id, within_limits=True)

    def test_lives_fifteen_minutes_unless_it_says_otherwise(self) -> None:
        assert make_customer().reserved()["remaining_ttl_ms"] == 900_000

    def test_is_priced_from_the_book(self) -> None:
        customer, model = make_customer(), make_model()
        shown = customer.reserved(
            None,
            estimate={"input_tokens": 1_800, "max_output_tokens": 900},
            action={"kind": "llm.chat", "provider": "acme", "model": model},
        )
        assert (shown["held"], shown["estimated_cost"]) == ("0.0108", "0.0108")
        assert shown["price_version"] is not None

    def test_adds_the_parts_of_its_estimate_up(self) -> None:
        customer, model = make_customer(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        estimate = {"input_tokens": 1_000_000, "max_output_tokens": 100_000, "amount": "0.5"}
        assert customer.reserved(None, estimate=estimate, action=action)["held"] == "2.5"

    def test_without_an_estimate_takes_the_models_maximum(self) -> None:
        customer = make_customer()
        model = make_model(context_window=1_000_000, max_output_tokens=100_000)
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        assert customer.reserved(None, action=action)["held"] == "2"

    def test_without_an_estimate_takes_the_most_of_its_history(self) -> None:
        customer, model = make_customer(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        for tokens in (10, 20, 50, 30, 40):
            held = customer.reserved("1", action=action)
            customer.commit(held["id"], usage={"input_tokens": 0, "output_tokens": tokens * 1000})
        assert customer.reserved(None, action=action)["held"] == "0.5"

    def test_of_an_own_key_holds_no_credit(self) -> None:
        customer, model = make_customer("0"), make_model()
        make_connection(customer.id, "ours", "Ours", "own_key")
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        subject = {"connection": "ours"}
        held = customer.reserved(None, subject=subject, action=action, estimate={"input_tokens": 10**6})
        assert (held["held"], held["estimated_cost"]) == ("0", "1")
        done = body_of(customer.commit(held["id"], usage={"input_tokens": 10**6}), 200)
        assert (done["charged"], done["cost"]) == ("0", "1")
        assert_sound(customer.id)

    def test_warns_of_a_notice_level_that_it_reaches(self) -> None:
        customer = make_customer()
        budget = customer.budget("10")
        assert customer.reserved("4.99")["warnings"] == []
        assert customer.reserved("0.01")["warnings"] == [
            {"code": "threshold_reached", "budget_id": str(budget.id), "percent": 50}
        ]

    def test_leaves_a_decision(self) -> None:
        customer = make_customer()
        customer.reserved("1", subject={"run": "r"})
        with reading() as connection:
            rows = connection.execute(
                "SELECT run, agent, answer, code, count, requested FROM v_decisions WHERE organization = %s",
                (customer.id,),
            ).fetchall()
        assert rows == [("r", "bot", "allow", None, 1, 10**8)]


class TestALimit:
    @pytest.mark.parametrize(
        "scope", ["organization", "agent", "team", "workflow", "connection", "run", "user"]
    )
    def test_is_met_exactly_and_not_passed_by_the_smallest_unit(self, scope: str) -> None:
        customer = whole_house()
        customer.budget("1", scope=scope)
        with Still(customer.id, decisions=1):
            refused = customer.reserve("1.00000001", subject=EVERYTHING)
            assert code(refused) == (402, "too_large")
        held = customer.reserved("1", subject=EVERYTHING)
        assert held["budgets"][0]["remaining"] == "0"
        assert held["budgets"][0]["scope"] == scope
        with Still(customer.id, decisions=1):
            refused = customer.reserve("0.00000001", subject=EVERYTHING)
            assert code(refused) == (409, "budget_busy")
        customer.commit(held["id"], "1")
        spent = "run_ceiling_reached" if scope == "run" else "budget_exhausted"
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("0.00000001", subject=EVERYTHING)) == (402, spent)
        assert_sound(customer.id, within_limits=True)

    @pytest.mark.parametrize("window", ["hour", "day", "week", "month", "quarter", "year", "billing_cycle"])
    def test_is_whole_again_in_the_next_window(self, window: str) -> None:
        customer = make_customer(time_zone="Europe/Berlin")
        customer.budget("1", window=window)
        held = customer.reserved("1", ttl_seconds=86_400)
        assert code(customer.reserve("1")) == (409, "budget_busy")
        days = {"hour": 0, "day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366, "billing_cycle": 31}
        customer.pass_time(days=days[window], hours=window == "hour")
        assert customer.reserved("1")["budgets"][0]["remaining"] == "0"
        done = body_of(customer.commit(held["id"], "1"), 200)  # belongs to the first window
        assert done["charged"] == "1"
        assert code(customer.reserve("1")) == (409, "budget_busy")
        assert_sound(customer.id, within_limits=True)

    @pytest.mark.parametrize("window", ["run", "lifetime"])
    def test_that_never_resets_stays(self, window: str) -> None:
        customer = make_customer()
        customer.budget("1", scope="run", window=window)
        customer.commit(customer.reserved("1", subject={"run": "r"})["id"], "1")
        customer.pass_time(days=3_600)
        assert code(customer.reserve("1", subject={"run": "r"})) == (402, "run_ceiling_reached")
        assert customer.reserved("1", subject={"run": "s"})["budgets"][0]["target"] == "s"

    def test_of_a_rolling_window_frees_what_is_wholly_outside(self) -> None:
        customer = make_customer()
        customer.budget("1", window="rolling", rolling_seconds=3_600)
        customer.commit(customer.reserved("0.6")["id"], "0.6")
        customer.pass_time(minutes=30)
        customer.commit(customer.reserved("0.4")["id"], "0.4")
        assert code(customer.reserve("0.1")) == (402, "budget_exhausted")
        customer.pass_time(minutes=29)  # 59 minutes: the first bucket counts
        assert code(customer.reserve("0.1")) == (402, "budget_exhausted")
        customer.pass_time(minutes=2)  # 61 minutes: its bucket of a minute is wholly outside
        assert customer.reserved("0.6")["budgets"][0]["remaining"] == "0"
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")
        assert_sound(customer.id)

    @pytest.mark.parametrize(
        ("unit", "part", "amounts"),
        [
            ("TOKENS", "input_tokens", (600, 400, 1)),
            ("CREDITS", "credits", (600, 400, 1)),
            ("RISK_POINTS", "risk_points", (600, 400, 1)),
        ],
    )
    def test_counts_other_units_than_money(self, unit: str, part: str, amounts: tuple[int, int, int]) -> None:
        customer = make_customer()
        model = make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        customer.budget("1000", unit=unit)
        first, second, over = amounts
        for amount in (first, second):
            held = customer.reserved(None, estimate={part: amount}, action=action)
            used = {"usage": {part: amount}} if unit == "TOKENS" else {part: amount}
            body_of(customer.commit(held["id"], **used), 200)
        refused = customer.reserve(None, estimate={part: over}, action=action)
        assert code(refused) == (402, "budget_exhausted")
        binding = refused.json()["binding"]
        shown = {name: binding[name] for name in ("limit", "spent", "held", "requested", "remaining", "unit")}
        assert shown == {
            "limit": "1000", "spent": "1000", "held": "0", "requested": "1", "remaining": "0", "unit": unit,
        }  # fmt: skip

    def test_of_cost_counts_what_the_provider_takes(self) -> None:
        customer = make_customer("0")
        model = make_model()
        make_connection(customer.id, "ours", "Ours", "own_key")
        customer.budget("1", measure="cost")
        subject, action = {"connection": "ours"}, {"kind": "llm.chat", "provider": "acme", "model": model}
        customer.reserved(None, subject=subject, action=action, estimate={"input_tokens": 10**6})
        refused = customer.reserve(None, subject=subject, action=action, estimate={"input_tokens": 1})
        assert code(refused) == (409, "budget_busy")

    def test_with_an_overdraft_lets_that_much_more_pass(self) -> None:
        customer = make_customer()
        customer.budget("1", overdraft="0.5")
        assert code(customer.reserve("1.50000001")) == (402, "too_large")
        customer.reserved("1.5")
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")

    def test_that_blocks_below_the_whole_is_judged_with_the_estimate(self) -> None:
        from spend.rules.budgets import Threshold

        customer = make_customer()
        customer.budget("10", thresholds=(Threshold("block", 80),))
        assert code(customer.reserve("8.00000001")) == (402, "budget_exhausted")
        customer.reserved("8")
        assert code(customer.reserve("0.00000001")) == (409, "budget_busy")

    def test_that_is_off_lets_everything_pass(self) -> None:
        customer = make_customer()
        customer.budget("1", mode="off")
        assert customer.reserved("2")["budgets"] == []

    def test_that_is_lowered_or_raised_holds_at_the_next_decision(self) -> None:
        customer = make_customer()
        budget = customer.budget("10")
        customer.commit(customer.reserved("4")["id"], "4")
        customer.change_budget(budget, limit="3")  # B118: nothing is released or lost
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        customer.change_budget(budget, limit="5")
        assert customer.reserved("1")["budgets"][0]["spent"] == "4"

    def test_of_one_target_leaves_others_alone(self) -> None:
        customer = make_customer(agents=("bot", "crawler"))
        customer.budget("1", scope="agent", target="bot")
        assert code(customer.reserve("2")) == (402, "too_large")
        assert customer.reserved("2", subject={"agent": "crawler"})["budgets"] == []

    def test_without_a_target_is_each_ones_own(self) -> None:
        customer = make_customer(agents=("bot", "crawler"))
        customer.budget("1", scope="agent")
        customer.reserved("1")
        assert customer.reserved("1", subject={"agent": "crawler"})["budgets"][0]["target"] == "crawler"


EVERYTHING = {
    "workflow": "weekly",
    "connection": "main",
    "run": "run-1",
    "user": "u-7",
}


def whole_house(credit: str = "100") -> Customer:
    """A customer whose bot is in a team and has a workflow and a connection."""
    customer = make_customer(credit, agents=())
    make_team(customer.id)
    make_agent(customer.id, "bot", "Bot", team="research")
    make_workflow(customer.id)
    make_connection(customer.id)
    return customer


class TestADenial:
    def test_names_the_narrowest_layer_and_all_others(self) -> None:
        customer = whole_house("1")
        for scope in ("organization", "team", "agent", "workflow", "connection", "user", "run"):
            customer.budget("1", scope=scope)
        customer.commit(customer.reserved("1", subject=EVERYTHING)["id"], "1")
        with Still(customer.id, decisions=1):
            refused = customer.reserve("0.5", subject=EVERYTHING)
        assert code(refused) == (402, "run_ceiling_reached")
        body = refused.json()
        binding = body["binding"]
        assert {name: binding[name] for name in binding if name != "budget_id"} == {
            "scope": "run",
            "target": "run-1",
            "limit": "1",
            "spent": "1",
            "held": "0",
            "requested": "0.5",
            "remaining": "0",
            "unit": "USD",
            "resets_at": binding["resets_at"],
        }
        assert [(layer["code"], layer["scope"], layer["target"]) for layer in body["also_failing"]] == [
            ("budget_exhausted", "user", "u-7"),
            ("budget_exhausted", "agent", "bot"),
            ("budget_exhausted", "workflow", "weekly"),
            ("budget_exhausted", "connection", "main"),
            ("budget_exhausted", "team", "research"),
            ("budget_exhausted", "organization", None),
            ("credit_exhausted", "credit", None),
        ]
        assert body["retryable"] is False

    def test_for_good_binds_before_one_that_may_pass(self) -> None:
        customer = make_customer()
        customer.budget("1", scope="agent")
        customer.budget("2", window="month")
        customer.commit(customer.reserved("0.9")["id"], "0.9")
        customer.reserved("0.1")
        refused = customer.reserve("2")  # agent: too large; organization: exhausted
        assert code(refused) == (402, "too_large")
        customer.change_budget(customer.budget("1", window="week"), limit="1")
        both = customer.reserve("0.1")
        assert code(both) == (409, "budget_busy")
        assert [layer["code"] for layer in both.json()["also_failing"]] == []

    def test_for_held_money_only_says_when_to_come_back(self) -> None:
        customer = make_customer("1")
        customer.reserved("1")
        refused = customer.reserve("0.4")
        assert code(refused) == (409, "budget_busy")
        assert refused.headers["Retry-After"] == "1"
        body = refused.json()
        assert (body["retryable"], body["retry_after"]) == (True, 1)
        assert {
            name: body["binding"][name] for name in ("scope", "target", "limit", "held", "requested")
        } == {
            "scope": "credit",
            "target": None,
            "limit": "1",
            "held": "1",
            "requested": "0.4",
        }

    def test_for_missing_credit_is_not_to_be_repeated(self) -> None:
        customer = make_customer("1")
        with Still(customer.id, decisions=1):
            refused = customer.reserve("1.00000001")
        assert code(refused) == (402, "credit_exhausted")
        assert "Retry-After" not in refused.headers
        assert customer.reserved("1")["credit"] == {"available": "0", "held": "1"}

    def test_does_not_call_debt_a_hold(self) -> None:
        """Free again after the holds: 5 of credit less 3 of debt."""
        customer = make_customer("10")
        first, _second = customer.reserved("5"), customer.reserved("5")
        assert body_of(customer.commit(first["id"], "8"), 200)["overage"] == "3"
        assert code(customer.reserve("2.00000001")) == (402, "credit_exhausted")
        assert code(customer.reserve("2")) == (409, "budget_busy")
        assert_sound(customer.id)

    def test_by_the_last_layer_leaves_no_hold_on_any(self) -> None:
        customer = make_customer("0.5")
        customer.budget("10", scope="agent")
        customer.budget("10")
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("1")) == (402, "credit_exhausted")

    def test_of_a_run_that_nobody_started_starts_none(self) -> None:
        customer = make_customer("1")
        with Still(customer.id, decisions=1):
            customer.reserve("2", subject={"run": "never"})

    def test_is_judged_anew_under_the_same_key(self) -> None:
        customer = make_customer("1")
        assert code(customer.reserve("2", key="k-1")) == (402, "credit_exhausted")
        customer.grant("5")
        granted = customer.reserve("3", key="k-1")  # and may carry another body
        assert granted.status_code == 201
        assert "Idempotent-Replayed" not in granted.headers

    def test_is_one_decision_each(self) -> None:
        customer = make_customer("1")
        for _ in range(3):
            customer.reserve("2")
        with reading() as connection:
            rows = connection.execute(
                "SELECT answer, code, binding_scope, count, requested FROM v_decisions WHERE organization = %s",
                (customer.id,),
            ).fetchall()
            usage = connection.execute(
                "SELECT outcome, reason, cost, charge FROM v_usage WHERE organization = %s", (customer.id,)
            ).fetchall()
        assert rows == [("deny", "credit_exhausted", "credit", 1, 2 * 10**8)] * 3
        assert usage == [("blocked", "credit_exhausted", 0, 0)] * 3

    @pytest.mark.parametrize(
        ("subjects", "counts"),
        [
            ([{"workflow": "weekly"}, {"workflow": "daily"}, {"workflow": "weekly"}], [1, 2]),
            ([{"connection": "main"}, {"connection": "other"}], [1, 1]),
            ([{"team": "research"}, {"team": "sales"}, {}], [1, 1, 1]),
            ([{}, {}, {}], [3]),
        ],
        ids=["workflow", "connection", "team", "equal"],
    )
    def test_is_counted_with_equal_ones_of_its_batch_only(
        self, subjects: list[dict[str, str]], counts: list[int]
    ) -> None:
        customer = make_customer("1")
        for name in ("research", "sales"):
            make_team(customer.id, name)
        for name in ("weekly", "daily"):
            make_workflow(customer.id, name)
        for name in ("main", "other"):
            make_connection(customer.id, name)
        items = [{**reserve_body("2", subject=subject), "idempotency_key": unique()} for subject in subjects]
        assert customer.api.post("/v1/reservations/batch", {"items": items}).status_code == 200
        with reading() as connection:
            rows = connection.execute(
                "SELECT count FROM v_decisions WHERE organization = %s ORDER BY 1", (customer.id,)
            ).fetchall()
        assert [row[0] for row in rows] == counts


class TestAPostpaidCustomer:
    def test_is_held_to_the_limit_of_its_line(self) -> None:
        customer = make_customer("0", funding="postpaid", credit_limit=10 * 10**8)
        first = customer.reserved("6")
        assert code(customer.reserve("4.00000001")) == (409, "budget_busy")
        customer.commit(first["id"], "6")
        assert code(customer.reserve("4.00000001")) == (402, "credit_exhausted")
        customer.reserved("4")
        assert_sound(customer.id)

    def test_burns_credit_before_the_line(self) -> None:
        customer = make_customer("2", funding="postpaid", credit_limit=10 * 10**8)
        held = customer.reserved("5")
        body_of(customer.commit(held["id"], "4"), 200)
        with reading() as connection:
            posted = dict(
                connection.execute(
                    "SELECT account_kind, posted FROM v_balances WHERE organization = %s AND posted <> 0",
                    (customer.id,),
                ).fetchall()
            )
        assert posted["customer_credit"] == 0 if "customer_credit" in posted else True
        assert (posted["unbilled_receivable"], posted["revenue"]) == (-2 * 10**8, 4 * 10**8)
        assert_sound(customer.id)

    def test_without_a_limit_has_none(self) -> None:
        customer = make_customer("0", funding="postpaid", credit_limit=None)
        customer.reserved("1000000")


class TestGrants:
    def test_are_burnt_promotional_before_paid_and_the_earliest_expiry_first(self) -> None:
        from datetime import timedelta

        customer = make_customer("0")
        paid = customer.grant("1")
        late = customer.grant("1", kind="promotional", lifetime=timedelta(days=20))
        soon = customer.grant("1", kind="promotional", lifetime=timedelta(days=10))
        held = customer.reserved("2.5")
        customer.commit(held["id"], "2.5")
        assert remaining(customer) == {paid: 5 * 10**7}
        assert {late, soon}.isdisjoint(remaining(customer))

    def test_that_expired_are_not_spendable_before_any_sweep(self) -> None:
        from datetime import timedelta

        customer = make_customer("0")
        customer.grant("1", lifetime=timedelta(hours=1))
        customer.pass_time(minutes=59)
        customer.release(customer.reserved("1")["id"])
        customer.pass_time(minutes=1)
        assert code(customer.reserve("0.00000001")) == (402, "credit_exhausted")
        assert customer.available() == "0"

    def test_that_expire_under_a_hold_break_when_it_ends(self) -> None:
        from datetime import timedelta

        customer = make_customer("0")
        customer.grant("3", lifetime=timedelta(hours=1))
        held = customer.reserved("2", ttl_seconds=86_400)
        customer.pass_time(hours=2)
        assert customer.expire_grants() == 1
        assert_sound(customer.id)
        done = body_of(customer.commit(held["id"], "1.5"), 200)
        assert (done["charged"], done["late"]) == ("1.5", False)
        with reading() as connection:
            broken = connection.execute(
                "SELECT posted FROM v_balances WHERE organization = %s AND account_kind = 'breakage'",
                (customer.id,),
            ).fetchone()
        assert broken == (150_000_000,)
        assert remaining(customer) == {}
        assert_sound(customer.id)

    def test_of_a_scope_serve_only_it(self) -> None:
        customer = make_customer("0", agents=())
        bot = make_agent(customer.id, "bot", "Bot")
        make_agent(customer.id, "crawler", "Crawler")
        customer.grant("5", scope="agent", scope_target=bot.id)
        assert code(customer.reserve("1", subject={"agent": "crawler"})) == (402, "credit_exhausted")
        customer.reserved("5")


def remaining(customer: Customer) -> dict[Any, int]:
    with reading() as connection:
        return dict(
            connection.execute(
                "SELECT id, remaining FROM credit_grants WHERE organization = %s AND remaining > 0",
                (customer.id,),
            ).fetchall()
        )


class TestRuns:
    def test_draw_from_their_root(self) -> None:
        customer = make_customer()
        customer.budget("2", scope="run", window="run")
        customer.reserved("1", subject={"run": "root"})
        customer.reserved("0.5", subject={"run": "child", "parent_run": "root"})
        customer.reserved("0.5", subject={"run": "grandchild", "parent_run": "child"})
        refused = customer.reserve("0.1", subject={"run": "another", "parent_run": "grandchild"})
        assert code(refused) == (409, "budget_busy")
        assert refused.json()["binding"]["target"] == "root"
        assert customer.reserved("2", subject={"run": "stranger"})["budgets"][0]["target"] == "stranger"

    def test_that_fan_out_multiply_no_ceiling(self) -> None:
        customer = make_customer()
        customer.budget("1", scope="run", window="run")
        items = [
            {
                **reserve_body("0.1", subject={"run": f"part-{n}", "parent_run": "root"}),
                "idempotency_key": f"p{n}",
            }
            for n in range(20)
        ]
        results = body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert [result["status"] for result in results] == [201] * 10 + [409] * 10
        assert_sound(customer.id, within_limits=True)

    def test_keep_their_parent_when_the_first_call_of_a_batch_is_refused(self) -> None:
        customer = make_customer("1")
        subject = {"run": "child", "parent_run": "root"}
        items = [
            {**reserve_body(amount, subject=subject), "idempotency_key": unique()} for amount in ("5", "0.5")
        ]
        results = body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert [result["status"] for result in results] == [402, 201]
        with reading() as connection:
            rows = connection.execute(
                "SELECT r.key, p.key FROM runs r LEFT JOIN runs p ON p.id = r.root_id WHERE r.organization = %s "
                "ORDER BY 1",
                (customer.id,),
            ).fetchall()
        assert rows == [("child", "root"), ("root", "root")]


class TestWhoMayCall:
    @pytest.mark.parametrize("field", ["agent", "team", "workflow", "connection"])
    def test_a_foreign_subject_is_answered_like_an_unknown_one(self, field: str) -> None:
        customer, other = make_customer(), whole_house()
        names = {"agent": "bot", "team": "research", "workflow": "weekly", "connection": "main"}
        with reading() as connection:
            row = connection.execute(
                f"SELECT id FROM {field}s WHERE organization = %s AND key = %s", (other.id, names[field])
            ).fetchone()
        assert row is not None
        foreign = str(row[0])
        unknown = foreign[:-4] + ("0000" if foreign[-4:] != "0000" else "1111")
        with Still(customer.id):
            answers = [customer.reserve(subject={field: name}) for name in (foreign, unknown)]
        assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
        first, second = (answer.content.decode() for answer in answers)
        ids = [answer.json()["request_id"] for answer in answers]
        assert first.replace(foreign, "X").replace(ids[0], "R") == second.replace(unknown, "X").replace(
            ids[1], "R"
        )

    def test_a_foreign_reservation_is_answered_like_an_unknown_one(self) -> None:
        customer, other = make_customer(), make_customer()
        foreign = other.reserved()["id"]
        unknown = customer.reserved()["id"][:-4] + "0000"
        calls = (
            lambda name: customer.commit(name, "1"),
            lambda name: customer.release(name),
            lambda name: customer.extend(name, 60),
            lambda name: customer.use("1", reservation=name),
            lambda name: customer.api.get(f"/v1/reservations/{name}"),
        )
        with Still(customer.id), Still(other.id):
            for call in calls:
                answers = [call(name) for name in (foreign, unknown)]
                assert [code(answer) for answer in answers] == [(404, "not_found")] * 2
                bodies = [{**answer.json(), "request_id": ""} for answer in answers]
                assert bodies[0] == bodies[1]

    def test_a_key_of_one_agent_may_not_act_for_another(self) -> None:
        customer = make_customer(agents=())
        bot = make_agent(customer.id, "bot", "Bot")
        make_agent(customer.id, "crawler", "Crawler")
        limited = Customer(customer.id, caller(customer.id, "spend:write", agents=(str(bot.id),)))
        limited.reserved("1")
        with Still(customer.id, decisions=1):
            assert code(limited.reserve("1", subject={"agent": "crawler"})) == (403, "not_permitted")

    def test_a_key_of_one_connection_needs_it(self) -> None:
        customer = make_customer()
        main = make_connection(customer.id)
        limited = Customer(customer.id, caller(customer.id, "spend:write", connections=(str(main.id),)))
        limited.reserved("1", subject={"connection": "main"})
        assert code(limited.reserve("1")) == (403, "not_permitted")

    def test_a_key_that_only_reads_may_not_spend(self) -> None:
        customer = make_customer()
        reader = Customer(customer.id, caller(customer.id, "spend:read"))
        with Still(customer.id):
            assert code(reader.reserve("1")) == (403, "forbidden")

    def test_nobody_without_a_key_may(self) -> None:
        from tests.builders.orgs import Caller

        customer = make_customer()
        with Still(customer.id):
            assert code(Customer(customer.id, Caller("cfk_nothing")).reserve()) == (
                401,
                "invalid_credentials",
            )

    @pytest.mark.parametrize("kind", ["agents", "workflows", "connections"])
    def test_an_archived_subject_may_not(self, kind: str) -> None:
        customer = whole_house()
        names = {"agents": "bot", "workflows": "weekly", "connections": "main"}
        open_before = customer.reserved("1", subject=EVERYTHING)
        caller(customer.id, "admin").post(f"/v1/{kind}/{names[kind]}/archive")
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("1", subject=EVERYTHING)) == (403, "archived")
        body_of(customer.commit(open_before["id"], "1"), 200)  # what is open may settle

    def test_a_closed_organization_may_not(self) -> None:
        from orgs.operations.organizations import close_organization
        from tests.builders.orgs import AUTHOR

        customer = make_customer()
        held = customer.reserved("1")
        write(lambda cur: close_organization(cur, organization=customer.id, author=AUTHOR))
        with Still(customer.id, decisions=1):
            assert code(customer.reserve("1")) == (403, "organization_closed")
        body_of(customer.commit(held["id"], "1"), 200)

    def test_the_key_is_read_anew_each_time(self) -> None:
        customer = make_customer()
        issued = make_key(customer.id, "spend:write")
        from tests.builders.orgs import Caller

        user = Customer(customer.id, Caller(issued.secret))
        user.reserved()
        caller(customer.id, "admin").post(f"/v1/organizations/{customer.id}/api-keys/{issued.key.id}/revoke")
        assert code(user.reserve()) == (401, "invalid_credentials")


class TestWhatCannotBePriced:
    def test_an_unknown_model_is_refused(self) -> None:
        customer = make_customer()
        action = {"kind": "llm.chat", "provider": "acme", "model": unique("no-model")}
        with Still(customer.id):
            refused = customer.reserve(None, estimate={"input_tokens": 1}, action=action)
        assert code(refused) == (422, "price_unknown")  # B40

    def test_an_unknown_component_is_refused_at_commit_and_the_hold_stays(self) -> None:
        customer, model = make_customer(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        held = customer.reserved("1", action=action)
        with Still(customer.id):
            refused = customer.commit(
                held["id"], usage={"components": [{"component": "image_output", "quantity": "3"}]}
            )
        assert code(refused) == (422, "price_unknown")

    def test_a_price_without_a_rate_is_refused(self) -> None:
        customer = make_customer(currency="EUR")
        model = make_model(currency="JPY", components={"input": "100", "output": "100"})
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        refused = customer.reserve(None, estimate={"input_tokens": 1}, action=action)
        assert code(refused) == (422, "price_unknown")

    def test_another_currency_is_refused(self) -> None:
        customer = make_customer()
        with Still(customer.id):
            assert code(customer.reserve(currency="EUR")) == (422, "currency_mismatch")
        assert customer.reserve(currency="USD").status_code == 201

    def test_no_estimate_and_no_history_is_refused(self) -> None:
        customer = make_customer()
        with Still(customer.id):
            refused = customer.reserve(None)
        assert code(refused) == (422, "estimate_required")

    def test_a_price_change_alters_no_stored_record(self) -> None:
        from spend.operations.prices.publish import publish_price

        customer, model = make_customer(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        held = customer.reserved(None, estimate={"input_tokens": 10**6}, action=action)
        write(
            lambda cur: publish_price(
                cur,
                actor="system:test",
                provider="acme",
                model=model,
                components={"input": "7", "output": "7"},
            )
        )
        done = body_of(customer.commit(held["id"], usage={"input_tokens": 10**6}), 200)
        assert (done["charged"], done["price_version"]) == ("1", held["price_version"])
        again = customer.reserved(None, estimate={"input_tokens": 10**6}, action=action)
        assert again["held"] == "7"
        assert again["price_version"] != held["price_version"]


class TestADryRun:
    def test_decides_and_holds_nothing(self) -> None:
        customer = make_customer("10")
        customer.budget("5", scope="agent")
        with Still(customer.id, decisions=1):
            shown = customer.dry("2", subject={"run": "r"})
        assert (shown["decision"], shown["id"], shown["held"], shown["estimated_cost"]) == (
            "allow",
            None,
            "0",
            "2",
        )
        assert shown["budgets"][0]["remaining"] == "5"

    def test_that_is_denied_says_why(self) -> None:
        customer = make_customer("10")
        customer.budget("5", scope="agent")
        with Still(customer.id, decisions=1):
            shown = customer.dry("6")
        assert (shown["decision"], shown["code"], shown["binding"]["scope"]) == ("deny", "too_large", "agent")
        assert shown["also_failing"] == []

    def test_is_marked_in_its_decision_and_no_usage(self) -> None:
        customer = make_customer("1")
        customer.dry("6")
        with reading() as connection:
            dry = connection.execute(
                "SELECT dry FROM decisions WHERE organization = %s", (customer.id,)
            ).fetchall()
            usage = connection.execute(
                "SELECT 1 FROM v_usage WHERE organization = %s", (customer.id,)
            ).fetchall()
        assert (dry, usage) == ([(True,)], [])

    def test_of_what_is_wrong_is_refused_like_the_call(self) -> None:
        customer = make_customer()
        body = {**reserve_body(subject={"agent": "nobody"}), "mode": "dry_run"}
        assert code(customer.api.post("/v1/reservations", body)) == (404, "not_found")
