"""What the views of the catalog share: the platform writes, customers see what was published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from common import fields
from common.errors import NotFound, ProblemError
from orgs.api.acting import OrgsView
from orgs.rules.scopes import BILLING_READ, PLATFORM

Scopes = Mapping[str, str]


class CatalogView(OrgsView):
    """A view of the catalog. It tells of nobody's calls, so limited keys may read it, too."""

    required_scope: ClassVar[str | Scopes | None] = {
        "GET": BILLING_READ,
        "POST": PLATFORM,
        "PATCH": PLATFORM,
    }
    narrows = True

    def parameters_for(self, method: str) -> frozenset[str]:
        """Only as declared: the catalog belongs to no customer."""
        return super().parameters_for(method) - ({"organization"} - set(self.query_parameters))

    @property
    def sees_all(self) -> bool:
        """Whether the caller is the platform, which also sees drafts."""
        return self.caller.has_scope(PLATFORM)


def path_name(text: str) -> str:
    """The key or id in a path. Raises NotFound for what can be neither."""
    if fields.is_id(text):
        return text
    try:
        return fields.key(text)
    except ProblemError:
        raise NotFound from None


def utc(moment: datetime | None) -> datetime | None:
    """A time of an answer, in UTC."""
    return None if moment is None else moment.astimezone(UTC)
