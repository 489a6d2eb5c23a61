"""Customers with rate limits, called in batches: what one batch asks is decided at one moment."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from orgs.operations.clock import advance_clock
from spend.queries.budgets import business_now
from tests.builders.gate import Customer, body_of, make_customer, reserve_body
from tests.builders.orgs import AUTHOR, unique, write
from tests.invariants import reading

SCOPES = ("admin", "spend:write", "spend:read")


def limited(**given: Any) -> Customer:
    """A customer whose key may also set up; as `make_customer`."""
    return make_customer(**{"credit": "100000", "scopes": SCOPES, **given})


def limit(customer: Customer, amount: int, **given: Any) -> dict[str, Any]:
    """A rate limit of the whole organization's requests in an hour, unless something else is given."""
    usual = {"scope": "organization", "unit": "requests", "window": "hour", "behaviour": "reject"}
    body = {**usual, "limit": amount, **given}
    if body["unit"] == "concurrent":
        del body["window"]
    answer = customer.api.post("/v1/rate-limits", body)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def change(customer: Customer, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The limit after a PATCH."""
    answer = customer.api.patch(f"/v1/rate-limits/{made['id']}", changes)
    assert answer.status_code == 200, answer.content
    changed: dict[str, Any] = answer.json()
    return changed


def counters(customer: Customer, made: dict[str, Any]) -> list[dict[str, Any]]:
    """What the limit's counters hold now."""
    found: list[dict[str, Any]] = customer.api.get(f"/v1/rate-limits/{made['id']}").json()["counters"]
    return found


def batch(customer: Customer, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of reservations that are asked for at one moment: {"status", "body"} in order."""
    items = [{**body, "idempotency_key": unique()} for body in bodies]
    answer = customer.api.post("/v1/reservations/batch", {"items": items})
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def told(customer: Customer, times: int, amount: str = "1", **given: Any) -> dict[str, int]:
    """How often each answer came to so many equal calls at one moment: "201", or the code of the refusal."""
    return tally(batch(customer, *[reserve_body(amount, **given)] * times))


def tally(results: list[dict[str, Any]]) -> dict[str, int]:
    """How often each answer came."""
    return dict(Counter(str(one["body"].get("code", one["status"])) for one in results))


def move_to(customer: Customer, moment: datetime) -> None:
    """Put the business clock forward to a moment."""
    now = write(lambda cur: business_now(cur, customer.id))
    assert moment > now
    write(
        lambda cur: advance_clock(
            cur, organization=customer.id, by=moment - now + timedelta(seconds=1), author=AUTHOR
        )
    )


def move_to_morning(customer: Customer, zone: str = "UTC", *, hour: int = 9) -> datetime:
    """Put the clock to the next such full hour by the wall in a zone, where no window ends for a while."""
    now = write(lambda cur: business_now(cur, customer.id)).astimezone(ZoneInfo(zone))
    day = (now + timedelta(days=1)).replace(hour=hour, minute=0, second=1, microsecond=0)
    moment = day.astimezone(UTC)
    move_to(customer, moment)
    return moment


def refused(answer: Any) -> dict[str, Any]:
    """The body of a 429, whose header says the same as it."""
    body = body_of(answer, 429)
    if body.get("retry_after") is not None:
        assert answer.headers["Retry-After"] == str(body["retry_after"])
    return body


def reservations(customer: Customer) -> int:
    """How many reservations the customer has made."""
    with reading() as connection:
        row = connection.execute(
            "SELECT count(*) FROM v_reservations WHERE organization = %s", (customer.id,)
        ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def open_incidents(customer: Customer) -> list[tuple[Any, ...]]:
    """The incidents that nobody has released, oldest first."""
    with reading() as connection:
        return connection.execute(
            "SELECT trigger, action, scope, rule_id::text, mode, evidence FROM incidents "
            "WHERE organization = %s AND released_at IS NULL ORDER BY id",
            (customer.id,),
        ).fetchall()


def observed(customer: Customer) -> list[list[dict[str, Any]]]:
    """What the decisions say that observed rules would have refused, oldest first."""
    with reading() as connection:
        rows = connection.execute(
            "SELECT detail->>'observed' FROM decisions WHERE organization = %s AND detail->>'observed' IS NOT NULL "
            "ORDER BY id",
            (customer.id,),
        ).fetchall()
    return [json.loads(row[0]) for row in rows]
