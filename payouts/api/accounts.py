"""/v1/partner/account: where a partner is paid, and what the processor waits for until it can be."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.rules.countries import country as read_country
from common.api.answers import json_response
from common.errors import InvalidField
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.api.acting import checked, refuse_fields
from payouts.api.acting import PartnerMoneyView
from payouts.api.payout_serializers import NewPayoutAccountSerializer, PayoutAccountSerializer
from payouts.api.payout_shows import show_account
from payouts.operations.paying.onboarding import open_onboarding, refresh_account, request_account
from payouts.queries.partners import require_partner

_ADDRESSES: Final = ("return_url", "refresh_url")


@extend_schema_view(
    get=extend_schema(responses=PayoutAccountSerializer, tags=["partner account"]),
    post=extend_schema(
        request=NewPayoutAccountSerializer, responses={201: PayoutAccountSerializer}, tags=["partner account"]
    ),
)
class PartnerAccountView(PartnerMoneyView):
    """GET and POST /v1/partner/account."""

    def get(self, request: Request) -> HttpResponse:
        """The partner's account at the processor, as far as it told us."""
        organization = self.for_list()
        return json_response(run_in_transaction(lambda cur: show_account(require_partner(cur, organization))))

    def post(self, request: Request) -> HttpResponse:
        """Make the partner's account where there is none, and give an address under which its person answers what the
        processor asks. Said again it is the same account with a new address."""
        values = checked(NewPayoutAccountSerializer, request)
        country = read_country(values["country"], pointer="/country")
        for name in _ADDRESSES:
            _check_address(name, values[name])
        organization = self.for_new(values)

        def operation(cur: Cursor) -> dict[str, Any]:
            request_account(cur, organization=organization, country=country, author=self.author)
            return {"organization": organization}

        self.idempotent(request, operation)
        opened = open_onboarding(organization=organization, **{name: values[name] for name in _ADDRESSES})
        return json_response(show_account(opened.partner, url=opened.url), status=201)


@extend_schema_view(
    post=extend_schema(request=None, responses={200: PayoutAccountSerializer}, tags=["partner account"])
)
class PartnerAccountRefreshView(PartnerMoneyView):
    """POST /v1/partner/account/refresh."""

    bodiless = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        """Ask the processor now what the account may do. It tells by itself, too."""
        refuse_fields(request)
        organization = self.for_list()
        return json_response(show_account(refresh_account(organization=organization, author=self.author)))


def _check_address(name: str, text: str) -> None:
    """Refuse what no browser is sent to. Raises InvalidField."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_good = False
    if not is_good or not text.isascii() or any(letter.isspace() for letter in text):
        raise InvalidField("An address of the web, https.", pointer=f"/{name}")
