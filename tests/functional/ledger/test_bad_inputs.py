"""What addresses that move credit answer to bad input, by the ids of the catalogue; each refusal moves nothing."""

import json
import time
from typing import Any
from uuid import UUID

import pytest

from common.ids import new_id
from tests.builders.books import balances, give, open_books
from tests.builders.gate import UNIT
from tests.builders.orgs import Caller, http, make_agent, make_member, make_organization, platform, unique
from tests.invariants import Still, assert_sound

ROUTES = ("grants", "refund", "clawbacks", "adjustments")
WRONG_AMOUNTS = {
    "B3": b'"NaN"', "B5": b"1e400", "B6": b'"1E+999999999"', "B7": b'"1E-999999999"', "B8": b"0.1",
    "B9": b'"0.000000001"',
    "B11": b'"-0"', "B12 number": b"-1", "B12": b'"-1"', "B13": b'"0"', "B13 long": b'"0.00000000"',
    "B14": b'"100000000000"', "B15": '"１０"'.encode(), "B17": b'"1_000"', "B18": b'"1,000"', "B19": b'" 1 "',
    "B20": b'"+1"', "B21": b'"0x10"', "B22": b"true", "B23": b"null", "B24": b"[]", "B26": b"1" * 5_000,
    "B27 number": b"9223372036854775808", "B27": b'"9223372036854775808"', "B27 units": b'"92233720368.54775808"',
    "B28 number": b"-9223372036854775809", "B28": b'"-9223372036854775809"', "empty": b'""', "object": b"{}",
    "leading zero": b'"01"', "no digit": b'".5"', "point": b'"1."', "line end": b'"1\\n"', "whole number": b"1",
}  # fmt: skip
NOT_JSON = {
    "B1": (b"NaN", "invalid_json"),
    "B2": (b"Infinity", "invalid_json"),
    "B2 negative": (b"-Infinity", "invalid_json"),
}
WRONG_CURRENCIES = ("usd", "USD ", "USĐ", "XXX", "", "US", "USDT", 1, None)


class Address:
    """An address with a body that it would accept, on an organization with paid credit of 10."""

    def __init__(self, name: str, currency: str = "USD") -> None:
        self.organization = open_books(currency=currency)
        self.grant = give(self.organization, "10", currency=currency)
        self.caller = platform()
        whose = {"organization": str(self.organization), "currency": currency}
        self.path, self.body = {
            "grants": ("/v1/credits/grants", {**whose, "amount": "1", "kind": "paid", "reason": "Top-up"}),
            "refund": (f"/v1/credits/grants/{self.grant}/refund", {"amount": "1", "reason": "Unused"}),
            "clawbacks": (
                "/v1/credits/clawbacks",
                {**whose, "amount": "1", "source": f"dispute:{unique()}", "reason": "Dispute"},
            ),
            "adjustments": (
                "/v1/adjustments",
                {
                    **whose,
                    "amount": "1",
                    "direction": "credit",
                    "contra": "promotional_expense",
                    "reason": "Sorry",
                },
            ),
        }[name]

    def send(self, raw: bytes, *, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.caller.secret}", "Idempotency-Key": key or unique()}
        return http().post(self.path, raw, content_type="application/json", headers=headers)

    def with_raw(self, field: str, raw: bytes) -> bytes:
        """The body with this text in place of a field's value."""
        return json.dumps({**self.body, field: "@@"}).encode().replace(b'"@@"', raw)

    def refuses(self, raw: bytes, expected: tuple[int, str]) -> Any:
        """Sent twice, the refusal is the same and nothing moves."""
        with Still(self.organization):
            answers = [self.send(raw), self.send(raw)]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == expected, answer.content
        return answers[0]


@pytest.mark.parametrize("name", ROUTES)
class TestAnAmount:
    def test_of_the_plain_form_moves(self, name: str) -> None:
        address = Address(name)
        answer = address.send(json.dumps(address.body).encode())
        assert answer.status_code == 201, answer.content
        moved = {"grants": 1, "refund": -1, "clawbacks": -1, "adjustments": 1}[name]
        assert balances(address.organization)["customer_credit"] == (10 + moved) * UNIT
        assert_sound(address.organization)

    def test_of_any_other_form_is_refused(self, name: str) -> None:
        address = Address(name)
        for row, raw in WRONG_AMOUNTS.items():
            began = time.monotonic()
            answer = address.refuses(address.with_raw("amount", raw), (400, "invalid_amount"))
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/amount"], row
            assert time.monotonic() - began < 5, row

    def test_that_is_no_json_is_refused(self, name: str) -> None:
        address = Address(name)
        for raw, code in NOT_JSON.values():
            address.refuses(address.with_raw("amount", raw), (400, code))

    def test_that_is_absent_is_refused(self, name: str) -> None:
        address = Address(name)
        body = {field: value for field, value in address.body.items() if field != "amount"}
        answer = address.refuses(json.dumps(body).encode(), (400, "invalid_field"))
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/amount"]

    def test_given_twice_is_refused(self, name: str) -> None:
        address = Address(name)
        raw = json.dumps(address.body).encode().replace(b"{", b'{"amount": "5", ', 1)
        address.refuses(raw, (400, "duplicate_key"))


@pytest.mark.parametrize("name", ROUTES)
class TestABody:
    def test_with_an_unknown_field_is_refused(self, name: str) -> None:
        address = Address(name)
        address.refuses(json.dumps({**address.body, "colour": "red"}).encode(), (400, "unknown_field"))

    @pytest.mark.parametrize("field", ["id", "balance", "created_at", "approved_by"])
    def test_with_a_field_that_the_server_sets_is_refused(self, name: str, field: str) -> None:
        address = Address(name)
        address.refuses(json.dumps({**address.body, field: "x"}).encode(), (400, "read_only_field"))

    @pytest.mark.parametrize(
        ("reason", "code"),
        [("a\u0000b", "invalid_text"), ("\u202eabc", "invalid_text"), ("", "invalid_field"), ("   ", "invalid_field"),
         ("x" * 501, "invalid_field"), (None, "invalid_field"), (7, "invalid_field")],
    )  # fmt: skip
    def test_needs_a_reason_that_is_text(self, name: str, reason: Any, code: str) -> None:
        address = Address(name)
        address.refuses(json.dumps({**address.body, "reason": reason}).encode(), (400, code))

    def test_needs_an_idempotency_key(self, name: str) -> None:
        address = Address(name)
        with Still(address.organization):
            answer = address.caller.post(address.path, address.body)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")

    def test_is_answered_again_with_the_same_bytes_and_moves_once(self, name: str) -> None:
        address, key = Address(name), unique()
        first = address.send(json.dumps(address.body).encode(), key=key)
        after = balances(address.organization)
        turned = dict(reversed(address.body.items()))
        second = address.send(json.dumps(turned, indent=3).encode(), key=key)
        assert (first.status_code, first.content) == (second.status_code, second.content)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert balances(address.organization) == after
        other = address.send(json.dumps({**address.body, "amount": "2"}).encode(), key=key)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert balances(address.organization) == after


@pytest.mark.parametrize("name", [name for name in ROUTES if name != "refund"])
class TestACurrency:
    def test_of_any_other_form_is_refused(self, name: str) -> None:
        """B36."""
        address = Address(name)
        for currency in WRONG_CURRENCIES:
            raw = json.dumps({**address.body, "currency": currency}).encode()
            answer = address.refuses(raw, (400, "invalid_currency"))
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/currency"], currency

    def test_that_is_not_the_organizations_is_refused(self, name: str) -> None:
        address = Address(name)
        address.refuses(json.dumps({**address.body, "currency": "EUR"}).encode(), (422, "currency_mismatch"))


class TestAPaidGrant:
    @pytest.mark.parametrize(("currency", "amount"), [("JPY", "10.5"), ("KWD", "1.2345"), ("USD", "0.001")])
    def test_has_no_fraction_of_the_smallest_coin(self, currency: str, amount: str) -> None:
        """B37."""
        address = Address("grants", currency)
        raw = json.dumps({**address.body, "amount": amount}).encode()
        answer = address.refuses(raw, (400, "invalid_amount"))
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/amount"]

    @pytest.mark.parametrize(("currency", "amount"), [("JPY", "10"), ("KWD", "1.234"), ("USD", "0.01")])
    def test_may_be_of_the_smallest_coin(self, currency: str, amount: str) -> None:
        address = Address("grants", currency)
        answer = address.send(json.dumps({**address.body, "amount": amount}).encode())
        assert (answer.status_code, answer.json()["amount"]) == (201, amount)

    def test_above_what_can_be_stored_in_all_is_refused(self) -> None:
        address = Address("grants")
        raw = json.dumps({**address.body, "amount": "92233720368.54"}).encode()
        address.refuses(raw, (422, "amount_out_of_range"))


class TestAGrant:
    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"kind": "included"}, "invalid_field"),
            ({"kind": "PAID"}, "invalid_field"),
            ({"priority": "1"}, "invalid_field"),
            ({"priority": 1.0}, "invalid_field"),
            ({"priority": 1001}, "invalid_field"),
            ({"priority": True}, "invalid_field"),
            ({"scope": "user"}, "invalid_field"),
            ({"scope": "team"}, "invalid_field"),
            ({"scope_target": "bot"}, "invalid_field"),
            ({"expires_at": "2040-01-01T00:00:00"}, "naive_datetime"),
            ({"expires_at": "2040-02-30T00:00:00Z"}, "invalid_datetime"),
            ({"expires_at": "2040-01-01T00:00:60Z"}, "invalid_datetime"),
            ({"effective_at": "2040-01-01T00:00:00+99:99"}, "invalid_datetime"),
            ({"effective_at": 2_208_988_800}, "invalid_datetime"),
            ({"expires_at": "2001-01-01T00:00:00Z"}, "invalid_period"),
            (
                {"effective_at": "2041-01-01T00:00:00Z", "expires_at": "2041-01-01T00:00:00Z"},
                "invalid_period",
            ),
            ({"organization": "acme"}, "invalid_id"),
        ],
    )
    def test_with_a_wrong_field_is_refused(self, given: dict[str, Any], code: str) -> None:
        address = Address("grants")
        address.refuses(json.dumps({**address.body, **given}).encode(), (400, code))

    @pytest.mark.parametrize("scope", ["team", "agent", "workflow"])
    def test_for_somebody_who_is_not_there_is_refused(self, scope: str) -> None:
        address = Address("grants")
        stranger = make_agent(make_organization())
        for target in ("nobody", str(new_id()), str(stranger.id)):
            body = {**address.body, "scope": scope, "scope_target": target}
            address.refuses(json.dumps(body).encode(), (404, "not_found"))

    def test_to_an_organization_that_is_not_there_is_refused(self) -> None:
        address = Address("grants")
        body = {**address.body, "organization": str(new_id())}
        address.refuses(json.dumps(body).encode(), (404, "not_found"))


class TestARefund:
    def test_above_what_is_free_is_refused(self) -> None:
        address = Address("refund")
        for amount in ("10.00000001", "92233720368.54775807"):
            raw = json.dumps({**address.body, "amount": amount}).encode()
            answer = address.refuses(raw, (422, "amount_exceeds_available"))
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/amount"]

    def test_of_credit_that_was_not_paid_for_is_not_found(self) -> None:
        address = Address("refund")
        promotional = give(address.organization, "5", kind="promotional")
        address.path = f"/v1/credits/grants/{promotional}/refund"
        address.refuses(json.dumps(address.body).encode(), (404, "not_found"))

    @pytest.mark.parametrize("name", ["%EF%BC%91", "-1", "1" * 30, "%00", "grant", "..;"])
    def test_of_something_that_is_no_id_is_not_found(self, name: str) -> None:
        address = Address("refund")
        address.path = f"/v1/credits/grants/{name}/refund"
        address.refuses(json.dumps(address.body).encode(), (404, "not_found"))

    def test_of_another_kind_of_object_is_not_found(self) -> None:
        address = Address("refund")
        member = make_member(address.organization).id
        for identifier in (member, address.organization, new_id()):
            address.path = f"/v1/credits/grants/{identifier}/refund"
            address.refuses(json.dumps(address.body).encode(), (404, "not_found"))


class TestAnAdjustment:
    @pytest.mark.parametrize(
        "given",
        [{"direction": "up"}, {"direction": None}, {"contra": "customer_credit"}, {"contra": "partner_payable"},
         {"contra": "slush_fund"}, {"contra": 1}],
    )  # fmt: skip
    def test_with_a_wrong_field_is_refused(self, given: dict[str, Any]) -> None:
        address = Address("adjustments")
        address.refuses(json.dumps({**address.body, **given}).encode(), (400, "invalid_field"))

    def test_that_takes_more_than_there_is_is_refused(self) -> None:
        address = Address("adjustments")
        body = {**address.body, "direction": "debit", "amount": "10.00000001"}
        address.refuses(json.dumps(body).encode(), (422, "amount_exceeds_available"))

    def test_above_the_limit_is_proposed_and_not_approved_by_a_key(self) -> None:
        """B121: a key without a member stands for no person, so also not for another one."""
        address = Address("adjustments")
        made = address.send(json.dumps({**address.body, "amount": "500.00000001"}).encode())
        assert (made.status_code, made.json()["status"]) == (201, "proposed")
        with Still(address.organization):
            for who in (address.caller, platform()):
                answer = who.post(f"/v1/adjustments/{made.json()['id']}/approve", key=unique())
                assert (answer.status_code, answer.json()["code"]) == (403, "maker_cannot_approve")


class TestLists:
    @pytest.mark.parametrize("path", ["credits/grants", "entries", "accounts", "adjustments"])
    def test_are_strict_about_their_parameters(self, path: str) -> None:
        address = Address("grants")
        whose = {"organization": str(address.organization)}
        place = f"/v1/{path}"
        for limit in ("0", "-1", "1000000000", "101", "x", "1.5", "１"):  # B126
            assert code(address.caller.get(place, **whose, limit=limit)) == (400, "invalid_parameter")
        assert code(address.caller.get(place, **whose, cursor="x")) == (400, "invalid_cursor")
        assert code(address.caller.get(place, **whose, colour="red")) == (400, "unknown_parameter")
        assert code(address.caller.get(place)) == (400, "invalid_parameter")
        assert code(address.caller.get(place, organization=str(new_id()))) in (
            (404, "not_found"),
            (200, None),
        )

    def test_of_a_statement_need_a_period(self) -> None:
        organization, who = open_books(), platform()
        account = account_of(who, organization)
        place = f"/v1/accounts/{account}/statement"
        day = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        assert code(who.get(place, **day)) == (200, None)
        assert code(who.get(place)) == (400, "invalid_parameter")
        assert code(who.get(place, **{**day, "to": day["from"]})) == (400, "invalid_period")
        assert code(who.get(place, **{**day, "axis": "diagonal"})) == (400, "invalid_parameter")
        assert code(who.get(place, **{**day, "from": "2026-01-01"})) == (400, "invalid_parameter")


def account_of(who: Caller, organization: UUID) -> str:
    found: str = who.get("/v1/accounts", organization=str(organization)).json()["data"][0]["id"]
    return found


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")
