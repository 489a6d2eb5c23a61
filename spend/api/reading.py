"""What the lists of facts share: which organization, which page, which period."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.http import HttpResponse

from common.api.answers import json_response
from common.api.paging import Page, envelope
from common.errors import InvalidPeriod
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.rules.scopes import SPEND_READ

_Row = TypeVar("_Row")


class ReadView(OrgsView):
    """A view that only reads, with the scope spend:read."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = SPEND_READ

    def page(self) -> Page:
        """The page that is asked for."""
        return self.query.page(organization=self.caller.organization, path=self.request.path)

    def period(self) -> tuple[datetime | None, datetime | None]:
        """The period [from, to) that is asked for. Raises InvalidParameter and InvalidPeriod."""
        start, end = self.query.instant("from"), self.query.instant("to")
        if start is not None and end is not None and end <= start:
            raise InvalidPeriod("`to` lies after `from`.")
        return start, end

    def answer(self, read: Callable[[Cursor], Any]) -> HttpResponse:
        """What one reading transaction found."""
        return json_response(run_in_transaction(read))

    def answer_rows(
        self, rows: list[Mapping[str, Any]], page: Page, show: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        """A page of rows that are in the order of their ids."""
        return envelope(rows, page=page, position=lambda row: (str(row["id"]),), show=show)


def after(page: Page) -> UUID | None:
    """The id after which the page begins."""
    return UUID(page.position[0]) if page.position else None
