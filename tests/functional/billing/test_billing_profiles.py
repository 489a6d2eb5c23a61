"""Billing profiles through the API: who may say what, what is kept, and what stands in no event."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from billing.operations.tax_provider import TaxQuestion, ask_treatment, ask_waiting_vat_ids
from billing.rules.tax import Customer, TaxPending
from common.ids import new_id
from events.jobs import job
from orgs.operations.organizations import close_organization
from tests.builders.catalog import make_entity
from tests.builders.orgs import (
    AUTHOR,
    Caller,
    caller,
    events_of,
    make_member,
    make_organization,
    make_team,
    platform,
    write,
)
from tests.builders.taxes import REGISTER, SILENT, Register

PATH = "/v1/billing-profile"
GERMAN, AUSTRIAN = "DE136695976", "ATU13585627"
CONTACT = {"name": "Ada Lovelace", "email": "ada@example.com", "address": {"line1": "Weg 1", "city": "Wien"}}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def of(organization: UUID) -> str:
    return f"{PATH}?organization={organization}"


def billing(organization: UUID) -> Caller:
    return caller(organization, "billing:write")


class TestAProfile:
    def test_that_never_said_anything_has_the_defaults(self) -> None:
        seller = make_entity(is_default=True)
        organization = make_organization(currency="EUR", time_zone="Europe/Vienna")
        shown = caller(organization, "billing:read").get(PATH).json()
        assert shown == {
            "organization": str(organization),
            "currency": "EUR",
            "time_zone": "Europe/Vienna",
            "legal_entity": seller.key,
            "is_default_entity": True,
            "net_days": None,
            "grace_hours": None,
            "cycle_anchor": None,
            "purchase_order": None,
            "consolidation": "customer",
            "language": "en",
            "document_language": "en",
            "collection": None,
            "tax": {
                "country": None,
                "vat_id": None,
                "vat_answer": "not_asked",
                "vat_checked_at": None,
                "exemption_code": None,
            },
            "contact": {"name": "", "email": "", "address": {}},
            "version": 0,
            "created_at": None,
        }

    def test_is_changed_by_the_customer(self) -> None:
        organization = make_organization()
        who = billing(organization)
        body = {
            "purchase_order": "PO-7",
            "language": "de",
            "consolidation": "subscription",
            "collection": "send_invoice",
        }
        changed = who.patch(PATH, body).json()
        assert {name: changed[name] for name in body} == body
        assert changed["version"] == 1
        before = events_of(organization)
        assert who.patch(PATH, body).json() == changed
        assert events_of(organization) == before
        assert before[-1][0] == "billing_profile.changed"
        assert before[-1][4]["changed"]["purchase_order"] == [None, "PO-7"]
        assert who.patch(PATH, {"purchase_order": None}).json()["purchase_order"] is None

    def test_has_terms_that_the_platform_sets(self) -> None:
        organization = make_organization(time_zone="America/New_York")
        entity = make_entity()
        body = {
            "legal_entity": entity.key,
            "net_days": 30,
            "grace_hours": 24,
            "cycle_anchor": "2026-01-31T00:00:00",
            "tax": {"exemption_code": "charity"},
        }
        changed = platform().patch(of(organization), body).json()
        tax = body.pop("tax")
        assert {name: changed[name] for name in body} == body
        assert changed["tax"]["exemption_code"] == tax["exemption_code"]  # type: ignore[index]
        assert changed["is_default_entity"] is False
        assert platform().get(PATH, organization=str(organization)).json() == changed

    @pytest.mark.parametrize(
        "body",
        [
            {"legal_entity": None},
            {"net_days": 365},
            {"grace_hours": 720},
            {"cycle_anchor": None},
            {"tax": {"exemption_code": "charity"}},
            {"tax": {"country": "AT", "vat_id": AUSTRIAN, "vat_answer": "valid"}},
        ],
    )
    def test_has_terms_that_nobody_grants_itself(self, body: dict[str, Any]) -> None:
        organization = make_organization()
        who = caller(organization, "admin", "billing:write")
        before = events_of(organization)
        assert problem(who.patch(PATH, body))[:2] == (403, "forbidden")
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"net_days": -1}, (400, "invalid_field", ["/net_days"])),
            ({"net_days": "30"}, (400, "invalid_field", ["/net_days"])),
            ({"net_days": 366}, (400, "invalid_field", ["/net_days"])),
            ({"grace_hours": 721}, (400, "invalid_field", ["/grace_hours"])),
            ({"legal_entity": "ghost"}, (404, "not_found", ["/legal_entity"])),
            ({"legal_entity": str(new_id())}, (404, "not_found", ["/legal_entity"])),
            ({"cycle_anchor": "2026-03-08T02:30:00"}, (400, "nonexistent_local_time", ["/cycle_anchor"])),
            ({"cycle_anchor": "2026-01-31T00:00:00Z"}, (400, "invalid_datetime", ["/cycle_anchor"])),
            ({"cycle_anchor": "2026-02-29T00:00:00"}, (400, "invalid_datetime", ["/cycle_anchor"])),
            ({"cycle_anchor": "2026-01-31"}, (400, "invalid_datetime", ["/cycle_anchor"])),
            ({"cycle_anchor": 1_700_000_000}, (400, "invalid_datetime", ["/cycle_anchor"])),
            ({"consolidation": "none"}, (400, "invalid_field", ["/consolidation"])),
            ({"collection": "sometimes"}, (400, "invalid_field", ["/collection"])),
            ({"consolidation": None}, (400, "invalid_field", ["/consolidation"])),
            ({"language": "German"}, (400, "invalid_field", ["/language"])),
            ({"purchase_order": "a\u0007b"}, (400, "invalid_text", ["/purchase_order"])),
            ({"purchase_order": "x" * 101}, (400, "invalid_field", ["/purchase_order"])),
            ({"tax": {"country": "de"}}, (400, "invalid_field", ["/tax/country"])),
            ({"tax": {"vat_id": GERMAN}}, (400, "invalid_field", ["/tax/country"])),
            ({"tax": {"country": "DE", "vat_id": "DE136695977"}}, (400, "invalid_vat_id", ["/tax/vat_id"])),
            ({"tax": {"country": "DE", "vat_id": AUSTRIAN}}, (400, "invalid_vat_id", ["/tax/vat_id"])),
            ({"tax": {"vat_answer": "valid"}}, (400, "invalid_field", ["/tax/vat_answer"])),
            ({"tax": {"vat_answer": "pending"}}, (400, "invalid_field", ["/tax/vat_answer"])),
            ({"tax": {"vat_answer": None}}, (400, "invalid_field", ["/tax/vat_answer"])),
            ({"tax": {"exemption_code": "a b"}}, (400, "invalid_field", ["/tax/exemption_code"])),
            ({"tax": []}, (400, "invalid_field", ["/tax"])),
            ({"tax": {"colour": 1}}, (400, "unknown_field", ["/tax/colour"])),
            ({"contact": {"email": "nobody"}}, (400, "invalid_field", ["/contact/email"])),
            ({"contact": {"email": "a@b\u200b.de"}}, (400, "invalid_text", ["/contact/email"])),
            ({"contact": {"address": {"city": 5}}}, (400, "invalid_field", ["/contact/address/city"])),
            ({"contact": "Ada"}, (400, "invalid_field", ["/contact"])),
            ({"organization": "x"}, (400, "read_only_field", ["/organization"])),
            ({"time_zone": "UTC"}, (400, "unknown_field", ["/time_zone"])),
        ],
    )
    def test_refuses_what_is_wrong_and_keeps_what_it_was(
        self, body: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        organization = make_organization(time_zone="America/New_York")
        before = events_of(organization)
        assert problem(platform().patch(of(organization), body)) == expected
        assert events_of(organization) == before
        assert platform().get(PATH, organization=str(organization)).json()["version"] == 0

    def test_of_an_unknown_or_closed_organization_is_refused(self) -> None:
        organization, who = make_organization(), platform()
        assert problem(who.get(PATH, organization=str(new_id())))[:2] == (404, "not_found")
        assert problem(who.patch(of(new_id()), {"language": "de"}))[:2] == (404, "not_found")
        assert problem(who.patch(PATH, {"language": "de"}))[:2] == (400, "invalid_parameter")
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        assert problem(who.patch(of(organization), {"language": "de"}))[:2] == (403, "organization_closed")

    @pytest.mark.parametrize(
        ("scopes", "role", "status"),
        [
            (("billing:write",), None, 200),
            (("admin",), None, 200),
            (("billing:read",), None, 403),
            (("spend:write",), None, 403),
            (("billing:write",), "owner", 200),
            (("billing:write",), "billing_admin", 200),
            (("billing:read",), "billing_admin", 403),
            (("admin", "billing:write"), "team_owner", 403),
            (("admin", "billing:write"), "member", 403),
        ],
    )
    def test_is_changed_by_who_decides_in_matters_of_billing(
        self, scopes: tuple[str, ...], role: str | None, status: int
    ) -> None:
        organization = make_organization()
        team = make_team(organization).key if role == "team_owner" else None
        member = None if role is None else str(make_member(organization, role, team=team).id)
        who = caller(organization, *scopes, member=member)
        assert who.patch(PATH, {"language": "fr"}).status_code == status
        assert who.post(f"{PATH}/erase-contact").status_code == status

    def test_of_another_organization_is_not_there(self) -> None:
        other, who = make_organization(), caller(make_organization(), "admin", "billing:write")
        before = events_of(other)
        assert problem(who.get(PATH, organization=str(other)))[:2] == (404, "not_found")
        assert problem(who.patch(of(other), {"language": "de"}))[:2] == (404, "not_found")
        assert problem(who.post(f"{PATH}/erase-contact?organization={other}"))[:2] == (404, "not_found")
        assert events_of(other) == before


class TestTheContact:
    def test_stands_in_no_event_and_can_be_erased(self) -> None:
        organization = make_organization()
        who = billing(organization)
        assert who.patch(PATH, {"contact": CONTACT}).json()["contact"] == CONTACT
        assert events_of(organization)[-1][4]["changed"] == {
            "contact_version": [0, 1],
            "created_at": [None, events_of(organization)[-1][4]["created_at"]],
        }
        assert who.patch(PATH, {"contact": CONTACT}).json()["version"] == 1
        erased = who.post(f"{PATH}/erase-contact").json()
        assert erased["contact"] == {"name": "", "email": "", "address": {}}
        assert erased["version"] == 2
        assert who.post(f"{PATH}/erase-contact").json() == erased
        told = str(events_of(organization))
        assert not any(word in told for word in ("Ada", "ada@", "Weg 1", "Wien"))

    def test_is_erased_also_of_a_closed_organization_and_leaves_the_tax_alone(self) -> None:
        make_entity(is_default=True)
        organization = make_organization()
        who = billing(organization)
        body = {"contact": CONTACT, "tax": {"country": "AT", "vat_id": AUSTRIAN}}
        assert who.patch(PATH, body).json()["tax"]["vat_answer"] == "pending"
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        erased = platform().post(f"{PATH}/erase-contact?organization={organization}").json()
        assert erased["contact"]["email"] == ""
        assert erased["tax"]["vat_answer"] == "pending"


class TestAVatId:
    @pytest.fixture(autouse=True)
    def german_seller(self) -> None:
        make_entity(is_default=True)

    def changed(self, who: Caller, **tax: Any) -> dict[str, Any]:
        found: dict[str, Any] = who.patch(PATH, {"tax": tax}).json()["tax"]
        return found

    def test_is_asked_for_where_the_tax_hangs_on_it(self) -> None:
        who = billing(make_organization())
        assert self.changed(who, country="DE", vat_id="de 136 695 976") == {
            "country": "DE",
            "vat_id": GERMAN,
            "vat_answer": "not_asked",
            "vat_checked_at": None,
            "exemption_code": None,
        }
        assert self.changed(who, country="AT", vat_id=AUSTRIAN)["vat_answer"] == "pending"
        assert self.changed(who, vat_id=None)["vat_answer"] == "not_asked"
        assert self.changed(who, country="US", vat_id="12-3456789")["vat_answer"] == "not_asked"

    def test_is_unknown_for_good_to_the_provider_that_comes_along(self) -> None:
        organization = make_organization()
        who = billing(organization)
        self.changed(who, country="AT", vat_id=AUSTRIAN)
        assert who.post(f"{PATH}/check-vat-id").json()["tax"]["vat_answer"] == "unknown"
        stated = platform().patch(of(organization), {"tax": {"vat_answer": "valid"}}).json()["tax"]
        assert (stated["vat_answer"], stated["vat_checked_at"] is None) == ("valid", False)
        assert who.post(f"{PATH}/check-vat-id").json()["tax"] == stated
        assert self.changed(who, vat_id=None)["vat_answer"] == "not_asked"

    def test_is_looked_up_by_the_provider_of_the_setting(self, settings: Settings) -> None:
        settings.TAX_PROVIDER = REGISTER
        Register.valid.add(AUSTRIAN)
        organization = make_organization()
        who = billing(organization)
        self.changed(who, country="AT", vat_id=AUSTRIAN)
        while ask_waiting_vat_ids():
            pass
        shown = who.get(PATH)
        assert shown.json()["tax"]["vat_answer"] == "valid"
        kind, _, _, actor, data = events_of(organization)[-1]
        assert (kind, actor) == ("billing_profile.vat_id_checked", "system:tax")
        assert data["changed"]["vat_answer"] == ["pending", "valid"]
        assert job("billing.ask_vat_ids").run() == 0

    def test_stays_pending_while_the_provider_does_not_answer(self, settings: Settings) -> None:
        settings.TAX_PROVIDER = SILENT
        organization = make_organization()
        who = billing(organization)
        self.changed(who, country="AT", vat_id=AUSTRIAN)
        before = events_of(organization)
        assert ask_waiting_vat_ids() == 0
        assert who.post(f"{PATH}/check-vat-id").json()["tax"]["vat_answer"] == "pending"
        assert events_of(organization) == before
        settings.TAX_PROVIDER = REGISTER
        assert who.post(f"{PATH}/check-vat-id").json()["tax"]["vat_answer"] in ("valid", "invalid")


class TestTheTreatment:
    ON = date(2026, 3, 1)

    def ask(self, country: str, vat_id: str | None = None, answer: str = "not_asked") -> Any:
        return ask_treatment(TaxQuestion("DE", Customer(country, vat_id), self.ON, answer))

    def test_is_by_rates_of_countries_where_nothing_else_is_set(self) -> None:
        assert (self.ask("DE").category, self.ask("DE").rate * 100) == ("S", 19)
        assert (self.ask("US").category, self.ask("US").rate) == ("O", 0)
        assert self.ask("AT", AUSTRIAN, "valid").category == "AE"
        assert (self.ask("AT", AUSTRIAN, "invalid").category, self.ask("AT").rate * 100) == ("S", 20)

    @pytest.mark.parametrize("answer", ["pending", "unknown", "not_asked"])
    def test_is_pending_where_it_hangs_on_what_nobody_knows(self, answer: str) -> None:
        assert self.ask("AT", AUSTRIAN, answer) == TaxPending(AUSTRIAN)

    def test_is_pending_while_the_provider_does_not_answer(self, settings: Settings) -> None:
        settings.TAX_PROVIDER = SILENT
        assert self.ask("DE") == TaxPending("")

    def test_is_the_providers_where_one_is_set(self, settings: Settings) -> None:
        settings.TAX_PROVIDER = REGISTER
        Register.valid.add(AUSTRIAN)
        assert self.ask("AT", AUSTRIAN, "pending").category == "AE"
