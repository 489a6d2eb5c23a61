"""What the views of a customer's own billing share: reading takes billing:read, deciding a role (S72)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.request import Request

from billing.rules.permissions import require_billing
from orgs.api.acting import OrgsView
from orgs.rules.scopes import BILLING_READ


class BillingView(OrgsView):
    """A view of a customer's billing. Whatever is no reading is for those who decide in matters of billing."""

    required_scope: ClassVar[str | Mapping[str, str] | None] = {"GET": BILLING_READ}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse whoever does not decide. Raises Forbidden."""
        super().initial(request, *args, **kwargs)
        if request.method not in ("GET", "HEAD"):
            require_billing(self.caller)
