"""/v1/events and /v1/event-backfills: quantities from outside, and what is said about them afterwards (S73)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.catalog import utc
from billing.api.cloudevents import MANY, ONE, EventsParser, is_batch
from billing.api.meter_serializers import (
    AmendmentSerializer,
    CloudEventSerializer,
    EventResultsSerializer,
    EventSerializer,
    MeterReasonSerializer,
    NewEventBatchSerializer,
    NewEventSerializer,
    RecordedEventSerializer,
)
from billing.operations.metering.correcting import amend_event, void_event
from billing.operations.metering.recording import Recorded, record_events
from billing.queries.meterevents import (
    EventFilter,
    histories_of,
    history_of,
    list_events,
    organization_of_event,
)
from billing.rules.meterbodies import read_correction, read_event, read_reason
from billing.rules.meterevents import MAX_BATCH, EventFact, NewEvent, counting
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.requests import request_id_of
from common.api.views import path_id
from common.bodies import BodyReader
from common.errors import Forbidden, InvalidField, InvalidParameter, InvalidPeriod, ProblemError, problem
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.rules.permissions import KeyIsLimited
from orgs.rules.scopes import ADMIN, BILLING_WRITE, PLATFORM, SPEND_READ, SPEND_WRITE

_CLOUD_EVENTS: Final = [
    OpenApiParameter(
        "Content-Type", str, OpenApiParameter.HEADER,
        description=f"application/json, {ONE}, or {MANY} (an array; answered like /v1/events/batch).",
    )
]  # fmt: skip


class EventView(OrgsView):
    """A view on the events of an organization. A key for some agents or connections does nothing here: an event tells
    of the whole organization."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = {"GET": SPEND_READ, "POST": SPEND_WRITE}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse limited keys."""
        super().initial(request, *args, **kwargs)
        if self.caller.is_limited:
            raise KeyIsLimited

    def acting_for(self) -> UUID:
        """The organization whose events these are. Raises NotFound and InvalidParameter."""
        organization = self.own_or_named(self.query.uuid("organization"))
        if organization is None:
            raise InvalidParameter("A platform key names the organization: ?organization=.")
        return organization

    def recorded(
        self, organization: UUID, items: Sequence[Any], *, backfill: UUID | None = None
    ) -> list[Recorded | ProblemError]:
        """What became of each event of a batch, in order; what is wrong with one stops no other."""
        found: list[Recorded | ProblemError | None] = []
        events: list[NewEvent] = []
        for item in items:
            try:
                events.append(read_event(_object(item)))
                found.append(None)
            except ProblemError as error:
                found.append(error)
        answers = iter(
            run_in_transaction(
                lambda cur: record_events(cur, organization, events, author=self.author, backfill=backfill)
            )
        )
        return [next(answers) if each is None else each for each in found]

    def results(self, request: Request, answers: Sequence[Recorded | ProblemError]) -> HttpResponse:
        """The answers to a batch, in order."""
        request_id = request_id_of(request._request)
        return json_response({"results": [_result(each, request_id) for each in answers]})


class CorrectingView(EventView):
    """A view that takes back what counts: a charge may become less by it."""

    required_scope = SPEND_READ

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse whoever may only report."""
        super().initial(request, *args, **kwargs)
        if request.method != "GET":
            require_correction(self.caller)


@extend_schema_view(
    get=extend_schema(responses=EventSerializer(many=True), tags=["meters"]),
    post=extend_schema(
        request={"application/json": NewEventSerializer, ONE: CloudEventSerializer},
        parameters=_CLOUD_EVENTS,
        responses={201: RecordedEventSerializer, 200: EventResultsSerializer},
        tags=["meters"],
    ),
)
class EventListView(EventView):
    """GET and POST /v1/events."""

    parser_classes = (EventsParser,)
    query_parameters = ("source", "external_id", "type", "backfill", "from", "to")
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """Events, newest first. `from` and `to` are times of occurrence as they were first stated."""
        organization = self.for_list()
        page = self.query.page(organization=self.caller.organization, path=request.path)
        start, end = self.query.instant("from"), self.query.instant("to")
        if start is not None and end is not None and end <= start:
            raise InvalidPeriod("`to` lies after `from`.")
        wanted = EventFilter(
            source=self.query.text("source", max_length=200),
            external_id=self.query.text("external_id", max_length=200),
            type=self.query.text("type", max_length=200),
            backfill=self.query.uuid("backfill"),
            start=start,
            end=end,
        )

        def read(cur: Cursor) -> dict[str, Any]:
            before = UUID(page.position[0]) if page.position else None
            firsts = list_events(
                cur, organization=organization, wanted=wanted, before=before, limit=page.fetch
            )
            rows = histories_of(cur, firsts)
            return envelope(rows, page=page, position=lambda row: (str(row[0].id),), show=show_event)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Record one event. Sent again with the same content it changes nothing and has the same answer."""
        organization = self.acting_for()
        if is_batch(request.META.get("CONTENT_TYPE")):
            return self.results(request, self.recorded(organization, batch_items(body_of(request))))
        event = read_event(body_of(request))
        replayed = False

        def operation(cur: Cursor) -> dict[str, Any]:
            nonlocal replayed
            (answer,) = record_events(cur, organization, [event], author=self.author)
            if isinstance(answer, ProblemError):
                raise answer
            replayed = answer.replayed
            return show_recorded(answer)

        response = self.idempotent(request, operation)
        if replayed:
            response.headers["Idempotent-Replayed"] = "true"
        return response


@extend_schema_view(
    post=extend_schema(
        request=NewEventBatchSerializer, responses={200: EventResultsSerializer}, tags=["meters"]
    )
)
class EventBatchView(EventView):
    """POST /v1/events/batch."""

    def post(self, request: Request) -> HttpResponse:
        """Record up to 1,000 events, plain or as CloudEvents. Each has its own answer; no header key is needed."""
        return self.results(request, self.recorded(self.acting_for(), batch_items(body_of(request))))


@extend_schema_view(get=extend_schema(responses=EventSerializer, tags=["meters"]))
class EventDetailView(EventView):
    """GET /v1/events/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One event as it counts now, and all that was said about it."""
        event, organization = path_id(name), self.for_object(name, organization_of_event)
        return json_response(run_in_transaction(lambda cur: show_event(history_of(cur, organization, event))))


@extend_schema_view(
    post=extend_schema(request=AmendmentSerializer, responses={200: EventSerializer}, tags=["meters"])
)
class EventAmendView(CorrectingView):
    """POST /v1/events/{id}/amend."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """State the event anew, with other data or another time; the next invoice has the difference."""
        event, said = path_id(name), read_correction(body_of(request))
        organization = self.for_object(name, organization_of_event)

        def operation(cur: Cursor) -> dict[str, Any]:
            amend_event(cur, organization, event, said, author=self.author)
            return show_event(history_of(cur, organization, event))

        return self.idempotent(request, operation, status=200)


@extend_schema_view(
    post=extend_schema(request=MeterReasonSerializer, responses={200: EventSerializer}, tags=["meters"])
)
class EventVoidView(CorrectingView):
    """POST /v1/events/{id}/void."""

    money_moves = True

    def post(self, request: Request, name: str) -> HttpResponse:
        """Take the event back: it counts no more. A void one stays as it is."""
        event, reason = path_id(name), read_reason(body_of(request))
        organization = self.for_object(name, organization_of_event)

        def operation(cur: Cursor) -> dict[str, Any]:
            void_event(cur, organization, event, reason=reason, author=self.author)
            return show_event(history_of(cur, organization, event))

        return self.idempotent(request, operation, status=200)


def require_correction(caller: Any) -> None:
    """Refuse whoever may not take back what was reported: it needs billing:write, an admin key without a member, or
    the platform's. Raises Forbidden."""
    if caller.has_scope(BILLING_WRITE) or caller.has_scope(PLATFORM):
        return
    if caller.has_scope(ADMIN) and caller.role is None:
        return
    raise Forbidden("This needs the scope billing:write.")


def body_of(request: Request) -> Mapping[str, Any]:
    """The body, which the parser made an object."""
    body: Any = request.data
    found: Mapping[str, Any] = body
    return found


def batch_items(body: Mapping[str, Any]) -> list[Any]:
    """The items of a batch. Raises InvalidField and UnknownField."""
    BodyReader(body, allowed=("items",)).check()
    items = body.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise InvalidField(f"items is a list of 1 to {MAX_BATCH}.", pointer="/items")
    return items


def show_recorded(answer: Recorded) -> dict[str, Any]:
    """What became of an event."""
    event, known = answer.event, answer.known
    return {
        "id": known.event_id,
        "source": event.source,
        "external_id": event.external_id,
        "type": event.type,
        "occurred_at": utc(event.occurred_at),
        "adjustment": known.adjustment,
        "meters": list(known.meters),
        "unmatched": not known.meters,
    }


def show_event(history: Sequence[EventFact]) -> dict[str, Any]:
    """An event as answers show it."""
    counts = counting(history)
    last = counts or next(fact for fact in reversed(history) if fact.sign > 0)
    return {
        "id": history[0].id,
        "organization": last.organization,
        "source": last.source,
        "external_id": last.external_id,
        "type": last.type,
        "subject": last.subject,
        "status": "void" if counts is None else "counts",
        "occurred_at": utc(last.occurred_at),
        "data": last.data,
        "adjustment": last.adjustment,
        "backfill": last.backfill_id,
        "history": [_statement(fact) for fact in _statements(history)],
    }


def _statements(history: Sequence[EventFact]) -> list[EventFact]:
    """What was said, without what an amendment took back to state it anew: nothing follows a void."""
    return [fact for fact in history if fact.sign > 0 or fact is history[-1]]


def _statement(fact: EventFact) -> dict[str, Any]:
    is_void = fact.sign < 0
    return {
        "kind": "void" if is_void else "stated" if fact.id == fact.event_id else "amended",
        "occurred_at": None if is_void else utc(fact.occurred_at),
        "data": None if is_void else fact.data,
        "adjustment": fact.adjustment,
        "actor": fact.actor,
        "reason": fact.reason,
        "recorded_at": utc(fact.recorded_at),
    }


def _object(item: Any) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise InvalidField("An item is an object.", pointer="")
    return item


def _result(answer: Recorded | ProblemError, request_id: str) -> dict[str, Any]:
    if isinstance(answer, ProblemError):
        status, body, _ = problem(answer, request_id)
        return {"status": status, "body": msgspec.Raw(body)}
    return {"status": 201, "body": show_recorded(answer)}
