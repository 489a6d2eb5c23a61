"""Who shares in a call's charge: split rules, and what each of them makes of a charge. Pure, hot path.

Upper apps publish them for each organization whose agents name a listing; the gate knows neither partners nor plans.
The share is worked out when a call is committed, exactly (largest remainder), and stands in its event and its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from common.money import split_largest_remainder
from ledger.rules.grants import GRANT_SOURCES, Grant

WHOLE: Final = 1_000_000
"""Rates are in millionths of a charge."""
LINE: Final = "line"
DEBT: Final = "debt"
_PAYERS: Final = {"postpaid": LINE, "debt": DEBT}
PROMOTIONAL: Final = "promotional"


@dataclass(frozen=True, slots=True)
class Party:
    """A partner that gets a part of the share by its weight, and the account of the caller's books for it."""

    partner: str
    weight: int
    account: str


@dataclass(frozen=True, slots=True)
class SplitRule:
    """What the platform keeps of a call: `fee_rate` of it, in millionths, at least `minimum` units; or all but `fixed`
    units where that is set. Both at most the charge. What is left, the parties get by their weights.

    `earns_on_gifts`: whether a part that credit given away pays for is shared, too. `withheld`: the weight of a party
    that pays the call itself and shares in nothing of it; the platform keeps that part. In effect from `valid_from` on,
    until a later one is.
    """

    id: str
    valid_from: datetime
    fee_rate: int
    minimum: int
    fixed: int | None
    earns_on_gifts: bool
    parties: tuple[Party, ...]
    withheld: int = 0


@dataclass(frozen=True, slots=True)
class Splits:
    """The rules of one listing for one organization, the earliest first."""

    listing: str
    rules: tuple[SplitRule, ...]

    def at(self, moment: datetime) -> SplitRule | None:
        """Return the rule in effect at a moment: the last one that began by then."""
        for rule in reversed(self.rules):
            if rule.valid_from <= moment:
                return rule
        return None


@dataclass(frozen=True, slots=True)
class Shared:
    """What a rule made of a charge. `parts` are [partner, payer, gross, share, own]: for each partner what of the
    charge each payer paid, the share of it, which may be nothing, and the partner's own part of it: its share, and the
    platform's by its weight. `by_account` are the shares by account. All in units."""

    listing: str
    rule: str
    parts: list[list[Any]]
    by_account: list[list[Any]]

    @property
    def total(self) -> int:
        """What of the charge is the partners'."""
        return sum(amount for _, amount in self.by_account)

    def told(self, **more: Any) -> dict[str, Any]:
        """Return how events and records say it."""
        return {"listing": self.listing, "rule": self.rule, "parts": self.parts, **more}


def share_out(
    splits: Splits, receipt: Sequence[Sequence[Any]], grants: Iterable[Grant], *, at: datetime
) -> Shared | None:
    """Return what the partners' part of a charge is, by who paid for it; None while no rule is in effect, or one by
    which nobody shares.

    `receipt` are its parts, [source, grant, amount], `grants` those that it was burnt from, after that. The parts of
    all partners and the platform's sum to the charge, and each partner's, over the payers, to its own; all partners'
    own parts of the charge sum to it.
    """
    rule = splits.at(at)
    if rule is None or not rule.parties:
        return None
    paid = _payers(receipt, None if rule.earns_on_gifts else grants)
    base = sum(paid.values())
    shares = pool_of(rule, base)
    fees = split_largest_remainder(base - sum(shares), [party.weight for party in rule.parties])
    parts: list[list[Any]] = []
    by_account: list[list[Any]] = []
    for party, share, fee in zip(rule.parties, shares, fees, strict=True):
        if share:
            by_account.append([party.account, share])
        of_payers = split_largest_remainder(share, list(paid.values()))
        kept = split_largest_remainder(fee, list(paid.values()))
        parts += [
            [party.partner, payer, gross, part, part + less]
            for (payer, gross), part, less in zip(paid.items(), of_payers, kept, strict=True)
        ]
    return Shared(splits.listing, rule.id, parts, by_account)


def pool_of(rule: SplitRule, base: int) -> list[int]:
    """Return what each party gets of a charge: the sum is the charge less what the platform keeps."""
    weights = [*(party.weight for party in rule.parties), rule.withheld]
    least = min(rule.minimum, base)
    if rule.fixed is not None:
        return split_largest_remainder(min(rule.fixed, base - least), weights)[:-1]
    whole = sum(weights)
    kept = [rule.fee_rate * whole, *((WHOLE - rule.fee_rate) * weight for weight in weights)]
    fee, *shares = split_largest_remainder(base, kept)
    return (shares if fee >= least else split_largest_remainder(base - least, weights))[:-1]


def _payers(receipt: Sequence[Sequence[Any]], grants: Iterable[Grant] | None) -> dict[str, int]:
    """What each payer paid, without those whose part is not shared."""
    known = {} if grants is None else {str(grant.id): grant for grant in grants}
    paid: dict[str, int] = {}
    for source, name, amount in receipt:
        payer = str(name) if source in GRANT_SOURCES else _PAYERS[source]
        grant = known.get(payer)
        part = amount if grant is None else amount - _given(grant, amount)
        if part or not amount:
            paid[payer] = paid.get(payer, 0) + part
    return paid


def _given(grant: Grant, amount: int) -> int:
    """What of an amount that was burnt of a grant nobody paid for: of credit of a plan that is worth more than its fee
    the last part, as in `broken_parts`."""
    if grant.kind == PROMOTIONAL:
        return amount
    return min(grant.remaining + amount, grant.gift) - min(grant.remaining, grant.gift)


def splits_of(listing: str, rules: Sequence[Mapping[str, Any]], accounts: Mapping[str, str]) -> Splits:
    """Return the rules of a listing as they are published; `accounts` are those of the partners' earnings."""
    found = [
        SplitRule(
            rule["rule"],
            datetime.fromisoformat(rule["from"]),
            rule["fee_rate"],
            rule.get("minimum", 0),
            rule.get("fixed"),
            rule.get("promotional", "platform") == "platform",
            tuple(Party(partner, weight, accounts[partner]) for partner, weight in rule["parties"]),
            rule.get("withheld", 0),
        )
        for rule in rules
    ]
    return Splits(listing, tuple(sorted(found, key=lambda rule: rule.valid_from)))
