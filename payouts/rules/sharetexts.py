"""Terms of revenue shares as people and requests state them, and in words. Pure."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

from common import fields
from common.errors import InvalidField
from common.money import format_amount, parse_amount
from payouts.rules.partners import WHOLE
from payouts.rules.shares import MOST_PARTIES, MOST_TIERS, ShareTerms, Tier

_RATE: Final = re.compile(r"(0|1)(?:\.([0-9]{1,6}))?")


def read_rate(value: object, *, pointer: str = "") -> int:
    """A rate from "0" to "1" with up to 6 decimals, in millionths. Raises InvalidField."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[1] == "1" and (match[2] or "0").strip("0")):
        raise InvalidField('A rate is a string from "0" to "1" with up to 6 decimals.', pointer=pointer)
    return int(match[1] + (match[2] or "").ljust(6, "0"))


def rate_text(millionths: int) -> str:
    """The plain decimal string of a rate."""
    whole, rest = divmod(millionths, WHOLE)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def read_tiers(value: object, *, pointer: str = "") -> tuple[Tier, ...]:
    """[{"up_to", "fee_rate"}] as tiers. Raises InvalidField and InvalidAmount."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_TIERS:
        raise InvalidField(f"From 1 to {MOST_TIERS} tiers.", pointer=pointer)
    found = []
    for one in value:
        if not isinstance(one, dict) or set(one) != {"up_to", "fee_rate"}:
            raise InvalidField("A tier has up_to and fee_rate.", pointer=pointer)
        bound = None if one["up_to"] is None else parse_amount(one["up_to"])
        found.append(Tier(bound, read_rate(one["fee_rate"], pointer=pointer)))
    return tuple(found)


def read_splits(value: object, *, pointer: str = "") -> tuple[tuple[UUID, int], ...]:
    """[{"partner", "weight"}] as (partner, weight). Raises InvalidField and InvalidId."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_PARTIES:
        raise InvalidField(f"From 1 to {MOST_PARTIES} partners.", pointer=pointer)
    found = []
    for one in value:
        if not isinstance(one, dict) or set(one) != {"partner", "weight"}:
            raise InvalidField("A part has partner and weight.", pointer=pointer)
        weight = fields.integer(one["weight"], minimum=1, maximum=WHOLE, pointer=pointer)
        found.append((fields.uuid(one["partner"], pointer=pointer), weight))
    return tuple(found)


def terms_words(terms: ShareTerms) -> str:
    """What terms say, in a line."""
    if terms.fixed is not None:
        said = [f"partners get {format_amount(terms.fixed)} of each call"]
    elif terms.tiers:
        said = [_tier_words(tier) for tier in terms.tiers]
    else:
        said = [f"platform keeps {rate_text(terms.fee_rate or 0)}"]
    if terms.minimum_fee:
        said.append(f"at least {format_amount(terms.minimum_fee)} of each call")
    said += [f"{partner} has weight {weight}" for partner, weight in terms.splits]
    return "; ".join([*said, f"promotional credit: {terms.promotional}"])


def _tier_words(tier: Tier) -> str:
    bound = "above" if tier.up_to is None else f"up to {format_amount(tier.up_to)}"
    return f"platform keeps {rate_text(tier.fee_rate)} {bound}"
