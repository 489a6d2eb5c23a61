"""Legal entities through the API: who sells, what may change, and which one is the default."""

from typing import Any

import pytest

from common.ids import new_id
from tests.builders.catalog import catalog_events, make_entity
from tests.builders.orgs import caller, make_organization, platform, unique

PATH = "/v1/legal-entities"
ADDRESS = {"line1": "Musterweg 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def body(**given: Any) -> dict[str, Any]:
    return {"key": unique("gmbh"), "name": "Muster GmbH", "country": "DE", "currency": "EUR", **given}


class TestMakingOne:
    def test_answers_with_all_of_it(self) -> None:
        given = body(address=ADDRESS, vat_ids={"DE": "de 136695976", "US": "12-3456789"}, invoice_series="RE")
        made = platform().post(PATH, given)
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at", "is_default")} == {
            "key": given["key"],
            "name": "Muster GmbH",
            "country": "DE",
            "currency": "EUR",
            "address": ADDRESS,
            "vat_ids": {"DE": "DE136695976", "US": "12-3456789"},
            "tax_area": "EU",
            "number_pattern": "{series}-{year}-{counter:6}",
            "invoice_series": "RE",
            "credit_note_series": "CN",
            "status": "active",
            "version": 1,
            "archived_at": None,
        }
        assert platform().get(f"{PATH}/{given['key']}").json() == shown
        assert platform().get(f"{PATH}/{shown['id']}").json() == shown
        assert shown in platform().get(PATH, limit="100").json()["data"]

    def test_is_repeated_under_its_key(self) -> None:
        given, who = body(), platform()
        first, again = who.post(PATH, given, key=given["key"]), who.post(PATH, given, key=given["key"])
        assert (again.status_code, again.content) == (201, first.content)
        assert problem(who.post(PATH, given)) == (409, "name_conflict", ["/key"])

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"country": "de"}, (400, "invalid_field", ["/country"])),
            ({"country": "XX"}, (400, "invalid_field", ["/country"])),
            ({"currency": "XXX"}, (400, "invalid_currency", ["/currency"])),
            ({"name": ""}, (400, "invalid_field", ["/name"])),
            ({"address": "Berlin"}, (400, "invalid_field", ["/address"])),
            ({"address": {"street": "x"}}, (400, "unknown_field", ["/address/street"])),
            ({"address": {"country": "Germany"}}, (400, "invalid_field", ["/address/country"])),
            ({"address": {"city": "a\u202eb"}}, (400, "invalid_text", ["/address/city"])),
            ({"vat_ids": {"DE": "DE136695977"}}, (400, "invalid_vat_id", ["/vat_ids/DE"])),
            ({"vat_ids": {"DE": "ATU13585627"}}, (400, "invalid_vat_id", ["/vat_ids/DE"])),
            ({"vat_ids": {"Germany": "DE136695976"}}, (400, "invalid_field", ["/vat_ids/Germany"])),
            ({"vat_ids": ["DE136695976"]}, (400, "invalid_field", ["/vat_ids"])),
            ({"number_pattern": "{series}{year}{counter:6}"}, (400, "invalid_field", ["/number_pattern"])),
            ({"number_pattern": "INV-{counter:6}"}, (400, "invalid_field", ["/number_pattern"])),
            ({"invoice_series": "inv"}, (400, "invalid_field", ["/invoice_series"])),
            ({"invoice_series": "TEST"}, (400, "invalid_field", ["/invoice_series"])),
            ({"credit_note_series": "TESTCN2"}, (400, "invalid_field", ["/credit_note_series"])),
            ({"invoice_series": "CN"}, (400, "invalid_field", ["/credit_note_series"])),
            ({"tax_area": "EU"}, (400, "read_only_field", ["/tax_area"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        before = catalog_events()
        assert problem(platform().post(PATH, body(**change))) == expected
        assert catalog_events() == before

    def test_is_the_platforms_alone(self) -> None:
        entity, who = make_entity(), caller(make_organization(), "admin", "billing:write")
        before = catalog_events()
        for answer in (
            who.get(PATH),
            who.get(f"{PATH}/{entity.key}"),
            who.post(PATH, body()),
            who.patch(f"{PATH}/{entity.key}", {"name": "Mine"}),
            who.post(f"{PATH}/{entity.key}/archive"),
        ):
            assert problem(answer)[:2] == (403, "forbidden")
        assert catalog_events() == before


class TestChangingOne:
    def test_is_kept_with_old_and_new_value(self) -> None:
        entity, who = make_entity(), platform()
        changed = who.patch(f"{PATH}/{entity.key}", {"name": "Neu GmbH", "address": ADDRESS}).json()
        assert (changed["name"], changed["address"], changed["version"]) == ("Neu GmbH", ADDRESS, 2)
        kind, _, _, _, data = catalog_events()[-1]
        assert (kind, data["changed"]["name"]) == ("legal_entity.changed", ["Counterfoil GmbH", "Neu GmbH"])
        before = catalog_events()
        assert who.patch(f"{PATH}/{entity.key}", {"name": "Neu GmbH"}).json() == changed
        assert catalog_events() == before

    @pytest.mark.parametrize("field", ["key", "country", "tax_area"])
    def test_leaves_what_its_documents_stand_on(self, field: str) -> None:
        answer = platform().patch(f"{PATH}/{make_entity().key}", {field: "AT"})
        assert problem(answer)[1] in ("read_only_field", "unknown_field")

    def test_of_what_is_unknown_or_archived_is_refused(self) -> None:
        make_entity(is_default=True)
        entity, who = make_entity(), platform()
        ended = who.post(f"{PATH}/{entity.key}/archive").json()
        assert ended["status"] == "archived"
        assert who.post(f"{PATH}/{entity.key}/archive").json() == ended
        assert problem(who.patch(f"{PATH}/{entity.key}", {"name": "x"}))[:2] == (409, "invalid_transition")
        for name in ("ghost", str(new_id()), "%00", "-1"):
            assert problem(who.get(f"{PATH}/{name}"))[:2] == (404, "not_found")
            assert problem(who.patch(f"{PATH}/{name}", {"name": "x"}))[:2] == (404, "not_found")


class TestTheDefault:
    def test_is_one_at_a_time_and_never_none(self) -> None:
        first, second, who = make_entity(is_default=True), make_entity(), platform()
        assert who.patch(f"{PATH}/{second.key}", {"is_default": True}).json()["is_default"] is True
        assert who.get(f"{PATH}/{first.key}").json()["is_default"] is False
        before = catalog_events()
        assert problem(who.patch(f"{PATH}/{second.key}", {"is_default": False})) == (
            400,
            "invalid_field",
            ["/is_default"],
        )
        assert problem(who.post(f"{PATH}/{second.key}/archive"))[:2] == (409, "invalid_transition")
        assert catalog_events() == before

    def test_is_the_first_one(self, private_database: str) -> None:
        assert make_entity().is_default is True
        assert make_entity().is_default is False

    def test_is_no_reason_to_archive_one_that_a_profile_names(self) -> None:
        make_entity(is_default=True)
        entity, organization, who = make_entity(), make_organization(), platform()
        profile = f"/v1/billing-profile?organization={organization}"
        assert who.patch(profile, {"legal_entity": entity.key}).status_code == 200
        assert problem(who.post(f"{PATH}/{entity.key}/archive"))[:2] == (409, "invalid_transition")
        assert who.patch(profile, {"legal_entity": None}).status_code == 200
        assert who.post(f"{PATH}/{entity.key}/archive").status_code == 200
        assert problem(who.patch(profile, {"legal_entity": entity.key})) == (
            409,
            "invalid_transition",
            ["/legal_entity"],
        )
