"""Webhook endpoints: where events go, in which version, signed with which secret."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from sandbox.stripe.listing import listed
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.versions import is_known
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

_FIELDS = "description:str metadata:map"


def new_secret() -> str:
    """Return a signing secret."""
    return f"whsec_{secrets.token_urlsafe(24).replace('-', 'A').replace('_', 'B')}"


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refuse(
            "Invalid URL: an explicit scheme (such as https) must be provided",
            code="url_invalid",
            param="url",
        )


@route(
    "POST",
    "/v1/webhook_endpoints",
    f"url:str! enabled_events:list! api_version:str connect:bool {_FIELDS}",
)
def create(call: Call) -> Body:
    return make_endpoint(call, call.params, new_secret())


def make_endpoint(call: Call, given: Body, secret: str) -> Body:
    """Store an endpoint; the answer is the only one that tells the secret."""
    _check_url(given["url"])
    if not given["enabled_events"]:
        raise refuse("You must enable at least one event.", param="enabled_events")
    if given.get("api_version") and not is_known(given["api_version"]):
        raise refuse(f"Invalid API version: {given['api_version']}", param="api_version")
    endpoint = {
        "id": new_id("we"), "object": "webhook_endpoint", "api_version": given.get("api_version") or None,
        "application": None, "created": call.now, "description": given.get("description") or None,
        "enabled_events": given["enabled_events"], "livemode": False,
        "metadata": merged_metadata({}, given.get("metadata")), "status": "enabled", "url": given["url"],
        "_secrets": [{"secret": secret, "until": None}], "_connect": bool(given.get("connect")), "_failing": None,
    }  # fmt: skip
    call.add(endpoint)
    return {**endpoint, "secret": secret}


def roll_secret(call: Call, endpoint: Body, *, overlap_seconds: float = 86_400) -> str:
    """Give the endpoint a new secret; the old one signs beside it for a while. Returns the new one."""
    new, until = new_secret(), call.world.clock.now() + overlap_seconds
    old = [{"secret": one["secret"], "until": one["until"] or until} for one in endpoint["_secrets"]]
    call.world.store.save({**endpoint, "_secrets": [{"secret": new, "until": None}, *old][:2]})
    return new


@route("GET", "/v1/webhook_endpoints", paged())
def index(call: Call) -> Body:
    return listed(call, "webhook_endpoint", "/v1/webhook_endpoints")


@route("GET", "/v1/webhook_endpoints/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("webhook_endpoint", id)


@route("POST", "/v1/webhook_endpoints/{id}", f"url:str enabled_events:list disabled:bool {_FIELDS}")
def update(call: Call, id: str) -> Body:
    endpoint, given = call.get("webhook_endpoint", id), call.params
    if given.get("url"):
        _check_url(given["url"])
        endpoint["url"] = given["url"]
    if given.get("enabled_events"):
        endpoint["enabled_events"] = given["enabled_events"]
    if given.get("disabled") is not None:
        endpoint |= {"status": "disabled" if given["disabled"] else "enabled", "_failing": None}
    if "description" in given:
        endpoint["description"] = given["description"] or None
    if "metadata" in given:
        endpoint["metadata"] = merged_metadata(endpoint["metadata"], given["metadata"])
    return call.save(endpoint)


@route("DELETE", "/v1/webhook_endpoints/{id}")
def delete(call: Call, id: str) -> Body:
    call.get("webhook_endpoint", id)
    call.world.store.remove(id)
    call.world.store.db.execute("DELETE FROM deliveries WHERE endpoint = ? AND state <> 'delivered'", (id,))
    return {"id": id, "object": "webhook_endpoint", "deleted": True}
