"""What the views of payouts share: reading takes payouts:read, moving money payouts:write and a role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from rest_framework.request import Request

from common.api.views import path_id
from common.errors import Forbidden
from events.store import Cursor
from orgs.api.acting import OrgsView
from orgs.rules.permissions import Principal
from orgs.rules.scopes import BILLING_ADMIN, OWNER, PAYOUTS_READ, PAYOUTS_WRITE, PLATFORM
from payouts.api.payout_shows import show_payout
from payouts.rules.paying.row import Payout


def may_pay_out(principal: Principal) -> bool:
    """Whether a principal may move a partner's money: the platform, an owner's or a billing administrator's key, or one
    without a member; with payouts:write, and for all agents."""
    if principal.has_scope(PLATFORM):
        return True
    is_chosen = not principal.is_limited and principal.role in (None, OWNER, BILLING_ADMIN)
    return is_chosen and principal.has_scope(PAYOUTS_WRITE)


class PartnerMoneyView(OrgsView):
    """A view of a partner's own money."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = {"GET": PAYOUTS_READ}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse whoever may not move money, and members whose matter it is not. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        if request.method not in ("GET", "HEAD") and not may_pay_out(self.caller):
            raise Forbidden(
                "Only an owner, a billing administrator, or a key without a member with payouts:write."
            )


class PlatformPayoutView(OrgsView):
    """A view of all partners' payouts, for the platform."""

    required_scope = PLATFORM

    def act(self, request: Request, name: str, operation: Callable[[Cursor, UUID], Payout]) -> HttpResponse:
        """Run one operation on the payout in the path and answer with it."""
        payout = path_id(name)
        return self.idempotent(request, lambda cur: show_payout(operation(cur, payout)), status=200)
