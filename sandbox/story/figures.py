"""What the customer's bill has to say, worked out from prices and from what its agents know of their own calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.story import customer as stage
from sandbox.story.amounts import UNITS_PER_MAJOR, units
from sandbox.story.customer import Customer
from sandbox.story.play import Play

ADVANCED_FEE, ADVANCED_ALLOWANCE = units("49"), units("30")
CREDIT, SCALE_FEE, SCALE_ALLOWANCE = units(stage.CREDIT), units(stage.SCALE_FEE), units(stage.SCALE_ALLOWANCE)
PAGES_READ = 2_400
TAX_PERCENT = 19
AFTER_GRACE = timedelta(hours=2)
CENT: int = UNITS_PER_MAJOR // 100
_OF_A_PLACE = frozenset({"item"})  # a preview makes its items and rolls them back
_OF_A_DOCUMENT = (
    "currency", "subtotal", "discount", "net", "tax", "total", "taxes", "dated_at", "period_start", "period_end"
)  # fmt: skip

UNUSED = (ADVANCED_FEE - ADVANCED_ALLOWANCE) // 2
"""What comes back of the fee for half of the month, when its allowance is burnt."""
ALLOWANCES = ADVANCED_ALLOWANCE + SCALE_ALLOWANCE // 2
"""What the two plans gave in that month."""
PAGES_COST = (PAGES_READ - stage.PAGES_INCLUDED) * units(stage.PAGE_PRICE)


def tax_on(net: int) -> int:
    """Return the tax in units: rounded half up to the cent."""
    cents: int = (net * TAX_PERCENT + 50 * CENT) // (100 * CENT)
    return cents * CENT


def on_the_line(customer: Customer, *, allowance: int) -> int:
    """Return what of the agents' calls neither the allowance nor the credit paid."""
    return customer.account.charged - allowance - CREDIT


def document(invoice: Mapping[str, Any]) -> tuple[str, int, int, int]:
    """Return status, net, tax and total of an invoice."""
    net, tax, total = (units(invoice[name]) for name in ("net", "tax", "total"))
    return invoice["status"], net, tax, total


def whole(invoice: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    """Return all that a preview and the invoice have to have in common."""
    said = [{name: value for name, value in line.items() if name not in _OF_A_PLACE} for line in lines]
    return tuple(invoice[name] for name in _OF_A_DOCUMENT), said


def amounts(items: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the amounts of a subscription's items by their kind."""
    return {item["kind"]: units(item["amount"]) for item in items}


def moment(text: str) -> datetime:
    """Return a time of an answer."""
    return datetime.fromisoformat(text)


def counted(customer: Customer) -> int:
    """Return how many pages the meter counts of the month."""
    period = f"from={customer.starts_at:%Y-%m-%dT%H:%M:%SZ}&to={customer.ends_at:%Y-%m-%dT%H:%M:%SZ}"
    found = customer.api.get(f"/v1/meters/{stage.METER}/quantities?{period}")["data"]
    return sum(int(row["quantity"]) for row in found)


def tell(play: Play, happened: Iterable[Mapping[str, Any]]) -> None:
    """Say what happened by itself."""
    told = ("subscription.", "grant.", "invoice.")
    for one in happened:
        if one["type"].startswith(told):
            play.transcript.say(f"[dim]{moment(one['at']):%d %b %H:%M}[/dim]  {one['text']}")
    play.transcript.say("")
