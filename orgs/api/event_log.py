"""GET /v1/event-log: what happened in an organization, in order, for its auditors."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.errors import Forbidden, InvalidParameter, ProblemError
from common.ids import parse_id
from common.transactions import run_in_transaction
from events.queries.log import LogFilter, event_log
from events.reading import StoredEvent
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.api.serializers import EventSerializer
from orgs.queries.organizations import find_organization
from orgs.rules.permissions import may_set_up
from orgs.rules.scopes import AUDIT_READ, SPEND_READ

SCOPES: Final = (AUDIT_READ, SPEND_READ)
# Who has access, and with what rights, is for those who give it.
_ABOUT_ACCESS: Final = ("api_key", "member")
# Useless to a reader, and not for every reader's eyes.
_HIDDEN: Final = frozenset({"secret_hash"})
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_STREAM: Final = re.compile(r"([a-z_]{1,60})(?::(.+))?")


class EventLogView(OrgsView):
    """The event log."""

    query_parameters = ("type", "stream", "since")
    paged = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Either scope will do."""
        super().initial(request, *args, **kwargs)
        if not any(self.principal.has_scope(scope) for scope in SCOPES):
            raise Forbidden(f"This needs one of the scopes {', '.join(SCOPES)}.")

    @extend_schema(responses=EventSerializer(many=True), tags=["event log"])
    def get(self, request: Request) -> HttpResponse:
        """The organization's events in the order in which they happened. `type` is a type such as `budget.created`,
        `stream` a kind of object or one object (`budget` or `budget:<id>`), `since` a number: only later events. Those
        of members and API keys are shown to whoever manages them. A platform key names the `organization`; without,
        it sees the platform's own events."""
        organization = self.own_or_named(self.query.uuid("organization")) or self.caller.organization
        page = self.query.page(organization=organization, path=request.path)
        wanted = self._wanted()

        def read(cur: Cursor) -> dict[str, Any]:
            find_organization(cur, organization=organization)
            after = page.position[0] if page.position else None
            rows = event_log(cur, organization=organization, wanted=wanted, after=after, limit=page.fetch)
            return envelope(rows, page=page, position=lambda event: (event.seq,), show=show_event)

        return json_response(run_in_transaction(read))

    def _wanted(self) -> LogFilter:
        since = self.query.text("since", max_length=20) or "0"
        if not _NUMBER.fullmatch(since):
            raise InvalidParameter("since is the number of an event.")
        kind, identifier = _stream(self.query.text("stream", max_length=100))
        hidden = () if may_set_up(self.caller) else _ABOUT_ACCESS
        return LogFilter(self.query.text("type", max_length=100), kind, identifier, int(since), hidden)


def show_event(event: StoredEvent) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return {
        "seq": event.seq,
        "stream": f"{event.stream_type}:{event.stream_id}",
        "version": event.version,
        "type": event.type,
        "schema": event.schema,
        "data": {name: value for name, value in event.data.items() if name not in _HIDDEN},
        "actor": event.actor,
        "cause": event.cause,
        "idempotency_key": event.idempotency_key,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
    }


def _stream(text: str | None) -> tuple[str | None, UUID | None]:
    if text is None:
        return None, None
    found = _STREAM.fullmatch(text)
    if found is None:
        raise InvalidParameter("stream is <kind> or <kind>:<id>.")
    try:
        return found[1], parse_id(found[2]) if found[2] else None
    except ProblemError as error:
        raise InvalidParameter(f"stream: {error.detail}") from None
