"""Coupons of a subscription."""

from tests.builders.books import open_books
from tests.builders.catalog import make_coupon
from tests.builders.orgs import events_of, platform
from tests.builders.subscribed import fee
from tests.builders.subscriptions import (
    PATH,
    act,
    acted,
    move_clock,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)
from tests.functional.billing.test_subscriptions import DAY, problem


class TestCoupons:
    def test_lower_the_first_period_when_named_at_the_start(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="periods", periods=2)
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])
        assert [(one["code"], one["periods_left"]) for one in made["coupons"]] == [(coupon.code, 1)]
        assert [(one["billed"], one["discount"]) for one in made["fees"]] == [("15", "15")]
        discounts = []
        for _ in range(2):
            move_clock(organization, 31 * DAY)
            run_boundaries(organization)
            discounts.append(shown(who, made)["fees"][0]["discount"])
        assert discounts == ["15", "0"]
        (redemption,) = who.get("/v1/coupon-redemptions").json()["data"]
        assert redemption["subscription"] == made["id"]

    def test_redeemed_later_hold_from_the_next_period(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("30")))
        coupon = make_coupon(amounts={"USD": "10"}, duration="once")
        applied = acted(who, made, "coupons", {"coupon": coupon.code})
        assert applied["fees"] == made["fees"]
        again = act(who, made, "coupons", {"coupon": coupon.code})
        assert problem(again)[:2] == (409, "coupon_not_redeemable")
        move_clock(organization, 31 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["fees"][0]["discount"] == "10"

    def test_without_an_amount_in_the_currency_are_refused_with_the_whole_start(self) -> None:
        organization = open_books()
        coupon = make_coupon(amounts={"EUR": "10"}, duration="once")
        who, plan = owner(organization), sell()
        before = events_of(organization)
        answer = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="k")
        assert problem(answer)[:2] == (409, "coupon_not_redeemable")
        assert events_of(organization) == before

    def test_that_were_ended_lower_no_later_period(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="forever")
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])
        (redemption,) = who.get("/v1/coupon-redemptions").json()["data"]
        ended = platform().post(f"/v1/coupon-redemptions/{redemption['id']}/end", key="end")
        assert ended.status_code == 200, ended.content
        move_clock(organization, 31 * DAY)
        run_boundaries(organization)
        assert shown(who, made)["fees"][0]["discount"] == "0"

    def test_are_not_had_again_by_beginning_anew(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="100", duration="once")
        who, plan = owner(organization), sell(fee("30"))
        acted(who, subscribe(who, plan, coupons=[coupon.code]), "cancel", {"when": "now"})
        before = events_of(organization)
        again = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="again")
        assert problem(again) == (409, "coupon_not_redeemable", ["/coupons/0"])
        assert events_of(organization) == before

    def test_of_the_whole_organization_lower_each_of_its_subscriptions(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="10", duration="forever")
        who = owner(organization)
        answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all")
        assert answer.status_code == 201, answer.content
        for _ in range(2):
            assert subscribe(who, sell(fee("30")))["fees"][0]["discount"] == "3"

    def test_of_the_whole_organization_are_none_of_a_subscription_beside(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="50", duration="forever")
        who, plan = owner(organization), sell(fee("30"))
        made = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all").json()
        running = subscribe(who, plan)

        def refused() -> None:
            before = events_of(organization)
            start = who.post(PATH, {"plan": plan.plan_key, "coupons": [coupon.code]}, key="start")
            assert problem(start)[:2] == (409, "coupon_not_redeemable")
            later = act(who, running, "coupons", {"coupon": coupon.code})
            assert problem(later)[:2] == (409, "coupon_not_redeemable")
            assert events_of(organization) == before

        refused()
        assert who.post(f"/v1/coupon-redemptions/{made['id']}/end", key="end").status_code == 200
        refused()

    def test_of_a_subscription_are_none_of_the_whole_organization_beside(self) -> None:
        organization = open_books()
        coupon = make_coupon(amounts={"USD": "10"}, duration="once")
        who = owner(organization)
        made = subscribe(who, sell(fee("30")), coupons=[coupon.code])

        def refused() -> None:
            before = events_of(organization)
            answer = who.post("/v1/coupon-redemptions", {"coupon": coupon.code}, key="all")
            assert problem(answer)[:2] == (409, "coupon_not_redeemable")
            assert events_of(organization) == before

        refused()
        acted(who, made, "cancel", {"when": "now"})
        refused()

    def test_are_redeemed_by_the_customer_for_one_subscription_of_all(self) -> None:
        organization = open_books()
        coupon = make_coupon(percent="100", duration="once")
        who, plan = owner(organization), sell(fee("30"))
        subscribe(who, plan, coupons=[coupon.code])
        beside = subscribe(who, plan)
        before = events_of(organization)
        body = {"plan": plan.plan_key, "coupons": [coupon.code]}
        start = who.post(PATH, body, key="start")
        assert problem(start) == (409, "coupon_not_redeemable", ["/coupons/0"])
        later = act(who, beside, "coupons", {"coupon": coupon.code})
        assert problem(later) == (409, "coupon_not_redeemable", ["/coupon"])
        assert events_of(organization) == before
        made = platform().post(PATH, {**body, "organization": str(organization)}, key="start")
        assert made.status_code == 201, made.content
        assert made.json()["fees"][0]["discount"] == "30"
        acted(platform(), beside, "coupons", {"coupon": coupon.code})
