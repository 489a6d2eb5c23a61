"""Thresholds and limits of budgets as requests state them, in the unit that the budget counts."""

from itertools import pairwise
from typing import Any, Final

from common import fields
from common.errors import InvalidAmount, InvalidField, NotAvailableYet, ProblemError, UnknownField, combined
from common.strictjson import child_pointer
from spend.rules.budgets import MONEY_FREE_UNITS, Threshold

ACTIONS: Final = ("notify", "block")
LATER_ACTIONS: Final = ("cap", "throttle", "require_approval", "pause")
MAX_THRESHOLDS: Final = 100
DEFAULT_THRESHOLDS: Final = (Threshold("notify", 50), Threshold("notify", 80), Threshold("block", 100))
"""S34: what a budget without thresholds of its own gets."""


class InvalidThresholds(ProblemError):
    """Thresholds are a list of distinct, ascending percentages from 1 to 100 (or amounts), each with an action."""

    code = "invalid_thresholds"
    status = 400


def limit_text(value: object, *, pointer: str = "") -> str:
    """Return the text of a limit whose unit is not known yet. Raises InvalidAmount when it is one in no unit."""
    try:
        fields.amount(value, pointer=pointer, allow_zero=True)
    except InvalidAmount:
        fields.count_text(value, pointer=pointer, allow_zero=True)
    assert isinstance(value, str)
    return value


def parse_limit(value: object, *, unit: str, pointer: str) -> int:
    """Return a limit or overdraft: units of 10^-8 of a currency, or whole TOKENS, CREDITS or RISK_POINTS.

    Zero is a limit: nothing passes. Raises InvalidAmount.
    """
    if unit in MONEY_FREE_UNITS:
        return fields.count_text(value, pointer=pointer, allow_zero=True)
    return fields.amount(value, pointer=pointer, allow_zero=True)


def parse_thresholds(value: object, *, unit: str, pointer: str = "/thresholds") -> tuple[Threshold, ...]:
    """Return the thresholds of a list of {"percent" | "amount", "action"}; an empty list is none at all.

    Raises InvalidThresholds, NotAvailableYet (actions that are announced only), InvalidField, InvalidAmount and
    UnknownField, naming the place.
    """
    if not isinstance(value, list) or len(value) > MAX_THRESHOLDS:
        raise InvalidThresholds(pointer=pointer)
    errors: list[ProblemError] = []
    found: list[Threshold] = []
    for index, item in enumerate(value):
        try:
            found.append(_threshold(item, unit, child_pointer(pointer, index)))
        except ProblemError as error:
            errors.append(error)
    if errors:
        raise combined(errors)
    _refuse_disorder([t.percent for t in found if t.percent is not None], pointer)
    _refuse_disorder([t.amount for t in found if t.amount is not None], pointer)
    return tuple(found)


def stored(thresholds: tuple[Threshold, ...]) -> list[dict[str, Any]]:
    """Return thresholds as events and rows hold them: percent or amount (in the budget's unit), and the action."""
    return [{**t.shown(), "action": t.action} for t in thresholds]


def from_stored(rows: list[dict[str, Any]]) -> tuple[Threshold, ...]:
    """Return the thresholds that a row holds."""
    return tuple(Threshold(row["action"], row.get("percent"), row.get("amount")) for row in rows)


def _threshold(item: object, unit: str, pointer: str) -> Threshold:
    if not isinstance(item, dict):
        raise InvalidThresholds(pointer=pointer)
    for name in item:
        if name == "per_minute":
            raise NotAvailableYet("per_minute is not available yet.", pointer=child_pointer(pointer, name))
        if name not in ("percent", "amount", "action"):
            raise UnknownField(pointer=child_pointer(pointer, name))
    action = _action(item.get("action"), child_pointer(pointer, "action"))
    percent, amount = item.get("percent"), item.get("amount")
    if (percent is None) == (amount is None):
        raise InvalidThresholds("A threshold has either a percent or an amount.", pointer=pointer)
    if percent is not None:
        return Threshold(action, percent=_percent(percent, child_pointer(pointer, "percent")))
    level = parse_limit(amount, unit=unit, pointer=child_pointer(pointer, "amount"))
    if level == 0:
        raise InvalidThresholds(pointer=child_pointer(pointer, "amount"))
    return Threshold(action, amount=level)


def _action(value: object, pointer: str) -> str:
    if value is None:
        raise InvalidField("This field is required.", pointer=pointer)
    if type(value) is str and value in LATER_ACTIONS:
        raise NotAvailableYet(f"The action {value} is not available yet.", pointer=pointer)
    return fields.choice(value, options=ACTIONS, pointer=pointer)


def _percent(value: object, pointer: str) -> int:
    if type(value) is not int or not 1 <= value <= 100:
        raise InvalidThresholds(pointer=pointer)
    return value


def _refuse_disorder(levels: list[int], pointer: str) -> None:
    if any(later <= earlier for earlier, later in pairwise(levels)):
        raise InvalidThresholds(pointer=pointer)
