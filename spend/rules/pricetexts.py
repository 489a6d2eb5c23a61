"""Prices as people read and write them: decimal strings outside, integers inside."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.errors import InvalidField, InvalidQuantity
from common.money import format_price, format_quantity, parse_quantity
from spend.rules.prices import PPM

JsonObject = dict[str, Any]

MAX_MARKUP_PPM: Final = 1_000 * PPM
# A percentage is parsed in 10^-12 of one percent; a millionth of the whole is 10^-4 of that.
_PER_PPM: Final = 10**8


def ppm_of_percent(text: object, *, pointer: str = "") -> int:
    """Return the millionths of a percentage, a decimal string with up to 4 decimals: "2.5" is 25,000.

    Raises InvalidQuantity, and InvalidField above 100,000 percent.
    """
    try:
        fine = parse_quantity(text)
    except InvalidQuantity:
        fine = 1
    if fine % _PER_PPM:
        raise InvalidQuantity(
            "A percentage is a plain decimal string with up to 4 decimals.", pointer=pointer
        )
    if fine // _PER_PPM > MAX_MARKUP_PPM:
        raise InvalidField("A markup is at most 100,000 percent.", pointer=pointer)
    return fine // _PER_PPM


def percent_of_ppm(ppm: int) -> str:
    """Return millionths as a percentage: 25,000 is "2.5"."""
    return format_quantity(ppm * _PER_PPM)


def shown_components(stored: Mapping[str, Any]) -> JsonObject:
    """Return a price's stored components with decimal strings for amounts, by name."""
    return {name: _shown(component) for name, component in stored.items()}


def component_lines(stored: Mapping[str, Any]) -> list[str]:
    """Return a price's stored components as lines for a person, such as `input 3 per 1,000,000`."""
    return [_line(name, component) for name, component in sorted(stored.items())]


def current_components(versions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the components of the version that began last, the one for all day where there is one."""
    ordered = sorted(versions, key=lambda version: (version["daily_from"] is None, version["valid_from"]))
    components: Mapping[str, Any] = ordered[-1]["components"] if ordered else {}
    return components


def changed_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs between two prices' stored components, a line for each component."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new:
            lines.append(f"{name}: {_priced(old)} -> {_priced(new)}")
    return lines


def _shown(component: Mapping[str, Any]) -> JsonObject:
    shown: JsonObject = {"amount": format_price(component["amount"]), "per": component["per"]}
    if component.get("tiers"):
        shown["tiers"] = [[above, format_price(amount)] for above, amount in component["tiers"]]
    if component.get("source_text") is not None:
        shown["source_text"] = component["source_text"]
    return shown


def _line(name: str, component: Mapping[str, Any]) -> str:
    return f"{name} {_priced(component)}"


def _priced(component: Mapping[str, Any] | None) -> str:
    if component is None:
        return "none"
    steps = [f", above {above:,}: {format_price(amount)}" for above, amount in component.get("tiers", ())]
    return f"{format_price(component['amount'])} per {component['per']:,}{''.join(steps)}"
