"""The staff's pages of the books: nobody edits them, also no superuser; credit is adjusted by two persons."""

import secrets
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from ledger.models import Account, Adjustment, CreditGrant, Hold, JournalEntry
from tests.builders.books import balances, give, open_books
from tests.builders.gate import UNIT, make_customer
from tests.builders.orgs import caller, events_of, make_member, unique
from tests.invariants import Still, assert_sound

MODELS = {
    "account": Account,
    "journalentry": JournalEntry,
    "creditgrant": CreditGrant,
    "hold": Hold,
    "adjustment": Adjustment,
}
ADJUSTMENT = ("add_adjustment", "change_adjustment", "view_adjustment")
LIMIT = 500 * UNIT


def staff(*permissions: str, superuser: bool = False, email: str = "") -> tuple[User, Client]:
    user = User.objects.create_user(
        f"staff-{secrets.token_hex(4)}", email, is_staff=True, is_superuser=superuser, password=None
    )
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return user, client


def propose(client: Client, organization: UUID, amount: str = "500.00000001", **given: str) -> Any:
    """Fill in the form; the page that follows."""
    body = {
        "organization": str(organization), "direction": "credit", "amount": amount, "currency": "USD",
        "contra_kind": "promotional_expense", "reason": "Sorry for the outage", **given,
    }  # fmt: skip
    return client.post("/admin/ledger/adjustment/add/", body, follow=True)


def act(client: Client, action: str, adjustment: Adjustment, **given: str) -> str:
    """Choose an action for the adjustment; the page that follows."""
    body = {"action": action, "_selected_action": [str(adjustment.id)], **given}
    answer = client.post("/admin/ledger/adjustment/", body, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


def only(organization: UUID) -> Adjustment:
    return Adjustment.objects.get(organization=organization)


@pytest.fixture(scope="module")
def used() -> UUID:
    """An organization with a row of every kind."""
    customer = make_customer("10")
    customer.commit(customer.reserved("2")["id"], "1.5")
    customer.reserved("1")
    _, client = staff(*ADJUSTMENT)
    propose(client, customer.id, "1")
    return customer.id


def test_a_list_without_a_chosen_organization_says_what_to_do(used: UUID) -> None:
    _, client = staff(superuser=True)
    hint = b"Choose an organization in the filter to see its rows."
    assert hint in client.get("/admin/ledger/account/").content
    assert hint not in client.get("/admin/ledger/account/", {"organization": str(used)}).content
    assert hint not in client.get("/admin/ledger/adjustment/").content


@pytest.mark.parametrize("model", MODELS)
class TestEachPage:
    def test_lists_and_shows_and_offers_no_change_to_a_superuser(self, model: str, used: UUID) -> None:
        _, client = staff(superuser=True)
        row = MODELS[model].objects.filter(organization=used).first()  # type: ignore[attr-defined]
        assert row is not None
        place = f"/admin/ledger/{model}/"
        assert client.get(place).status_code == 200
        assert (
            client.get(place, {"organization": str(used)} if model != "adjustment" else {}).status_code == 200
        )
        page = client.get(f"{place}{row.pk}/change/")
        assert page.status_code == 200
        assert b'name="_save"' not in page.content
        assert b"deletelink" not in page.content
        with Still(used):
            for way in ("change", "delete"):
                answer = client.post(f"{place}{row.pk}/{way}/", {"post": "yes", "amount": "1"})
                assert answer.status_code == 403, way
            body = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
            client.post(place, body, follow=True)
            assert MODELS[model].objects.filter(pk=row.pk).exists()  # type: ignore[attr-defined]
            if model != "adjustment":
                assert client.get(f"{place}add/").status_code == 403
                assert client.post(f"{place}add/", {"organization": str(used)}).status_code == 403

    def test_is_closed_to_staff_without_the_permission(self, model: str) -> None:
        _, client = staff()
        assert client.get(f"/admin/ledger/{model}/").status_code == 403


class TestThePages:
    def test_of_an_entry_shows_its_postings_and_of_an_account_its_balance(self, used: UUID) -> None:
        _, client = staff(superuser=True)
        entry = JournalEntry.objects.get(organization=used, kind="grant", source__startswith="grant:")
        page = client.get(f"/admin/ledger/journalentry/{entry.pk}/change/").content.decode()
        assert "customer_credit 10 USD" in page
        assert "cash -10 USD" in page
        account = Account.objects.get(organization=used, kind="revenue")
        page = client.get(f"/admin/ledger/account/{account.pk}/change/").content.decode()
        assert ">1.5<" in page


class TestAnAdjustment:
    def test_up_to_the_limit_is_posted_by_one_person(self) -> None:
        organization = open_books()
        user, client = staff(*ADJUSTMENT)
        assert propose(client, organization, "500").status_code == 200
        made = only(organization)
        assert (made.status, made.amount, made.proposed_by) == ("posted", LIMIT, f"staff:{user.pk}")
        assert balances(organization) == {"customer_credit": LIMIT, "promotional_expense": -LIMIT}
        entry = JournalEntry.objects.get(pk=made.entry_id)
        assert (entry.reason, entry.actor) == ("Sorry for the outage", f"staff:{user.pk}")
        assert entry.source == f"adjustment:{made.id}"
        assert_sound(organization)

    def test_above_the_limit_moves_nothing_until_another_person_approves(self) -> None:
        organization = open_books()
        maker, client = staff(*ADJUSTMENT)
        propose(client, organization)
        made = only(organization)
        assert (made.status, made.entry_id) == ("proposed", None)
        assert balances(organization) == {}
        assert "Whoever proposed this cannot approve it." in act(client, "approve", made)
        assert only(organization).status == "proposed"
        assert balances(organization) == {}
        approver, other = staff(*ADJUSTMENT)
        act(other, "approve", made)
        made = only(organization)
        assert (made.status, made.proposed_by, made.decided_by) == (
            "posted", f"staff:{maker.pk}", f"staff:{approver.pk}",
        )  # fmt: skip
        assert balances(organization)["customer_credit"] == LIMIT + 1
        assert [event[0] for event in events_of(organization)][-2:] == [
            "adjustment.proposed",
            "adjustment.posted",
        ]
        assert_sound(organization)

    def test_is_not_approved_by_a_second_login_of_its_maker(self) -> None:
        """B121: one person with two logins is one person."""
        organization = open_books()
        address = f"{unique('Ada')}@example.com"
        _, first = staff(*ADJUSTMENT, email=address)
        _, second = staff(*ADJUSTMENT, email=address.upper())
        propose(first, organization)
        assert "Whoever proposed this cannot approve it." in act(second, "approve", only(organization))
        assert balances(organization) == {}

    def test_is_not_posted_twice(self) -> None:
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        _, other = staff(*ADJUSTMENT)
        propose(client, organization)
        act(other, "approve", only(organization))
        before = balances(organization)
        assert "posted already" in act(other, "approve", only(organization))
        assert "posted already" in act(other, "reject", only(organization), reason="Too late")
        assert balances(organization) == before

    @pytest.mark.parametrize("reason", ["", "   "])
    def test_without_a_reason_is_refused(self, reason: str) -> None:
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        page = propose(client, organization, "1", reason=reason)
        assert b"This field is required." in page.content
        assert not Adjustment.objects.filter(organization=organization).exists()
        assert balances(organization) == {}

    @pytest.mark.parametrize(
        "amount", ["0", "-1", "1e3", "1,000", "1.000000001", "NaN", "１０", "92233720369"]
    )
    def test_with_a_wrong_amount_is_refused(self, amount: str) -> None:
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        assert propose(client, organization, amount).status_code == 200
        assert not Adjustment.objects.filter(organization=organization).exists()

    def test_in_another_currency_is_refused(self) -> None:
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        page = propose(client, organization, "1", currency="EUR")
        assert b"currency is USD" in page.content
        assert not Adjustment.objects.filter(organization=organization).exists()

    def test_that_takes_more_than_there_is_is_refused(self) -> None:
        organization = open_books()
        give(organization, "5")
        _, client = staff(*ADJUSTMENT)
        with Still(organization):
            page = propose(client, organization, "5.00000001", direction="debit")
            assert b"There is less credit available." in page.content
        propose(client, organization, "5", direction="debit")
        assert only(organization).amount == -5 * UNIT
        assert "customer_credit" not in balances(organization)
        assert_sound(organization)

    def test_is_rejected_with_a_reason_only(self) -> None:
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        _, other = staff(*ADJUSTMENT)
        propose(client, organization)
        assert "A reason is required." in act(other, "reject", only(organization))
        assert only(organization).status == "proposed"
        act(other, "reject", only(organization), reason="Not agreed")
        made = only(organization)
        assert (made.status, made.decision_reason, made.entry_id) == ("rejected", "Not agreed", None)
        assert balances(organization) == {}
        assert "rejected already" in act(other, "approve", made)

    def test_is_closed_to_staff_who_may_only_look(self) -> None:
        organization = open_books()
        _, maker = staff(*ADJUSTMENT)
        _, client = staff("view_adjustment")
        assert propose(client, organization).status_code == 403
        propose(maker, organization)
        act(client, "approve", only(organization))
        assert only(organization).status == "proposed"

    def test_is_not_approved_by_a_key_of_its_makers_member(self) -> None:
        """The API approves for persons, too: a key without one, and the maker's own, are refused."""
        organization = open_books()
        _, client = staff(*ADJUSTMENT)
        propose(client, organization)
        for who in (caller(organization), caller(organization, member=str(make_member(organization).id))):
            answer = who.post(f"/v1/adjustments/{only(organization).id}/approve", key=unique())
            assert answer.status_code == 403
        assert balances(organization) == {}
