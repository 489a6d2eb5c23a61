"""/v1/what-if/re-rate-meters: what metered use would have come to on other prices, with nothing written."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request

from billing.api.whatif_serializers import MetersRatedAgainSerializer, RateMetersAgainSerializer
from billing.queries.ratingagain import (
    MeteredDifference,
    metered_customers,
    metered_differences,
    signed,
    written,
)
from billing.rules.otherfees import TooManyPeriods, read_meter_question
from common.api.answers import json_response
from common.transactions import run_in_transaction
from orgs.api.acting import OrgsView
from orgs.rules.scopes import PLATFORM

MOST_PERIODS: Final = 2_000


@extend_schema_view(
    post=extend_schema(
        request=RateMetersAgainSerializer, responses={200: MetersRatedAgainSerializer}, tags=["plans"]
    )
)
class RateMetersAgainView(OrgsView):
    """POST /v1/what-if/re-rate-meters."""

    required_scope = PLATFORM

    def parameters_for(self, method: str) -> frozenset[str]:
        """None: the organizations stand in the body."""
        return super().parameters_for(method) - {"organization"}

    def post(self, request: Request) -> HttpResponse:
        """Rate the metered periods that ended in (from, to] and were billed on other prices of their plans, and tell
        the difference by customer and charge. Nothing is written. Up to 2,000 periods; `manage.py rerate_meters` takes
        any number."""
        body: Any = request.data
        question = read_meter_question(body)
        customers = run_in_transaction(partial(metered_customers, question=question))
        periods = sum(one.periods for one in customers)
        if periods > MOST_PERIODS:
            raise TooManyPeriods(f"There are {periods}: name fewer organizations, or a shorter time.")
        rows = [row for one in customers for row in metered_differences(one, question=question)]
        return json_response({"data": [written(row) for row in rows], "totals": _totals(rows)})


def _totals(rows: list[MeteredDifference]) -> list[dict[str, Any]]:
    """By currency: amounts of several are never added."""
    told = []
    for currency in sorted({row.currency for row in rows}):
        charge = sum(row.charge for row in rows if row.currency == currency)
        other = sum(row.other_charge for row in rows if row.currency == currency)
        told.append(
            {
                "currency": currency,
                "charge": signed(charge),
                "other_charge": signed(other),
                "difference": signed(other - charge),
            }
        )
    return told
