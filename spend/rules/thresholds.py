"""Thresholds and limits of budgets as requests state them, in the unit that the budget counts."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from typing import Any, Final

from common import fields
from common.bodies import BodyReader
from common.errors import InvalidAmount, InvalidQuantity, ProblemError, combined
from common.strictjson import child_pointer
from spend.rules.budgets import MONEY_FREE_UNITS, Caps, Threshold
from spend.rules.modelnames import NAME_LENGTH

ACTIONS: Final = ("notify", "throttle", "cap", "require_approval", "pause", "block")
"""Mild to hard (S35)."""
MAX_THRESHOLDS: Final = 100
MAX_COOLDOWN_MS: Final = 86_400_000
_FIELDS: Final = ("percent", "amount", "action", "per_minute", "rate_percent", "rate_limit", "caps")
_CAPS: Final = ("max_output_tokens", "models", "tools", "cooldown_ms", "steps")
_DETAILS: Final = {"throttle": ("per_minute", "rate_percent", "rate_limit"), "cap": ("caps",)}
"""What only a threshold of this action says."""
_RATES: Final = ({"per_minute"}, {"rate_percent", "rate_limit"})
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


def parse_limit(value: object, *, unit: str, pointer: str, allow_zero: bool = True) -> int:
    """Return a limit or overdraft: units of 10^-8 of a currency, or whole TOKENS, CREDITS or RISK_POINTS.

    Zero is a limit: nothing passes. Raises InvalidAmount.
    """
    if unit in MONEY_FREE_UNITS:
        return fields.count_text(value, pointer=pointer, allow_zero=allow_zero)
    return fields.amount(value, pointer=pointer, allow_zero=allow_zero)


def parse_thresholds(value: object, *, unit: str, pointer: str = "/thresholds") -> tuple[Threshold, ...]:
    """Return the thresholds of a list of {"percent" | "amount", "action", …}; an empty list is none at all.

    A throttle names its rate, "per_minute", or "rate_percent" of "rate_limit"; a cap may name its "caps". Raises
    InvalidThresholds, InvalidField, InvalidAmount, InvalidQuantity, InvalidId, InvalidText and UnknownField, naming
    the place.
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
    """Return thresholds as events and rows hold them: percent or amount (in the budget's unit), and the action with
    what belongs to it."""
    return [as_shown(threshold, lambda amount: amount) for threshold in thresholds]


def from_stored(rows: list[dict[str, Any]]) -> tuple[Threshold, ...]:
    """Return the thresholds that a row holds."""
    return tuple(Threshold(**{**row, "caps": _stored_caps(row.get("caps"))}) for row in rows)


def as_shown(threshold: Threshold, write: Callable[[int], Any]) -> dict[str, Any]:
    """Return a threshold as it was stated, its amount as `write` writes it; what it does not say is left out."""
    amount = None if threshold.amount is None else write(threshold.amount)
    details = {name: getattr(threshold, name) for name in _DETAILS["throttle"]}
    caps = None if threshold.caps is None else _given(asdict(threshold.caps))
    levels = {"percent": threshold.percent, "amount": amount}
    return _given({**levels, "action": threshold.action, **details, "caps": caps})


def in_words(threshold: Threshold, write: Callable[[int], str]) -> str:
    """Return a threshold as people read it: "80 %: throttle, 6 a minute"."""
    level = f"{threshold.percent} %" if threshold.amount is None else write(threshold.amount)
    words = [threshold.action.replace("_", " ")]
    if threshold.per_minute is not None:
        words.append(f"{threshold.per_minute} a minute")
    if threshold.rate_limit is not None:
        words.append(f"{threshold.rate_percent} % of rate limit {threshold.rate_limit}")
    if threshold.caps is not None:
        words += [_cap_in_words(name, cap) for name, cap in _given(asdict(threshold.caps)).items()]
    return f"{level}: {', '.join(words)}"


def _cap_in_words(name: str, cap: int | list[str]) -> str:
    shown = str(cap) if isinstance(cap, int) else (" ".join(cap) or "none")
    return f"{name.replace('_', ' ')} {shown}"


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """What is said, in the form of JSON."""
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return {name: value for name, value in shown.items() if value is not None}


def _stored_caps(row: dict[str, Any] | None) -> Caps | None:
    if row is None:
        return None
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
    return Caps(**values)


def _threshold(item: object, unit: str, pointer: str) -> Threshold:
    if not isinstance(item, dict):
        raise InvalidThresholds(pointer=pointer)
    reader = BodyReader(item, allowed=_FIELDS, pointer=pointer)
    action = reader.required("action", fields.choice, options=ACTIONS)
    percent = reader.optional("percent", _percent)
    # null is no amount anywhere else; here it is the other way to name a level that is not taken
    amount = None if item.get("amount") is None else reader.required("amount", _level, unit=unit)
    per_minute = None if item.get("per_minute") is None else reader.required("per_minute", _count)
    rate_percent = reader.optional("rate_percent", fields.integer, minimum=1, maximum=100)
    rate_limit = reader.optional("rate_limit", fields.uuid)
    caps = _caps(reader.object("caps", allowed=_CAPS))
    for error in _misfits(item, action, pointer):
        reader.refuse(error)
    reader.check()
    return Threshold(
        action=action,
        percent=percent,
        amount=amount,
        per_minute=per_minute,
        rate_percent=rate_percent,
        rate_limit=None if rate_limit is None else str(rate_limit),
        caps=caps,
    )


def _misfits(item: dict[str, Any], action: str, pointer: str) -> Iterator[InvalidThresholds]:
    """What does not fit together: two levels or none, two rates or none, details of another action."""
    said = {name for name in item if item[name] is not None}
    if len(said & {"percent", "amount"}) != 1:
        yield InvalidThresholds("A threshold has either a percent or an amount.", pointer=pointer)
    for owner, names in _DETAILS.items():
        for name in sorted(said.intersection(names)) if action != owner else ():
            yield InvalidThresholds(f"Only {owner} has {name}.", pointer=child_pointer(pointer, name))
    if action == "throttle" and said.intersection(_DETAILS["throttle"]) not in _RATES:
        yield InvalidThresholds(
            "A throttle has either per_minute, or rate_percent and rate_limit.", pointer=pointer
        )


def _caps(reader: BodyReader | None) -> Caps | None:
    """The caps; None where none is said: then there is only what the rest of the budget buys."""
    if reader is None:
        return None
    models = reader.optional("models", fields.text_list, max_length=NAME_LENGTH)
    tools = reader.optional("tools", fields.text_list, max_length=NAME_LENGTH)
    caps = Caps(
        max_output_tokens=reader.optional("max_output_tokens", _count),
        models=None if models is None else tuple(models),
        tools=None if tools is None else tuple(tools),
        cooldown_ms=reader.optional("cooldown_ms", fields.integer, minimum=1, maximum=MAX_COOLDOWN_MS),
        steps=reader.optional("steps", _count),
    )
    return None if caps == Caps() else caps


def _count(value: object, *, pointer: str = "") -> int:
    found = fields.quantity(value, pointer=pointer)
    if found == 0:
        raise InvalidQuantity("This is at least 1.", pointer=pointer)
    return found


def _level(value: object, *, unit: str, pointer: str = "") -> int:
    level = parse_limit(value, unit=unit, pointer=pointer)
    if level == 0:
        raise InvalidThresholds(pointer=pointer)
    return level


def _percent(value: object, *, pointer: str = "") -> int:
    if type(value) is not int or not 1 <= value <= 100:
        raise InvalidThresholds(pointer=pointer)
    return value


def _refuse_disorder(levels: list[int], pointer: str) -> None:
    if any(later <= earlier for earlier, later in pairwise(levels)):
        raise InvalidThresholds(pointer=pointer)
