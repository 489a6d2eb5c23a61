"""What the views of prices share: the platform's own, published for everybody or for one organization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request

from common.api.answers import json_response
from common.api.paging import envelope
from common.api.views import path_id
from common.errors import NotFound
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.api.acting import OrgsView, checked
from orgs.queries.organizations import find_organization
from orgs.rules.scopes import PLATFORM
from spend.api.price_serializers import EndSerializer
from spend.queries.pricelists import PriceTable, find_row, list_rows

Show = Callable[[Mapping[str, Any]], dict[str, Any]]


class PricingView(OrgsView):
    """A view on one table of the price book, for keys of the platform."""

    required_scope: ClassVar[str] = PLATFORM
    table: ClassVar[PriceTable]

    def parameters_for(self, method: str) -> frozenset[str]:
        """Only as declared: a price names its organization in its body."""
        return super().parameters_for(method) - ({"organization"} - set(self.query_parameters))

    @property
    def by(self) -> dict[str, Any]:
        """Who writes, as operations take it."""
        return {"actor": self.author.actor, "key": self.author.idempotency_key}

    def show(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row as answers show it."""
        raise NotImplementedError

    def one(self, cur: Cursor, row: UUID) -> dict[str, Any]:
        """A row by its id, as answers show it."""
        return self.show(find_row(cur, self.table, row))

    def rows(
        self, request: Request, wanted: Mapping[str, Any], *, at: datetime | None = None
    ) -> HttpResponse:
        """A page of the table."""
        page = self.query.page(organization=self.caller.organization, path=request.path)

        def read(cur: Cursor) -> dict[str, Any]:
            owner = wanted.get("organization", PLATFORM_ID)
            if owner != PLATFORM_ID:
                find_organization(cur, organization=owner)
            before = UUID(page.position[0]) if page.position else None
            rows = list_rows(cur, self.table, wanted=wanted, at=at, before=before, limit=page.fetch)
            return envelope(rows, page=page, position=lambda row: (str(row["id"]),), show=self.show)

        return json_response(run_in_transaction(read))

    def owner_asked_for(self) -> UUID:
        """Whose rows are listed: those of ?organization=, or the platform's own."""
        return self.query.uuid("organization") or PLATFORM_ID

    def row(self, name: str) -> HttpResponse:
        """The row in the path. Raises NotFound."""
        row = path_id(name)
        return json_response(run_in_transaction(lambda cur: self.one(cur, row)))

    def published(self, request: Request, operation: Callable[[Cursor], UUID]) -> HttpResponse:
        """Run the operation that publishes a row, and answer with the row."""
        return self.idempotent(request, lambda cur: self.one(cur, operation(cur)))

    def ended(self, request: Request, name: str, end: Callable[..., None]) -> HttpResponse:
        """End the row in the path with `end(cur, row, owner, valid_to)`, and answer with it."""
        row = path_id(name)
        values = checked(EndSerializer, request) if request.data else {}

        def operation(cur: Cursor) -> dict[str, Any]:
            found = find_row(cur, self.table, row)
            owner = found.get("organization", PLATFORM_ID)
            end(cur, row, None if owner == PLATFORM_ID else owner, values.get("valid_to"))
            return self.one(cur, row)

        return self.idempotent(request, operation, status=200)


def customer(values: Mapping[str, Any]) -> UUID | None:
    """The organization that a body names; the platform is none of the customers. Raises NotFound."""
    organization: UUID | None = values.get("organization")
    if organization == PLATFORM_ID:
        raise NotFound("There is no such organization.", pointer="/organization")
    return organization
