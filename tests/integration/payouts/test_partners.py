"""A partner's row: terms, the connected account, and what can be withdrawn of nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from billing.rules.payments.views import AccountView
from common.errors import InvalidField, InvalidTransition, NotFound
from payouts.operations.partners import change_partner, enroll_partner, set_account
from payouts.queries.partners import find_partner, partner_of_account, withdrawable
from payouts.rules.partners import Partner
from tests.builders.ledger import make_books
from tests.builders.orgs import AUTHOR, write

READY = AccountView("acct_1", "US", "USD", True, True, True, True, external_account="ba_1")


def enrolled() -> UUID:
    organization = make_books()
    write(lambda cur: enroll_partner(cur, organization=organization, author=AUTHOR))
    return organization


def found(organization: UUID) -> Partner:
    partner = write(lambda cur: find_partner(cur, organization))
    assert partner is not None
    return partner


def seen(organization: UUID, **given: Any) -> Partner:
    view = replace(READY, id=f"acct_{organization.hex}", **given)
    return write(lambda cur: set_account(cur, organization=organization, view=view, author=AUTHOR))


class TestAPartner:
    def test_begins_without_an_account_and_with_a_holdback_of_seven_days(self) -> None:
        partner = found(enrolled())
        assert (partner.status, partner.stripe_account, partner.terms.holdback_days) == (
            "onboarding",
            None,
            7,
        )

    def test_is_enrolled_once(self) -> None:
        organization = enrolled()
        with pytest.raises(InvalidTransition):
            write(lambda cur: enroll_partner(cur, organization=organization, author=AUTHOR))
        assert found(organization).version == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"holdback_days": -1},
            {"holdback_days": 366},
            {"reserve_rate": 1_000_001},
            {"minimum": 0},
            {"schedule": "hourly"},
            {"hold_reason": " "},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    def test_refuses_terms_that_make_no_sense(self, changes: dict[str, Any]) -> None:
        organization = enrolled()
        with pytest.raises(InvalidField):
            write(lambda cur: change_partner(cur, organization=organization, changes=changes, author=AUTHOR))
        assert found(organization).version == 1

    def test_changed_to_the_same_leaves_no_event(self) -> None:
        organization = enrolled()
        for _ in range(2):
            write(
                lambda cur: change_partner(
                    cur, organization=organization, changes={"holdback_days": 3}, author=AUTHOR
                )
            )
        assert found(organization).version == 2

    def test_is_active_when_its_account_can_take_money(self) -> None:
        organization = enrolled()
        assert seen(organization, payouts_enabled=False, details_submitted=False).status == "onboarding"
        assert seen(organization, payouts_enabled=False).status == "verifying"
        assert seen(organization, payouts_enabled=False, past_due=("person",)).status == "restricted"
        assert seen(organization).status == "active"
        partner = write(lambda cur: partner_of_account(cur, f"acct_{organization.hex}"))
        assert partner is not None and partner.organization == organization

    def test_says_when_its_destination_changed_but_not_for_the_first_one(self) -> None:
        organization = enrolled()
        assert seen(organization, external_account=None).destination_changed_at is None
        assert seen(organization).destination_changed_at is None
        moved = seen(organization, external_account="ba_2")
        assert moved.destination_changed_at is not None
        assert seen(organization, external_account="ba_2") == moved

    def test_keeps_its_account(self) -> None:
        organization = enrolled()
        seen(organization)
        with pytest.raises(InvalidTransition):
            write(lambda cur: set_account(cur, organization=organization, view=READY, author=AUTHOR))

    def test_that_earned_nothing_can_withdraw_nothing(self) -> None:
        organization = enrolled()
        said = write(lambda cur: withdrawable(cur, organization))
        assert (said.earned, said.collected, said.past_holdback, said.withdrawable) == (0, 0, 0, 0)
        assert [reason.code for reason in said.reasons] == ["account_not_ready"]

    def test_is_none_that_was_not_enrolled(self) -> None:
        with pytest.raises(NotFound):
            write(lambda cur: withdrawable(cur, make_books()))
