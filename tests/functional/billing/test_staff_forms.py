"""Coupons, items and dunning policies begun by the staff: the operations of the API, with its refusals in the form."""

import json
from typing import Any
from uuid import UUID

import pytest

from orgs import PLATFORM_ID
from tests.builders.billing import billed
from tests.builders.books import open_books, rows
from tests.builders.catalog import catalog_events, make_coupon
from tests.builders.contracts import drafted
from tests.builders.orgs import events_of, platform, unique
from tests.builders.staffed import form, operator, shown_in, staff, words

COUPONS, REDEMPTIONS = "/admin/billing/coupon/", "/admin/billing/couponredemption/"
ITEMS, POLICIES = "/admin/billing/invoiceitem/", "/admin/billing/dunningpolicy/"
NOBODY = "01a21f15-a6d8-75f2-b4d6-447018e43b18"
STEPS = {"steps": [{"day": 0, "action": "retry"}, {"day": 14, "action": "suspend"}]}


def coupon(**given: Any) -> dict[str, str]:
    return form(**{"code": unique("c"), "name": "Welcome", "terms": '{"percent": "20"}', **given})


class TestACoupon:
    def test_is_made_and_changed_in_the_persons_name(self) -> None:
        user, client = operator("coupon")
        assert "percent" in words(client.get(f"{COUPONS}add/"))
        sent = coupon(redeem_by="2099-01-01T00:00:00Z", max_redemptions=5)
        assert client.post(f"{COUPONS}add/", sent).status_code == 302
        made = platform().get(f"/v1/coupons/{sent['code']}").json()
        assert (made["terms"]["percent"], made["redeem_by"], made["max_redemptions"]) == (
            "20", "2099-01-01T00:00:00Z", 5,
        )  # fmt: skip
        page = f"{COUPONS}{made['id']}/change/"
        assert 'value="2099-01-01T00:00:00Z"' in words(client.get(page))
        assert client.post(page, form(name="Hello")).status_code == 302
        changed = platform().get(f"/v1/coupons/{sent['code']}").json()
        assert (changed["name"], changed["redeem_by"], changed["max_redemptions"]) == ("Hello", None, None)
        assert [event[3] for event in catalog_events()[-2:]] == [f"staff:{user.pk}"] * 2

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"code": "a b"}, "A key has ASCII letters"),
            ({"code": ""}, "This field is required."),
            ({"terms": "{"}, "no JSON object"),
            ({"terms": '{"percent": "20", "percent": "30"}'}, "twice"),
            ({"terms": "{}"}, "/terms/percent: A coupon takes off either a percentage or an amount."),
            ({"terms": '{"percent": "20", "colour": "red"}'}, "/terms/colour"),
            ({"redeem_by": "2099-01-01"}, "RFC 3339"),
            ({"max_redemptions": "0"}, "no integer from 1"),
            ({"form_key": ""}, "This field is required."),
        ],
        ids=lambda each: json.dumps(each) if isinstance(each, dict) else "",
    )
    def test_is_refused_beside_the_field_and_nothing_moves(self, change: dict[str, str], said: str) -> None:
        _, client = operator("coupon")
        before = catalog_events()
        answer = client.post(f"{COUPONS}add/", {**coupon(name="Kept words"), **change})
        assert said in words(answer)
        assert "Kept words" in words(answer)
        assert catalog_events() == before

    def test_that_the_operation_refuses_leaves_what_was_typed(self) -> None:
        taken = make_coupon().code
        _, client = operator("coupon")
        before = catalog_events()
        sent = coupon(code=taken, name="Kept words")
        answer = client.post(f"{COUPONS}add/", sent)
        assert "There is a coupon with this code." in words(answer)
        assert "Kept words" in words(answer)
        assert catalog_events() == before
        assert client.post(f"{COUPONS}add/", {**sent, "code": unique("c")}).status_code == 302

    def test_of_a_form_that_is_sent_twice_is_one(self) -> None:
        _, client = operator("coupon")
        sent = coupon()
        first, again = (client.post(f"{COUPONS}add/", sent) for _ in range(2))
        assert (first.status_code, again.status_code) == (302, 302)
        before = catalog_events()
        other = client.post(f"{COUPONS}add/", {**sent, "code": unique("c")})
        assert "with another body" in words(other)
        assert catalog_events() == before

    def test_that_ended_has_no_form(self) -> None:
        ended = make_coupon()
        platform().post(f"/v1/coupons/{ended.code}/archive")
        _, client = operator("coupon")
        page = f"{COUPONS}{ended.id}/change/"
        assert 'name="_save"' not in words(client.get(page))
        assert client.post(page, form(name="Hello")).status_code == 403

    def test_is_redeemed_for_a_customer_once(self) -> None:
        organization, offered = open_books(), make_coupon()
        user, client = operator("couponredemption")
        assert (
            client.post(
                f"{REDEMPTIONS}add/", form(organization=organization, coupon=offered.code)
            ).status_code
            == 302
        )
        kind, _, _, actor, _ = events_of(organization)[-1]
        assert (kind, actor) == ("coupon_redemption.redeemed", f"staff:{user.pk}")
        before = events_of(organization)
        again = client.post(f"{REDEMPTIONS}add/", form(organization=organization, coupon=offered.code))
        assert "errornote" in words(again)
        unknown = client.post(f"{REDEMPTIONS}add/", form(organization=organization, coupon="ghost"))
        assert "There is no such coupon." in words(unknown)
        assert events_of(organization) == before
        ((redemption,),) = rows("SELECT id FROM coupon_redemptions WHERE organization = %s", organization)
        assert client.get(f"{REDEMPTIONS}{redemption}/change/").status_code == 200
        chosen = {"action": "end", "_selected_action": [str(redemption)]}
        assert "1 done" in words(client.post(REDEMPTIONS, chosen, follow=True))
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"


def item(organization: UUID, **given: Any) -> dict[str, str]:
    usual = {"direction": "charge", "description": "Help", "amount": "12.50", "currency": "USD",
             "tax_code": "standard", "discountable": "on"}  # fmt: skip
    return form(organization=organization, **{**usual, **given})


class TestAnItem:
    @pytest.mark.parametrize(("direction", "amount"), [("charge", "12.50"), ("credit", "-12.50")])
    def test_is_on_the_customers_next_invoice(self, direction: str, amount: str) -> None:
        made = billed()
        made.use("100")
        user, client = operator("invoiceitem")
        sent = item(made.id, direction=direction)
        for _ in range(2):
            assert client.post(f"{ITEMS}add/", sent).status_code == 302
        kind, stream, _, actor, _ = events_of(made.id)[-1]
        assert (kind, actor) == ("invoice_item.added", f"staff:{user.pk}")
        assert "12.5" in words(client.get(f"{ITEMS}?organization={made.id}"))
        assert "standard" in words(client.get(f"{ITEMS}{stream}/change/"))
        made.pass_months()
        made.run()
        lines = [(line["description"], line["amount"]) for line in made.lines(made.only()["id"])]
        assert [line for line in lines if line[0] == "Help"] == [("Help", amount)]
        made.assert_sound()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"amount": "1.005"}, "not finer than its coins"),
            ({"amount": "0"}, "errornote"),
            ({"amount": "-1"}, "errornote"),
            ({"amount": "1e3"}, "errornote"),
            ({"currency": "EUR"}, "The customer is billed in USD."),
            ({"currency": "XXX"}, "errornote"),
            ({"due_at": "soon"}, "RFC 3339"),
            ({"direction": "gift"}, "valid choice"),
            ({"organization": NOBODY}, "There is no such organization."),
            ({"organization": str(PLATFORM_ID)}, "errornote"),
        ],
        ids=lambda each: json.dumps(each) if isinstance(each, dict) else "",
    )
    def test_is_refused_in_the_form_and_nothing_moves(self, change: dict[str, str], said: str) -> None:
        organization = open_books()
        _, client = operator("invoiceitem")
        before = events_of(organization)
        answer = client.post(f"{ITEMS}add/", {**item(organization), **change})
        assert answer.status_code == 200
        assert said in words(answer)
        assert events_of(organization) == before


def policy(**given: Any) -> dict[str, str]:
    return form(**{"key": unique("p"), "name": "Firm", "policy": json.dumps(STEPS), **given})


def policy_events() -> list[Any]:
    return [event for event in events_of(PLATFORM_ID) if event[0].startswith("dunning_policy.")]


class TestAPolicy:
    def test_is_saved_when_what_it_does_was_shown(self) -> None:
        user, client = operator("dunningpolicy")
        before, sent = policy_events(), policy()
        asked = client.post(f"{POLICIES}add/", sent)
        assert "Nothing is saved yet." in words(asked)
        assert "day 14: " in words(asked)
        assert policy_events() == before
        other = {**sent, "shown": shown_in(asked), "policy": '{"steps": [{"day": 3, "action": "suspend"}]}'}
        assert "day 3: " in words(client.post(f"{POLICIES}add/", other))
        assert policy_events() == before
        for _ in range(2):
            assert client.post(f"{POLICIES}add/", {**sent, "shown": shown_in(asked)}).status_code == 302
        kind, _, _, actor, data = policy_events()[-1]
        assert (len(policy_events()), kind, actor) == (
            len(before) + 1,
            "dunning_policy.created",
            f"staff:{user.pk}",
        )
        assert (data["key"], data["number"]) == (sent["key"], 1)

    def test_has_another_version_with_another_document_alone(self) -> None:
        user, client = operator("dunningpolicy")
        key = unique("p")
        made = platform().post("/v1/dunning-policies", {"key": key, "name": "Firm", "policy": STEPS}).json()
        page = f"{POLICIES}{made['id']}/change/"
        assert "suspend" in words(client.get(page))
        kept = json.dumps(made["policy"])
        assert client.post(page, form(name="Firmer", policy=kept)).status_code == 302
        assert platform().get(f"/v1/dunning-policies/{key}").json()["number"] == 1
        sent = form(name="Firmer", policy='{"steps": [{"day": 7, "action": "suspend"}]}')
        asked = client.post(page, sent)
        assert "day 7: " in words(asked)
        assert client.post(page, {**sent, "shown": shown_in(asked)}).status_code == 302
        now = platform().get(f"/v1/dunning-policies/{key}").json()
        assert (now["name"], now["number"], now["policy"]["steps"]) == (
            "Firmer", 2, [{"day": 7, "action": "suspend"}],
        )  # fmt: skip
        assert policy_events()[-1][3] == f"staff:{user.pk}"

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"policy": '{"steps": [{"day": -1, "action": "retry"}]}'}, "/policy/steps/0/day"),
            ({"policy": "[]"}, "errornote"),
            ({"plans": "ghost"}, "There is no plan 'ghost'."),
            ({"contracts": "x"}, "errornote"),
            ({"contracts": NOBODY}, "There is no contract"),
            ({"plans": "a\na"}, "twice"),
        ],
        ids=lambda each: json.dumps(each) if isinstance(each, dict) else "",
    )
    def test_is_refused_in_the_form_and_nothing_moves(self, change: dict[str, str], said: str) -> None:
        _, client = operator("dunningpolicy")
        before, sent = policy_events(), {**policy(), **change}
        answer = client.post(f"{POLICIES}add/", sent)
        if "Nothing is saved yet." in words(answer):
            answer = client.post(f"{POLICIES}add/", {**sent, "shown": shown_in(answer)})
        assert said in words(answer)
        assert policy_events() == before

    def test_is_for_contracts_that_are_named(self) -> None:
        contract = drafted(open_books(), "100")
        _, client = operator("dunningpolicy")
        sent = policy(contracts=contract["id"])
        asked = client.post(f"{POLICIES}add/", sent)
        assert client.post(f"{POLICIES}add/", {**sent, "shown": shown_in(asked)}).status_code == 302
        shown = platform().get(f"/v1/dunning-policies/{sent['key']}").json()
        assert shown["contracts"] == [contract["id"]]
        platform().post(f"/v1/dunning-policies/{sent['key']}/archive")


@pytest.mark.parametrize(
    "page",
    ["coupon", "couponredemption", "invoiceitem", "dunningpolicy", "subscription", "contract", "autotopup"],
)
def test_whoever_may_only_look_finds_no_form(page: str) -> None:
    _, client = staff(f"view_{page}", f"change_{page}")
    address = f"/admin/billing/{page}/add/"
    assert (client.get(address).status_code, client.post(address, form()).status_code) == (403, 403)
    _, client = operator(page)
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    "page", ["autotopup", "billingcycle", "couponredemption", "contract", "dunningpolicy"]
)
def test_the_list_of_a_page_is_there(page: str) -> None:
    _, client = staff(f"view_{page}")
    assert client.get(f"/admin/billing/{page}/").status_code == 200
