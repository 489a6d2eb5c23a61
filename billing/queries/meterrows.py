"""The records that a meter counts as rows of SQL: id, time, sign, what they cancel, value, what is unique, groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.rules.meters import EVENTS, Definition, Filter, Meter

TABLES: Final = {"usage": "usage_records", "events": "meter_events"}
_MONEY: Final = "(f.{0}::numeric / 100000000)"
_VALUES: Final = {
    "tokens": "(f.input_tokens + f.output_tokens)",
    "charge": _MONEY.format("charge"),
    "cost": _MONEY.format("cost"),
    "tool_calls": "f.tool_calls",
}
_LABELS: Final = {
    "user": "f.user_label",
    "agent": "f.agent_id::text",
    "team": "f.team_id::text",
    "workflow": "f.workflow_id::text",
    "connection": "f.connection_id::text",
    "run": "f.run_id::text",
}
# A record names the tools that it called, with their counts; one of another kind, its own tool.
_TOOLS: Final = """
LEFT JOIN LATERAL (SELECT t.key AS tool, t.value::text::bigint AS calls FROM json_each(f.detail->'tools') AS t) AS tools
    ON true
"""
_QUANTITY: Final = r"^(0|[1-9][0-9]{0,10})([.][0-9]{1,12})?$"
# What is too short to be too long need not be counted: that takes a third of the time.
_IS_QUANTITY: Final = (
    f"CASE WHEN length(t) < 12 THEN t ~ '^(0|[1-9][0-9]*)([.][0-9]+)?$' ELSE t ~ '{_QUANTITY}' END"
)


@dataclass
class MeterRows:
    """What stands after FROM and in WHERE for the rows of a meter, under the alias f, and the values of parameters."""

    meter: Meter
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> Definition:
        """What the meter counts."""
        return self.meter.definition

    @property
    def table(self) -> str:
        """The table of facts that it counts."""
        return TABLES[self.definition.source]

    @property
    def source(self) -> str:
        """What stands after FROM."""
        return f"{self.table} f {_TOOLS if self._by_tool else ''}"

    @property
    def sign(self) -> str:
        """1, or -1 for what takes another row back."""
        return "f.sign" if self.definition.source == EVENTS else "1"

    @property
    def value(self) -> str:
        """What is added up or compared: as text of events, which is looked at once and then taken for a number."""
        name = self.definition.value_property
        if name is None:
            return "1::numeric"
        if self.definition.source == EVENTS:
            return self.text(name)
        if self._by_tool:
            return "COALESCE(tools.calls, f.tool_calls)::numeric"
        return f"{_VALUES.get(name, f'f.{name}')}::numeric"

    def select(
        self, where: str, groups: Sequence[str], *more: str, at_once: bool = True, joined: str = ""
    ) -> str:
        """Return the rows that meet a condition on f and that the meter counts: id, occurred_at, s (sign), v (value), u
        (unique), g0, g1 ... and more columns, also of what is joined. With `at_once` all are made before any is
        counted, so that no member of the data is looked up twice; without it as many as are asked for."""
        named = [f"{self.text(name)} AS g{place}" for place, name in enumerate(groups)]
        columns = [
            "f.id", "f.occurred_at", f"{self.sign} AS s", f"{self.value} AS t", f"{self.unique} AS u", *named, *more,
        ]  # fmt: skip
        inner = (
            f"SELECT {', '.join(columns)} FROM {self.source} {joined} WHERE {where} AND {self._condition()}"
            f"{' OFFSET 0' if at_once else ''}"
        )
        return f"SELECT i.*, t::numeric AS v FROM ({inner}) AS i WHERE {self._counted()}"

    @property
    def unique(self) -> str:
        """What different values are counted of, or what has a level of its own."""
        name = self.definition.unique_property
        return "NULL::text" if name is None else self.text(name)

    def text(self, name: str) -> str:
        """A property as text."""
        if self.definition.source == EVENTS:
            return f"(f.data->>{self._parameter(name)})"
        if name == "tool" and self._by_tool:
            return "COALESCE(tools.tool, f.tool)"
        return _LABELS.get(name, f"f.{name}")

    def _condition(self) -> str:
        """Which rows the meter is for; the organization, times and cuts stand elsewhere."""
        parts = [self._filter(each) for each in self.definition.filters]
        if self.definition.source == EVENTS:
            parts.append(f"f.type = {self._parameter(self.definition.event_type)}")
        return " AND ".join(parts) or "true"

    def _counted(self) -> str:
        """Which of these rows it can count."""
        parts = []
        if self.definition.source == EVENTS and self.definition.value_property is not None:
            parts.append(_IS_QUANTITY)
        if self.definition.unique_property is not None:
            parts.append("u IS NOT NULL")
        return " AND ".join(parts) or "true"

    @property
    def repeats(self) -> bool:
        """Whether a record may come as several rows: one for each tool that it called."""
        return self._by_tool

    @property
    def _by_tool(self) -> bool:
        definition = self.definition
        named = {*definition.group_by, *(each.property for each in definition.filters)}
        return definition.value_property == "tool_calls" and "tool" in named

    def _filter(self, each: Filter) -> str:
        text = self.text(each.property)
        if each.operator == "exists":
            return f"{text} IS {'NOT ' if each.exists else ''}NULL"
        return f"{text} = ANY({self._parameter(list(each.values))}::text[])"

    def _parameter(self, value: Any) -> str:
        name = next((name for name, known in self.values.items() if known == value), f"m{len(self.values)}")
        self.values[name] = value
        return f"%({name})s" if isinstance(value, list) else f"%({name})s::text"
