"""The gate over HTTP: plain views that translate and make one call; no framework and no ORM on this path."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.http import HttpRequest, HttpResponse

from common.api.requests import read_object, request_id_of
from common.api.views import authenticate, keyed, path_id, plain_endpoint, require_scope
from common.errors import Forbidden, IdempotencyKeyRequired, InvalidField, NotFound, ProblemError, problem
from common.idempotency import keyed_request, read_key
from orgs import PLATFORM_ID
from spend.api.wire import BATCH_KEY, read_commit, read_extend, read_release, read_reserve, read_usage
from spend.operations.gate.submit import submit
from spend.rules.commands import Caller, Command, RequestKey
from spend.rules.effects import Answer

WRITE = "spend:write"
MAX_BATCH = 500
MAX_USAGE_BATCH = 1_000
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


class Call:
    """One authenticated call: organization, caller, body, and its idempotency key."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.principal: Any = authenticate(request)
        # The gate has connections of its own: while this call waits there, others can be authenticated with this one.
        connection.close_if_unusable_or_obsolete()
        require_scope(self.principal, WRITE)
        if request.GET:
            from common.errors import UnknownParameter

            raise UnknownParameter(f"This call takes no query parameters: {sorted(request.GET)[0]}.")
        self.body = read_object(request)
        self.organization: UUID = self.principal.organization
        if self.organization == PLATFORM_ID:
            raise Forbidden("The platform makes no calls; use a key of the organization.")
        self.caller = Caller(
            actor=self.principal.actor,
            agent_ids=_limits(self.principal, "agent_ids"),
            connection_ids=_limits(self.principal, "connection_ids"),
        )

    def key(self, *, required: bool) -> RequestKey | None:
        """The call's idempotency key."""
        found = keyed(self.request, principal=self.principal, body=self.body, required=required)
        return None if found is None else RequestKey(found.key, found.digest)


def _limits(principal: Any, name: str) -> frozenset[UUID] | None:
    ids = getattr(principal, name, None)
    return frozenset(ids) if ids else None


def reserve(request: HttpRequest) -> HttpResponse:
    """POST /v1/reservations: reserve before the call, or ask what would be answered (dry_run)."""
    call = Call(request)
    dry = call.body.get("mode") == "dry_run"
    key = None if dry else call.key(required=True)
    return _one(request, read_reserve(call.body, organization=call.organization, caller=call.caller, key=key))


def commit(request: HttpRequest, reservation: str) -> HttpResponse:
    """POST /v1/reservations/{id}/commit: book what the call took."""
    return _of_reservation(request, reservation, read_commit, key_required=True)


def release(request: HttpRequest, reservation: str) -> HttpResponse:
    """POST /v1/reservations/{id}/release: free the hold."""
    return _of_reservation(request, reservation, read_release, key_required=True)


def extend(request: HttpRequest, reservation: str) -> HttpResponse:
    """POST /v1/reservations/{id}/extend: heartbeat."""
    return _of_reservation(request, reservation, read_extend, key_required=False)


def record_usage(request: HttpRequest) -> HttpResponse:
    """POST /v1/usage: a cost-bearing fact after the event."""
    call = Call(request)
    key = call.key(required=False)
    return _one(request, read_usage(call.body, organization=call.organization, caller=call.caller, key=key))


def reserve_batch(request: HttpRequest) -> HttpResponse:
    """POST /v1/reservations/batch: up to 500 independent reservations in one transaction."""

    def read(call: Call, item: Mapping[str, Any]) -> Command:
        key = None if item.get("mode") == "dry_run" else _item_key(call, item, "/v1/reservations")
        return read_reserve(
            item, organization=call.organization, caller=call.caller, key=key, extra=BATCH_KEY
        )

    return _many(request, read, MAX_BATCH)


def commit_batch(request: HttpRequest) -> HttpResponse:
    """POST /v1/reservations/commit_batch: up to 500 independent commits in one transaction."""

    def read(call: Call, item: Mapping[str, Any]) -> Command:
        from common import fields

        reservation = fields.uuid(item.get("id"), pointer="/id")
        path = f"/v1/reservations/{reservation}/commit"
        return read_commit(
            item, organization=call.organization, caller=call.caller, key=_item_key(call, item, path),
            reservation=reservation, extra=BATCH_KEY | {"id"},
        )  # fmt: skip

    return _many(request, read, MAX_BATCH)


def usage_batch(request: HttpRequest) -> HttpResponse:
    """POST /v1/usage/batch: up to 1,000 facts; each is unique by its own source and id."""

    def read(call: Call, item: Mapping[str, Any]) -> Command:
        return read_usage(item, organization=call.organization, caller=call.caller, key=None)

    return _many(request, read, MAX_USAGE_BATCH)


def _of_reservation(
    request: HttpRequest, reservation: str, read: Callable[..., Command], *, key_required: bool
) -> HttpResponse:
    name = path_id(reservation)
    call = Call(request)
    key = call.key(required=key_required)
    command = read(call.body, organization=call.organization, caller=call.caller, key=key, reservation=name)
    return _one(request, command)


def _item_key(call: Call, item: Mapping[str, Any], path: str) -> RequestKey:
    given = item.get("idempotency_key")
    if given is None or type(given) is not str:
        raise IdempotencyKeyRequired(pointer="/idempotency_key")
    key = read_key(given, required=True)
    assert key is not None
    body = {name: value for name, value in item.items() if name not in ("idempotency_key", "id")}
    found = keyed_request(organization=call.organization, key=key, method="POST", path=path, body=body)
    return RequestKey(found.key, found.digest)


def _one(request: HttpRequest, command: Command) -> HttpResponse:
    answer = submit([command])[0]
    if answer.error is not None:
        raise answer.error
    response = HttpResponse(_bytes(answer), status=answer.status, content_type="application/json")
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def _bytes(answer: Answer) -> bytes:
    return answer.packed if answer.packed is not None else encode(answer.body)


def _many(
    request: HttpRequest, read: Callable[[Call, Mapping[str, Any]], Command], limit: int
) -> HttpResponse:
    call = Call(request)
    items = _items(call.body, limit)
    results: list[dict[str, Any] | None] = [None] * len(items)
    commands: list[Command] = []
    places: list[int] = []
    for place, item in enumerate(items):
        try:
            commands.append(read(call, item))
            places.append(place)
        except ProblemError as error:
            results[place] = _refused(request, error)
    for place, answer in zip(places, submit(commands) if commands else (), strict=True):
        if answer.error is not None:
            results[place] = _refused(request, answer.error)
        else:
            results[place] = {"status": answer.status, "body": msgspec.Raw(_bytes(answer))}
    return HttpResponse(encode({"results": results}), content_type="application/json")


def _items(body: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    from common.bodies import BodyReader

    BodyReader(body, allowed=("items",)).check()
    items = body.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= limit:
        raise InvalidField(f"items is a list of 1 to {limit}.", pointer="/items")
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidField("An item is an object.", pointer=f"/items/{place}")
    return items


def _refused(request: HttpRequest, error: ProblemError) -> dict[str, Any]:
    status, body, _ = problem(error, request_id_of(request))
    return {"status": status, "body": msgspec.Raw(body)}


RESERVE = plain_endpoint(POST=reserve)
COMMIT = plain_endpoint(POST=commit)
RELEASE = plain_endpoint(POST=release)
EXTEND = plain_endpoint(POST=extend)
RESERVE_BATCH = plain_endpoint(POST=reserve_batch)
COMMIT_BATCH = plain_endpoint(POST=commit_batch)
USAGE = plain_endpoint(POST=record_usage)
USAGE_BATCH = plain_endpoint(POST=usage_batch)

__all__ = ["NotFound", "decode"]
