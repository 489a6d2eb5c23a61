"""What customers are entitled to, and where each value comes from."""

import pytest

from billing.rules.entitlements import Credit, Override, PlanFeatures, resolve

SMALL = PlanFeatures("plan:small@1", {"max_agents": 2, "sso": False, "support": "mail"})
LARGE = PlanFeatures("plan:large@3", {"max_agents": 10, "sso": True, "support": "phone", "audit": True})
ENDLESS = PlanFeatures("plan:endless@1", {"max_agents": None})


class TestFeatures:
    def test_come_from_the_plan_and_say_so(self) -> None:
        found = resolve([SMALL])
        assert [(each.feature, each.value, each.source) for each in found.features.values()] == [
            ("max_agents", 2, "plan:small@1"),
            ("sso", False, "plan:small@1"),
            ("support", "mail", "plan:small@1"),
        ]
        assert (found.access, found.can_spend, found.reasons) == ("full", True, ())

    def test_of_several_plans_are_the_most_generous(self) -> None:
        for plans in ([SMALL, LARGE], [LARGE, SMALL]):
            found = resolve(plans)
            assert (found.value("max_agents"), found.value("sso"), found.value("audit")) == (10, True, True)
            assert found.features["max_agents"].source == "plan:large@3"
        assert resolve([LARGE, ENDLESS, SMALL]).value("max_agents") is None

    def test_that_are_texts_are_the_oldest_plans(self) -> None:
        assert resolve([SMALL, LARGE]).value("support") == "mail"

    def test_of_a_subscription_that_is_not_live_are_none(self) -> None:
        for status in ("paused", "canceled", "expired"):
            ended = PlanFeatures(LARGE.source, LARGE.features, status)
            assert resolve([SMALL, ended]).value("max_agents") == 2
        for status in ("trialing", "active", "past_due"):
            live = PlanFeatures(LARGE.source, LARGE.features, status)
            assert resolve([SMALL, live]).value("max_agents") == 10

    def test_of_a_paused_plan_restrict_where_no_live_one_names_them(self) -> None:
        paused = PlanFeatures(LARGE.source, {**LARGE.features, "requests_per_minute": 9}, "paused")
        found = resolve([paused])
        assert ({name: each.value for name, each in found.features.items()}, found.reasons) == (
            {"max_agents": 10, "requests_per_minute": 9}, ("no_plan",),
        )  # fmt: skip
        assert resolve([paused, SMALL]).value("max_agents") == 2
        assert resolve([paused, ENDLESS]).value("max_agents") is None

    def test_of_a_contract_replace_what_plans_give_also_by_less(self) -> None:
        found = resolve(
            [LARGE], overrides=[Override("max_agents", 5, "contract:c-1"), Override("x", True, "c")]
        )
        assert (found.value("max_agents"), found.features["max_agents"].source) == (5, "contract:c-1")
        assert found.value("x") is True

    def test_of_nobody_are_none(self) -> None:
        found = resolve([])
        assert (dict(found.features), found.reasons) == ({}, ("no_plan",))
        assert found.value("max_agents") is False
        assert not found.allows("max_agents")


class TestDunning:
    @pytest.mark.parametrize(
        ("state", "access", "can_spend", "agents"),
        [
            ("none", "full", True, 10),
            ("past_due", "full", True, 10),
            ("throttled", "full", True, 10),
            ("credit_only", "read_only", False, 10),
            ("suspended", "none", False, False),
        ],
    )
    def test_takes_away_step_by_step_and_changes_no_value(
        self, state: str, access: str, can_spend: bool, agents: object
    ) -> None:
        found = resolve([LARGE], dunning=state)
        assert (found.access, found.can_spend, found.value("max_agents")) == (access, can_spend, agents)
        assert found.features == resolve([LARGE]).features
        is_told = access != "full" or state == "throttled"
        assert found.reasons == ((f"dunning:{state}",) if is_told else ())

    def test_of_a_suspended_customer_may_leave_what_it_bought(self) -> None:
        rich, poor = (resolve([LARGE], dunning="credit_only", credit=Credit(left, False)) for left in (5, 0))
        assert (rich.access, rich.can_spend, rich.reasons) == ("read_only", True, ("dunning:credit_only",))
        assert (poor.can_spend, poor.reasons) == (False, ("dunning:credit_only", "credit"))

    def test_has_no_other_states(self) -> None:
        with pytest.raises(ValueError):
            resolve([LARGE], dunning="late")


class TestCredit:
    @pytest.mark.parametrize(
        ("available", "stops", "can_spend"),
        [(1, True, True), (0, True, False), (-5, True, False), (0, False, True)],
    )
    def test_that_is_used_up_stops_spending_where_nothing_else_pays(
        self, available: int, stops: bool, can_spend: bool
    ) -> None:
        found = resolve([LARGE], credit=Credit(available, stops))
        assert (found.access, found.can_spend) == ("full", can_spend)
        assert found.reasons == (() if can_spend else ("credit",))


class TestWhetherItIsAllowed:
    def test_is_a_limit_a_flag_or_a_word(self) -> None:
        found = resolve([LARGE, PlanFeatures("p", {"nothing": 0, "off": False, "members": None})])
        assert found.allows("max_agents", 10)
        assert not found.allows("max_agents", 11)
        assert found.allows("members", 10**9)
        assert found.allows("sso")
        assert found.allows("support")
        assert not found.allows("nothing")
        assert not found.allows("off")
        assert not found.allows("ghost")
