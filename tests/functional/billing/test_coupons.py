"""Coupons through the API: what they take off, how often they are redeemed, and who has them."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.operations.coupons import redeem_coupon
from common.errors import ProblemError
from common.ids import new_id
from orgs.operations.organizations import close_organization
from tests.builders.catalog import catalog_events, make_coupon
from tests.builders.orgs import (
    AUTHOR,
    caller,
    events_of,
    make_member,
    make_organization,
    make_team,
    platform,
    unique,
    write,
)

PATH = "/v1/coupons"
REDEEMED = "/v1/coupon-redemptions"


def problem(answer: Any) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [error["pointer"] for error in body.get("errors", ())]


class TestOfferingACoupon:
    def test_answers_with_all_of_it(self) -> None:
        code = unique("WELCOME")
        body = {
            "code": code,
            "name": "Welcome",
            "terms": {"percent": "12.5", "duration": "periods", "periods": 3, "charges": ["base"]},
            "redeem_by": "2030-01-01T00:00:00+02:00",
            "max_redemptions": 100,
        }
        made = platform().post(PATH, body)
        assert made.status_code == 201
        shown = made.json()
        assert {name: shown[name] for name in shown if name not in ("id", "created_at")} == {
            "code": code,
            "name": "Welcome",
            "terms": {
                "percent": "12.5",
                "amounts": None,
                "duration": "periods",
                "periods": 3,
                "charges": ["base"],
            },
            "redeem_by": "2029-12-31T22:00:00Z",
            "max_redemptions": 100,
            "redemptions": 0,
            "status": "active",
            "version": 1,
            "archived_at": None,
        }
        assert platform().get(f"{PATH}/{code}").json() == shown
        assert shown in platform().get(PATH, limit="100").json()["data"]

    def test_is_repeated_under_its_key(self) -> None:
        body = {"code": unique("c"), "name": "Welcome", "terms": {"percent": "5"}}
        who = platform()
        first, again = who.post(PATH, body, key=body["code"]), who.post(PATH, body, key=body["code"])
        assert (again.status_code, again.content) == (201, first.content)

    def test_under_a_code_that_is_taken_or_looks_like_one_is_a_conflict(self) -> None:
        taken = make_coupon().code
        for code in (taken, taken.upper()):
            answer = platform().post(PATH, {"code": code, "name": "x", "terms": {"percent": "5"}})
            assert problem(answer) == (409, "name_conflict", ["/code"])

    @pytest.mark.parametrize(
        ("terms", "expected"),
        [
            ({}, ("invalid_field", "/terms/percent")),
            ({"percent": "5", "amounts": {"USD": "1"}}, ("invalid_field", "/terms/amounts")),
            ({"percent": "0"}, ("invalid_field", "/terms/percent")),
            ({"percent": "100.1"}, ("invalid_field", "/terms/percent")),
            ({"percent": 5}, ("invalid_quantity", "/terms/percent")),
            ({"amounts": {}}, ("invalid_field", "/terms/amounts")),
            ({"amounts": {"usd": "1"}}, ("invalid_currency", "/terms/amounts/usd")),
            ({"amounts": {"USD": "0"}}, ("invalid_amount", "/terms/amounts/USD")),
            ({"amounts": {"USD": "-1"}}, ("invalid_amount", "/terms/amounts/USD")),
            ({"amounts": {"USD": "1.005"}}, ("invalid_amount", "/terms/amounts/USD")),
            ({"amounts": {"JPY": "10.5"}}, ("invalid_amount", "/terms/amounts/JPY")),
            ({"percent": "5", "duration": "twice"}, ("invalid_field", "/terms/duration")),
            ({"percent": "5", "duration": "periods"}, ("invalid_field", "/terms/periods")),
            ({"percent": "5", "periods": 3}, ("invalid_field", "/terms/periods")),
            ({"percent": "5", "duration": "periods", "periods": 0}, ("invalid_field", "/terms/periods")),
            ({"percent": "5", "charges": []}, ("invalid_field", "/terms/charges")),
            ({"percent": "5", "charges": ["a", "a"]}, ("invalid_field", "/terms/charges")),
            ({"percent": "5", "charges": ["a b"]}, ("invalid_field", "/terms/charges/0")),
            ({"percent": "5", "colour": "red"}, ("unknown_field", "/terms/colour")),
        ],
    )
    def test_refuses_terms_that_take_off_nothing_clear(
        self, terms: dict[str, Any], expected: tuple[str, str]
    ) -> None:
        before = catalog_events()
        answer = platform().post(PATH, {"code": unique("c"), "name": "x", "terms": terms})
        code, pointer = expected
        assert problem(answer) == (400, code, [pointer])
        assert catalog_events() == before

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"code": "a b"}, (400, "invalid_field", ["/code"])),
            ({"name": "a\u200bb"}, (400, "invalid_text", ["/name"])),
            ({"terms": None}, (400, "invalid_field", ["/terms"])),
            ({"redeem_by": "2030-01-01T00:00:00"}, (400, "naive_datetime", ["/redeem_by"])),
            ({"redeem_by": 1_900_000_000}, (400, "invalid_datetime", ["/redeem_by"])),
            ({"max_redemptions": 0}, (400, "invalid_field", ["/max_redemptions"])),
            ({"max_redemptions": "5"}, (400, "invalid_field", ["/max_redemptions"])),
            ({"status": "active"}, (400, "read_only_field", ["/status"])),
            ({"redemptions": 5}, (400, "read_only_field", ["/redemptions"])),
        ],
    )
    def test_refuses_what_is_no_coupon(
        self, change: dict[str, Any], expected: tuple[int, str, list[str]]
    ) -> None:
        before = catalog_events()
        body = {"code": unique("c"), "name": "x", "terms": {"percent": "5"}, **change}
        assert problem(platform().post(PATH, body)) == expected
        assert catalog_events() == before

    def test_is_the_platforms_alone(self) -> None:
        coupon, who = make_coupon(), caller(make_organization(), "admin", "billing:write")
        before = catalog_events()
        for answer in (
            who.get(PATH),
            who.get(f"{PATH}/{coupon.code}"),
            who.post(PATH, {"code": "mine", "name": "x", "terms": {"percent": "100"}}),
            who.patch(f"{PATH}/{coupon.code}", {"max_redemptions": 5}),
            who.post(f"{PATH}/{coupon.code}/archive"),
        ):
            assert problem(answer)[:2] == (403, "forbidden")
        assert catalog_events() == before


class TestChangingACoupon:
    def test_is_kept_with_old_and_new_value(self) -> None:
        coupon, who = make_coupon(), platform()
        changed = who.patch(f"{PATH}/{coupon.code}", {"name": "Hello", "max_redemptions": 7}).json()
        assert (changed["name"], changed["max_redemptions"], changed["version"]) == ("Hello", 7, 2)
        kind, _, _, _, data = catalog_events()[-1]
        assert kind == "coupon.changed"
        assert data["changed"] == {"name": ["Welcome", "Hello"], "max_redemptions": [None, 7]}
        before = catalog_events()
        assert who.patch(f"{PATH}/{coupon.code}", {"name": "Hello"}).json() == changed
        assert catalog_events() == before
        assert who.patch(f"{PATH}/{coupon.code}", {"max_redemptions": None}).json()["max_redemptions"] is None

    @pytest.mark.parametrize("field", ["code", "terms"])
    def test_leaves_what_it_takes_off(self, field: str) -> None:
        answer = platform().patch(f"{PATH}/{make_coupon().code}", {field: {}})
        assert problem(answer) == (400, "read_only_field", [f"/{field}"])

    def test_ends_with_its_archiving(self) -> None:
        coupon, who = make_coupon(), platform()
        ended = who.post(f"{PATH}/{coupon.code}/archive").json()
        assert ended["status"] == "archived"
        assert who.post(f"{PATH}/{coupon.code}/archive").json() == ended
        assert problem(who.patch(f"{PATH}/{coupon.code}", {"name": "x"}))[:2] == (409, "invalid_transition")
        for name in ("ghost", str(new_id()), "%00"):
            assert problem(who.get(f"{PATH}/{name}"))[:2] == (404, "not_found")


class TestRedeeming:
    def test_gives_the_organization_the_coupon_as_it_is_then(self) -> None:
        organization, coupon = make_organization(), make_coupon()
        who = caller(organization, "billing:write")
        made = who.post(REDEEMED, {"coupon": coupon.code})
        assert made.status_code == 201
        shown = made.json()
        assert (shown["coupon"], shown["status"], shown["subscription"]) == (coupon.code, "active", None)
        assert shown["terms"]["percent"] == "20"
        platform().post(f"{PATH}/{coupon.code}/archive")
        assert who.get(f"{REDEEMED}/{shown['id']}").json() == shown
        assert who.get(REDEEMED).json() == {"data": [shown], "next_cursor": None}
        assert platform().get(f"{PATH}/{coupon.code}").json()["redemptions"] == 1

    def test_is_repeated_under_its_key_and_refused_under_another(self) -> None:
        organization, coupon = make_organization(), make_coupon()
        who = caller(organization, "billing:write")
        first = who.post(REDEEMED, {"coupon": coupon.code}, key="r-1")
        again = who.post(REDEEMED, {"coupon": coupon.code}, key="r-1")
        assert (again.status_code, again.content) == (201, first.content)
        before = events_of(organization)
        assert problem(who.post(REDEEMED, {"coupon": coupon.code}, key="r-2"))[:2] == (
            409,
            "coupon_not_redeemable",
        )
        assert events_of(organization) == before

    @pytest.mark.parametrize(
        "given",
        [
            {"redeem_by": datetime.now(UTC) - timedelta(seconds=1)},
            {"amounts": {"EUR": "5"}},
        ],
    )
    def test_is_refused_too_late_or_in_another_currency(self, given: dict[str, Any]) -> None:
        organization, coupon = make_organization(), make_coupon(**given)
        before = events_of(organization)
        answer = platform().post(REDEEMED, {"coupon": coupon.code, "organization": str(organization)})
        assert problem(answer)[:2] == (409, "coupon_not_redeemable")
        assert events_of(organization) == before

    def test_is_refused_of_what_is_archived_or_unknown_or_by_a_closed_organization(self) -> None:
        organization, coupon = make_organization(), make_coupon()
        who = caller(organization, "billing:write")
        for name in ("ghost", str(new_id()), "a b"):
            assert problem(who.post(REDEEMED, {"coupon": name})) == (404, "not_found", ["/coupon"])
        platform().post(f"{PATH}/{coupon.code}/archive")
        assert problem(who.post(REDEEMED, {"coupon": coupon.code}))[:2] == (409, "coupon_not_redeemable")
        other = make_coupon().code
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        body = {"coupon": other, "organization": str(organization)}
        assert problem(platform().post(REDEEMED, body))[:2] == (403, "organization_closed")

    def test_never_happens_more_often_than_it_can_at_the_same_moment(self) -> None:
        coupon = make_coupon(max_redemptions=3)
        organizations = [make_organization() for _ in range(8)]
        start, answers = threading.Barrier(8), []

        def redeem(organization: Any) -> None:
            start.wait()
            try:
                write(lambda cur: redeem_coupon(cur, organization, coupon.code, author=AUTHOR))
                answers.append("redeemed")
            except ProblemError as error:
                answers.append(error.code)

        threads = [threading.Thread(target=redeem, args=(each,)) for each in organizations]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == ["coupon_not_redeemable"] * 5 + ["redeemed"] * 3
        assert platform().get(f"{PATH}/{coupon.code}").json()["redemptions"] == 3

    def test_ends_once(self) -> None:
        organization = make_organization()
        who = caller(organization, "billing:write")
        made = who.post(REDEEMED, {"coupon": make_coupon().code}).json()
        ended = who.post(f"{REDEEMED}/{made['id']}/end").json()
        assert ended["status"] == "ended"
        before = events_of(organization)
        assert who.post(f"{REDEEMED}/{made['id']}/end").json() == ended
        assert events_of(organization) == before
        assert who.get(REDEEMED, status="active").json()["data"] == []

    def test_of_another_organization_is_answered_like_an_unknown_one(self) -> None:
        made = (
            caller(make_organization(), "billing:write").post(REDEEMED, {"coupon": make_coupon().code}).json()
        )
        other = caller(make_organization(), "admin", "billing:write")
        for name in (made["id"], str(new_id()), "nothing"):
            for answer in (other.get(f"{REDEEMED}/{name}"), other.post(f"{REDEEMED}/{name}/end")):
                assert problem(answer)[:2] == (404, "not_found")
        body = {"coupon": make_coupon().code, "organization": made["organization"]}
        assert problem(other.post(REDEEMED, body))[:2] == (404, "not_found")

    @pytest.mark.parametrize(
        ("scopes", "role", "status"),
        [
            (("billing:write",), None, 201),
            (("admin",), None, 201),
            (("billing:read",), None, 403),
            (("spend:write",), None, 403),
            (("billing:write",), "owner", 201),
            (("admin",), "owner", 201),
            (("billing:write",), "billing_admin", 201),
            (("admin", "billing:write"), "team_owner", 403),
            (("admin", "billing:write"), "member", 403),
        ],
    )
    def test_is_for_who_decides_in_matters_of_billing(
        self, scopes: tuple[str, ...], role: str | None, status: int
    ) -> None:
        organization = make_organization()
        team = make_team(organization).key if role == "team_owner" else None
        member = None if role is None else str(make_member(organization, role, team=team).id)
        who = caller(organization, *scopes, member=member)
        assert who.post(REDEEMED, {"coupon": make_coupon().code}).status_code == status
