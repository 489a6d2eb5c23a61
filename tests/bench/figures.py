"""Figures with stable ids: one value per round, medians, and ratios inside a round to the floor beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

_UNITS = {
    "_per_s": "1/s",
    "_ms": "ms",
    "_us": "us",
    ".opening_s": "s",
    ".daily_s": "s",
    ".idle_s": "s",
    ".retried": "calls",
    "_refused": "calls",
    "unfinished": "calls",
    "_granted_before": "calls",
    "_per_lifecycle": "bytes",
    "_s": "s",
}


def unit_of(identifier: str) -> str:
    """The unit that an id ends in; floors count transactions per second, everything else is a ratio."""
    if identifier.startswith("floor."):
        return "1/s"
    if ".blocked_status_" in identifier:
        return "calls"
    return next((unit for ending, unit in _UNITS.items() if identifier.endswith(ending)), "ratio")


@dataclass
class Figure:
    """What was measured under one id, round by round."""

    runs: list[float] = field(default_factory=list)
    ratios: dict[str, list[float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return median(self.runs)

    def ratio_to(self) -> dict[str, float]:
        """Medians of the ratios to other figures, each taken inside one round."""
        return {other: median(values) for other, values in self.ratios.items()}


class Report:
    """All figures of one run, in the order in which they were first measured."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}

    def add(self, values: Mapping[str, float], *, against: Mapping[str, float] | None = None) -> None:
        """Note what one round measured; rates are put in relation to the floors that the same round measured."""
        for identifier, value in values.items():
            figure = self.figures.setdefault(identifier, Figure())
            figure.runs.append(value)
            for other, base in (against or {}).items():
                if unit_of(identifier) == "1/s" and base:
                    figure.ratios.setdefault(other, []).append(value / base)

    def as_json(self) -> dict[str, Any]:
        """The figures as `latest.json` has them."""
        return {identifier: _entry(identifier, figure) for identifier, figure in self.figures.items()}


def _entry(identifier: str, figure: Figure) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": _short(figure.value), "unit": unit_of(identifier)}
    if figure.ratios:
        entry["ratio_to"] = {other: round(value, 5) for other, value in figure.ratio_to().items()}
    entry["runs"] = [_short(value) for value in figure.runs]
    return entry


def _short(value: float) -> float:
    return round(value, 1 if value >= 100 else 4)
