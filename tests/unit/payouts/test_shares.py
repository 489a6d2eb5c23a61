"""Terms and the split rules that they come to: the narrowest, then the latest; tiers by the month."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.errors import InvalidField
from payouts.rules.shares import (
    RevenueShare,
    Shared,
    ShareTerms,
    Tier,
    adjusted,
    check_terms,
    compiled,
    in_effect,
    next_month,
)

NOW = datetime(2026, 3, 20, tzinfo=UTC)
PARTNER, LISTING, CALLER = UUID(int=1), UUID(int=2), UUID(int=3)
TIERS = (Tier(100, 300_000), Tier(None, 100_000))


def share(number: int, rate: int = 0, **given: Any) -> RevenueShare:
    terms = given.pop("terms", ShareTerms(fee_rate=rate))
    begin = given.pop("begin", NOW - timedelta(days=10))
    return RevenueShare(
        UUID(int=number), PARTNER, given.get("listing"), given.get("plan"), begin, terms, 1, begin
    )


def rates(
    *shares: RevenueShare, plans: tuple[str, ...] = (), volumes: Mapping[UUID, int] | None = None
) -> Any:
    rules = compiled(
        shares,
        partner=PARTNER,
        listing=LISTING,
        caller=CALLER,
        plans=plans,
        volumes=volumes or {},
        default_rate=200_000,
        now=NOW,
    )
    return [rule["fee_rate"] for rule in rules]


class TestTheRuleForACaller:
    def test_is_the_default_without_terms(self) -> None:
        assert rates() == [200_000]

    def test_is_the_narrowest_that_applies(self) -> None:
        wide, listing = share(11, 1), share(12, 2, listing=LISTING)
        plan, both = share(13, 3, plan="pro"), share(14, 4, listing=LISTING, plan="pro")
        assert rates(wide, plan, plans=("pro",)) == [3]
        assert rates(wide, listing, plan, plans=("pro",)) == [2]
        assert rates(wide, listing, plan, both, plans=("pro",)) == [4]
        assert rates(wide, listing, plan, both) == [2]

    def test_is_the_latest_that_has_begun_and_those_to_come(self) -> None:
        old, new = share(11, 1), share(12, 2, begin=NOW - timedelta(days=1))
        later = share(13, 3, begin=NOW + timedelta(days=1))
        assert rates(old, new, later) == [2, 3]

    def test_is_not_one_that_was_withdrawn_or_of_another_listing(self) -> None:
        assert rates(share(11, 1, listing=UUID(int=9))) == [200_000]

    def test_has_the_rate_of_its_months_tier_and_begins_anew_with_the_next(self) -> None:
        tiered = share(11, terms=ShareTerms(tiers=TIERS))
        assert rates(tiered) == [300_000]
        assert rates(tiered, volumes={tiered.id: 100}) == [300_000]
        assert rates(tiered, volumes={tiered.id: 101}) == [100_000, 300_000]

    def test_says_the_same_later_though_it_then_began_earlier(self) -> None:
        begun = [{"rule": "a", "from": "2026-01-01T00:00:00Z"}, {"rule": "b", "from": "2026-02-01T00:00:00Z"}]
        assert in_effect(begun, NOW) == [{"rule": "b"}]


@pytest.mark.parametrize(
    "terms",
    [
        ShareTerms(),
        ShareTerms(fee_rate=1, fixed=1),
        ShareTerms(fee_rate=1_000_001),
        ShareTerms(fixed=0),
        ShareTerms(fee_rate=0, minimum_fee=-1),
        ShareTerms(tiers=TIERS, minimum_fee=1),
        ShareTerms(tiers=(Tier(None, 1), Tier(None, 1))),
        ShareTerms(tiers=(Tier(5, 1),)),
        ShareTerms(fee_rate=0, splits=((PARTNER, 1), (PARTNER, 1))),
        ShareTerms(fee_rate=0, splits=((PARTNER, 0),)),
        ShareTerms(fee_rate=0, promotional="customer"),
    ],
    ids=[
        "none",
        "two",
        "rate",
        "fixed",
        "minimum",
        "tiers-minimum",
        "open",
        "bounded",
        "twice",
        "weight",
        "policy",
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: ShareTerms) -> None:
    with pytest.raises(InvalidField):
        check_terms(terms)


@pytest.mark.parametrize(
    ("gross", "had", "calls", "due"),
    [(100, 71, 1, []), (100, 68, 2, []), (100, 72, 1, [-2]), (101, 71, 2, [20]), (101, 91, 1, [])],
    ids=["rounded-up", "rounded-down", "too-much", "the-next-tier", "had-it"],
)
def test_a_month_is_brought_to_its_tier_but_for_how_its_calls_were_rounded(
    gross: int, had: int, calls: int, due: list[int]
) -> None:
    row = Shared(UUID(int=5), LISTING, UUID(int=6), PARTNER, gross, had, calls)
    assert [amount for _, amount in adjusted(share(11, terms=ShareTerms(tiers=TIERS)), [row])] == due


def test_a_month_ends_where_the_next_begins() -> None:
    assert next_month(datetime(2026, 12, 31, 23, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)
