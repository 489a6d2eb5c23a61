"""What a denial tells."""

import pytest

from tests.builders.gate import EVERYTHING, body_of, make_customer, reserve_body, whole_house
from tests.builders.orgs import (
    make_connection,
    make_team,
    make_workflow,
    unique,
)
from tests.functional.gate.test_reserving import code
from tests.invariants import Still, assert_sound, reading


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
