"""Charges of meters with ten free units, what is counted for them, and what the invoices bill."""

from datetime import timedelta
from typing import Any, Final

from billing.rules.meters import Meter
from tests.builders.billing import Billed
from tests.builders.metering import new_event, record
from tests.builders.subscribed import metered
from tests.builders.subscriptions import now_of, sell

DOLLAR: Final = {"USD": {"model": "per_unit", "unit_price": "1"}}


def charge(meter: Meter, price: dict[str, Any] = DOLLAR, **given: Any) -> dict[str, Any]:
    """A metered charge; of a dollar with ten free units unless it says otherwise."""
    included = {"included": "10"} if price is DOLLAR else {}
    return metered("use", meter=meter.key, prices=price, **{**included, **given})


def plan(*charges: dict[str, Any], **given: Any) -> Any:
    return sell(*charges, **{"upgrade": "invoice", "downgrade": "invoice", **given})


def counts(made: Billed, meter: Meter, units: str, **data: Any) -> str:
    """An event that a meter counts, a second ago, after an hour; its id."""
    made.customer.pass_time(hours=1)
    when = now_of(made.id) - timedelta(seconds=1)
    found = record(made.id, new_event(meter.definition.event_type or "", when, {"units": units, **data}))
    return str(found[0])


def metered_lines(made: Billed) -> list[str]:
    """What the metered lines of all invoices come to, oldest first."""
    shown = [line for each in made.invoices() for line in made.lines(each["id"])]
    return [line["amount"] for line in shown if line["kind"] == "metered"]
