"""The usage object of our own interface: inclusive counts, tool calls, and quantities of other components."""

from collections.abc import Mapping
from typing import Any

from common.errors import InvalidField, InvalidQuantity, ProblemError, UnknownField, combined
from common.money import MAX_COUNT, parse_quantity
from spend.rules.normalise.reading import COUNT_FIELDS, checked_usage
from spend.rules.rating import Usage
from spend.rules.toolprices import ToolUse, tool_use

FIELDS = frozenset((*COUNT_FIELDS, "tool_calls", "components"))
COMPONENT_FIELDS = frozenset(("component", "quantity"))
NAME_LENGTH = 200
MAX_PARTS = 100


def parse_usage(value: object, pointer: str = "/usage") -> Usage:
    """Return the usage that a caller reports. Raises InvalidField, UnknownField and InvalidQuantity with
    pointers.
    """
    if not isinstance(value, dict):
        raise InvalidField("Usage is an object.", pointer=pointer)
    wrong: list[ProblemError] = [
        UnknownField(pointer=f"{pointer}/{key}") for key in value if key not in FIELDS
    ]
    counts: dict[str, Any] = {
        name: _count(value[name], f"{pointer}/{name}", wrong) for name in COUNT_FIELDS if name in value
    }
    tools = parse_tool_calls(value["tool_calls"], f"{pointer}/tool_calls") if "tool_calls" in value else ()
    components = _components(value.get("components", []), f"{pointer}/components")
    if wrong:
        raise combined(wrong)
    return checked_usage(Usage(tool_calls=tools, components=components, **counts), pointer)


def parse_tool_calls(value: object, pointer: str = "/usage/tool_calls") -> tuple[ToolUse, ...]:
    """Return the tools used, from {"web_search": 3} (calls, or the unit that the tool is priced by)."""
    if not isinstance(value, dict) or len(value) > MAX_PARTS:
        raise InvalidField("tool_calls is an object of counts by tool.", pointer=pointer)
    wrong: list[ProblemError] = []
    uses = []
    for name, number in value.items():
        _check_name(name, pointer)
        uses.append(tool_use(name, _count(number, f"{pointer}/{_escaped(name)}", wrong)))
    if wrong:
        raise combined(wrong)
    return tuple(use for use in uses if use.calls)


def _components(value: object, pointer: str) -> tuple[tuple[str, int], ...]:
    if not isinstance(value, list) or len(value) > MAX_PARTS:
        raise InvalidField("components is a list of component and quantity.", pointer=pointer)
    return tuple(_component(item, f"{pointer}/{index}") for index, item in enumerate(value))


def _component(item: object, pointer: str) -> tuple[str, int]:
    if not isinstance(item, dict):
        raise InvalidField("A component is an object of component and quantity.", pointer=pointer)
    unknown = [UnknownField(pointer=f"{pointer}/{key}") for key in item if key not in COMPONENT_FIELDS]
    if unknown:
        raise combined(unknown)
    name = item.get("component")
    _check_name(name, f"{pointer}/component")
    return str(name), _quantity(item, pointer)


def _quantity(item: Mapping[str, Any], pointer: str) -> int:
    try:
        return parse_quantity(item.get("quantity"))
    except InvalidQuantity as error:
        raise InvalidQuantity(error.detail, pointer=f"{pointer}/quantity") from None


def _count(value: object, pointer: str, wrong: list[ProblemError]) -> int:
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return value
    wrong.append(InvalidQuantity(pointer=pointer))
    return 0


def _check_name(name: object, pointer: str) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH:
        raise InvalidField(f"A name has 1 to {NAME_LENGTH} characters.", pointer=pointer)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
