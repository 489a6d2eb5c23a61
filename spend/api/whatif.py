"""/v1/what-if: what would be otherwise, with nothing written."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from common.api.answers import json_response
from common.money import format_amount
from common.transactions import run_in_transaction
from orgs.api.acting import OrgsView
from orgs.rules.scopes import PLATFORM
from spend.api.whatif_serializers import RateAgainSerializer, RatedAgainSerializer
from spend.queries.rerating import Difference, differences, prepared, signed, written
from spend.rules.otherprices import TooManyRecords, read_question

MOST_RECORDS: Final = 100_000


@extend_schema_view(
    post=extend_schema(request=RateAgainSerializer, responses={200: RatedAgainSerializer}, tags=["prices"])
)
class RateAgainView(OrgsView):
    """POST /v1/what-if/re-rate."""

    required_scope = PLATFORM

    def parameters_for(self, method: str) -> frozenset[str]:
        """None: the organizations stand in the body."""
        return super().parameters_for(method) - {"organization"}

    def post(self, request: Request) -> HttpResponse:
        """Rate the usage that occurred in [from, to) on other prices and tell the difference by customer and model.
        Nothing is written. Up to about 100,000 records; `manage.py rerate` takes any number."""
        body: Any = request.data
        question = read_question(body)
        work = run_in_transaction(partial(prepared, question=question))
        if work.calls > MOST_RECORDS:
            raise TooManyRecords(
                f"There are {work.calls} records: name fewer organizations, or a shorter time."
            )
        rows = [
            row
            for customer in work.customers
            for row in differences(customer, work.prices, start=question.start, end=question.end)
        ]
        return json_response({"data": [written(row) for row in rows], "totals": _totals(rows)})


def _totals(rows: list[Difference]) -> list[dict[str, Any]]:
    """By currency: amounts of several are never added."""
    told = []
    for currency in sorted({row.currency for row in rows}):
        of_it = [row for row in rows if row.currency == currency]
        charge, other = sum(row.charge for row in of_it), sum(row.other_charge for row in of_it)
        told.append(
            {
                "currency": currency,
                "charge": format_amount(charge),
                "other_charge": format_amount(other),
                "difference": signed(other - charge),
            }
        )
    return told
