"""/v1/contracts: what was agreed with a customer for a term (S77). The platform writes, the customer reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api import contract_serializers as shapes
from billing.api import contract_shows as shows
from billing.operations.contracts import changing
from billing.queries import contracts as queries
from billing.queries.drawdown import DrawDown, draw_down
from billing.rules.contracts.row import Contract
from billing.rules.contracts.terms import parse_contract
from billing.rules.permissions import require_billing_reader
from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.rules.scopes import BILLING_READ, PLATFORM

SHOWN: Final = shapes.ContractSerializer
STATUS: Final = OpenApiParameter("status", str, enum=queries.STATUSES)
Act = Callable[[Cursor, UUID, UUID], Contract]


class ContractView(OrgsView):
    """What the views of contracts share."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = {
        "GET": BILLING_READ,
        "POST": PLATFORM,
        "PATCH": PLATFORM,
    }
    money_moves = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse members who do not see what was agreed. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        require_billing_reader(self.caller)

    @property
    def sees_drafts(self) -> bool:
        """Whether the seller calls: a customer sees what was activated."""
        return self.caller.has_scope(PLATFORM)

    def place(self, name: str) -> tuple[UUID, UUID]:
        """The organization, and the contract in the path. Raises NotFound."""
        identifier = path_id(name)
        return self.for_object(name, queries.organization_of_contract), identifier

    def seen(self, cur: Cursor, place: tuple[UUID, UUID]) -> Contract:
        """The contract, if the caller may see it. Raises NotFound."""
        row = queries.find_contract(cur, organization=place[0], contract=place[1])
        if row.activated_at is None and not self.sees_drafts:
            raise NotFound("There is no such contract.")
        return row

    def act(self, request: Request, name: str, act: Act) -> HttpResponse:
        """Have one operation change the contract, and show it."""
        place = self.place(name)
        return self.idempotent(request, lambda cur: shows.show_contract(act(cur, *place)), status=200)


@extend_schema_view(
    get=extend_schema(parameters=[STATUS], responses=SHOWN(many=True), tags=["contracts"]),
    post=extend_schema(request=shapes.NewContractSerializer, responses={201: SHOWN}, tags=["contracts"]),
)
class ContractListView(ContractView):
    """GET and POST /v1/contracts."""

    query_parameters = ("status",)
    paged = True

    def get(self, request: Request) -> HttpResponse:
        """The organization's contracts, newest first, also those that have ended. Only the platform sees drafts."""
        organization = self.for_list()
        status = self.query.choice("status", options=queries.STATUSES)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            rows = queries.list_contracts(
                cur,
                organization=organization,
                status=status,
                with_drafts=self.sees_drafts,
                before=UUID(page.position[0]) if page.position else None,
                limit=page.fetch,
            )
            return envelope(rows, page=page, position=lambda row: (str(row.id),), show=shows.show_contract)

        return json_response(run_in_transaction(read))

    def post(self, request: Request) -> HttpResponse:
        """Make a contract as a draft: nothing holds, and its customer does not see it, until it is activated."""
        values = checked(shapes.NewContractSerializer, request)
        organization = self.for_new(values)
        terms = parse_contract(values["definition"], "/definition")

        def operation(cur: Cursor) -> dict[str, Any]:
            made = changing.draft_contract(cur, organization, terms, author=self.author)
            return shows.show_contract(made)

        return self.idempotent(request, operation)


@extend_schema_view(
    get=extend_schema(responses=SHOWN, tags=["contracts"]),
    patch=extend_schema(
        request=shapes.ContractRevisionSerializer, responses={200: SHOWN}, tags=["contracts"]
    ),
)
class ContractDetailView(ContractView):
    """GET and PATCH /v1/contracts/{id}."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """One contract, with what holds now."""
        place = self.place(name)
        return json_response(run_in_transaction(lambda cur: shows.show_contract(self.seen(cur, place))))

    def patch(self, request: Request, name: str) -> HttpResponse:
        """Give a draft another document. What is active is amended."""
        terms = parse_contract(
            checked(shapes.ContractRevisionSerializer, request)["definition"], "/definition"
        )

        def act(cur: Cursor, organization: UUID, contract: UUID) -> Contract:
            return changing.revise_contract(cur, organization, contract, terms, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(post=extend_schema(request=None, responses={200: SHOWN}, tags=["contracts"]))
class ContractActivateView(ContractView):
    """POST /v1/contracts/{id}/activate."""

    bodiless = ("POST",)

    def post(self, request: Request, name: str) -> HttpResponse:
        """Put a draft into force: its prices hold from their dates on, and what is due by now is owed and granted."""
        refuse_fields(request)

        def act(cur: Cursor, organization: UUID, contract: UUID) -> Contract:
            return changing.activate_contract(cur, organization, contract, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(
    post=extend_schema(request=shapes.ContractAmendmentSerializer, responses={200: SHOWN}, tags=["contracts"])
)
class ContractAmendView(ContractView):
    """POST /v1/contracts/{id}/amend."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """Make the next version, which holds from a day to come on. Earlier versions and settled windows stay."""
        values = checked(shapes.ContractAmendmentSerializer, request)
        terms = parse_contract(values["definition"], "/definition")

        def act(cur: Cursor, organization: UUID, contract: UUID) -> Contract:
            return changing.amend_contract(
                cur,
                organization,
                contract,
                terms,
                effective_on=values.get("effective_on"),
                author=self.author,
            )

        return self.act(request, name, act)


@extend_schema_view(
    post=extend_schema(
        request=shapes.ContractTerminationSerializer, responses={200: SHOWN}, tags=["contracts"]
    )
)
class ContractTerminateView(ContractView):
    """POST /v1/contracts/{id}/terminate."""

    def post(self, request: Request, name: str) -> HttpResponse:
        """End the contract before its term does, now or at a moment to come; a draft is dropped."""
        wanted = changing.Termination(**checked(shapes.ContractTerminationSerializer, request))

        def act(cur: Cursor, organization: UUID, contract: UUID) -> Contract:
            return changing.terminate_contract(cur, organization, contract, wanted, author=self.author)

        return self.act(request, name, act)


@extend_schema_view(
    get=extend_schema(responses=shapes.ContractVersionSerializer(many=True), tags=["contracts"])
)
class ContractVersionListView(ContractView):
    """GET /v1/contracts/{id}/versions."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """What the contract ever said, newest first."""
        place = self.place(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            self.seen(cur, place)
            rows = queries.versions_of_contract(
                cur,
                organization=place[0],
                contract=place[1],
                below=page.position[0] if page.position else None,
                limit=page.fetch,
            )
            return envelope(
                rows, page=page, position=lambda row: (row.number,), show=shows.show_contract_version
            )

        return json_response(run_in_transaction(read))


@extend_schema_view(
    get=extend_schema(responses=shapes.ContractEventSerializer(many=True), tags=["contracts"])
)
class ContractHistoryView(ContractView):
    """GET /v1/contracts/{id}/history."""

    paged = True

    def get(self, request: Request, name: str) -> HttpResponse:
        """Everything that happened to the contract, newest first, with the items that it made."""
        place = self.place(name)
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            self.seen(cur, place)
            rows = queries.history_of_contract(
                cur,
                organization=place[0],
                contract=place[1],
                before=page.position[0] if page.position else None,
                limit=page.fetch,
            )
            return envelope(
                rows, page=page, position=lambda row: (row.version,), show=shows.show_contract_event
            )

        return json_response(run_in_transaction(read))


class ReportView(ContractView):
    """A view of the draw-down report."""

    def report(self, name: str) -> DrawDown:
        """The report on the contract in the path. Raises NotFound."""
        place = self.place(name)

        def read(cur: Cursor) -> DrawDown:
            self.seen(cur, place)
            return draw_down(cur, organization=place[0], contract=place[1])

        return run_in_transaction(read)


@extend_schema_view(get=extend_schema(responses=shapes.DrawDownSerializer, tags=["contracts"]))
class ContractDrawDownView(ReportView):
    """GET /v1/contracts/{id}/drawdown."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """What is committed, drawn and left of each window, and when it will be used up at the run rate."""
        return json_response(shows.show_draw_down(self.report(name)))


@extend_schema_view(get=extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, tags=["contracts"]))
class ContractDrawDownCsvView(ReportView):
    """GET /v1/contracts/{id}/drawdown.csv."""

    def get(self, request: Request, name: str) -> HttpResponse:
        """The windows of the draw-down as CSV."""
        content = shows.draw_down_csv(self.report(name))
        response = HttpResponse(content, content_type="text/csv; charset=utf-8")
        response.headers["Content-Disposition"] = f'attachment; filename="drawdown-{name}.csv"'
        return response
