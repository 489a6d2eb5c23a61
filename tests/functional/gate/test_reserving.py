"""What a reservation answers and holds (S29, S36, S20, S22)."""

from typing import Any

from tests.builders.gate import Customer, body_of, make_customer, make_model, reserve_body
from tests.builders.orgs import (
    make_agent,
    make_connection,
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
