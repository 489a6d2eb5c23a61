"""The catalog on the staff's pages: drafts are entered, looked at in tables, and published after a second question."""

import json
import secrets
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.builders.catalog import catalog_events, definition, make_coupon, make_draft, make_entity, make_plan
from tests.builders.orgs import caller, events_of, make_organization, platform, unique

PLANS, VERSIONS = "/admin/billing/plan/", "/admin/billing/planversion/"
TIERED: dict[str, Any] = {
    "key": "calls",
    "name": "API calls",
    "kind": "metered",
    "meter": "api_calls",
    "included": "500",
    "prices": {
        "USD": {
            "model": "graduated",
            "tiers": [
                {"up_to": "1000", "unit_price": "0.01", "flat": "5"},
                {"up_to": None, "unit_price": "0.00333"},
            ],
        }
    },
}


def staff(*permissions: str) -> tuple[User, Client]:
    user = User.objects.create_user(f"staff-{secrets.token_hex(4)}", is_staff=True, password=None)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


class TestAVersion:
    def test_is_shown_with_charges_tiers_credit_and_features(self) -> None:
        version = make_plan(charges=[TIERED], features={"max_agents": None, "sso": True})
        _, client = staff("view_planversion")
        page = client.get(f"{VERSIONS}{version.id}/change/").content.decode()
        for words in (
            f"plan <b>{version.plan_key}</b>, published",
            "metered, in arrears, 500 included, meter api_calls",
            "USD: graduated",
            "<td>0.00333</td>",
            "<td>and more</td>",
            "20 USD every month, as allowance",
            "<th>max_agents</th><td>without limit</td>",
        ):
            assert words in page
        assert "Publish" not in page

    def test_is_published_after_a_second_question(self) -> None:
        first = make_plan()
        platform().post(f"/v1/plans/{first.plan_key}/versions", {"definition": definition(name="Newer")})
        draft = platform().get(f"/v1/plans/{first.plan_key}/versions/2").json()
        user, client = staff("view_planversion", "change_planversion")
        page = f"{VERSIONS}{draft['id']}/publish/"
        assert b'value="Publish"' in client.get(f"{VERSIONS}{draft['id']}/change/").content
        before = catalog_events()
        asked = client.post(page).content
        assert b"never changes" in asked
        assert b"takes the place of version 1" in asked
        assert catalog_events() == before
        assert b"Published." in client.post(page, {"confirmed": "yes"}, follow=True).content
        kind, _, _, actor, _ = catalog_events()[-2]
        assert (kind, actor) == ("plan_version.published", f"staff:{user.pk}")
        assert platform().get(f"/v1/plans/{first.plan_key}").json()["number"] == 2

    def test_is_published_by_nobody_who_may_only_look(self) -> None:
        draft = make_draft()
        _, client = staff("view_planversion")
        before = catalog_events()
        answer = client.post(f"{VERSIONS}{draft.id}/publish/", {"confirmed": "yes"})
        assert answer.status_code == 403
        assert b'value="Publish"' not in client.get(f"{VERSIONS}{draft.id}/change/").content
        assert client.get(f"{VERSIONS}add/").status_code == 403
        assert catalog_events() == before

    @pytest.mark.parametrize("name", ["01a21f15-a6d8-75f2-b4d6-447018e43b18", "nothing", "1"])
    def test_that_is_not_there_is_not_found(self, name: str) -> None:
        _, client = staff("view_planversion", "change_planversion")
        assert client.get(f"{VERSIONS}{name}/change/").status_code == 404
        assert client.post(f"{VERSIONS}{name}/publish/", {"confirmed": "yes"}).status_code == 404


class TestADraft:
    def test_is_entered_for_a_new_plan_and_then_for_the_same(self) -> None:
        key = unique("plan")
        _, client = staff("view_planversion", "add_planversion")
        assert b"Advanced plan" in client.get(f"{VERSIONS}add/").content
        for number in (1, 2):
            form = {"plan_key": key, "document": json.dumps(definition(name=f"Number {number}"))}
            assert client.post(f"{VERSIONS}add/", form).status_code == 302
            made = platform().get(f"/v1/plans/{key}/versions/{number}").json()
            assert (made["status"], made["definition"]["name"]) == ("draft", f"Number {number}")

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            ("{", b"not JSON"),
            ('{"name": "x"}', b"/interval: This field is required."),
            (json.dumps(definition(currencies=["usd"])), b"/currencies/0"),
            (json.dumps(definition(colour="red")), b"/colour"),
        ],
    )
    def test_is_refused_with_everything_that_is_wrong(self, document: str, said: bytes) -> None:
        _, client = staff("view_planversion", "add_planversion")
        before = catalog_events()
        answer = client.post(f"{VERSIONS}add/", {"plan_key": unique("p"), "document": document}, follow=True)
        assert said in answer.content
        assert catalog_events() == before

    def test_of_an_archived_plan_is_refused_by_the_operation(self) -> None:
        version = make_plan()
        _, client = staff("view_planversion", "add_planversion", "view_plan", "change_plan")
        chosen = {"action": "archive", "_selected_action": [str(version.plan_id)]}
        assert b"1 done" in client.post(PLANS, chosen, follow=True).content
        form = {"plan_key": version.plan_key, "document": json.dumps(definition())}
        assert b"The plan is archived." in client.post(f"{VERSIONS}add/", form, follow=True).content


class TestTheRest:
    def test_coupons_are_ended(self) -> None:
        coupon = make_coupon()
        _, client = staff("view_coupon", "change_coupon")
        chosen = {"action": "archive", "_selected_action": [str(coupon.id)]}
        assert b"1 done" in client.post("/admin/billing/coupon/", chosen, follow=True).content
        assert platform().get(f"/v1/coupons/{coupon.code}").json()["status"] == "archived"
        assert client.get(f"/admin/billing/coupon/{coupon.id}/change/").status_code == 200

    def test_legal_entities_change_places_and_end(self) -> None:
        first, second = make_entity(is_default=True), make_entity()
        _, client = staff("view_legalentity", "change_legalentity")
        page = "/admin/billing/legalentity/"
        chosen = {"action": "make_default", "_selected_action": [str(second.id)]}
        assert b"1 done" in client.post(page, chosen, follow=True).content
        both = {"action": "archive", "_selected_action": [str(first.id), str(second.id)]}
        answer = client.post(page, both, follow=True).content
        assert b"1 done" in answer
        assert b"default legal entity" in answer
        assert platform().get(f"/v1/legal-entities/{first.key}").json()["status"] == "archived"
        assert client.get(f"{page}{second.id}/change/").status_code == 200

    def form(self, **given: str) -> dict[str, str]:
        base = {
            "key": unique("gmbh"),
            "name": "Muster GmbH",
            "country": "DE",
            "currency": "EUR",
            "city": "Berlin",
        }
        series = {
            "number_pattern": "{series}-{year}-{counter:6}",
            "invoice_series": "RE",
            "credit_note_series": "GS",
        }
        return {**base, **series, "ids": "DE: de 136695976", **given}

    def test_legal_entities_are_entered_and_changed(self) -> None:
        user, client = staff("view_legalentity", "add_legalentity", "change_legalentity")
        page, form = "/admin/billing/legalentity/", self.form()
        assert client.post(f"{page}add/", form).status_code == 302
        made = platform().get(f"/v1/legal-entities/{form['key']}").json()
        assert (made["address"], made["vat_ids"]) == ({"city": "Berlin"}, {"DE": "DE136695976"})
        assert (made["invoice_series"], made["credit_note_series"]) == ("RE", "GS")
        change = f"{page}{made['id']}/change/"
        assert b'value="Berlin"' in client.get(change).content
        assert client.post(change, self.form(city="Hamburg", country="AT")).status_code == 302
        changed = platform().get(f"/v1/legal-entities/{form['key']}").json()
        assert (changed["address"], changed["country"]) == ({"city": "Hamburg"}, "DE")
        assert (catalog_events()[-1][0], catalog_events()[-1][3]) == (
            "legal_entity.changed",
            f"staff:{user.pk}",
        )

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"country": "XX"}, b"two capital letters"),
            ({"currency": "XXX"}, b"currency"),
            ({"ids": "DE: DE136695977"}, b"VAT id"),
            ({"number_pattern": "{year}"}, b"A pattern has"),
            ({"credit_note_series": "RE"}, b"series of their own"),
            ({"key": "a b"}, b"A key has"),
        ],
    )
    def test_legal_entities_are_refused_by_the_rules_of_the_api(
        self, change: dict[str, str], said: bytes
    ) -> None:
        _, client = staff("view_legalentity", "add_legalentity")
        before = catalog_events()
        answer = client.post("/admin/billing/legalentity/add/", self.form(**change), follow=True)
        assert said in answer.content
        assert catalog_events() == before

    def test_contacts_are_read_and_erased(self) -> None:
        organization = make_organization()
        contact = {"name": "Ada", "email": "ada@example.com", "address": {"city": "Wien"}}
        caller(organization, "billing:write").patch("/v1/billing-profile", {"contact": contact})
        profile = events_of(organization)[-1][1]
        user, client = staff("view_billingprofile", "change_billingprofile")
        page = "/admin/billing/billingprofile/"
        assert b"ada@example.com" in client.get(f"{page}{profile}/change/").content
        chosen = {"action": "erase_contact", "_selected_action": [str(profile)]}
        assert b"1 done" in client.post(page, chosen, follow=True).content
        assert b"ada@example.com" not in client.get(f"{page}{profile}/change/").content
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"

    def test_the_answer_of_the_register_exemptions_and_days_to_pay_are_stated(self) -> None:
        organization = make_organization()
        api = caller(organization, "billing:read", "billing:write")
        api.patch("/v1/billing-profile", {"tax": {"country": "FR", "vat_id": "FR40303265045"}})
        profile = events_of(organization)[-1][1]
        user, client = staff("view_billingprofile", "change_billingprofile")
        _, reader = staff("view_billingprofile")
        page, chosen = "/admin/billing/billingprofile/", {"_selected_action": [str(profile)]}

        def shown() -> tuple[Any, Any, Any]:
            found = api.get("/v1/billing-profile").json()
            return found["tax"]["vat_answer"], found["tax"]["exemption_code"], found["net_days"]

        before = shown()
        reader.post(page, {**chosen, "action": "answer", "vat_answer": "valid"})
        for refused in ({"vat_answer": "perhaps"}, {"vat_answer": ""}):
            client.post(page, {**chosen, "action": "answer", **refused})
        client.post(page, {**chosen, "action": "terms", "net_days": "-1"})
        client.post(page, {**chosen, "action": "exempt", "exemption_code": "no code"})
        assert shown() == before
        client.post(page, {**chosen, "action": "terms", "net_days": "21"})
        client.post(page, {**chosen, "action": "answer", "vat_answer": "valid"})
        assert shown() == ("valid", None, 21)
        client.post(page, {**chosen, "action": "exempt", "exemption_code": "charity"})
        client.post(page, {**chosen, "action": "terms", "net_days": ""})
        assert shown()[1:] == ("charity", None)
        assert events_of(organization)[-1][3] == f"staff:{user.pk}"

    @pytest.mark.parametrize("kind", ["plan", "coupon", "legalentity", "billingprofile", "planversion"])
    def test_nothing_is_edited_or_deleted_by_whoever_may_only_look(self, kind: str) -> None:
        _, client = staff(f"view_{kind}")
        assert client.get(f"/admin/billing/{kind}/").status_code == 200
        assert client.get(f"/admin/billing/{kind}/add/").status_code == 403
