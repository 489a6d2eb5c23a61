"""Plans through the API: drafts, versions on sale that never change, who sees what, and what a period would cost."""

from typing import Any

import pytest

from common.ids import new_id
from tests.builders.catalog import FLAT, catalog_events, definition, make_draft, make_plan, make_version
from tests.builders.orgs import (
    Caller,
    caller,
    http,
    make_agent,
    make_member,
    make_organization,
    platform,
    unique,
)

PATH = "/v1/plans"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


def events_of_plan(key: str) -> list[str]:
    """The types of the events of one plan, in their order."""
    return [
        row[0]
        for row in catalog_events()
        if row[0].startswith("plan") and key in (row[4].get("key"), row[4].get("plan_key"))
    ]


def reader() -> Caller:
    return caller(make_organization(), "billing:read")


class TestMakingAPlan:
    def test_answers_with_its_first_draft_written_out_in_full(self) -> None:
        key = unique("plan")
        made = platform().post(PATH, {"key": key, "definition": definition()})
        assert made.status_code == 201
        shown = made.json()
        assert (shown["plan"], shown["number"], shown["status"], shown["published_at"]) == (
            key,
            1,
            "draft",
            None,
        )
        assert shown["definition"]["charges"][0]["timing"] == "advance"
        assert shown["definition"]["credits"][0]["every"] == {"unit": "month", "count": 1}
        assert platform().get(f"{PATH}/{key}/versions/1").json() == shown
        plan = platform().get(f"{PATH}/{key}").json()
        assert (plan["number"], plan["version_id"], plan["draft"], plan["definition"]) == (
            None,
            None,
            1,
            None,
        )
        assert events_of_plan(key) == ["plan.created", "plan_version.drafted"]

    def test_is_repeated_under_its_key(self) -> None:
        key, who = unique("plan"), platform()
        body = {"key": key, "definition": definition()}
        first, again = who.post(PATH, body, key=key), who.post(PATH, body, key=key)
        assert (again.status_code, again.content) == (201, first.content)
        assert events_of_plan(key) == ["plan.created", "plan_version.drafted"]

    def test_with_a_key_that_is_taken_or_looks_like_one_is_a_conflict(self) -> None:
        taken = make_draft().plan_key
        for key in (taken, taken.upper()):
            answer = platform().post(PATH, {"key": key, "definition": definition()})
            assert problem(answer) == (409, "name_conflict", ["/key"])

    def test_tells_everything_that_is_wrong_and_makes_nothing(self) -> None:
        key = unique("plan")
        wrong = definition(
            currencies=["usd"], colour="red", charges=[{**FLAT, "kind": "gift"}], trial_days=-1
        )
        answer = platform().post(PATH, {"key": key, "definition": wrong})
        assert answer.status_code == 400
        assert {(error["code"], error["pointer"]) for error in answer.json()["errors"]} == {
            ("invalid_currency", "/definition/currencies/0"),
            ("unknown_field", "/definition/colour"),
            ("invalid_field", "/definition/charges/0/kind"),
            ("invalid_field", "/definition/trial_days"),
        } | {
            (error["code"], error["pointer"])
            for error in answer.json()["errors"]
            if error["pointer"].startswith(("/definition/charges/0/prices", "/definition/credits/0/amounts"))
        }
        assert events_of_plan(key) == []
        assert problem(platform().get(f"{PATH}/{key}"))[:2] == (404, "not_found")

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"definition": {}}, (400, "invalid_field", ["/key"])),
            ({"key": "a b", "definition": {}}, (400, "invalid_field", ["/key"])),
            ({"key": str(new_id()), "definition": {}}, (400, "invalid_field", ["/key"])),
            ({"key": "ok", "definition": []}, (400, "invalid_field", ["/definition"])),
            ({"key": "ok", "definition": None}, (400, "invalid_field", ["/definition"])),
            ({"key": "ok", "definition": {}, "status": "published"}, (400, "read_only_field", ["/status"])),
            (
                {"key": "ok", "definition": {}, "organization": "x"},
                (400, "read_only_field", ["/organization"]),
            ),
            ({"key": "ok", "definition": {}, "colour": 1}, (400, "unknown_field", ["/colour"])),
        ],
    )
    def test_refuses_what_is_no_plan(
        self, body: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        before = catalog_events()
        assert problem(platform().post(PATH, body)) == expected
        assert catalog_events() == before

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (b'{"key": "a\\u0000b"}', "invalid_text"),  # B41
            (b'{"key": "\\ud800"}', "invalid_text"),  # B42
            (b'{"definition": {"features": {"a\\u0000": 1}}}', "invalid_text"),  # B43
            (b'{"key": "\xff"}', "invalid_json"),  # B45
            (b"", "invalid_json"),  # B48
            (b"[]", "invalid_json"),  # B49
            (b"[" * 100_000, "invalid_json"),  # B52
            (b'{"definition": {"name": "a", "name": "b"}}', "duplicate_key"),  # B54
        ],
    )
    def test_refuses_what_is_not_strict_json(self, raw: bytes, expected: str) -> None:
        before = catalog_events()
        headers = {"Authorization": f"Bearer {platform().secret}"}
        answer = http().post(PATH, raw, content_type="application/json", headers=headers)
        assert problem(answer)[:2] == (400, expected)
        assert catalog_events() == before


class TestPublishing:
    def test_puts_a_draft_on_sale_once(self) -> None:
        draft, who = make_draft(), platform()
        path = f"{PATH}/{draft.plan_key}/versions/1/publish"
        published = who.post(path)
        assert (published.status_code, published.json()["status"]) == (200, "published")
        assert published.json()["definition"] == who.get(f"{PATH}/{draft.plan_key}").json()["definition"]
        assert who.post(path).json() == published.json()
        assert events_of_plan(draft.plan_key) == [
            "plan.created",
            "plan_version.drafted",
            "plan_version.published",
            "plan.changed",
        ]

    def test_of_the_next_version_leaves_the_one_before_as_it_was(self) -> None:
        first, who = make_plan(), platform()
        path = f"{PATH}/{first.plan_key}"
        before = who.get(f"{path}/versions/1").json()
        assert who.post(f"{path}/versions", {"definition": definition(name="Newer")}).json()["number"] == 2
        assert who.get(path).json()["number"] == 1
        assert who.post(f"{path}/versions/2/publish").status_code == 200
        plan = who.get(path).json()
        assert (plan["number"], plan["name"], plan["draft"]) == (2, "Newer", None)
        after = who.get(f"{path}/versions/1").json()
        assert after["status"] == "archived"
        assert after["archived_at"] is not None
        same = ("id", "number", "definition", "created_at", "published_at")
        assert {name: after[name] for name in same} == {name: before[name] for name in same}

    def test_of_a_draft_that_was_replaced_is_refused(self) -> None:
        draft, who = make_draft(), platform()
        path = f"{PATH}/{draft.plan_key}/versions"
        assert who.post(path, {"definition": definition(name="Better")}).json()["number"] == 2
        before = events_of_plan(draft.plan_key)
        assert problem(who.post(f"{path}/1/publish"))[:2] == (409, "invalid_transition")
        assert events_of_plan(draft.plan_key) == before
        assert [row["status"] for row in who.get(path).json()["data"]] == ["draft", "archived"]

    def test_of_what_is_archived_is_refused(self) -> None:
        version, who = make_plan(), platform()
        path = f"{PATH}/{version.plan_key}"
        ended = who.post(f"{path}/archive").json()
        assert (ended["status"], ended["number"]) == ("archived", 1)
        assert who.post(f"{path}/archive").json() == ended
        assert problem(who.post(f"{path}/versions", {"definition": definition()}))[:2] == (
            409,
            "invalid_transition",
        )
        assert problem(who.post(f"{path}/versions/1/publish"))[:2] == (409, "invalid_transition")
        assert events_of_plan(version.plan_key)[-1] == "plan.archived"

    @pytest.mark.parametrize("number", ["0", "2", "-1", "1.0", "%EF%BC%91", "9" * 30, "x"])
    def test_of_a_number_that_is_none_is_not_found(self, number: str) -> None:
        version, who = make_plan(), platform()
        path = f"{PATH}/{version.plan_key}/versions/{number}"
        assert problem(who.get(path))[:2] == (404, "not_found")
        assert problem(who.post(f"{path}/publish"))[:2] == (404, "not_found")


class TestWhoSeesAndWrites:
    def test_customers_see_what_is_or_was_on_sale(self) -> None:
        draft, sold, who = make_draft(), make_plan(), reader()
        make_version(sold.plan_key, name="Newer")
        platform().post(f"{PATH}/{sold.plan_key}/versions", {"definition": definition()})
        shown = who.get(f"{PATH}/{sold.plan_key}").json()
        assert (shown["number"], shown["name"], shown["draft"]) == (2, "Newer", None)
        assert who.get(f"{PATH}/{shown['id']}").json() == shown
        numbers = [row["number"] for row in who.get(f"{PATH}/{sold.plan_key}/versions").json()["data"]]
        assert numbers == [2, 1]
        listed = [row["key"] for row in who.get(PATH, limit="100").json()["data"]]
        assert sold.plan_key in listed
        assert draft.plan_key not in listed
        for path in (
            f"{PATH}/{draft.plan_key}",
            f"{PATH}/{draft.plan_key}/versions",
            f"{PATH}/{sold.plan_key}/versions/3",
            f"{PATH}/{new_id()}",
            f"{PATH}/ghost",
        ):
            assert problem(who.get(path))[:2] == (404, "not_found")

    @pytest.mark.parametrize("scopes", [("admin", "billing:write"), ("billing:read",), ("spend:write",)])
    def test_customers_write_nothing(self, scopes: tuple[str, ...]) -> None:
        version, who = make_plan(), caller(make_organization(), *scopes)
        before = catalog_events()
        path = f"{PATH}/{version.plan_key}"
        for answer in (
            who.post(PATH, {"key": "mine", "definition": definition()}),
            who.post(f"{path}/versions", {"definition": definition()}),
            who.post(f"{path}/versions/1/publish"),
            who.post(f"{path}/archive"),
        ):
            assert problem(answer)[:2] == (403, "forbidden")
        assert catalog_events() == before

    def test_reading_needs_the_scope(self) -> None:
        organization = make_organization()
        make_agent(organization)
        assert caller(organization, "spend:read").get(PATH).status_code == 403
        assert caller(organization, "admin").get(PATH).status_code == 200
        assert caller(organization, "billing:read", agents=["research-bot"]).get(PATH).status_code == 200
        member = str(make_member(organization, "member").id)
        assert caller(organization, "billing:read", member=member).get(PATH).status_code == 403

    def test_lists_page_by_page(self) -> None:
        keys = {make_plan().plan_key for _ in range(3)}
        who, seen, cursor = reader(), [], None
        while True:
            page = who.get(PATH, limit="2", **({"cursor": cursor} if cursor else {})).json()
            seen += [row["key"] for row in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert keys <= set(seen)
        assert len(seen) == len(set(seen))
        assert problem(who.get(PATH, cursor="edited"))[:2] == (400, "invalid_cursor")
        assert problem(who.get(PATH, limit="0"))[:2] == (400, "invalid_parameter")
        assert problem(who.get(PATH, colour="red"))[:2] == (400, "unknown_parameter")

    @pytest.mark.parametrize("name", ["%EF%BC%91", "-1", "%00", "..%2F", ";", "%27%20OR%201", "x" * 5_000])
    def test_a_path_that_names_nothing_is_not_found(self, name: str) -> None:
        for answer in (
            platform().get(f"{PATH}/{name}"),
            platform().post(f"{PATH}/{name}/archive"),
            platform().post(f"{PATH}/{name}/price-preview", {"currency": "USD"}),
        ):
            assert problem(answer)[:2] == (404, "not_found")  # B65 to B69, B74


SEATS = {
    "key": "seats",
    "name": "Seats",
    "kind": "licensed",
    "included": "3",
    "prices": {
        "USD": {"model": "per_unit", "unit_price": "5"},
        "JPY": {"model": "per_unit", "unit_price": "500"},
    },
}
CALLS = {
    "key": "calls",
    "name": "API calls",
    "kind": "metered",
    "meter": "api_calls",
    "prices": {
        currency: {
            "model": "graduated",
            "tiers": [{"up_to": "100", "unit_price": "0.01"}, {"up_to": None, "unit_price": "0.00333"}],
        }
        for currency in ("USD", "JPY")
    },
}
FEE = {
    **FLAT,
    "prices": {"USD": {"model": "flat", "amount": "49"}, "JPY": {"model": "flat", "amount": "6000"}},
}
SETUP = {**FEE, "key": "setup", "name": "Set-up", "kind": "one_time"}
EXTRA = {**FEE, "key": "extra", "name": "Support", "addon": True}
SHARE = {
    "key": "share",
    "name": "Share of sales",
    "kind": "metered",
    "meter": "sales",
    "prices": {
        currency: {"model": "percentage", "rate": "1", "free_volume": "40"} for currency in ("USD", "JPY")
    },
}


class TestThePreviewOfAPeriod:
    def sold(self) -> str:
        return make_plan(
            currencies=["USD", "JPY"], charges=[FEE, SEATS, CALLS, SETUP, EXTRA, SHARE], credits=[]
        ).plan_key

    def ask(self, key: str, **body: Any) -> Any:
        return reader().post(f"{PATH}/{key}/price-preview", {"currency": "USD", **body})

    def test_says_what_each_charge_costs_and_why(self) -> None:
        answer = self.ask(self.sold(), quantities={"seats": "10", "calls": "350"})
        assert answer.status_code == 200
        shown = answer.json()
        amounts = {line["charge"]: line["amount"] for line in shown["lines"]}
        assert amounts == {"base": "49.00", "seats": "35.00", "calls": "1.83", "share": "0.00"}
        assert shown["total"] == "85.83"
        calls = shown["lines"][2]["line"]
        assert [(tier["quantity"], tier["amount"]) for tier in calls["tiers"]] == [
            ("100", "1"),
            ("250", "0.8325"),
        ]
        assert calls["exact"] == "1.8325"
        seats = shown["lines"][1]["line"]
        assert (seats["quantity"], seats["billable"]) == ("10", "7")
        assert [step["words"] for step in seats["steps"]] == ["included: 10 - 3 = 7", "7 x 5 = 35"]

    def test_rounds_at_the_precision_of_its_currency(self) -> None:
        shown = self.ask(self.sold(), quantities={"calls": "350"}, currency="JPY").json()
        assert {line["charge"]: line["amount"] for line in shown["lines"]} == {
            "base": "6000",
            "seats": "0",
            "calls": "2",
            "share": "0",
        }
        assert shown["total"] == "6002"

    def test_has_one_time_charges_in_the_first_period_and_add_ons_when_chosen(self) -> None:
        key = self.sold()
        first = self.ask(key, first_period=True, quantities={"extra": "1"}).json()
        assert {line["charge"] for line in first["lines"]} == {
            "base",
            "seats",
            "calls",
            "setup",
            "extra",
            "share",
        }
        later = self.ask(key, quantities={"extra": "0"}).json()
        assert {line["charge"] for line in later["lines"]} == {"base", "seats", "calls", "share"}

    def test_takes_the_amounts_of_events(self) -> None:
        shown = self.ask(self.sold(), quantities={"share": ["100", "50"]}).json()
        assert {line["charge"]: line["amount"] for line in shown["lines"]}["share"] == "1.10"

    def test_writes_nothing_and_needs_no_key(self) -> None:
        key = self.sold()
        before = catalog_events()
        assert self.ask(key).json() == self.ask(key).json()
        assert catalog_events() == before

    def test_is_of_another_version_when_that_is_named(self) -> None:
        key = self.sold()
        make_version(key, charges=[])
        assert self.ask(key).json()["total"] == "0.00"
        assert self.ask(key, number=1).json()["total"] == "49.00"
        assert problem(self.ask(key, number=3))[:2] == (404, "not_found")
        draft = make_draft()
        assert problem(self.ask(draft.plan_key))[:2] == (404, "not_found")
        path = f"{PATH}/{draft.plan_key}/price-preview"
        assert problem(platform().post(path, {"currency": "USD"})) == (404, "not_found", ["/number"])
        assert platform().post(path, {"currency": "USD", "number": 1}).json()["total"] == "49.00"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"currency": "EUR"}, (422, "currency_mismatch", ["/currency"])),
            ({"currency": "usd"}, (400, "invalid_currency", ["/currency"])),
            ({"quantities": {"ghost": "1"}}, (400, "unknown_field", ["/quantities/ghost"])),
            ({"quantities": {"calls": 5}}, (400, "invalid_quantity", ["/quantities/calls"])),
            ({"quantities": {"calls": "-1"}}, (400, "invalid_quantity", ["/quantities/calls"])),
            ({"quantities": {"calls": "1e3"}}, (400, "invalid_quantity", ["/quantities/calls"])),
            ({"quantities": {"calls": ["1"]}}, (400, "invalid_quantity", ["/quantities/calls"])),
            ({"quantities": {"calls": None}}, (400, "invalid_quantity", ["/quantities/calls"])),
            ({"quantities": {"seats": "1.5"}}, (400, "invalid_quantity", ["/quantities/seats"])),
            ({"quantities": {"extra": "2"}}, (400, "invalid_quantity", ["/quantities/extra"])),
            ({"quantities": []}, (400, "invalid_field", ["/quantities"])),
            ({"number": 0}, (400, "invalid_field", ["/number"])),
            ({"number": "1"}, (400, "invalid_field", ["/number"])),
            ({"at": "now"}, (400, "unknown_field", ["/at"])),
        ],
    )
    def test_refuses_what_it_cannot_price(
        self, body: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        assert problem(self.ask(self.sold(), **body)) == expected

    def test_prices_no_unknown_model_by_a_guess(self) -> None:
        tokens = {
            "key": "tokens",
            "name": "Tokens",
            "kind": "metered",
            "meter": "tokens",
            "prices": {
                "USD": {"model": "tokens", "prices": [{"models": "claude-*", "components": {"input": "3"}}]}
            },
        }
        key = make_plan(charges=[tokens]).plan_key
        use = {"model": "claude-sonnet-4-5", "component": "input", "quantity": "1500000"}
        assert self.ask(key, quantities={"tokens": [use]}).json()["total"] == "4.50"
        answer = self.ask(key, quantities={"tokens": [{**use, "model": "other"}]})
        assert problem(answer)[:2] == (422, "price_unknown")
        answer = self.ask(key, quantities={"tokens": [{**use, "quantity": 5}]})
        assert problem(answer) == (400, "invalid_quantity", ["/quantities/tokens/0/quantity"])
