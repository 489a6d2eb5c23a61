"""Manual adjustments: the limit, and who may approve."""

import pytest

from common.errors import InvalidField, MakerCannotApprove
from common.money import UNITS_PER_MAJOR
from ledger.rules.adjustments import (
    CONTRA_KINDS,
    grant_kind,
    needs_approval,
    require_other_person,
    require_reason,
)
from ledger.rules.chart import KINDS, LIVE

LIMIT = 500 * UNITS_PER_MAJOR


class TestTheLimit:
    @pytest.mark.parametrize("sign", [1, -1])
    def test_itself_needs_no_approval_but_one_unit_more_does(self, sign: int) -> None:
        assert not needs_approval(sign * LIMIT, above=LIMIT)
        assert needs_approval(sign * (LIMIT + 1), above=LIMIT)


class TestTheApprover:
    def test_is_another_person(self) -> None:
        require_other_person(proposer="email:ada@example.com", approver="email:bob@example.com")

    def test_is_not_the_maker(self) -> None:
        with pytest.raises(MakerCannotApprove):
            require_other_person(proposer="email:ada@example.com", approver="email:ada@example.com")

    @pytest.mark.parametrize("proposer", [None, "email:ada@example.com"])
    def test_is_not_a_key(self, proposer: str | None) -> None:
        with pytest.raises(MakerCannotApprove):
            require_other_person(proposer=proposer, approver=None)

    def test_may_be_any_person_when_a_key_proposed(self) -> None:
        require_other_person(proposer=None, approver="login:1")


class TestTheReason:
    @pytest.mark.parametrize("reason", ["", " ", "\n\t"])
    def test_is_required(self, reason: str) -> None:
        with pytest.raises(InvalidField):
            require_reason(reason)

    def test_is_kept_without_surrounding_space(self) -> None:
        assert require_reason(" late delivery ") == "late delivery"


class TestTheContraAccount:
    def test_is_any_without_a_limit_but_what_payouts_have_in_transit(self) -> None:
        assert set(CONTRA_KINDS) == set(KINDS) - LIVE - {"payout_in_transit"}

    def test_makes_paid_credit_only_when_it_is_cash(self) -> None:
        assert {kind for kind in CONTRA_KINDS if grant_kind(kind) == "paid"} == {"cash"}
