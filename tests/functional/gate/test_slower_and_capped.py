"""Thresholds that let calls pass more slowly, or only smaller and cheaper ones (S35, S52)."""

from typing import Any

from tests.builders.gate import Customer, make_customer, make_model
from tests.builders.orgs import caller
from tests.functional.gate.test_thresholds import at, budget, code, fired, spend
from tests.invariants import assert_sound

CHAT = {"kind": "llm.chat", "provider": "acme"}


def statuses(customer: Customer, calls: int, amount: str = "0.01", **given: Any) -> list[int]:
    return [customer.reserve(amount, **given).status_code for _ in range(calls)]


class TestThrottle:
    def test_slows_calls_down_from_its_level_on(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "throttle"), per_minute=3))
        assert statuses(customer, 10) == [201] * 10
        spend(customer, "5")
        assert fired(customer) == [("throttle", 50)]
        assert statuses(customer, 5) == [201, 201, 201, 429, 429]
        refused = customer.reserve("0.01")
        assert (code(refused), refused.json()["retry_after"]) == ((429, "rate_limited"), 20)
        assert refused.headers["Retry-After"] == "20"
        customer.pass_time(seconds=20)
        assert statuses(customer, 2) == [201, 429]
        assert_sound(customer.id, within_limits=True)

    def test_ends_with_the_window(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "throttle"), per_minute=1))
        spend(customer, "5")
        assert statuses(customer, 2) == [201, 429]
        customer.pass_time(days=1)
        assert statuses(customer, 10) == [201] * 10

    def test_ends_with_a_higher_limit(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "throttle"), per_minute=1))
        spend(customer, "5")
        assert statuses(customer, 2) == [201, 429]
        customer.change_budget(made, limit="20")
        assert statuses(customer, 10) == [201] * 10

    def test_takes_a_share_of_a_rate_limit(self) -> None:
        customer = make_customer()
        admin = caller(customer.id)
        limit = {
            "scope": "organization",
            "unit": "requests",
            "limit": 10,
            "window": "day",
            "behaviour": "reject",
        }
        made = admin.post("/v1/rate-limits", limit)
        assert made.status_code == 201, made.json()
        body = {
            "scope": "organization", "window": "hour", "limit": "10", "currency": "USD",
            "thresholds": at((50, "throttle"), rate_percent=20, rate_limit=made.json()["id"]),
        }  # fmt: skip
        assert admin.post("/v1/budgets", body).status_code == 201
        spend(customer, "5")
        assert statuses(customer, 4) == [201, 201, 429, 429]

    def test_is_of_its_target_only(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        budget(customer, at((50, "throttle"), per_minute=1), scope="agent")
        spend(customer, "5")
        assert statuses(customer, 2) == [201, 429]
        assert statuses(customer, 3, subject={"agent": "other"}) == [201] * 3


class TestTheRateLimitThatAThresholdNames:
    LIMIT = {
        "scope": "organization",
        "unit": "requests",
        "limit": 10,
        "window": "minute",
        "behaviour": "reject",
    }

    def thresholds(self, limit: str) -> list[dict[str, Any]]:
        return at((50, "throttle"), rate_percent=20, rate_limit=limit)

    def test_is_of_the_same_organization_scope_and_target(self) -> None:
        customer, other = make_customer(), make_customer()
        admin, theirs = caller(customer.id), caller(other.id).post("/v1/rate-limits", self.LIMIT).json()["id"]
        mine = admin.post("/v1/rate-limits", self.LIMIT).json()["id"]
        agents = admin.post("/v1/rate-limits", {**self.LIMIT, "scope": "agent"}).json()["id"]
        body = {"scope": "organization", "window": "hour", "limit": "10", "currency": "USD"}
        unknown = "01900000-0000-7000-8000-0000000000ff"
        for name, expected in (
            (theirs, (404, "not_found")),
            (unknown, (404, "not_found")),
            (agents, (422, "rate_limit_mismatch")),
        ):
            answer = admin.post("/v1/budgets", {**body, "thresholds": self.thresholds(name)})
            assert code(answer) == expected
            assert answer.json()["errors"][0]["pointer"] == "/thresholds/0/rate_limit"
        made = admin.post("/v1/budgets", {**body, "thresholds": self.thresholds(mine)})
        assert made.json()["thresholds"] == self.thresholds(mine)
        assert code(
            admin.patch(f"/v1/budgets/{made.json()['id']}", {"thresholds": self.thresholds(theirs)})
        ) == (404, "not_found")
        admin.post(f"/v1/rate-limits/{mine}/archive")
        answer = admin.post("/v1/budgets", {**body, "thresholds": self.thresholds(mine)})
        assert code(answer) == (409, "invalid_transition")


class TestCap:
    def test_keeps_calls_to_what_it_says_from_its_level_on(self) -> None:
        customer = make_customer()
        caps = {"max_output_tokens": 100, "models": ["small"], "tools": ["search"], "cooldown_ms": 500}
        budget(customer, at((50, "cap"), caps=caps))
        before = customer.reserved("5", action={"kind": "llm.chat", "model": "big"})
        assert (before["decision"], before["caps"]) == ("allow", {})
        assert fired(customer) == [("cap", 50)]
        after = customer.reserved("1", action={"kind": "llm.chat", "model": "small"})
        assert (after["decision"], after["caps"]) == ("allow_with_caps", caps)

    def test_refuses_other_models_and_tools(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "cap"), caps={"models": ["small"], "tools": ["search"]}))
        spend(customer, "5")
        refused = customer.reserve("1", action={"kind": "llm.chat", "model": "big"})
        assert code(refused) == (403, "not_permitted")
        assert refused.json()["binding"]["budget_id"] == str(made.id)
        assert "allows only some models or tools" in refused.json()["detail"]
        refused = customer.reserve("1", action={"kind": "tool", "tool": "shell"})
        assert code(refused) == (403, "not_permitted")
        customer.reserved("1", action={"kind": "tool", "tool": "search"})
        customer.reserved("1", action={"kind": "llm.chat", "model": "small"})

    def test_says_how_many_output_tokens_the_rest_buys(self) -> None:
        """Input costs 1 and output 10 per million: 1,000 in and 1,000 out take 0.011; 4.989 more buy 498,900 tokens."""
        customer, model = make_customer(), make_model()
        budget(customer, at((50, "cap")))
        spend(customer, "5")
        held = customer.reserved(
            None,
            action={**CHAT, "model": model},
            estimate={"input_tokens": 1_000, "max_output_tokens": 1_000},
        )
        assert held["decision"] == "allow_with_caps"
        assert held["caps"] == {"max_output_tokens": 1_000 + 498_900}

    def test_counts_the_calls_that_are_left(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "cap"), caps={"steps": 2}))
        spend(customer, "5")
        assert [customer.reserved("0.01")["caps"]["steps_remaining"] for _ in range(2)] == [1, 0]
        assert customer.reserve("0.01").status_code == 402
        customer.pass_time(days=1)
        customer.reserved("0.01")

    def test_of_several_levels_takes_the_strictest(self) -> None:
        customer = make_customer()
        levels = [
            *at((50, "cap"), caps={"max_output_tokens": 100, "models": ["small", "tiny"]}),
            *at((60, "cap"), caps={"max_output_tokens": 50, "models": ["tiny"]}),
        ]
        budget(customer, levels)
        spend(customer, "6")
        assert code(customer.reserve("1", action={"kind": "llm.chat", "model": "small"})) == (
            403,
            "not_permitted",
        )
        caps = customer.reserved("1", action={"kind": "llm.chat", "model": "tiny"})["caps"]
        assert caps == {"max_output_tokens": 50, "models": ["tiny"]}

    def test_ends_with_the_window(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "cap"), caps={"models": ["small"]}))
        spend(customer, "5")
        assert code(customer.reserve("1", action={"kind": "llm.chat", "model": "big"}))[0] == 403
        customer.pass_time(days=1)
        held = customer.reserved("1", action={"kind": "llm.chat", "model": "big"})
        assert (held["decision"], held["caps"]) == ("allow", {})
