"""Revenue shares: dated terms per partner, listing and plan, and the split rules for a caller that they come to. Pure.

Of the terms that apply to a caller the narrowest count (listing and plan, listing, plan, all), of these the latest that
has begun. Without any the platform keeps its default fee. Rates are in millionths, amounts in units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidTransition
from orgs.rules.facts import Fact, id_text, time_text
from payouts.rules.partners import WHOLE
from spend.rules.splits import Party, SplitRule, pool_of

STREAM: Final = "revenue_share"
PROMOTIONAL: Final = ("platform", "none")
DEFAULT: Final = "default"
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
Splits = tuple[tuple[UUID, int], ...]
MOST_TIERS: Final = 20
MOST_PARTIES: Final = 20


@dataclass(frozen=True, slots=True)
class Tier:
    """A rate for volumes up to `up_to` units of charges in a month, inclusive; None: however much."""

    up_to: int | None
    fee_rate: int


@dataclass(frozen=True, slots=True)
class ShareTerms:
    """What the platform keeps of a call: `fee_rate` of it, or the rate of the tier that the month's volume is in, at
    least `minimum_fee`; or all but `fixed`. `splits` are (partner, weight) of who gets the rest, nobody named: the
    partner alone. `promotional`: who pays a share of what credit given away paid for; none: there is no share of it.
    """

    fee_rate: int | None = None
    fixed: int | None = None
    tiers: tuple[Tier, ...] = ()
    minimum_fee: int = 0
    splits: Splits = ()
    promotional: str = "platform"


@dataclass(frozen=True, slots=True)
class RevenueShare:
    """The row of a revenue share: whose, for which listing and which plan's subscribers (None: all), and from when."""

    id: UUID
    organization: UUID
    listing: UUID | None
    plan: str | None
    valid_from: datetime
    terms: ShareTerms
    version: int
    created_at: datetime
    withdrawn_at: datetime | None = None

    def rank(self) -> tuple[int, datetime, UUID]:
        """How narrow it is, and how late it begins: the greatest counts."""
        return (2 * (self.listing is not None) + (self.plan is not None), self.valid_from, self.id)


def check_terms(terms: ShareTerms) -> None:
    """Refuse terms that make no sense. Raises InvalidField."""
    kinds = [terms.fee_rate is not None, terms.fixed is not None, bool(terms.tiers)]
    if sum(kinds) != 1:
        raise InvalidField("Terms have a fee_rate, or fixed, or tiers.", pointer="/fee_rate")
    rates = [rate for rate in (terms.fee_rate, *(tier.fee_rate for tier in terms.tiers)) if rate is not None]
    if not all(0 <= rate <= WHOLE for rate in rates):
        raise InvalidField("A rate is from 0 to 1.", pointer="/fee_rate")
    if terms.promotional not in PROMOTIONAL:
        raise InvalidField("The policy is platform or none.", pointer="/promotional")
    if terms.minimum_fee < 0 or (terms.fixed is not None and terms.fixed <= 0):
        raise InvalidField("An amount is above zero.", pointer="/minimum_fee")
    if terms.tiers and terms.minimum_fee:
        raise InvalidField(
            "Tiers have no minimum fee: it could not be worked out anew.", pointer="/minimum_fee"
        )
    _check_tiers(terms.tiers)
    partners = [partner for partner, _ in terms.splits]
    if len(set(partners)) != len(partners) or len(partners) > MOST_PARTIES:
        raise InvalidField(f"Each partner stands once, at most {MOST_PARTIES} do.", pointer="/splits")
    if not all(0 < weight <= WHOLE for _, weight in terms.splits):
        raise InvalidField(f"A weight is from 1 to {WHOLE}.", pointer="/splits")


def share_made(share: RevenueShare, *, now: datetime) -> Fact:
    """The fact of new terms, which begin now or later. Raises InvalidField."""
    check_terms(share.terms)
    if share.valid_from < now:
        raise InvalidField("Terms begin now or later: what was earned stays.", pointer="/valid_from")
    return _fact(share, "published", now)


def share_withdrawn(share: RevenueShare, *, now: datetime) -> tuple[RevenueShare, Fact | None]:
    """The share that is not to begin after all. Raises InvalidTransition when it has: new terms follow it."""
    if share.withdrawn_at is not None:
        return share, None
    if share.valid_from <= now:
        raise InvalidTransition("It has begun: publish other terms.")
    ended = replace(share, withdrawn_at=now, version=share.version + 1)
    return ended, _fact(ended, "withdrawn", now)


def compiled(
    shares: Iterable[RevenueShare],
    *,
    partner: UUID,
    listing: UUID,
    caller: UUID,
    plans: Collection[str],
    volumes: Mapping[UUID, int],
    default_rate: int,
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the split rules for one caller of a listing, the one in effect now first, then those that are to come.

    `plans` are those that the caller has a subscription to, `volumes` the charges of this month under shares with
    tiers; with the next month the first tier begins anew. The caller itself shares in nothing that it pays: its part is
    the platform's.
    """
    live = [
        share
        for share in shares
        if share.withdrawn_at is None
        and share.listing in (None, listing)
        and (share.plan is None or share.plan in plans)
    ]
    later = {share.valid_from for share in live if share.valid_from > now}
    if any(share.terms.tiers for share in live):
        later.add(next_month(now))
    rules: list[dict[str, Any]] = []
    for moment in (now, *sorted(later)):
        chosen = max((one for one in live if one.valid_from <= moment), key=RevenueShare.rank, default=None)
        volume = volumes.get(chosen.id, 0) if chosen is not None and moment < next_month(now) else 0
        rule = _rule(chosen, partner, caller, volume, default_rate)
        begins = moment if rules else _begun(chosen, now)
        if not rules or _without_begin(rules[-1]) != rule:
            rules.append({**rule, "from": time_text(begins)})
    return rules


def month_start(moment: datetime) -> datetime:
    """Return when the month of a moment began, UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(moment: datetime) -> datetime:
    """Return when the month after that of a moment begins, UTC."""
    first = month_start(moment)
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def rate_of(terms: ShareTerms, volume: int) -> int:
    """Return the rate that the platform keeps at a month's volume, units of charges."""
    for tier in terms.tiers:
        if tier.up_to is None or volume <= tier.up_to:
            return tier.fee_rate
    return 0 if terms.fee_rate is None else terms.fee_rate


@dataclass(frozen=True, slots=True)
class Shared:
    """What stands in a month under a share, of one caller's agent and one party: charges and share in units, and how
    many calls that was (one that was reversed counts still)."""

    organization: UUID
    listing: UUID
    agent: UUID
    partner: UUID
    gross: int
    share: int
    calls: int


def adjusted(share: RevenueShare, rows: Iterable[Shared]) -> list[tuple[Shared, int]]:
    """Return what each row of a month that is over has too little (above zero) or too much of a share, by the tier of
    the whole month's volume. What is no more than a unit for each call is how these were rounded, and stays."""
    # What a caller once shared in of its own calls stays as it was.
    found = [row for row in rows if row.partner != row.organization]
    splits = share.terms.splits or ((share.organization, 1),)
    parties = {caller: _parties(splits, caller) for caller in {row.organization for row in found}}
    volume = sum(row.gross for row in found if row.partner == parties[row.organization][0][0])
    rate = rate_of(share.terms, volume)
    due = [(row, _due(share, splits, rate, row) - row.share) for row in found]
    return [(row, amount) for row, amount in due if abs(amount) > row.calls]


def in_effect(rules: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """Return published rules from the one in effect on, without when that one began: whether it says the same."""
    begun = [rule for rule in rules if datetime.fromisoformat(rule["from"]) <= now]
    rest = [rule for rule in rules if datetime.fromisoformat(rule["from"]) > now]
    return [*(_without_begin(rule) for rule in begun[-1:]), *rest]


def data_of_terms(terms: ShareTerms) -> dict[str, Any]:
    """Terms as events and rows hold them."""
    return {
        "fee_rate": terms.fee_rate,
        "fixed": terms.fixed,
        "tiers": [[tier.up_to, tier.fee_rate] for tier in terms.tiers],
        "minimum_fee": terms.minimum_fee,
        "splits": [[str(partner), weight] for partner, weight in terms.splits],
        "promotional": terms.promotional,
    }


def terms_of(data: Mapping[str, Any]) -> ShareTerms:
    """Terms as they were stored."""
    return ShareTerms(
        data["fee_rate"],
        data["fixed"],
        tuple(Tier(up_to, rate) for up_to, rate in data["tiers"]),
        data["minimum_fee"],
        tuple((UUID(partner), weight) for partner, weight in data["splits"]),
        data["promotional"],
    )


def _rule(
    share: RevenueShare | None, partner: UUID, caller: UUID, volume: int, default_rate: int
) -> dict[str, Any]:
    if share is None:
        return {"rule": DEFAULT, "fee_rate": default_rate, "parties": [[str(partner), 1]]}
    terms = share.terms
    splits = terms.splits or ((partner, 1),)
    rule: dict[str, Any] = {
        "rule": str(share.id),
        "fee_rate": rate_of(terms, volume),
        "parties": [[str(name), weight] for name, weight in _parties(splits, caller)],
        "promotional": terms.promotional,
    }
    if withheld := _withheld(splits, caller):
        rule["withheld"] = withheld
    if terms.minimum_fee:
        rule["minimum"] = terms.minimum_fee
    return rule if terms.fixed is None else {**rule, "fixed": terms.fixed}


def _parties(splits: Splits, caller: UUID) -> Splits:
    """Who shares in what a caller pays: nobody in its own."""
    return tuple(one for one in splits if one[0] != caller)


def _withheld(splits: Splits, caller: UUID) -> int:
    return sum(weight for name, weight in splits if name == caller)


def _due(share: RevenueShare, splits: Splits, rate: int, row: Shared) -> int:
    """What a row of a month is to have by the rate of its whole volume."""
    parties = _parties(splits, row.organization)
    rule = SplitRule(
        str(share.id), share.valid_from, rate, 0, None, True,
        tuple(Party(str(partner), weight, "") for partner, weight in parties), _withheld(splits, row.organization),
    )  # fmt: skip
    place = [partner for partner, _ in parties].index(row.partner)
    return pool_of(rule, row.gross)[place]


def _begun(share: RevenueShare | None, now: datetime) -> datetime:
    """When the rule in effect began; of a tier that is when its month or its terms did, which changes nothing."""
    return BEGINNING if share is None else min(share.valid_from, now)


def _without_begin(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if name != "from"}


def _check_tiers(tiers: Sequence[Tier]) -> None:
    if not tiers:
        return
    bounds = [tier.up_to for tier in tiers[:-1]]
    rising = [bound for bound in bounds if bound is not None]
    if len(tiers) > MOST_TIERS or tiers[-1].up_to is not None or len(rising) != len(bounds):
        raise InvalidField("Tiers have a bound each but the last, which has none.", pointer="/tiers")
    if any(after <= before for before, after in zip([0, *rising], rising, strict=False)):
        raise InvalidField("Tiers rise from above zero.", pointer="/tiers")


def _fact(share: RevenueShare, verb: str, at: datetime) -> Fact:
    data = {
        "listing_id": id_text(share.listing),
        "plan": share.plan,
        "valid_from": time_text(share.valid_from),
        "terms": data_of_terms(share.terms),
        "created_at": time_text(share.created_at),
        "withdrawn_at": time_text(share.withdrawn_at),
    }
    return Fact(share.organization, STREAM, share.id, share.version, verb, data, at)
