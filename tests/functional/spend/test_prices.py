"""The platform decides on prices and publishes its own: book, overrides, tools, markups, exchange rates (S22, S78)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from orgs import PLATFORM_ID
from tests.builders.gate import Customer, make_customer, make_model
from tests.builders.orgs import Caller, caller, events_of, make_key, platform, unique
from tests.builders.prices import waiting_change

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"
OWN = {"provider": "acme", "components": {"input": "2", "output": "2"}}
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
LISTS = ("price-changes", "prices", "tool-prices", "markups", "exchange-rates")


@pytest.fixture
def us() -> Caller:
    return platform()


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def made(answer: Any, status: int = 201) -> dict[str, Any]:
    assert answer.status_code == status, answer.json()
    body: dict[str, Any] = answer.json()
    return body


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def charged(customer: Customer, model: str, at: datetime, **usage: Any) -> tuple[str, str]:
    """Cost and charge of a million tokens each way that were used at this moment."""
    answer = customer.use(
        None,
        usage=usage or TOKENS,
        action={"kind": "llm.chat", "provider": "acme", "model": model},
        occurred_at=text(at),
    )
    body = made(answer)
    return body["cost"], body["charge"]


class TestAPriceChange:
    def test_waits_in_a_list_with_what_is_and_what_would_be(self, us: Caller) -> None:
        model, change = waiting_change(2, 5)
        (row,) = us.get("/v1/price-changes", status="proposed", provider="acme", model=model.upper()).json()[
            "data"
        ]
        assert (row["id"], row["model"], row["status"]) == (str(change), model, "proposed")
        assert row["current"][0]["components"] == {"input": {"amount": "2", "per": 1_000_000}}
        assert row["proposal"][0]["components"] == {"input": {"amount": "5", "per": 1_000_000}}
        assert us.get(f"/v1/price-changes/{change}").json() == row

    def test_holds_when_it_is_approved_and_names_who_did_it(self) -> None:
        model, change = waiting_change(2, 5)
        key = make_key(PLATFORM_ID, "platform")
        us, customer = Caller(key.secret), make_customer()
        shown = made(us.post(f"/v1/price-changes/{change}/approve", {"reason": "as announced"}), 200)
        decided = (shown["status"], shown["decided_by"], shown["reason"])
        assert decided == ("approved", f"key:{key.key.id}", "as announced")
        reserved = customer.reserved(
            None,
            estimate={"input_tokens": 1_000_000},
            action={"kind": "llm.chat", "provider": "acme", "model": model},
        )
        assert reserved["held"] == "5"

    def test_is_approved_without_a_word_and_once(self, us: Caller) -> None:
        _, change = waiting_change()
        path = f"/v1/price-changes/{change}/approve"
        first = us.post(path, key="once")
        assert us.post(path, key="once").content == first.content
        assert problem(us.post(path)) == (409, "invalid_transition")

    def test_is_rejected_with_a_reason(self, us: Caller) -> None:
        model, change = waiting_change(2, 5)
        path = f"/v1/price-changes/{change}/reject"
        assert problem(us.post(path, {})) == (400, "invalid_field")
        shown = made(us.post(path, {"reason": "a typing error of the source"}), 200)
        assert (shown["status"], shown["reason"]) == ("rejected", "a typing error of the source")
        versions = us.get("/v1/prices", provider="acme", model=model).json()["data"]
        assert [version["components"]["input"]["amount"] for version in versions] == ["2"]
        assert us.get("/v1/price-changes", status="proposed", model=model).json()["data"] == []

    def test_that_nobody_proposed_is_not_there(self, us: Caller) -> None:
        for answer in (
            us.get(f"/v1/price-changes/{UNKNOWN}"),
            us.post(f"/v1/price-changes/{UNKNOWN}/approve"),
            us.post(f"/v1/price-changes/{UNKNOWN}/reject", {"reason": "x"}),
        ):
            assert problem(answer) == (404, "not_found")


class TestAPriceOfTheBook:
    def test_is_published_listed_and_read(self, us: Caller) -> None:
        model = unique("model")
        body = {
            "provider": "acme", "model": model, "valid_to": "2100-01-01T00:00:00Z", "context_window": 128_000,
            "components": {"input": "3", "output": {"amount": "15", "tiers": [[200_000, "22.5"]]}, "image": "0.04"},
        }  # fmt: skip
        shown = made(us.post("/v1/prices", body))
        assert (shown["organization"], shown["kind"], shown["currency"]) == (None, "book", "USD")
        assert shown["components"] == {
            "image": {"amount": "0.04", "per": 1},
            "input": {"amount": "3", "per": 1_000_000},
            "output": {"amount": "15", "per": 1_000_000, "tiers": [[200_000, "22.5"]]},
        }
        assert us.get("/v1/prices", provider="ACME", model=model).json()["data"] == [shown]
        assert us.get(f"/v1/prices/{shown['id']}").json() == shown

    def test_is_listed_by_the_moment_at_which_it_holds(self, us: Caller) -> None:
        model = make_model()
        later = datetime.now(UTC) + timedelta(days=3)
        second = made(us.post("/v1/prices", {**OWN, "model": model, "valid_from": text(later)}))
        found = us.get("/v1/prices", model=model, at=text(later)).json()["data"]
        assert found[0] == second
        before = us.get("/v1/prices", model=model, at=text(later - timedelta(microseconds=1))).json()["data"]
        assert before == found[1:]


class TestAnOverride:
    def test_is_charged_in_its_window_and_at_neither_edge_beyond(self, us: Caller) -> None:
        customer, model = make_customer("1000"), unique("model")
        start = datetime.now(UTC) - timedelta(days=10)
        end, tick = start + timedelta(days=5), timedelta(microseconds=1)
        long_ago = {"valid_from": "2020-01-01T00:00:00Z"}
        book = {"provider": "acme", "model": model, "components": {"input": "3", "output": "15"}}
        made(us.post("/v1/prices", {**book, **long_ago}))
        body = {**OWN, "model": model, "organization": str(customer.id)}
        own = made(us.post("/v1/prices", {**body, "valid_from": text(start), "valid_to": text(end)}))
        assert (own["kind"], own["organization"]) == ("override", str(customer.id))
        rated = [charged(customer, model, at) for at in (start - tick, start, end - tick, end)]
        assert rated == [("18", "18"), ("18", "4"), ("18", "4"), ("18", "18")]

    def test_is_nobody_elses_and_is_listed_by_its_organization(self, us: Caller) -> None:
        customer, other, model = make_customer(), make_customer("1000"), make_model()
        own = made(us.post("/v1/prices", {**OWN, "model": model, "organization": str(customer.id)}))
        assert us.get("/v1/prices", organization=str(customer.id)).json()["data"] == [own]
        assert us.get("/v1/prices", organization=str(other.id)).json()["data"] == []
        kinds = {row["kind"] for row in us.get("/v1/prices", model=model).json()["data"]}
        assert kinds == {"book"}
        assert charged(other, model, datetime.now(UTC)) == ("11", "11")

    def test_takes_effect_at_the_next_decision_and_ends(self, us: Caller) -> None:
        customer, model = make_customer("1000"), make_model()
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        reserve = {"estimate": {"input_tokens": 1_000_000}, "action": action}
        assert customer.reserved(None, **reserve)["held"] == "1"
        own = made(us.post("/v1/prices", {**OWN, "model": model, "organization": str(customer.id)}))
        assert customer.reserved(None, **reserve)["held"] == "2"
        ended = made(us.post(f"/v1/prices/{own['id']}/end"), 200)
        assert ended["valid_to"] is not None
        assert customer.reserved(None, **reserve)["held"] == "1"
        assert problem(us.post(f"/v1/prices/{own['id']}/end")) == (409, "invalid_transition")

    def test_that_has_not_begun_never_begins_when_it_is_ended(self, us: Caller) -> None:
        customer, model = make_customer("1000"), make_model()
        ahead = text(datetime.now(UTC) + timedelta(days=1))
        body = {**OWN, "model": model, "organization": str(customer.id), "valid_from": ahead}
        own = made(us.post("/v1/prices", body))
        ended = made(us.post(f"/v1/prices/{own['id']}/end"), 200)
        assert ended["valid_to"] == ended["valid_from"]

    def test_leaves_an_event_with_its_actor_and_key(self, us: Caller) -> None:
        customer, model = make_customer(), make_model()
        body = {**OWN, "model": model, "organization": str(customer.id)}
        first = us.post("/v1/prices", body, key="price-1")
        assert us.post("/v1/prices", body, key="price-1").content == first.content
        kind, stream, _, actor, _ = events_of(customer.id)[-1]
        assert (kind, str(stream)) == ("price.published", made(first)["id"])
        assert actor.startswith("key:")
        log = us.get("/v1/prices", organization=str(customer.id)).json()["data"]
        assert [row["approved_by"] for row in log] == [actor]

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"components": {}}, (400, "invalid_field")),
            ({"components": []}, (400, "invalid_field")),
            ({"components": {"input": 3}}, (400, "invalid_amount")),
            ({"components": {"input": "2"}}, (400, "invalid_field")),
            ({"components": {"input": {"amount": "2", "tiers": 7}}}, (400, "invalid_field")),
            ({"components": {"input": {"amount": "2", "tiers": [[1]]}}}, (400, "invalid_field")),
            ({"components": {"input": {"amount": "2", "tiers": [["x", "1"]]}}}, (400, "invalid_field")),
            ({"components": {"input": {"amount": "2", "per": 0}}}, (400, "invalid_field")),
            ({"components": {"input": {"amount": "99999999999"}, "output": "1"}}, (400, "invalid_amount")),
            ({"components": {"in\u202eput": "2"}}, (400, "invalid_field")),
            ({"currency": "usd"}, (400, "invalid_currency")),
            ({"valid_from": "2026-01-01T00:00:00"}, (400, "naive_datetime")),
            ({"valid_from": "2030-01-01T00:00:00Z", "valid_to": "2030-01-01T00:00:00Z"}, (400, "invalid_period")),
            ({"model": "no-such-model"}, (422, "price_unknown")),
            ({"organization": UNKNOWN}, (404, "not_found")),
            ({"organization": str(PLATFORM_ID)}, (404, "not_found")),
            ({"context_window": 5}, (400, "invalid_field")),
            ({"kind": "contract"}, (400, "read_only_field")),
            ({"price": "1"}, (400, "unknown_field")),
        ],
    )  # fmt: skip
    def test_that_cannot_be_is_refused_and_nothing_is_written(
        self, us: Caller, change: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        customer, model = make_customer("0"), make_model()
        before = events_of(customer.id)
        body = {**OWN, "model": model, "organization": str(customer.id), **change}
        answer = us.post("/v1/prices", body)
        assert problem(answer) == expected, answer.json()
        assert events_of(customer.id) == before


class TestToolsMarkupsAndRates:
    def test_a_tool_has_a_price_in_the_book_and_for_an_organization(self, us: Caller) -> None:
        customer, model, tool = make_customer("1000"), make_model(), unique("tool")
        book = made(us.post("/v1/tool-prices", {"pattern": f"{tool}*", "amount": "0.5"}))
        assert (book["organization"], book["unit"], book["per"], book["currency"]) == (None, "call", 1, "USD")
        body = {"pattern": tool, "amount": "0.75", "organization": str(customer.id)}
        own = made(us.post("/v1/tool-prices", body))
        now = datetime.now(UTC)
        assert charged(customer, model, now, tool_calls={tool: 2}) == ("1", "1.5")
        made(us.post(f"/v1/tool-prices/{own['id']}/end"), 200)
        assert charged(customer, model, datetime.now(UTC), tool_calls={tool: 2}) == ("1", "1")
        assert us.get("/v1/tool-prices", pattern=f"{tool}*").json()["data"] == [book]
        assert us.get(f"/v1/tool-prices/{book['id']}").json() == book

    def test_a_markup_of_an_organization_is_charged_until_it_ends(self, us: Caller) -> None:
        customer, model = make_customer("1000"), make_model()
        body = {"organization": str(customer.id), "percent": "12.5", "reason": "standard"}
        markup = made(us.post("/v1/markups", body))
        assert (markup["percent"], markup["reason"]) == ("12.5", "standard")
        assert charged(customer, model, datetime.now(UTC)) == ("11", "12.375")
        made(us.post(f"/v1/markups/{markup['id']}/end"), 200)
        assert charged(customer, model, datetime.now(UTC)) == ("11", "11")
        shown = us.get("/v1/markups", organization=str(customer.id)).json()["data"]
        assert [row["valid_to"] is None for row in shown] == [False]

    def test_a_default_markup_is_that_of_all_that_have_none(self, us: Caller) -> None:
        customer, special, model = make_customer("1000"), make_customer("1000"), make_model()
        own = {"organization": str(special.id), "percent": "0", "reason": "at cost"}
        made(us.post("/v1/markups", own))
        default = made(us.post("/v1/markups", {"percent": "10", "reason": "list price"}))
        try:
            now = datetime.now(UTC)
            found = [charged(each, model, now) for each in (customer, special)]
        finally:  # other tests count on there being none
            made(us.post(f"/v1/markups/{default['id']}/end"), 200)
        assert found == [("11", "12.1"), ("11", "11")]
        assert default["organization"] is None
        assert us.get("/v1/markups").json()["data"][0]["id"] == default["id"]

    def test_an_exchange_rate_converts_until_it_ends(self, us: Caller) -> None:
        customer, model = make_customer("1000", currency="NOK"), make_model()
        body = {"base": "USD", "quote": "NOK", "rate": "10.5", "markup_percent": "2"}
        rate = made(us.post("/v1/exchange-rates", body))
        assert (rate["rate"], rate["markup_percent"]) == ("10.5", "2")
        assert charged(customer, model, datetime.now(UTC)) == ("115.5", "117.81")
        made(us.post(f"/v1/exchange-rates/{rate['id']}/end"), 200)
        action = {"kind": "llm.chat", "provider": "acme", "model": model}
        answer = customer.reserve(None, estimate={"input_tokens": 10}, action=action, currency="NOK")
        assert problem(answer) == (422, "price_unknown")
        shown = us.get("/v1/exchange-rates", base="USD", quote="NOK").json()["data"]
        assert rate["id"] in [row["id"] for row in shown]

    @pytest.mark.parametrize(
        ("path", "body", "expected"),
        [
            ("tool-prices", {"pattern": "a*b", "amount": "1"}, (400, "invalid_field")),
            ("tool-prices", {"pattern": "a", "amount": "1e3"}, (400, "invalid_amount")),
            ("tool-prices", {"pattern": "a", "amount": "1", "unit": "hour"}, (400, "invalid_field")),
            ("tool-prices", {"pattern": "a", "amount": None}, (400, "invalid_amount")),
            ("tool-prices", {"pattern": "a", "amount": "1", "per": 2**31}, (400, "invalid_field")),
            ("markups", {"percent": "1.23456", "reason": "x"}, (400, "invalid_quantity")),
            ("markups", {"percent": 5, "reason": "x"}, (400, "invalid_quantity")),
            ("markups", {"percent": "-5", "reason": "x"}, (400, "invalid_quantity")),
            ("markups", {"percent": "100001", "reason": "x"}, (400, "invalid_field")),
            ("markups", {"percent": "5"}, (400, "invalid_field")),
            ("exchange-rates", {"base": "USD", "quote": "USD", "rate": "1"}, (400, "invalid_field")),
            ("exchange-rates", {"base": "USD", "quote": "SEK", "rate": "0"}, (400, "invalid_amount")),
            ("exchange-rates", {"base": "usd", "quote": "SEK", "rate": "1"}, (400, "invalid_currency")),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, us: Caller, path: str, body: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        assert problem(us.post(f"/v1/{path}", body)) == expected


class TestWhoMay:
    @pytest.mark.parametrize("path", LISTS)
    def test_only_the_platform_sees_and_publishes_prices(self, path: str) -> None:
        admin = caller(make_customer("0").id)
        assert problem(admin.get(f"/v1/{path}")) == (403, "forbidden")
        assert problem(admin.get(f"/v1/{path}/{UNKNOWN}")) == (403, "forbidden")
        end = ("approve", "reject") if path == "price-changes" else ("end",)
        for verb in end:
            assert problem(admin.post(f"/v1/{path}/{UNKNOWN}/{verb}", {"reason": "x"})) == (403, "forbidden")
        if path != "price-changes":
            assert problem(admin.post(f"/v1/{path}", {})) == (403, "forbidden")

    @pytest.mark.parametrize("path", LISTS[1:])
    def test_what_is_unknown_is_not_there(self, us: Caller, path: str) -> None:
        assert problem(us.get(f"/v1/{path}/{UNKNOWN}")) == (404, "not_found")
        assert problem(us.get(f"/v1/{path}/nothing")) == (404, "not_found")
        assert problem(us.post(f"/v1/{path}/{UNKNOWN}/end")) == (404, "not_found")

    @pytest.mark.parametrize("path", ["prices", "tool-prices", "markups"])
    def test_an_unknown_organizations_list_is_not_there(self, us: Caller, path: str) -> None:
        assert problem(us.get(f"/v1/{path}", organization=UNKNOWN)) == (404, "not_found")

    def test_an_end_lies_not_in_the_past(self, us: Caller) -> None:
        made_one: UUID | str = made(us.post("/v1/tool-prices", {"pattern": unique("tool"), "amount": "1"}))[
            "id"
        ]
        answer = us.post(f"/v1/tool-prices/{made_one}/end", {"valid_to": "2020-01-01T00:00:00Z"})
        assert problem(answer) == (400, "invalid_period")

    def test_lists_are_paged(self, us: Caller) -> None:
        customer = make_customer("0")
        body = {"organization": str(customer.id), "percent": "1", "reason": "x"}
        ids = [made(us.post("/v1/markups", body))["id"] for _ in range(3)]
        first = us.get("/v1/markups", organization=str(customer.id), limit="2").json()
        rest = us.get(
            "/v1/markups", organization=str(customer.id), limit="2", cursor=first["next_cursor"]
        ).json()
        assert [row["id"] for row in first["data"] + rest["data"]] == ids[::-1]
