"""The log of events, in the version in which each was written."""

from __future__ import annotations

from sandbox.stripe.errors import NotExecuted
from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.rendering import public
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call

KEPT_SECONDS = 30 * 86_400
_MOST_TYPES = 20
_FAILED = (
    "EXISTS (SELECT 1 FROM deliveries d WHERE d.event = objects.id AND d.counted AND d.state <> 'delivered')"
)


def shown_event(event: Body, version: str | None = None) -> Body:
    """Return the event as it is told, its object in that version (default: the one it was written in)."""
    version = version or event["api_version"]
    data = {name: public(value, version) for name, value in event["data"].items()}
    kept = {name: value for name, value in event.items() if not name.startswith("_")}
    return {**kept, "api_version": version, "data": data}


@route("GET", "/v1/events", paged("created:range delivery_success:bool type:str types:list"))
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created"))
    conditions.sql("created > ?", call.now - KEPT_SECONDS)
    if given.get("type") and given.get("types"):
        raise NotExecuted("You may only specify one of these parameters: type, types.", param="types")
    types = given.get("types") or ([given["type"]] if given.get("type") else [])
    if len(types) > _MOST_TYPES:
        raise NotExecuted(f"You may give at most {_MOST_TYPES} types.", param="types")
    if types:
        each = " OR ".join("json_extract(body, '$.type') GLOB ?" for _ in types)
        conditions.sql(each, *types)
    if given.get("delivery_success") is not None:
        failed = _FAILED
        conditions.sql(f"NOT {failed}" if given["delivery_success"] else failed)
    page = listed(call, "event", "/v1/events", conditions)
    return {**page, "data": [shown_event(event) for event in page["data"]]}


@route("GET", "/v1/events/{id}")
def retrieve(call: Call, id: str) -> Body:
    return shown_event(call.get("event", id))
