"""How a reservation ends: commit, release, expiry, and what may still come after (S30, S31, S32, S5)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from spend.rules.decide import MAX_TTL_SECONDS
from tests.builders.gate import Customer, body_of, make_customer, make_model, usage_body
from tests.builders.orgs import make_team, unique
from tests.invariants import Still, assert_sound, reading


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code")


def finalized(answer: Any) -> str:
    """What a refused end of a reservation says that it is."""
    assert code(answer) == (409, "reservation_finalized")
    status: str = answer.json()["reservation_status"]
    return status


def row(customer: Customer, sql: str, *more: Any) -> Any:
    with reading() as connection:
        return connection.execute(sql, (customer.id, *more)).fetchone()


def status_of(customer: Customer, reservation: str) -> str:
    found = row(
        customer, "SELECT status FROM v_reservations WHERE organization = %s AND id = %s", reservation
    )
    status: str = found[0]
    return status


class TestACommit:
    def test_books_what_was_used_and_frees_the_rest_at_once(self) -> None:
        customer = make_customer("10")
        customer.budget("10")
        held = customer.reserved("10")
        done = body_of(customer.commit(held["id"], "4", latency_ms=1_200, response_id="resp-1"), 200)
        assert done == {
            "id": held["id"],
            "status": "committed",
            "charged": "4",
            "released": "6",
            "overage": "0",
            "cost": "4",
            "currency": "USD",
            "price_version": None,
            "usage_record": done["usage_record"],
            "credit": {"available": "6", "held": "0"},
            "late": False,
        }
        layer = customer.reserved("6")["budgets"][0]
        assert [layer[name] for name in ("spent", "held", "remaining")] == ["4", "6", "0"]
        assert_sound(customer.id, within_limits=True)

    def test_writes_one_usage_record_with_everything_that_was_said(self) -> None:
        customer, model = make_customer(), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model, "fingerprint": "f"}
        subject = {"run": "r", "user": "u", "step": 3, "attempt": 2, "hop": 1, "parent_task": "t"}
        held = customer.reserved("1", action=action, subject=subject)
        usage = {
            "input_tokens": 1_000,
            "cache_read_input_tokens": 400,
            "output_tokens": 200,
            "reasoning_output_tokens": 50,
        }
        body_of(
            customer.commit(held["id"], usage=usage, outcome="failed", reason="timeout", latency_ms=5), 200
        )
        found = row(
            customer,
            "SELECT outcome, reason, provider, model, user_label, step, attempt, hop, parent_task, latency_ms, "
            "input_tokens, cache_read_input_tokens, output_tokens, reasoning_output_tokens, cost, charge "
            "FROM usage_records WHERE organization = %s",
        )
        cost = 1_000 * 100 + 200 * 1_000
        assert found == (
            "failed", "timeout", "acme", model, "u", 3, 2, 1, "t", 5, 1_000, 400, 200, 50, cost, cost,
        )  # fmt: skip

    def test_takes_the_providers_own_usage_object(self) -> None:
        customer = make_customer()
        model = make_model("anthropic")
        action = {"kind": "llm.chat", "provider": "anthropic", "model": model}
        held = customer.reserved("1", action=action)
        raw = {"input_tokens": 1_000, "output_tokens": 100, "service_tier": "standard"}
        done = body_of(customer.commit(held["id"], provider_usage=raw), 200)
        assert done["charged"] == "0.002"
        kept = row(customer, "SELECT raw::jsonb FROM usage_records WHERE organization = %s")
        assert kept == (raw,)

    def test_above_the_hold_books_the_true_cost_and_says_by_how_much(self) -> None:  # B32
        customer = make_customer("10")
        customer.budget("2")
        held = customer.reserved("1")
        done = body_of(customer.commit(held["id"], "3"), 200)
        assert (done["charged"], done["overage"], done["released"]) == ("3", "2", "0")
        assert code(customer.reserve("0.00000001")) == (402, "budget_exhausted")  # the next one sees it
        assert customer.available() == "7"
        assert_sound(customer.id)

    def test_above_all_credit_becomes_debt_that_shuts_the_gate_until_it_is_paid(self) -> None:
        customer = make_customer("1")
        held = customer.reserved("1")
        done = body_of(customer.commit(held["id"], "3"), 200)
        assert done["credit"] == {"available": "-2", "held": "0"}
        assert customer.api.get("/v1/balance").json()["debt"] == "2"
        assert code(customer.reserve("0.00000001")) == (402, "credit_exhausted")
        assert_sound(customer.id)
        customer.grant("2.5")
        assert code(customer.reserve("0.50000001")) == (402, "credit_exhausted")
        customer.reserved("0.5")
        assert_sound(customer.id)

    def test_of_nothing_books_nothing_and_is_recorded(self) -> None:
        customer = make_customer("1")
        held = customer.reserved("1")
        done = body_of(customer.commit(held["id"], outcome="blocked", reason="guardrail"), 200)
        assert (done["charged"], done["released"]) == ("0", "1")
        found = row(customer, "SELECT outcome, reason, charge FROM v_usage WHERE organization = %s")
        assert found == ("blocked", "guardrail", 0)
        assert_sound(customer.id)

    def test_happens_once(self) -> None:
        customer = make_customer()
        held = customer.reserved()
        body_of(customer.commit(held["id"], "1"), 200)
        with Still(customer.id):
            assert finalized(customer.commit(held["id"], "1")) == "committed"
            assert finalized(customer.release(held["id"])) == "committed"
            assert finalized(customer.extend(held["id"], 60)) == "committed"

    def test_after_a_release_is_refused(self) -> None:
        customer = make_customer()
        held = customer.reserved()
        body_of(customer.release(held["id"]), 200)
        with Still(customer.id):
            assert finalized(customer.commit(held["id"], "1")) == "released"

    def test_after_expiry_is_late_and_booked_once(self) -> None:
        customer = make_customer("10")
        customer.budget("10")
        held = customer.reserved("4", ttl_seconds=60)
        customer.pass_time(seconds=61)
        done = body_of(customer.commit(held["id"], "3"), 200)
        assert (done["late"], done["charged"], done["released"], done["overage"]) == (True, "3", "0", "0")
        with Still(customer.id):
            assert finalized(customer.commit(held["id"], "3")) == "committed"
        assert customer.available() == "7"
        assert_sound(customer.id, within_limits=True)

    def test_that_is_late_belongs_to_the_window_of_its_reservation(self) -> None:
        customer = make_customer()
        customer.budget("1", window="hour")
        held = customer.reserved("1", ttl_seconds=60)
        customer.pass_time(hours=2)
        assert body_of(customer.commit(held["id"], "1"), 200)["late"] is True
        assert customer.reserved("1")["budgets"][0]["spent"] == "0"
        assert_sound(customer.id, within_limits=True)

    def test_keeps_the_team_of_the_time_of_the_call(self) -> None:
        from tests.builders.orgs import caller

        customer = make_customer()
        held = customer.reserved()
        make_team(customer.id)
        caller(customer.id, "admin").patch("/v1/agents/bot", {"team": "research"})
        body_of(customer.commit(held["id"], "1"), 200)
        assert row(customer, "SELECT team FROM v_usage WHERE organization = %s") == (None,)


class TestARelease:
    def test_frees_everything(self) -> None:
        customer = make_customer("1")
        customer.budget("1")
        held = customer.reserved("1", subject={"run": "r"})
        assert body_of(customer.release(held["id"]), 200) == {
            "id": held["id"],
            "status": "released",
            "released": "1",
        }
        customer.reserved("1")
        assert_sound(customer.id, within_limits=True)

    def test_of_an_expired_one_releases_nothing(self) -> None:
        customer = make_customer("1")
        held = customer.reserved("1", ttl_seconds=1)
        customer.pass_time(seconds=1)
        done = body_of(customer.release(held["id"]), 200)
        assert done == {"id": held["id"], "status": "expired", "released": "0"}

    def test_of_more_than_is_held_is_refused(self) -> None:  # B33
        customer = make_customer("1")
        held = customer.reserved("0.5")
        with Still(customer.id):
            assert code(customer.release(held["id"], amount="0.50000001")) == (
                422,
                "amount_exceeds_available",
            )
            assert code(customer.release(held["id"], amount="0.49")) == (400, "not_available_yet")
        assert body_of(customer.release(held["id"], amount="0.5"), 200)["released"] == "0.5"


class TestAnExtension:
    def test_lets_it_live_longer_but_never_shorter(self) -> None:
        customer = make_customer()
        held = customer.reserved(ttl_seconds=600)
        before = datetime.fromisoformat(held["expires_at"])
        longer = body_of(customer.extend(held["id"], 1_200), 200)
        until = datetime.fromisoformat(longer["expires_at"])
        assert timedelta(seconds=600) < until - before < timedelta(seconds=660)
        assert 1_100_000 < longer["remaining_ttl_ms"] <= 1_200_000
        shorter = body_of(customer.extend(held["id"], 1), 200)
        assert shorter["expires_at"] == longer["expires_at"]

    def test_ends_a_day_after_creation(self) -> None:
        customer = make_customer()
        held = customer.reserved(ttl_seconds=3_600)
        with Still(customer.id):
            assert code(customer.extend(held["id"], MAX_TTL_SECONDS)) == (422, "ttl_limit")
        body_of(customer.extend(held["id"], MAX_TTL_SECONDS - 60), 200)

    def test_of_what_has_ended_is_refused(self) -> None:
        customer = make_customer()
        released, expired = customer.reserved(), customer.reserved(ttl_seconds=60)
        customer.release(released["id"])
        customer.pass_time(seconds=60)
        assert finalized(customer.extend(released["id"], 60)) == "released"
        assert finalized(customer.extend(expired["id"], 60)) == "expired"


class TestExpiry:
    def test_frees_at_its_second_and_not_before(self) -> None:
        customer = make_customer("1")
        customer.reserved("1", ttl_seconds=600)
        customer.pass_time(seconds=590)
        assert code(customer.reserve("1")) == (409, "budget_busy")
        customer.pass_time(seconds=10)
        customer.reserved("1")  # no sweep came by
        assert_sound(customer.id, within_limits=True)

    def test_is_written_down_once_by_the_sweeper(self) -> None:
        customer = make_customer("10")
        held = customer.reserved("1", ttl_seconds=60)
        customer.sweep()
        assert status_of(customer, held["id"]) == "active"
        customer.pass_time(seconds=60)
        customer.sweep()
        assert status_of(customer, held["id"]) == "expired"
        with Still(customer.id):
            customer.sweep()
        assert customer.available() == "10"
        assert_sound(customer.id)

    def test_of_more_than_one_transaction_frees_still_lets_the_next_call_pass(self) -> None:
        customer = make_customer("250")
        for start in (0, 125):
            items = [
                {
                    "subject": {"agent": "bot"},
                    "estimate": {"amount": "1"},
                    "ttl_seconds": 60,
                    "idempotency_key": f"k{n}",
                }
                for n in range(start, start + 125)
            ]
            results = body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
            assert {result["status"] for result in results} == {201}
        assert code(customer.reserve("250")) == (409, "budget_busy")
        customer.pass_time(seconds=60)
        customer.reserved("250")
        assert_sound(customer.id)


def at(customer: Customer, **span: float) -> str:
    found = row(customer, "SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s")
    return str((found[0] + timedelta(**span)).isoformat())


class TestUsageAfterTheFact:
    def test_is_booked_on_every_layer_without_a_hold(self) -> None:
        customer = make_customer("10")
        customer.budget("2")
        made = customer.use("3", occurred_at=at(customer), subject={"run": "r"})
        body = body_of(made, 201)
        assert (body["charge"], body["cost"], body["adjustment"]) == ("3", "3", False)
        assert customer.available() == "7"
        assert code(customer.reserve("0.1")) == (402, "budget_exhausted")
        assert_sound(customer.id)

    def test_above_all_credit_is_never_lost(self) -> None:
        customer = make_customer("1")
        body_of(customer.use("5", occurred_at=at(customer)), 201)
        assert customer.api.get("/v1/balance").json()["debt"] == "4"
        assert_sound(customer.id)

    def test_of_a_released_reservation_names_it(self) -> None:
        customer = make_customer()
        held = customer.reserved("1")
        customer.release(held["id"])
        made = body_of(customer.use("0.4", occurred_at=at(customer), reservation=held["id"]), 201)
        assert row(customer, "SELECT id, reservation_id FROM v_usage WHERE organization = %s") is not None
        found = row(
            customer,
            "SELECT reservation_id FROM usage_records WHERE organization = %s AND id = %s",
            made["id"],
        )
        assert str(found[0]) == held["id"]
        assert_sound(customer.id)

    def test_is_unique_by_source_and_id_for_ever(self) -> None:
        customer = make_customer()
        body = usage_body("1", occurred_at=at(customer))
        first = body_of(customer.api.post("/v1/usage", body), 201)
        with Still(customer.id):
            again = customer.api.post("/v1/usage", body)
            assert body_of(again, 201)["id"] == first["id"]
            assert again.headers["Idempotent-Replayed"] == "true"
            assert code(customer.api.post("/v1/usage", {**body, "amount": "2"})) == (422, "usage_id_reused")
        other = body_of(customer.api.post("/v1/usage", {**body, "source": "another"}), 201)
        assert other["id"] != first["id"]

    def test_of_two_organizations_is_two(self) -> None:
        first, second = make_customer(), make_customer()
        body = usage_body("1", occurred_at=at(first))
        ids = {body_of(customer.api.post("/v1/usage", body), 201)["id"] for customer in (first, second)}
        assert len(ids) == 2

    def test_is_unique_inside_one_batch(self) -> None:
        customer = make_customer()
        body = usage_body("1", occurred_at=at(customer))
        items = [body, body, {**body, "amount": "2"}, {**body, "id": unique()}]
        results = body_of(customer.api.post("/v1/usage/batch", {"items": items}), 200)["results"]
        assert [result["status"] for result in results] == [201, 201, 422, 201]
        assert results[0]["body"]["id"] == results[1]["body"]["id"] != results[3]["body"]["id"]
        assert results[2]["body"]["code"] == "usage_id_reused"
        assert customer.available() == "98"
        assert_sound(customer.id)

    @pytest.mark.parametrize(
        ("span", "expected"), [({"days": -34}, False), ({"days": -36}, True), ({"days": -40}, True)]
    )
    def test_older_than_35_days_is_an_adjustment(self, span: dict[str, float], expected: bool) -> None:  # B93
        customer = make_customer()
        customer.budget("5", window="year")
        then = at(customer, **span)
        body = body_of(customer.use("1", occurred_at=then), 201)
        assert body["adjustment"] is expected
        kept = row(customer, "SELECT occurred_at FROM usage_records WHERE organization = %s")
        assert kept[0] == datetime.fromisoformat(then)
        assert_sound(customer.id)

    def test_more_than_five_minutes_ahead_is_refused(self) -> None:  # B93
        customer = make_customer()
        with Still(customer.id):
            assert code(customer.use("1", occurred_at=at(customer, hours=1))) == (400, "event_in_future")
            refused = customer.use("1", occurred_at=at(customer, minutes=5, seconds=2))
            assert code(refused) == (400, "event_in_future")
            assert [error["pointer"] for error in refused.json()["errors"]] == ["/occurred_at"]
        body_of(customer.use("1", occurred_at=at(customer, minutes=4, seconds=58)), 201)

    def test_belongs_to_the_window_in_which_it_occurred(self) -> None:
        customer = make_customer()
        customer.budget("1", window="day")
        body_of(customer.use("1", occurred_at=at(customer, days=-2)), 201)
        assert customer.reserved("1")["budgets"][0]["spent"] == "0"

    def test_comes_as_a_cloud_event_too(self) -> None:
        customer = make_customer()
        plain = usage_body("1", occurred_at=at(customer))
        named = {name: plain.pop(name) for name in ("id", "source")}
        envelope = {
            "specversion": "1.0",
            "type": "counterfoil.usage",
            **named,
            "time": plain.pop("occurred_at"),
            "datacontenttype": "application/json",
            "data": plain,
        }
        made = body_of(customer.api.post("/v1/usage", envelope), 201)
        assert (made["source"], made["external_id"]) == ("billing-export", named["id"])
        again = body_of(customer.api.post("/v1/usage", envelope), 201)
        assert again["id"] == made["id"]

    @pytest.mark.parametrize(
        "change",
        [{"specversion": "0.3"}, {"data": None}, {"data": "text"}, {"type": None}, {"colour": "red"}],
    )
    def test_in_a_wrong_envelope_is_refused(self, change: dict[str, Any]) -> None:
        customer = make_customer()
        envelope = {"specversion": "1.0", "type": "usage", "id": "i", "source": "s", "time": at(customer)}
        envelope |= {"data": {"subject": {"agent": "bot"}, "amount": "1"}, **change}
        with Still(customer.id):
            assert customer.api.post("/v1/usage", envelope).status_code == 400

    def test_may_carry_an_idempotency_key(self) -> None:
        customer = make_customer()
        body = usage_body("1", occurred_at=at(customer))
        first = customer.api.post("/v1/usage", body, key="u-1")
        again = customer.api.post("/v1/usage", body, key="u-1")
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"


class TestBatches:
    def test_of_reservations_answer_each_in_order(self) -> None:
        customer = make_customer("3")
        good = {"subject": {"agent": "bot"}, "estimate": {"amount": "1"}}
        items = [
            {**good, "idempotency_key": "a"},
            {**good, "idempotency_key": "b", "subject": {"agent": "nobody"}},
            {**good, "idempotency_key": "c", "estimate": {"amount": 1}},
            {**good},
            {**good, "idempotency_key": "e", "estimate": {"amount": "5"}},
            {**good, "idempotency_key": "a"},
            {**good, "idempotency_key": "a", "estimate": {"amount": "2"}},
            {**good, "mode": "dry_run"},
            {**good, "idempotency_key": "i", "estimate": {"amount": "2"}},
        ]
        results = body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert [(result["status"], result["body"].get("code")) for result in results] == [
            (201, None),
            (404, "not_found"),
            (400, "invalid_amount"),
            (400, "idempotency_key_required"),
            (402, "credit_exhausted"),
            (201, None),
            (422, "idempotency_key_reused"),
            (200, None),
            (201, None),
        ]
        assert results[0]["body"]["id"] == results[5]["body"]["id"]
        assert customer.available() == "0"
        assert_sound(customer.id)

    def test_of_commits_answer_each_in_order(self) -> None:
        customer = make_customer("10")
        ids = [customer.reserved("1")["id"] for _ in range(3)]
        customer.release(ids[2])
        other = make_customer().reserved()["id"]
        items = [
            {"id": name, "idempotency_key": unique(), "outcome": "completed", "amount": amount}
            for name, amount in [(ids[0], "1"), (ids[1], "2"), (ids[2], "1"), (other, "1"), (ids[0], "1")]
        ]
        items.append({"id": "1", "idempotency_key": unique(), "outcome": "completed", "amount": "1"})
        results = body_of(customer.api.post("/v1/reservations/commit_batch", {"items": items}), 200)[
            "results"
        ]
        assert [(result["status"], result["body"].get("code")) for result in results] == [
            (200, None),
            (200, None),
            (409, "reservation_finalized"),
            (404, "not_found"),
            (409, "reservation_finalized"),
            (400, "invalid_id"),
        ]
        assert [result["body"]["overage"] for result in results[:2]] == ["0", "1"]
        assert_sound(customer.id)

    def test_share_keys_with_the_single_call(self) -> None:
        customer = make_customer()
        body = {"subject": {"agent": "bot"}, "estimate": {"amount": "1"}}
        single = body_of(customer.api.post("/v1/reservations", body, key="k"), 201)
        items = [{**body, "idempotency_key": "k"}]
        batch = body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)["results"]
        assert (batch[0]["status"], batch[0]["body"]["id"]) == (201, single["id"])

    @pytest.mark.parametrize(
        "path", ["/v1/reservations/batch", "/v1/reservations/commit_batch", "/v1/usage/batch"]
    )
    @pytest.mark.parametrize("items", [[], None, {}, "x", [1], ["x"], [[]]])
    def test_of_no_objects_are_refused(self, path: str, items: Any) -> None:
        customer = make_customer()
        with Still(customer.id):
            assert code(customer.api.post(path, {"items": items})) == (400, "invalid_field")

    @pytest.mark.parametrize(
        ("path", "limit"),
        [("/v1/reservations/batch", 500), ("/v1/reservations/commit_batch", 500), ("/v1/usage/batch", 1_000)],
    )
    def test_of_too_many_are_refused(self, path: str, limit: int) -> None:
        customer = make_customer()
        with Still(customer.id):
            assert code(customer.api.post(path, {"items": [{}] * (limit + 1)})) == (400, "invalid_field")
