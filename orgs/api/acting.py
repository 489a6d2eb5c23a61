"""For which organization a request acts: its key's own; the platform's keys name one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request

from common.api.requests import has_body
from common.api.serializers import StrictSerializer
from common.api.views import ApiView
from common.bodies import BodyReader
from common.errors import InvalidField, InvalidParameter, NotFound
from common.fields import is_id
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.permissions import KeyIsLimited, Principal
from orgs.rules.scopes import PLATFORM


class OrgsView(ApiView):
    """A view on the objects of an organization.

    A key that is limited to agents or connections reads nothing here, unless the view says that it `narrows`: that it
    leaves out whatever the key is not for.
    """

    narrows: ClassVar[bool] = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse the reads of a limited key that would tell of more than it is for."""
        super().initial(request, *args, **kwargs)
        if request.method in ("GET", "HEAD") and self.caller.is_limited and not self.narrows:
            raise KeyIsLimited

    @property
    def caller(self) -> Principal:
        """Who calls, with role and limits."""
        caller: Principal = self.request.user  # type: ignore[assignment]
        return caller

    @property
    def author(self) -> Author:
        """The author of the events that this call leads to."""
        return Author(self.caller.actor, self.request.headers.get("Idempotency-Key"))

    def parameters_for(self, method: str) -> frozenset[str]:
        """As declared, and `organization` for every method: how the platform says whose key it means."""
        return super().parameters_for(method) | {"organization"}

    def own_or_named(self, named: UUID | None) -> UUID | None:
        """The organization to act for: the own one; for the platform the named one, None when none is named.

        Raises NotFound when another organization's key names one that is not its own (S109).
        """
        if self.caller.has_scope(PLATFORM):
            return named
        if named not in (None, self.caller.organization):
            raise NotFound("There is no such organization.")
        return self.caller.organization

    def for_list(self) -> UUID:
        """The organization whose objects are listed. Raises NotFound and InvalidParameter."""
        organization = self.own_or_named(self.query.uuid("organization"))
        if organization is None:
            raise InvalidParameter("A platform key lists the objects of one ?organization=.")
        return organization

    def for_new(self, values: Mapping[str, Any]) -> UUID:
        """The organization that gets a new object. Raises NotFound and InvalidField."""
        organization = self.own_or_named(values.get("organization") or self.query.uuid("organization"))
        if organization is None:
            raise InvalidField("A platform key names the organization.", pointer="/organization")
        return organization

    def for_object(self, name: str, owner_of: Callable[[Cursor, UUID], UUID]) -> UUID:
        """The organization of the object in the path; the platform may also name it by its id alone.

        Raises NotFound and InvalidParameter.
        """
        organization = self.own_or_named(self.query.uuid("organization"))
        if organization is not None:
            return organization
        if not is_id(name):
            raise InvalidParameter("A platform key names an object by its id, or also the ?organization=.")
        return run_in_transaction(lambda cur: owner_of(cur, UUID(name)))


def checked(
    serializer_class: type[StrictSerializer], request: Request, *, partial: bool = False
) -> dict[str, Any]:
    """The checked values of a body; raises one error for everything that is wrong in it."""
    serializer = serializer_class(data=request.data, partial=partial)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def refuse_fields(request: Request) -> None:
    """Refuse a body with fields where nothing can be said. Raises UnknownField and ReadOnlyField."""
    if has_body(request._request):
        fields: Any = request.data
        BodyReader(fields, allowed=()).check()
