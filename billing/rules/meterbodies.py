"""Bodies that make meters and that record or correct events. What the body alone shows to be wrong is a 400 here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from billing.rules.meterevents import Correction, NewEvent
from billing.rules.meters import (
    AGGREGATIONS,
    MAX_CHOICES,
    MAX_FILTERS,
    MAX_GROUPS,
    OPERATORS,
    SOURCES,
    Data,
    Definition,
    Filter,
    NewMeter,
    check_definition,
    text_of,
)
from common import fields
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidQuantity, ReadOnlyField
from common.strictjson import NumberText, canonical_digest, child_pointer

MAX_NAME: Final = 200
MAX_MEMBERS, MAX_PROPERTY, MAX_TEXT = 50, 40, 500
FIXED: Final = (
    "key", "source", "aggregation", "event_type", "value_property", "unique_property", "filters", "group_by",
)  # fmt: skip
EVENT_FIELDS: Final = frozenset(("source", "id", "type", "subject", "data"))
ENVELOPE_FIELDS: Final = frozenset(
    ("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "data")
)
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_JSON_CONTENT = re.compile(r"application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)

Body = Mapping[str, Any]


def read_meter(body: Body) -> NewMeter:
    """Return the meter that a body asks for."""
    reader = BodyReader(body, allowed=("name", "description", *FIXED))
    new = NewMeter(
        key=reader.required("key", fields.key),
        name=reader.required("name", fields.text),
        description=reader.optional("description", fields.text, max_length=500, multiline=True),
        definition=Definition(
            source=reader.required("source", fields.choice, options=SOURCES),
            aggregation=reader.required("aggregation", fields.choice, options=AGGREGATIONS),
            event_type=reader.optional("event_type", fields.text, max_length=MAX_NAME),
            value_property=reader.optional("value_property", fields.text, max_length=MAX_PROPERTY),
            unique_property=reader.optional("unique_property", fields.text, max_length=MAX_PROPERTY),
            filters=_filters(reader),
            group_by=_groups(reader),
        ),
    )
    reader.check()
    check_definition(new.definition)
    return new


def read_description(body: Body) -> dict[str, Any]:
    """Return the name and description that a body gives a meter; what it counts never changes."""
    for name in FIXED:
        if name in body:
            raise ReadOnlyField(
                "What a meter counts never changes: make another meter, and archive this one.",
                pointer=f"/{name}",
            )
    reader = BodyReader(body, allowed=("name", "description"))
    changes: dict[str, Any] = {}
    if "name" in reader:
        changes["name"] = reader.required("name", fields.text)
    if "description" in reader:
        changes["description"] = reader.optional("description", fields.text, max_length=500, multiline=True)
    reader.check()
    return changes


def read_event(body: Body) -> NewEvent:
    """Return the event that a body states, plain or as a CloudEvent 1.0."""
    body, time = _unwrapped(body)
    reader = BodyReader(body, allowed=EVENT_FIELDS | {time})
    source = reader.required("source", fields.text, max_length=MAX_NAME)
    external_id = reader.required("id", fields.text, max_length=MAX_NAME)
    kind = reader.required("type", fields.text, max_length=MAX_NAME)
    subject = reader.optional("subject", fields.text, max_length=MAX_NAME)
    occurred_at = reader.required(time, fields.instant)
    none: Data = {}
    data = reader.defaulted("data", event_data, none)
    reader.check()
    said = {"type": kind, "subject": subject, "occurred_at": occurred_at.isoformat(), "data": data}
    return NewEvent(source, external_id, kind, subject, occurred_at, data, canonical_digest(said)[:16])


def read_correction(body: Body) -> Correction:
    """Return what an amendment says anew."""
    reader = BodyReader(body, allowed=("reason", "occurred_at", "data"))
    said = Correction(
        reason=reader.required("reason", fields.text, max_length=500, multiline=True),
        occurred_at=reader.optional("occurred_at", fields.instant),
        data=reader.optional("data", event_data),
    )
    if said.occurred_at is None and said.data is None and not reader.failed:
        reader.refuse(InvalidField("An amendment gives other data or another time.", pointer="/data"))
    reader.check()
    return said


def read_reason(body: Body) -> str:
    """Return why something is taken back."""
    reader = BodyReader(body, allowed=("reason",))
    reason = reader.required("reason", fields.text, max_length=500, multiline=True)
    reader.check()
    return reason


def event_data(value: object, *, pointer: str = "") -> Data:
    """A flat object of up to 50 texts (500 characters), whole numbers and flags. A quantity with decimals is a text: a
    number with a fraction or an exponent, or too large, is InvalidQuantity. Raises InvalidField and InvalidText."""
    if not isinstance(value, dict) or len(value) > MAX_MEMBERS:
        raise InvalidField(f"This is no object of at most {MAX_MEMBERS} members.", pointer=pointer)
    return {
        fields.text(name, pointer=pointer, max_length=MAX_PROPERTY): _member(
            member, child_pointer(pointer, name)
        )
        for name, member in value.items()
    }


def _member(value: object, pointer: str) -> str | int | bool:
    if isinstance(value, str):
        return fields.text(value, pointer=pointer, max_length=MAX_TEXT, min_length=0)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, NumberText):
        raise InvalidQuantity('A quantity with decimals is a text, such as "0.5".', pointer=pointer)
    raise InvalidField("This is neither a text, a whole number nor a flag.", pointer=pointer)


def _unwrapped(body: Body) -> tuple[Body, str]:
    """An event's own fields, and what it calls its time. A CloudEvent's extension attributes say nothing about a
    quantity: they may differ when it is sent again."""
    if "specversion" not in body:
        return body, "occurred_at"
    extensions = {
        name for name, value in body.items()
        if name not in ENVELOPE_FIELDS and _EXTENSION.fullmatch(name) and isinstance(value, str | int | bool)
    }  # fmt: skip
    reader = BodyReader(
        {name: value for name, value in body.items() if name not in extensions},
        allowed=ENVELOPE_FIELDS | extensions,
    )
    reader.required("specversion", fields.choice, options=("1.0",))
    content = reader.defaulted("datacontenttype", fields.text, "application/json", max_length=MAX_NAME)
    reader.optional("dataschema", fields.text, max_length=500)
    if not reader.failed and not _JSON_CONTENT.fullmatch(content):
        reader.refuse(InvalidField("The data are JSON.", pointer="/datacontenttype"))
    reader.check()
    return {name: body[name] for name in (*EVENT_FIELDS, "time") if name in body}, "time"


def _groups(reader: BodyReader) -> tuple[str, ...]:
    none: list[str] = []
    found = reader.defaulted(
        "group_by", fields.text_list, none, max_items=MAX_GROUPS, max_length=MAX_PROPERTY
    )
    return tuple(found or ())  # None stands for what was refused


def _filters(reader: BodyReader) -> tuple[Filter, ...]:
    found = []
    for inner in reader.objects("filters", allowed=("property", *OPERATORS), max_items=MAX_FILTERS):
        name = inner.required("property", fields.text, max_length=MAX_PROPERTY)
        given = [operator for operator in OPERATORS if operator in inner]
        if len(given) != 1:
            inner.refuse(
                InvalidField("A filter has one of equals, in and exists.", pointer=inner.pointer("equals"))
            )
            continue
        found.append(_filter(inner, name, given[0]))
    return tuple(found)


def _filter(reader: BodyReader, name: str, operator: str) -> Filter:
    if operator == "exists":
        return Filter(name, operator, (), reader.required("exists", fields.boolean))
    if operator == "equals":
        return Filter(name, operator, (reader.required("equals", _choice),))
    return Filter(name, operator, tuple(reader.required("in", _choices) or ()))


def _choice(value: object, *, pointer: str = "") -> str:
    member = _member(value, pointer)
    return text_of(member) or ""


def _choices(value: object, *, pointer: str = "") -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CHOICES:
        raise InvalidField(f"This is no list of 1 to {MAX_CHOICES}.", pointer=pointer)
    return [_choice(item, pointer=child_pointer(pointer, place)) for place, item in enumerate(value)]
