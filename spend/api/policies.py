"""What /v1/budgets, rate-limits, run-policies and velocity-rules share: objects of a policy level, changed and archived
by an operation that locks, permits and records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request

from common.api.views import path_id
from events.store import Cursor
from orgs.api.acting import OrgsView, checked, refuse_fields
from orgs.rules.permissions import Permit, require_policy_level

Show = Callable[[Cursor, Any], dict[str, Any]]


class PolicyView(OrgsView):
    """A view of one kind of these objects; `organization_of` finds whose one is."""

    organization_of: ClassVar[Callable[[Cursor, UUID], UUID]]

    @property
    def permit(self) -> Permit:
        """Refuse the edit of another level's object (S43)."""
        return partial(require_policy_level, self.caller)

    def owner(self, name: str) -> tuple[UUID, UUID]:
        """The object in the path and its organization. Raises NotFound."""
        identifier = path_id(name)
        return identifier, self.for_object(name, type(self).organization_of)

    def change(
        self, request: Request, name: str, serializer: type[Any], operation: Callable[..., Any], show: Show
    ) -> HttpResponse:
        """Have the operation make the changes that the body states, and show what became of the object."""
        changes = checked(serializer, request, partial=True)
        return self._by(request, name, lambda *place, **who: operation(*place, changes, **who), show)

    def archive(self, request: Request, name: str, operation: Callable[..., Any], show: Show) -> HttpResponse:
        """Have the operation end the object, and show it."""
        refuse_fields(request)
        return self._by(request, name, operation, show)

    def _by(self, request: Request, name: str, operation: Callable[..., Any], show: Show) -> HttpResponse:
        identifier, organization = self.owner(name)

        def run(cur: Cursor) -> dict[str, Any]:
            return show(cur, operation(cur, organization, identifier, author=self.author, permit=self.permit))

        return self.idempotent(request, run, status=200)
