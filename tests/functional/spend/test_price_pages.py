"""The staff's pages of prices: what waits is approved or rejected, what is published is ended, nothing is edited."""

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client

from orgs import PLATFORM_ID
from spend.models import ExchangeRate, Markup, PriceChange, PriceVersion, ToolPrice
from tests.builders.gate import make_customer, make_model
from tests.builders.orgs import events_of, unique
from tests.builders.prices import waiting_change
from tests.functional.spend.test_admin import staff

MODELS = {
    "pricechange": PriceChange,
    "priceversion": PriceVersion,
    "toolprice": ToolPrice,
    "markup": Markup,
    "exchangerate": ExchangeRate,
}
DATES = {"valid_from": "", "valid_to": ""}


def finance() -> tuple[User, Client]:
    return staff(*(f"{verb}_{model}" for verb in ("view", "add", "change") for model in MODELS))


def act(client: Client, model: str, action: str, row: Any, **given: str) -> str:
    body = {"action": action, "_selected_action": [str(row)], **given}
    answer = client.post(f"/admin/spend/{model}/", body, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def add(client: Client, page: str, /, **form: str) -> str:
    answer = client.post(f"/admin/spend/{page}/add/", {**DATES, **form}, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def last_event(organization: UUID = PLATFORM_ID) -> tuple[str, str]:
    kind, _, _, actor, _ = events_of(organization)[-1]
    return kind, actor


class TestAPriceChange:
    def page(self, change: UUID) -> str:
        return f"/admin/spend/pricechange/{change}/change/"

    def test_is_shown_with_both_prices_and_approved_on_its_page(self) -> None:
        model, change = waiting_change(2, 5)
        user, client = finance()
        page = client.get(self.page(change)).content.decode()
        assert "input 2 per 1,000,000" in page
        assert "input 5 per 1,000,000" in page
        answer = client.post(self.page(change), {"decision": "approve", "why": "as announced"})
        assert answer.status_code == 302
        row = PriceChange.objects.get(pk=change)
        assert (row.status, row.decided_by, row.reason) == ("approved", f"staff:{user.pk}", "as announced")
        newest = PriceVersion.objects.filter(model=model).latest("id")
        assert (newest.components["input"]["amount"], newest.approved_by) == (5 * 10**12, f"staff:{user.pk}")

    def test_is_rejected_with_a_reason(self) -> None:
        model, change = waiting_change()
        user, client = finance()
        answer = client.post(self.page(change), {"decision": "reject", "why": " "})
        assert b"A rejection has a reason." in answer.content
        client.post(self.page(change), {"decision": "reject", "why": "a typing error"})
        row = PriceChange.objects.get(pk=change)
        assert (row.status, row.decided_by, row.reason) == ("rejected", f"staff:{user.pk}", "a typing error")
        assert PriceVersion.objects.filter(model=model).count() == 1

    def test_that_is_decided_offers_no_decision_any_more(self) -> None:
        _, change = waiting_change()
        _, client = finance()
        client.post(self.page(change), {"decision": "approve", "why": ""})
        assert b'name="_save"' not in client.get(self.page(change)).content
        assert client.post(self.page(change), {"decision": "reject", "why": "x"}).status_code == 403

    def test_is_decided_from_the_list_with_a_reason(self) -> None:
        (_, taken), (_, left) = waiting_change(), waiting_change()
        user, client = finance()
        assert "1 done." in act(client, "pricechange", "approve", taken, reason="checked")
        assert "A rejection has a reason." in act(client, "pricechange", "reject", left)
        assert "1 done." in act(client, "pricechange", "reject", left, reason="wrong")
        assert "already" in act(client, "pricechange", "approve", taken)
        found = {row.pk: (row.status, row.reason, row.decided_by) for row in PriceChange.objects.all()}
        assert found[taken] == ("approved", "checked", f"staff:{user.pk}")
        assert found[left] == ("rejected", "wrong", f"staff:{user.pk}")

    def test_is_not_for_staff_that_may_only_look(self) -> None:
        _, change = waiting_change()
        _, client = staff("view_pricechange")
        assert b'name="_save"' not in client.get(self.page(change)).content
        assert client.post(self.page(change), {"decision": "approve", "why": ""}).status_code == 403
        act(client, "pricechange", "approve", change)
        assert PriceChange.objects.get(pk=change).status == "proposed"


class TestWhatIsPublished:
    def test_an_override_is_published_for_an_organization_and_ended(self) -> None:
        customer, model = make_customer(), make_model()
        user, client = finance()
        form = {
            "organization": str(customer.id), "provider": "acme", "model": model, "currency": "",
            "components": '{"input": "2", "output": "4"}', "valid_to": "2100-01-01 00:00:00",
        }  # fmt: skip
        add(client, "priceversion", **form)
        row = PriceVersion.objects.get(organization=customer.id)
        assert (row.kind, row.currency, row.approved_by) == ("override", "USD", f"staff:{user.pk}")
        assert row.valid_to is not None
        assert (row.valid_to.year, row.components["output"]["amount"]) == (2100, 4 * 10**12)
        assert last_event(customer.id) == ("price.published", f"staff:{user.pk}")
        assert (
            "input 2 per 1,000,000"
            in client.get(f"/admin/spend/priceversion/{row.pk}/change/").content.decode()
        )
        assert "1 done." in act(client, "priceversion", "end", row.pk)
        row.refresh_from_db()
        assert row.valid_to.year < 2100
        assert "has ended already" in act(client, "priceversion", "end", row.pk)

    def test_a_price_of_the_book_a_tool_a_markup_and_a_rate_are_published(self) -> None:
        customer = make_customer()
        user, client = finance()
        model, tool, owner = unique("model"), unique("tool"), str(customer.id)
        add(
            client, "priceversion", organization="", provider="acme", model=model, components='{"input": "3"}'
        )
        assert PriceVersion.objects.get(model=model).kind == "book"
        add(client, "toolprice", organization="", pattern=tool, amount="0.01", unit="call", per="1")
        assert ToolPrice.objects.get(pattern=tool).amount == 10**10
        add(client, "markup", organization=owner, percent="12.5", reason="standard")
        assert Markup.objects.get(organization=customer.id).ppm == 125_000
        add(client, "exchangerate", base="USD", quote="ISK", rate="140.5", markup_percent="")
        rate = ExchangeRate.objects.filter(quote="ISK").latest("id")
        assert (rate.rate, rate.markup_ppm) == (140_500_000_000_000, 0)
        for name, row in (
            ("toolprice", ToolPrice.objects.get(pattern=tool)),
            ("markup", Markup.objects.get(organization=customer.id)),
            ("exchangerate", rate),
        ):
            assert client.get(f"/admin/spend/{name}/{row.pk}/change/").status_code == 200
            assert "1 done." in act(client, name, "end", row.pk)
        assert last_event() == ("fx_rate.ended", f"staff:{user.pk}")

    @pytest.mark.parametrize(
        ("model", "form", "said"),
        [
            ("priceversion", {"provider": "acme", "model": "m", "components": "[1]"}, "This is no object."),
            (
                "priceversion",
                {"provider": "acme", "model": "m", "components": '{"input": 3}'},
                "decimal string",
            ),
            ("toolprice", {"pattern": "a*b", "amount": "1", "unit": "call", "per": "1"}, "only at the end"),
            ("toolprice", {"pattern": "a", "amount": "1e3", "unit": "call", "per": "1"}, "decimal string"),
            ("markup", {"percent": "1.23456", "reason": "x"}, "up to 4 decimals"),
            (
                "markup",
                {"percent": "1", "reason": "x", "organization": str(PLATFORM_ID)},
                "no such organization",
            ),
            ("exchangerate", {"base": "USD", "quote": "USD", "rate": "1"}, "between two currencies"),
        ],
    )
    def test_is_refused_by_the_rules_of_the_api(self, model: str, form: dict[str, str], said: str) -> None:
        _, client = finance()
        before = len(events_of(PLATFORM_ID))
        assert said in add(client, model, **form)
        assert len(events_of(PLATFORM_ID)) == before


@pytest.mark.parametrize("model", MODELS)
class TestEachPage:
    def test_lists_and_offers_neither_change_nor_delete_to_a_superuser(self, model: str) -> None:
        _, client = staff(superuser=True)
        assert client.get(f"/admin/spend/{model}/").status_code == 200
        row = MODELS[model].objects.first()  # type: ignore[attr-defined]
        if row is None or model == "pricechange":
            return
        page = client.get(f"/admin/spend/{model}/{row.pk}/change/")
        assert (page.status_code, b'name="_save"' in page.content) == (200, False)
        assert client.post(f"/admin/spend/{model}/{row.pk}/change/", {"rate": "9"}).status_code == 403
        assert client.post(f"/admin/spend/{model}/{row.pk}/delete/", {"post": "yes"}).status_code == 403

    def test_is_closed_to_staff_without_the_permission(self, model: str) -> None:
        _, client = staff()
        assert client.get(f"/admin/spend/{model}/").status_code == 403
        assert client.get(f"/admin/spend/{model}/add/").status_code == 403

    def test_publishes_nothing_for_staff_that_may_only_look(self, model: str) -> None:
        _, client = staff(f"view_{model}")
        assert client.get(f"/admin/spend/{model}/").status_code == 200
        assert client.post(f"/admin/spend/{model}/add/", {}).status_code == 403
