"""Meters: what is counted of usage records and of events, and how (S73). Pure.

A meter's definition never changes: plans name it by its key, and a number that was billed must come out again. What
counts otherwise is another meter. Properties of events are the members of their data; of usage records, the labels and
values below. They are compared as text: 5 and "5" are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from common.errors import InvalidField, InvalidQuantity, InvalidTransition
from orgs.rules.facts import Fact, time_text, with_changes
from orgs.rules.names import folded

USAGE: Final = "usage"
EVENTS: Final = "events"
SOURCES: Final = (USAGE, EVENTS)
COUNT, SUM, MAX, UNIQUE, LATEST, WEIGHTED_SUM = "count", "sum", "max", "unique", "latest", "weighted_sum"
AGGREGATIONS: Final = (COUNT, SUM, MAX, UNIQUE, LATEST, WEIGHTED_SUM)
ADDITIVE: Final = frozenset({COUNT, SUM})
"""What a late record adds to these is the same whatever came before it."""
VALUED: Final = frozenset({SUM, MAX, LATEST, WEIGHTED_SUM})
USAGE_VALUES: Final = (
    "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens",
    "reasoning_output_tokens", "tokens", "tool_calls", "charge", "cost",
)  # fmt: skip
"""Token counts are inclusive; `tokens` are input and output; charge and cost are in the currency's major unit."""
USAGE_LABELS: Final = (
    "provider", "model", "kind", "tool", "outcome", "user", "currency", "agent", "team", "workflow", "connection",
    "run",
)  # fmt: skip
OPERATORS: Final = ("equals", "in", "exists")
MAX_FILTERS, MAX_CHOICES, MAX_GROUPS = 10, 50, 5

_QUANTITY = re.compile(r"(0|[1-9][0-9]{0,10})(\.[0-9]{1,12})?")

Data = Mapping[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one property: equal to one of `values`, or there (`exists`) or not there."""

    property: str
    operator: str
    values: tuple[str, ...] = ()
    exists: bool = True

    def takes(self, value: str | None) -> bool:
        """Whether a property's text meets it; None: it is not there."""
        if self.operator == "exists":
            return (value is not None) is self.exists
        return value in self.values

    def written(self) -> dict[str, Any]:
        """Return it as definitions write it."""
        said: Any = {"exists": self.exists, "equals": self.values[0] if self.values else None}
        return {"property": self.property, self.operator: said.get(self.operator, list(self.values))}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a meter counts. `event_type`: of source events, whose type it is for. `value_property`: what is added up,
    compared or weighed. `unique_property`: whose different values are counted (unique), or of what each has a level of
    its own (weighted_sum)."""

    source: str
    aggregation: str
    event_type: str | None = None
    value_property: str | None = None
    unique_property: str | None = None
    filters: tuple[Filter, ...] = ()
    group_by: tuple[str, ...] = ()

    @property
    def is_additive(self) -> bool:
        """Whether its number is a sum over records."""
        return self.aggregation in ADDITIVE

    def takes(self, event_type: str, data: Data) -> bool:
        """Whether it is for an event of this type with these data."""
        if self.source != EVENTS or self.event_type != event_type:
            return False
        return all(each.takes(text_of(data.get(each.property))) for each in self.filters)

    def check_event(self, data: Data, *, pointer: str = "") -> None:
        """Refuse the data of an event that it is for and cannot count: a charge would be lost without a word.

        Raises InvalidQuantity and InvalidField.
        """
        if self.can_count(data):
            return
        if self.value_property is not None and not is_quantity(data.get(self.value_property)):
            raise InvalidQuantity(
                f"{self.value_property} is a plain decimal string or an integer.",
                pointer=f"{pointer}/{self.value_property}",
            )
        raise InvalidField(f"{self.unique_property} is needed.", pointer=f"{pointer}/{self.unique_property}")

    def can_count(self, data: Data) -> bool:
        """Whether the data have the value and the property that it needs."""
        if self.value_property is not None and not is_quantity(data.get(self.value_property)):
            return False
        return self.unique_property is None or self.unique_property in data


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter's row."""

    id: UUID
    organization: UUID
    key: str
    name: str
    description: str | None
    definition: Definition
    version: int
    created_at: datetime
    archived_at: datetime | None = None


def text_of(value: str | int | bool | None) -> str | None:
    """Return a property as it is compared and grouped by; the text that the database makes of it, too."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_quantity(value: str | int | bool | None) -> bool:
    """Whether a property is a metered quantity: as text, up to 11 digits before and 12 after the point."""
    text = text_of(value)
    return text is not None and _QUANTITY.fullmatch(text) is not None


def matching(meters: Iterable[Meter], event_type: str, data: Data) -> list[Meter]:
    """Return the meters that count an event, archived ones, too: who has a plan with one goes on paying by it.

    Raises InvalidQuantity and InvalidField where one that is not archived cannot count it.
    """
    found = [meter for meter in meters if meter.definition.takes(event_type, data)]
    for meter in found:
        if meter.archived_at is None:
            meter.definition.check_event(data, pointer="/data")
    return [meter for meter in found if meter.archived_at is None or meter.definition.can_count(data)]


def check_definition(definition: Definition) -> None:
    """Refuse a definition that gives no number. Raises InvalidField with the place."""
    if (definition.source == EVENTS) != (definition.event_type is not None):
        raise InvalidField("A meter of events, and no other, names an event_type.", pointer="/event_type")
    if (definition.aggregation in VALUED) != (definition.value_property is not None):
        raise InvalidField("count and unique have no value, all others have one.", pointer="/value_property")
    _check_unique(definition)
    if definition.source == USAGE:
        _check_usage(definition)


def check_groups(definition: Definition, wanted: Sequence[str], *, pointer: str = "/group_by") -> None:
    """Refuse to group by what the meter does not offer. Raises InvalidField."""
    unknown = [name for name in wanted if name not in definition.group_by]
    if unknown:
        raise InvalidField(f"The meter has no group {unknown[0]}.", pointer=pointer)


def meter_created(
    *,
    identifier: UUID,
    organization: UUID,
    key: str,
    name: str,
    description: str | None,
    definition: Definition,
    at: datetime,
) -> tuple[Meter, Fact]:
    """Return a new meter and the fact that makes it. Raises InvalidField."""
    check_definition(definition)
    meter = Meter(identifier, organization, key, name, description, definition, 1, at)
    return meter, _fact(meter, "created", _data(meter), at)


def meter_described(meter: Meter, changes: Mapping[str, Any], *, at: datetime) -> tuple[Meter, Fact | None]:
    """Return the meter under another name or description; no fact when nothing differs.

    Raises InvalidTransition for an archived one.
    """
    if meter.archived_at is not None:
        raise InvalidTransition("The meter is archived.")
    return _next(meter, replace(meter, **changes), "changed", at)


def meter_archived(meter: Meter, *, at: datetime) -> tuple[Meter, Fact | None]:
    """Return the meter as no new plan may use it; what does use it goes on. No fact when it is archived already."""
    if meter.archived_at is not None:
        return meter, None
    return _next(meter, replace(meter, archived_at=at), "archived", at)


def filter_of(data: Mapping[str, Any]) -> Filter:
    """Return the filter that `written` wrote."""
    if "exists" in data:
        return Filter(data["property"], "exists", (), data["exists"])
    if "equals" in data:
        return Filter(data["property"], "equals", (data["equals"],))
    return Filter(data["property"], "in", tuple(data["in"]))


def _check_unique(definition: Definition) -> None:
    if definition.aggregation == UNIQUE and definition.unique_property is None:
        raise InvalidField("unique counts the values of a unique_property.", pointer="/unique_property")
    if definition.unique_property is not None and definition.aggregation not in (UNIQUE, WEIGHTED_SUM):
        raise InvalidField("Only unique and weighted_sum have one.", pointer="/unique_property")


def _check_usage(definition: Definition) -> None:
    if definition.value_property not in (None, *USAGE_VALUES):
        raise InvalidField(f"This is none of: {', '.join(USAGE_VALUES)}.", pointer="/value_property")
    labels = [("/unique_property", definition.unique_property)] if definition.unique_property else []
    labels += [(f"/filters/{place}/property", each.property) for place, each in enumerate(definition.filters)]
    labels += [(f"/group_by/{place}", name) for place, name in enumerate(definition.group_by)]
    for pointer, name in labels:
        if name not in USAGE_LABELS:
            raise InvalidField(f"This is none of: {', '.join(USAGE_LABELS)}.", pointer=pointer)


def _next(before: Meter, after: Meter, verb: str, at: datetime) -> tuple[Meter, Fact | None]:
    old, new = _data(before), _data(after)
    if old == new:
        return before, None
    after = replace(after, version=before.version + 1)
    return after, _fact(after, verb, with_changes(new, old), at)


def _fact(meter: Meter, verb: str, data: Mapping[str, Any], at: datetime) -> Fact:
    return Fact(meter.organization, "meter", meter.id, meter.version, verb, data, at)


def _data(meter: Meter) -> dict[str, Any]:
    definition = meter.definition
    return {
        "key": meter.key,
        "key_folded": folded(meter.key),
        "name": meter.name,
        "description": meter.description,
        "source": definition.source,
        "event_type": definition.event_type,
        "aggregation": definition.aggregation,
        "value_property": definition.value_property,
        "unique_property": definition.unique_property,
        "filters": [each.written() for each in definition.filters],
        "group_by": list(definition.group_by),
        "created_at": time_text(meter.created_at),
        "archived_at": time_text(meter.archived_at),
    }
