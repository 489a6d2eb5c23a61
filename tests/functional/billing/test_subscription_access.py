"""Who may decide on a subscription, once for a key, and only on one's own."""

from typing import Any

import pytest

from common.ids import new_id
from tests.builders.books import balances, open_books
from tests.builders.catalog import make_coupon
from tests.builders.orgs import caller, events_of, make_agent, make_member, make_team, platform
from tests.builders.subscribed import fee, seats
from tests.builders.subscriptions import (
    PATH,
    act,
    items_of,
    owner,
    sell,
    subscribe,
)
from tests.functional.billing.test_subscriptions import CREDIT


class TestRepeating:
    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("change", {"plan": "$other", "mode": "invoice"}),
            ("change", {"plan": "$other", "mode": "reset"}),
            ("quantity", {"quantities": {"seats": 4}, "mode": "invoice"}),
            ("add-ons", {"add": ["sso"], "mode": "invoice"}),
            ("pause", {"resumes_at": None}),
            ("cancel", {"when": "now"}),
            ("cancel", {"when": "period_end"}),
            ("coupons", {"coupon": "$coupon"}),
        ],
    )
    def test_under_its_key_has_one_effect_and_the_same_answer(self, verb: str, body: dict[str, Any]) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30"), seats("10"), fee("5", "sso", addon=True), credits=CREDIT)
        made = subscribe(who, plan)
        names = {
            "$other": sell(fee("60")).plan_key,
            "$coupon": make_coupon(duration="forever", percent="5").code,
        }
        given = {
            key: names.get(value, value) if isinstance(value, str) else value for key, value in body.items()
        }
        first = act(who, made, verb, given, key="again")
        assert first.status_code == 200, first.content
        events, items, books = events_of(organization), items_of(organization), balances(organization)
        second = act(who, made, verb, given, key="again")
        assert (second.status_code, second.content) == (200, first.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert (events_of(organization), items_of(organization), balances(organization)) == (
            events,
            items,
            books,
        )


class TestWhoMayDecide:
    @pytest.mark.parametrize(
        ("role", "scopes", "allowed"),
        [
            (None, ("admin",), True),
            (None, ("billing:write",), True),
            (None, ("billing:read",), False),
            (None, ("spend:write",), False),
            ("owner", ("billing:write",), True),
            ("owner", ("spend:read",), False),
            ("billing_admin", ("billing:write",), True),
            ("team_owner", ("admin",), False),
            ("member", ("spend:write",), False),
        ],
    )
    def test_is_an_owner_or_billing_administrator(
        self, role: str | None, scopes: tuple[str, ...], allowed: bool
    ) -> None:
        organization = open_books()
        make_team(organization, "mine", "Mine")
        team = "mine" if role == "team_owner" else None
        member = None if role is None else str(make_member(organization, role, team=team).id)
        who, plan = caller(organization, *scopes, member=member), sell()
        made = who.post(PATH, {"plan": plan.plan_key}, key="k")
        assert made.status_code == (201 if allowed else 403)
        name = subscribe(owner(organization), plan)
        for verb, body in (
            ("pause", {"resumes_at": None}),
            ("resume", None),
            ("cancel", {"when": "period_end"}),
            ("uncancel", None),
            ("change", {"plan": plan.plan_key}),
        ):
            assert act(who, name, verb, body).status_code == (200 if allowed else 403)

    def test_a_key_for_some_agents_neither_reads_nor_writes(self) -> None:
        organization = open_books()
        make_agent(organization)
        who = caller(organization, "billing:write", agents=["research-bot"])
        assert who.get(PATH).status_code == 403
        assert who.post(PATH, {"plan": sell().plan_key}, key="k").status_code == 403

    def test_reading_takes_the_scope(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell())
        reader = caller(organization, "billing:read")
        assert reader.get(PATH).json()["data"] == [made]
        assert reader.get(PATH, status="canceled").json()["data"] == []
        assert reader.get(f"{PATH}/{made['id']}/history").status_code == 200
        assert caller(organization, "spend:read").get(PATH).status_code == 403


class TestTenants:
    def test_another_organizations_subscription_is_answered_like_an_unknown_one(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell())
        other, before = owner(open_books()), events_of(organization)
        for name in (made["id"], str(new_id()), "nothing"):
            answers = [other.get(f"{PATH}/{name}"), other.get(f"{PATH}/{name}/history")]
            for verb, body in (
                ("change", {"plan": made["plan"]}),
                ("change/preview", {"plan": made["plan"]}),
                ("quantity", {"quantities": {"seats": 1}}),
                ("add-ons", {"add": ["x"]}),
                ("pause", {"resumes_at": None}),
                ("resume", None),
                ("cancel", {"when": "now"}),
                ("uncancel", None),
                ("coupons", {"coupon": "X"}),
            ):
                answers.append(other.post(f"{PATH}/{name}/{verb}", body, key=f"{name}{verb}"))
            assert {(a.status_code, a.json()["code"]) for a in answers} == {(404, "not_found")}
        assert events_of(organization) == before

    def test_the_platform_acts_for_the_organization_that_it_names(self) -> None:
        organization = open_books()
        plan = sell()
        body = {"plan": plan.plan_key, "organization": str(organization)}
        made = platform().post(PATH, body, key="p-1").json()
        assert made["organization"] == str(organization)
        assert platform().get(f"{PATH}/{made['id']}").json() == made
        assert platform().get(PATH, organization=str(organization)).json()["data"] == [made]
        assert act(platform(), made, "pause", {"resumes_at": None}).json()["status"] == "paused"
        assert platform().post(PATH, {"plan": plan.plan_key}, key="p-2").status_code == 400
