"""Exchange rates into an organization's currency, and markups on the prices of the book."""

from datetime import datetime
from uuid import UUID

from common.currencies import parse_currency
from common.errors import InvalidAmount, InvalidField
from common.money import parse_price
from events.store import Cursor, append
from spend.operations.prices.records import JsonObject, author, period, utc_text
from spend.rules.prices import RATE_SCALE
from spend.rules.pricetexts import MAX_MARKUP_PPM

MANUAL = "manual"


def enter_fx_rate(
    cur: Cursor,
    *,
    actor: str,
    base: str,
    quote: str,
    rate: str,
    markup_ppm: int = 0,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    source: str = MANUAL,
    key: str | None = None,
) -> UUID:
    """This function will enter that one unit of `base` is `rate` units of `quote` from valid_from (default:
    now).

    `rate` is a decimal string with up to 12 decimals; `markup_ppm` (20000 is 2 %) is added to what is
    charged, not to the cost. The rate's id goes onto the usage records that it converts (S22b). Raises
    InvalidAmount for a rate of 0, InvalidCurrency, InvalidField and InvalidPeriod.
    """
    units = parse_price(rate)
    if not 0 < units < 2**63:
        raise InvalidAmount(
            f"A rate is more than 0 and at most {(2**63 - 1) // RATE_SCALE}.", pointer="/rate"
        )
    if parse_currency(base) == parse_currency(quote):
        raise InvalidField("A rate is between two currencies.", pointer="/quote")
    _check_markup(markup_ppm)

    by = author(cur, organization=None, actor=actor, key=key)
    data: JsonObject = {
        "base": base,
        "quote": quote,
        "rate": units,
        "markup_ppm": markup_ppm,
        **period(valid_from, valid_to, by.now),
        "source": source,
        "published_at": utc_text(by.now),
    }
    event = by.event("fx_rate", "entered", data)
    append(cur, [event])
    return UUID(str(event.stream_id))


def set_markup(
    cur: Cursor,
    *,
    actor: str,
    ppm: int,
    organization: UUID | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
    reason: str = "",
    key: str | None = None,
) -> UUID:
    """This function will add `ppm` millionths (200000 is 20 %) to the book's prices in an organization's
    charges.

    Without an organization it is the default of all that have none of their own. Own prices (contract,
    override, plan) take no markup. Returns its id. Raises InvalidField outside 0 to 1,000 times, and
    InvalidPeriod.
    """
    _check_markup(ppm)

    by = author(cur, organization=organization, actor=actor, key=key)
    data: JsonObject = {
        "ppm": ppm,
        **period(valid_from, valid_to, by.now),
        "reason": reason,
        "published_at": utc_text(by.now),
    }
    event = by.event("markup", "set", data)
    append(cur, [event])
    return UUID(str(event.stream_id))


def _check_markup(ppm: int) -> None:
    if type(ppm) is not int or not 0 <= ppm <= MAX_MARKUP_PPM:
        raise InvalidField("A markup is 0 to 1,000,000,000 millionths.", pointer="/percent")
