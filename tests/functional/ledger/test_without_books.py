"""The platform pays nobody and owes nobody: it has no books, and nothing is posted there."""

from typing import Any

import pytest

from orgs import PLATFORM_ID
from tests.builders.orgs import events_of, platform, unique

NAMED = {"organization": str(PLATFORM_ID), "amount": "1", "currency": "USD", "reason": "none"}
BODIES: dict[str, dict[str, Any]] = {
    "credits/grants": {**NAMED, "kind": "paid"},
    "credits/clawbacks": {**NAMED, "source": "dispute:1"},
    "adjustments": {**NAMED, "direction": "credit", "contra": "cash"},
}


@pytest.mark.parametrize("path", sorted(BODIES))
def test_credit_of_the_platform_is_not_there(path: str) -> None:
    staff = platform()
    before = len(events_of(PLATFORM_ID))
    answer = staff.post(f"/v1/{path}", BODIES[path], key=unique())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert len(events_of(PLATFORM_ID)) == before


def test_the_balance_of_the_platform_is_not_there() -> None:
    answer = platform().get("/v1/balance", organization=str(PLATFORM_ID))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
