"""Tax rates that the platform enters: what they tax, what waits for one, what is refused. Rates stay for the whole
session, so each test has a country of its own."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from billing.operations.invoices.finalizing import finalize_invoice
from billing.operations.invoices.taxing import ask_tax_of_invoice
from billing.operations.taxrates import try_invoices_again
from billing.rules.months import month_text, previous_month
from common.errors import ServiceUnavailable
from common.ids import new_id
from tests.builders.billing import Billed, billed, item, owe
from tests.builders.catalog import catalog_events, make_entity
from tests.builders.crowd import at_once
from tests.builders.orgs import AUTHOR, caller, events_of, make_organization, platform, unique, write
from tests.builders.payments import findings
from tests.functional.billing.test_admin import staff

PATH, PAGE = "/v1/tax-rates", "/admin/billing/taxrate/"
TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)
MISSING = "tax_rate_missing"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    """Status, code and places of a refusal."""
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def body(country: str, /, **given: Any) -> dict[str, Any]:
    """A rate of 5 % from 2020 on."""
    return {"country": country, "percent": "5", "valid_from": "2020-01-01", "source": "The law", **given}


def enter(country: str, /, **given: Any) -> dict[str, Any]:
    """A rate that is entered."""
    answer = platform().post(PATH, body(country, **given))
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def customer(country: str) -> Billed:
    """A customer of a seller at home there."""
    made = billed(country)
    made.profile(legal_entity=make_entity(country=country).key)
    return made


def owing(country: str) -> Billed:
    """One with a draft."""
    made = customer(country)
    draft(made)
    return made


def draft(made: Billed) -> None:
    """Let it owe 49.00, and draft that."""
    owe(made.id, item(due_at=datetime.now(UTC)))
    made.run()


def waiting(country: str) -> tuple[Billed, str]:
    """A customer whose invoice waits for a rate."""
    made = owing(country)
    invoice = made.only()["id"]
    assert made.act(invoice, "finalize").json()["status"] == "tax_pending"
    return made, invoice


def subjects(made: Billed) -> list[str]:
    """What open findings about a missing rate are about."""
    return [found.subject for found in findings(made.id) if found.kind == MISSING]


class TestEnteringOne:
    def test_answers_with_all_of_it(self) -> None:
        given = body("BR", tax_code="books", percent="9.975", valid_to="2030-07-01")
        answer = platform().post(PATH, given)
        shown = answer.json()
        assert answer.status_code == 201
        assert {name: shown[name] for name in given} == given
        assert (shown["version"], catalog_events()[-1][0]) == (1, "tax_rate.added")
        who = platform()
        assert who.get(f"{PATH}/{shown['id']}").json() == shown
        assert who.get(PATH, country="BR", tax_code="books", on="2030-06-30").json()["data"] == [shown]
        for other in ({"on": "2030-07-01"}, {"on": "2019-12-31"}, {"tax_code": "standard"}):
            assert who.get(PATH, country="BR", **other).json()["data"] == []

    def test_is_repeated_under_its_key_and_refused_under_another(self) -> None:
        who, key = platform(), unique()
        first, again = who.post(PATH, body("MX"), key=key), who.post(PATH, body("MX"), key=key)
        assert (again.status_code, again.content) == (201, first.content)
        before = catalog_events()
        other = who.post(PATH, body("MX", percent="6"), key=key)
        assert problem(other)[:2] == (422, "idempotency_key_reused")
        assert problem(who.post(PATH, body("MX", percent="6"))) == (409, "tax_rate_conflict", ["/valid_from"])
        assert catalog_events() == before

    def test_at_once_is_entered_once(self) -> None:
        who = platform()
        answers = at_once(lambda place: who.post(PATH, body("KR", percent=str(place))), callers=4)
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
        assert len(who.get(PATH, country="KR").json()["data"]) == 1

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"country": "XX"}, (400, "invalid_field", ["/country"])),
            ({"percent": "100.0001"}, (400, "invalid_field", ["/percent"])),
            ({"percent": "-1"}, (400, "invalid_quantity", ["/percent"])),
            ({"percent": "0.00001"}, (400, "invalid_quantity", ["/percent"])),
            ({"percent": 5}, (400, "invalid_quantity", ["/percent"])),
            ({"tax_code": "exempt"}, (400, "invalid_field", ["/tax_code"])),
            ({"tax_code": "a b"}, (400, "invalid_field", ["/tax_code"])),
            ({"valid_from": "2020-02-30"}, (400, "invalid_datetime", ["/valid_from"])),
            ({"valid_from": "2020-01-01T00:00:00Z"}, (400, "invalid_datetime", ["/valid_from"])),
            ({"valid_to": "2020-01-01"}, (400, "invalid_period", ["/valid_to"])),
            ({"source": ""}, (400, "invalid_field", ["/source"])),
            ({"source": "a\u0000b"}, (400, "invalid_text", ["/source"])),
            ({"version": 2}, (400, "read_only_field", ["/version"])),
            ({"region": "QC"}, (400, "unknown_field", ["/region"])),
        ],
    )
    def test_is_refused_by_name_and_leaves_nothing(self, change: dict[str, Any], expected: Any) -> None:
        before = catalog_events()
        assert problem(platform().post(PATH, body("NZ", **change))) == expected
        assert catalog_events() == before

    def test_is_the_platforms_alone(self) -> None:
        rate, who = enter("CL"), caller(make_organization(), "admin", "billing:write")
        before = catalog_events()
        for answer in (
            who.get(PATH),
            who.get(f"{PATH}/{rate['id']}"),
            who.post(PATH, body("CL", valid_from="2021-01-01")),
            who.post(f"{PATH}/{rate['id']}/end"),
        ):
            assert problem(answer)[:2] == (403, "forbidden")
        assert catalog_events() == before

    def test_leaves_a_closed_month_as_it_was(self) -> None:
        make_entity()  # the first one ever sells to everybody
        who, month = platform(), previous_month(TODAY.replace(day=1))
        path = f"/v1/accounting-periods/{month_text(month)}/close"
        assert (
            who.post(path, {"legal_entity": make_entity(country="AU").key}, key=unique()).status_code == 200
        )
        enter("AU")  # nothing was taxed there before
        before = catalog_events()
        for given in (
            {"valid_from": month.isoformat()},
            {"valid_from": "2019-01-01"},
            {"valid_from": "2022-01-01", "valid_to": "2022-01-02", "tax_code": "books"},
        ):
            refused = who.post(PATH, body("AU", **given))
            assert problem(refused) == (409, "period_closed", ["/valid_from"])
        assert catalog_events() == before
        enter("AU", valid_from=TODAY.replace(day=1).isoformat(), percent="10")
        enter("AU", valid_from="2018-01-01", valid_to="2018-07-01")


class TestEndingOne:
    def test_ends_it_today_and_only_ahead(self) -> None:
        rate, who = enter("PE"), platform()
        path = f"{PATH}/{rate['id']}/end"
        before = catalog_events()
        past = (TODAY - DAY).isoformat()
        assert problem(who.post(path, {"valid_to": past})) == (400, "invalid_period", ["/valid_to"])
        assert catalog_events() == before
        later = who.post(path, {"valid_to": (TODAY + 9 * DAY).isoformat()}).json()
        assert later["version"] == 2
        assert who.post(path, {"valid_to": later["valid_to"]}).json() == later
        ended = who.post(path).json()
        assert (ended["valid_to"], ended["version"]) == (TODAY.isoformat(), 3)
        before = catalog_events()
        assert problem(who.post(path))[:2] == (409, "invalid_transition")
        assert problem(who.post(f"{PATH}/{new_id()}/end"))[:2] == (404, "not_found")
        assert catalog_events() == before

    def test_before_it_begins_makes_room_for_another(self) -> None:
        begin, who = (TODAY + 30 * DAY).isoformat(), platform()
        wrong = enter("CO", valid_from=begin, percent="91")
        assert who.post(f"{PATH}/{wrong['id']}/end").json()["valid_to"] == begin
        enter("CO", valid_from=begin, percent="19")
        assert problem(who.post(PATH, body("CO", valid_from=begin)))[1] == "tax_rate_conflict"


class TestWhatItTaxes:
    def test_is_drafted_from_then_on_and_nothing_that_was_issued(self) -> None:
        made = owing("NO")
        first = made.act(made.only()["id"], "finalize").json()
        rate = enter("NO", valid_from=TODAY.isoformat(), percent="15")
        owe(made.id, item(due_at=datetime.now(UTC)))
        preview = made.reader.get("/v1/invoices/upcoming").json()
        made.run()
        second = made.act(made.invoices()[-1]["id"], "finalize").json()
        for document in (preview, second):
            assert [(one["percent"], one["category"], one["tax"]) for one in document["taxes"]] == [
                ("15", "S", "7.35")
            ]
        assert [line["tax_rate"] for line in (*preview["lines"], *made.lines(second["id"]))] == [
            rate["id"]
        ] * 2
        assert made.reader.get(f"/v1/invoices/{first['id']}").json() == first
        assert [one["percent"] for one in first["taxes"]] == ["25"]
        assert [line["tax_rate"] for line in made.lines(first["id"])] == [None]
        note = made.act(second["id"], "credit-notes", {"reason": "It was wrong."}).json()
        assert (note["tax"], note["total"]) == ("7.35", "56.35")
        made.assert_sound()


class TestWithoutOne:
    def test_an_invoice_waits_and_is_settled_once_it_is_entered(self) -> None:
        made = owing("CA")
        invoice = made.only()["id"]
        made.customer.pass_time(days=4)
        made.run()
        shown = made.reader.get(f"/v1/invoices/{invoice}").json()
        assert (shown["status"], shown["number"], shown["taxes"]) == ("tax_pending", None, [])
        day = shown["dated_at"][:10]
        assert shown["error"] == f"tax_rate_unknown: There is no tax rate of CA on {day}."
        (found,) = (one for one in findings(made.id) if one.kind == MISSING)
        assert found.subject == f"invoice:{invoice}"
        assert (found.detail["country"], found.detail["tax_codes"], found.detail["on"]) == (
            "CA",
            ["standard"],
            day,
        )
        rate = enter("CA")
        try_invoices_again()
        made.run()
        done = made.reader.get(f"/v1/invoices/{invoice}").json()
        assert (done["status"], done["tax"], done["total"]) == ("open", "2.45", "51.45")
        assert [line["tax_rate"] for line in made.lines(invoice)] == [rate["id"]]
        assert subjects(made) == []
        made.assert_sound()

    def test_an_invoice_is_settled_at_its_own_next_try_too(self) -> None:
        made, invoice = waiting("IN")
        enter("IN")
        made.customer.pass_time(hours=2)
        made.run()
        assert made.reader.get(f"/v1/invoices/{invoice}").json()["status"] == "open"
        assert subjects(made) == []

    def test_an_invoice_is_given_up_after_a_month_until_it_is_entered(self) -> None:
        made, invoice = waiting("JP")
        answers = ask_tax_of_invoice(organization=made.id, invoice=UUID(invoice))
        asked: dict[str, Any] = {
            "organization": made.id,
            "invoice": UUID(invoice),
            "answers": answers,
            "author": AUTHOR,
        }
        while write(lambda cur: finalize_invoice(cur, **asked)).status != "failed":
            pass  # a try each
        assert made.reader.get(f"/v1/invoices/{invoice}").json()["status"] == "failed"
        assert subjects(made) == [f"invoice:{invoice}"]
        enter("JP")
        try_invoices_again()
        made.run()
        assert made.reader.get(f"/v1/invoices/{invoice}").json()["status"] == "open"
        assert subjects(made) == []
        made.assert_sound()

    def test_each_rate_of_the_country_is_tried_once_though_it_does_not_help(self) -> None:
        made, invoice = waiting("ZA")
        enter("ZA", valid_from=(TODAY + 400 * DAY).isoformat())
        try_invoices_again()
        made.run()
        assert made.reader.get(f"/v1/invoices/{invoice}").json()["status"] == "tax_pending"
        assert subjects(made) == [f"invoice:{invoice}"]
        before = events_of(made.id)
        try_invoices_again()
        made.run()
        assert events_of(made.id) == before

    def test_a_person_who_says_so_hears_no_more_of_it_and_voiding_ends_it(self) -> None:
        (made, _), (other, invoice) = waiting("SG"), waiting("SG")
        (found,) = findings(made.id)
        answer = platform().post(f"/v1/findings/{found.id}/resolve", {"reason": "We know."})
        assert answer.status_code == 200
        made.customer.pass_time(hours=2)
        made.run()
        assert (made.only()["status"], subjects(made)) == ("tax_pending", [])
        assert other.act(invoice, "void", {"reason": "It was wrong."}).status_code == 200
        assert subjects(other) == []

    def test_what_was_asked_before_it_was_entered_is_asked_again(self) -> None:
        made = owing("AR")
        invoice = UUID(made.only()["id"])
        answers = ask_tax_of_invoice(organization=made.id, invoice=invoice)
        enter("AR")
        numbered = partial(
            finalize_invoice, organization=made.id, invoice=invoice, answers=answers, author=AUTHOR
        )
        with made.still(), pytest.raises(ServiceUnavailable):
            write(numbered)
        assert made.act(str(invoice), "finalize").json()["tax"] == "2.45"


class TestThePage:
    def form(self, **given: str) -> dict[str, str]:
        return {
            "country": "TR",
            "tax_code": "standard",
            "percent": "20",
            "valid_from": "2023-07-10",
            "source": "Law 3065",
            **given,
        }

    def test_enters_and_ends_rates_by_the_rules_of_the_api(self) -> None:
        user, client = staff("view_taxrate", "add_taxrate", "change_taxrate")
        assert client.post(f"{PAGE}add/", self.form()).status_code == 302
        (rate,) = platform().get(PATH, country="TR").json()["data"]
        assert (rate["percent"], rate["valid_from"], rate["valid_to"]) == ("20", "2023-07-10", None)
        assert catalog_events()[-1][3] == f"staff:{user.pk}"
        before = catalog_events()
        for change, said in (
            ({}, b"begins on this day already"),
            ({"valid_from": "2025-01-01", "percent": "101"}, b"at most 100 percent"),
        ):
            assert said in client.post(f"{PAGE}add/", self.form(**change), follow=True).content
        assert catalog_events() == before
        chosen = {"action": "end", "_selected_action": [rate["id"]]}
        assert b"1 done" in client.post(PAGE, chosen, follow=True).content
        assert platform().get(f"{PATH}/{rate['id']}").json()["valid_to"] == TODAY.isoformat()
        assert client.post(f"{PAGE}{rate['id']}/change/", self.form(percent="1")).status_code == 403

    def test_is_to_look_at_for_whoever_may_only_look(self) -> None:
        _, client = staff("view_taxrate")
        before = catalog_events()
        assert client.post(f"{PAGE}add/", self.form(country="TH")).status_code == 403
        assert client.get(PAGE).status_code == 200
        assert catalog_events() == before
