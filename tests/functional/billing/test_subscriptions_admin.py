"""The staff's pages of subscriptions: to read, with buttons that each make one call."""

import secrets
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.builders.books import open_books
from tests.builders.orgs import events_of
from tests.builders.subscribed import fee, metered
from tests.builders.subscriptions import act, acted, items_of, owner, sell, shown, subscribe

PAGE = "/admin/billing/subscription/"


def staff(*permissions: str) -> tuple[User, Client]:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def press(client: Client, organization: UUID, made: dict[str, Any], action: str) -> Any:
    chosen = {"action": action, "_selected_action": [made["id"]]}
    return client.post(f"{PAGE}?organization={organization}", chosen, follow=True)


class TestTheStaff:
    @pytest.mark.parametrize(
        ("action", "before", "status", "kind"),
        [
            ("pause", None, "paused", "subscription.paused"),
            ("resume", ("pause", {"resumes_at": None}), "active", "subscription.resumed"),
            ("cancel_at_period_end", None, "active", "subscription.cancellation_scheduled"),
            ("uncancel", ("cancel", {"when": "period_end"}), "active", "subscription.uncanceled"),
            ("cancel_now", None, "canceled", "subscription.canceled"),
            ("cancel_with_credit", None, "canceled", "subscription.canceled"),
            ("mark_past_due", None, "past_due", "subscription.past_due"),
        ],
    )
    def test_makes_one_call_with_a_button(self, action: str, before: Any, status: str, kind: str) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        if before:
            acted(who, made, *before)
        user, client = staff("view_subscription", "change_subscription")
        assert b"1 done" in press(client, organization, made, action).content
        last, _, _, actor, _ = events_of(organization)[-1]
        assert (last, actor, shown(who, made)["status"]) == (kind, f"staff:{user.pk}", status)
        credits = [1 for item, _, _ in items_of(organization) if item == "proration_credit"]
        assert len(credits) == (action == "cancel_with_credit")

    def test_lets_one_recover(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell(fee("30")))
        _, client = staff("view_subscription", "change_subscription")
        press(client, organization, made, "mark_past_due")
        press(client, organization, made, "mark_recovered")
        assert events_of(organization)[-1][0] == "subscription.recovered"

    def test_is_told_why_it_is_refused(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell(fee("30")))
        _, client = staff("view_subscription", "change_subscription")
        before = events_of(organization)
        assert b"The subscription is active." in press(client, organization, made, "resume").content
        assert events_of(organization) == before

    def test_reads_the_timeline(self) -> None:
        organization = open_books()
        who = owner(organization)
        plan = sell(fee("30"), metered())
        made = subscribe(who, plan)
        act(who, made, "pause", {"resumes_at": None})
        _, client = staff("view_subscription", "view_meteredperiod")
        page = client.get(f"{PAGE}{made['id']}/change/").content.decode()
        assert "Base 30" in page
        assert "status: active → paused" in page
        assert plan.plan_key in client.get(f"{PAGE}?organization={organization}").content.decode()
        assert client.get(f"/admin/billing/meteredperiod/?organization={organization}").status_code == 200

    def test_that_may_only_look_changes_nothing(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), sell(fee("30")))
        _, client = staff("view_subscription")
        before = events_of(organization)
        press(client, organization, made, "cancel_now")
        assert events_of(organization) == before
        assert client.get(f"{PAGE}add/").status_code == 403
