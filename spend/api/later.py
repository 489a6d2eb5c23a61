"""Parts of the interface that are announced, but not there yet: 400 not_available_yet, naming the field."""

from __future__ import annotations

from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from common.errors import NotAvailableYet
from orgs.api.acting import OrgsView
from orgs.rules.scopes import ADMIN


@extend_schema(exclude=True)
class LaterView(OrgsView):
    """Answers every method with 400 not_available_yet; `field` is what it names."""

    required_scope = ADMIN
    bodiless = ("POST", "PATCH")
    field = ""

    def refuse(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        """Always 400 not_available_yet."""
        raise NotAvailableYet(f"{self.field} is not available yet.", pointer=f"/{self.field}")

    get = post = patch = refuse


def later(field: str) -> Any:
    """A view that answers that this field is not available yet."""
    return LaterView.as_view(field=field)
