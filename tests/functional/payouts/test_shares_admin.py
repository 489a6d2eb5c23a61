"""The staff's pages of partners and their terms: what is published, refused, withdrawn, and by whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.builders.books import open_books
from tests.builders.marketplace import Seller, calling, make_seller, spend
from tests.builders.orgs import events_of, platform
from tests.functional.billing.test_admin import staff

PAGE = "/admin/payouts/revenueshare/"
PARTNERS = "/admin/payouts/partner/"
PUBLISHER = ("add_revenueshare", "view_revenueshare")


def form(seller: Seller, **given: Any) -> dict[str, Any]:
    empty = {"listing": "", "plan": "", "fixed": "", "tiers": "", "minimum_fee": "", "splits": ""}
    begins = {"valid_from_0": "", "valid_from_1": "", "valid_from": ""}
    return {**empty, **begins, "organization": str(seller.id), "promotional": "platform", **given}


def shares(seller: Seller) -> list[dict[str, Any]]:
    found = platform().get("/v1/revenue-shares", organization=str(seller.id))
    assert found.status_code == 200, found.content
    data: list[dict[str, Any]] = found.json()["data"]
    return data


class TestTerms:
    def test_are_published_in_the_staffs_name_and_hold_from_the_next_call_on(self) -> None:
        seller = make_seller()
        customer = calling(seller)
        spend(customer, "1")
        user, client = staff(*PUBLISHER)
        assert client.get(f"{PAGE}add/").status_code == 200
        answer = client.post(
            f"{PAGE}add/", form(seller, listing=seller.listing.key, fee_rate="0.1", minimum_fee="0.05")
        )
        assert answer.status_code == 302, answer.content
        (made,) = shares(seller)
        assert (made["fee_rate"], made["listing"], made["status"]) == ("0.1", seller.listing.key, "in_effect")
        assert made["minimum_fee"] == "0.05"
        spend(customer, "1")
        assert seller.money.earned == 170_000_000  # 0.80 of the first call, 0.90 of the second
        (actor,) = {row[3] for row in events_of(seller.id) if row[0] == "revenue_share.published"}
        assert actor == f"staff:{user.pk}"

    def test_that_follow_leave_the_old_ones_as_they_were_and_both_are_shown(self) -> None:
        seller = make_seller()
        seller.share(fee_rate=300_000)
        user, client = staff(*PUBLISHER)
        later = datetime.now(UTC) + timedelta(days=3)
        tiers = '[{"up_to": "10", "fee_rate": "0.25"}, {"up_to": null, "fee_rate": "0.05"}]'
        given = form(seller, tiers=tiers, valid_from=f"{later:%Y-%m-%d %H:%M:%S}")
        assert client.post(f"{PAGE}add/", given).status_code == 302
        new, old = shares(seller)
        assert (old["fee_rate"], old["status"]) == ("0.3", "in_effect")
        assert (new["tiers"][0], new["status"]) == ({"up_to": "10", "fee_rate": "0.25"}, "scheduled")
        listed = client.get(f"{PAGE}?organization={seller.id}").content.decode()
        assert "platform keeps 0.3;" in listed
        assert "platform keeps 0.25 up to 10; platform keeps 0.05 above" in listed
        page = client.get(f"{PAGE}{new['id']}/change/").content.decode()
        assert f"by staff:{user.pk}" in page
        assert 'name="_save"' not in page

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({}, "Terms have a fee_rate, or fixed, or tiers."),
            ({"fee_rate": "0.2", "fixed": "1"}, "Terms have a fee_rate, or fixed, or tiers."),
            ({"fee_rate": "1.5"}, "A rate is a string from"),
            ({"fixed": "-1"}, "amount"),
            ({"tiers": '[{"up_to": "5", "fee_rate": "0.1"}]'}, "Tiers have a bound each but the last"),
            ({"fee_rate": "0.2", "splits": '[{"partner": "x", "weight": 1}]'}, "id"),
            ({"fee_rate": "0.2", "valid_from": "2020-01-01 00:00:00"}, "Terms begin now or later"),
            ({"fee_rate": "0.2", "listing": "ghost"}, "listing"),
            ({"fee_rate": "0.2", "plan": "no key!"}, "A key has ASCII letters"),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "said",
    )
    def test_that_the_api_refuses_are_refused_here_and_nothing_is_written(
        self, given: dict[str, str], said: str
    ) -> None:
        seller = make_seller()
        before = events_of(seller.id)
        _, client = staff(*PUBLISHER)
        shown = client.post(f"{PAGE}add/", form(seller, **given), follow=True).content.decode()
        assert said in shown
        assert ("errornote" in shown) or ('class="error"' in shown)
        assert (events_of(seller.id), shares(seller)) == (before, [])

    def test_are_refused_for_others_than_partners_and_for_another_currency(self) -> None:
        seller, other = make_seller(), make_seller("EUR")
        _, client = staff(*PUBLISHER)
        splits = f'[{{"partner": "{other.id}", "weight": 1}}]'
        shown = client.post(f"{PAGE}add/", form(seller, fee_rate="0.2", splits=splits), follow=True)
        assert "The partner&#x27;s currency is USD." in shown.content.decode()
        nobody = form(seller, fee_rate="0.2", organization=str(open_books()))
        shown = client.post(f"{PAGE}add/", nobody, follow=True)
        assert "This organization is no partner." in shown.content.decode()
        assert shares(seller) == []

    def test_are_published_and_withdrawn_by_nobody_who_may_only_look(self) -> None:
        seller = make_seller()
        made = seller.share(fee_rate=100_000, valid_from=datetime.now(UTC) + timedelta(days=3))
        before = events_of(seller.id)
        _, client = staff("view_revenueshare")
        assert client.get(f"{PAGE}add/").status_code == 403
        assert client.post(f"{PAGE}add/", form(seller, fee_rate="0.2")).status_code == 403
        page = f"{PAGE}{made.id}/change/"
        assert client.get(page).status_code == 200
        assert client.post(page, form(seller, fee_rate="0.2")).status_code == 403
        assert client.post(f"{PAGE}{made.id}/delete/", {"post": "yes"}).status_code == 403
        withdraw(client, seller, made.id)
        assert events_of(seller.id) == before

    def test_are_edited_by_nobody_however_much_he_may(self) -> None:
        seller = make_seller()
        made = seller.share(fee_rate=100_000)
        _, client = staff(*PUBLISHER, "change_revenueshare", "delete_revenueshare")
        page = f"{PAGE}{made.id}/"
        assert client.post(f"{page}change/", form(seller, fee_rate="0.2")).status_code == 403
        assert client.post(f"{page}delete/", {"post": "yes"}).status_code == 403
        assert [one["fee_rate"] for one in shares(seller)] == ["0.1"]

    def test_are_withdrawn_before_they_begin_and_not_after(self) -> None:
        seller = make_seller()
        begun = seller.share(fee_rate=100_000)
        later = seller.share(fee_rate=200_000, valid_from=datetime.now(UTC) + timedelta(days=3))
        user, client = staff("view_revenueshare", "change_revenueshare")
        withdraw(client, seller, later.id)
        assert "It has begun: publish other terms." in withdraw(client, seller, begun.id)
        assert [one["status"] for one in shares(seller)] == ["withdrawn", "in_effect"]
        shown = client.get(f"{PAGE}{later.id}/change/").content.decode()
        assert "withdrawn on" in shown and f"by staff:{user.pk}" in shown


class TestPartners:
    def test_are_held_by_nobody_who_may_only_look(self) -> None:
        seller = make_seller()
        _, client = staff("view_partner")
        before = events_of(seller.id)
        body = {"action": "hold", "_selected_action": [partner_row(seller)]}
        client.post(f"{PARTNERS}?organization={seller.id}", body, follow=True)
        assert events_of(seller.id) == before

    def test_are_held_by_who_may_change_them(self) -> None:
        seller = make_seller()
        user, client = staff("view_partner", "change_partner")
        body = {"action": "hold", "_selected_action": [partner_row(seller)]}
        before = events_of(seller.id)
        shown = client.post(f"{PARTNERS}?organization={seller.id}", body, follow=True).content.decode()
        assert ("A hold has a reason." in shown, events_of(seller.id)) == (True, before)
        body["reason"] = "Too many disputes"
        client.post(f"{PARTNERS}?organization={seller.id}", body, follow=True)
        kind, _, _, actor, _ = events_of(seller.id)[-1]
        assert (kind.startswith("partner."), actor) == (True, f"staff:{user.pk}")
        assert partner_shown(seller.id)["hold_reason"] == "Too many disputes"

    def test_are_enrolled_with_their_terms_by_who_may_add_them(self) -> None:
        organization = open_books()
        user, client = staff("view_partner", "add_partner")
        assert client.get(f"{PARTNERS}add/").status_code == 200
        terms = {"minimum": "25", "schedule": "weekly", "holdback_days": "14", "reserve_rate": "0.1"}
        given = {**terms, "organization": str(organization), "hold_reason": ""}
        for wrong in (
            {"holdback_days": "400"},
            {"reserve_rate": "2"},
            {"minimum": "0"},
            {"schedule": "yearly"},
        ):
            assert client.post(f"{PARTNERS}add/", {**given, **wrong}).status_code == 200, wrong
        assert platform().get(f"/v1/partners/{organization}").status_code == 404
        _, looker = staff("view_partner", "change_partner")
        assert looker.post(f"{PARTNERS}add/", given).status_code == 403

        assert client.post(f"{PARTNERS}add/", given).status_code == 302

        shown = partner_shown(organization)
        assert {name: str(shown[name]) for name in terms} == terms
        actors = [actor for kind, _, _, actor, _ in events_of(organization) if kind == "partner.enrolled"]
        assert actors == [f"staff:{user.pk}"]
        again = client.post(f"{PARTNERS}add/", given, follow=True).content.decode()
        assert "is a partner already" in again

    def test_get_other_terms_without_what_another_person_changed_meanwhile(self) -> None:
        seller = make_seller(minimum=2_500_000_000)
        user, client = staff("view_partner", "change_partner")
        page = f"{PARTNERS}{partner_row(seller)}/change/"
        form_ = client.get(page).context["adminform"].form
        given = {name: form_.get_initial_for_field(field, name) for name, field in form_.fields.items()}
        assert (given["minimum"], given["schedule"]) == ("25", "manual")
        answer = client.post(page, {**given, "schedule": "monthly", "hold_reason": "Fraud"})
        assert answer.status_code == 302
        shown = partner_shown(seller.id)
        assert (shown["schedule"], shown["minimum"], shown["hold_reason"]) == ("monthly", "25", "Fraud")
        kind, _, _, actor, _ = events_of(seller.id)[-1]
        assert (kind, actor) == ("partner.changed", f"staff:{user.pk}")
        before = events_of(seller.id)
        assert client.post(page, {**given, "reserve_rate": "x"}).status_code == 200
        _, looker = staff("view_partner")
        assert looker.get(page).status_code == 200
        assert looker.post(page, given).status_code == 403
        assert events_of(seller.id) == before


def withdraw(client: Any, seller: Seller, share: UUID) -> str:
    body = {"action": "withdraw", "_selected_action": [str(share)]}
    shown: str = client.post(f"{PAGE}?organization={seller.id}", body, follow=True).content.decode()
    return shown


def partner_shown(organization: UUID) -> dict[str, Any]:
    answer = platform().get(f"/v1/partners/{organization}")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def partner_row(seller: Seller) -> str:
    from payouts.models import Partner

    return str(Partner.objects.get(organization=seller.id).id)
