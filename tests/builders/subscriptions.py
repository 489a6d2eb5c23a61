"""Subscriptions through the API, and the clock that moves them on; plans as a customer meets them."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.subscriptions.advance import advance
from billing.rules.catalog import PlanVersion
from orgs.operations.clock import advance_clock
from orgs.operations.locks import lock_organization
from tests.builders.catalog import make_plan
from tests.builders.orgs import AUTHOR, Caller, caller, platform, write
from tests.builders.subscribed import fee

PATH = "/v1/subscriptions"


def sell(*charges: dict[str, Any], **given: Any) -> PlanVersion:
    """A published plan with these charges, and no credit and no features unless it says so."""
    usual = {"charges": list(charges or (fee("30"),)), "credits": [], "features": {}}
    return make_plan(**{**usual, **given})


def subscribe(who: Caller, plan: PlanVersion | str, **given: Any) -> dict[str, Any]:
    """A new subscription as the API shows it."""
    name = plan if isinstance(plan, str) else plan.plan_key
    answer = who.post(PATH, {"plan": name, **given}, key=secrets.token_hex(8))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def act(who: Caller, subscription: dict[str, Any], verb: str, body: Any = None, **given: Any) -> Any:
    """A call on a subscription."""
    return who.post(f"{PATH}/{subscription['id']}/{verb}", body, key=given.get("key") or secrets.token_hex(8))


def acted(who: Caller, subscription: dict[str, Any], verb: str, body: Any = None) -> dict[str, Any]:
    """What an accepted call on a subscription answers."""
    answer = act(who, subscription, verb, body)
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def now_of(organization: UUID) -> datetime:
    """The organization's clock."""
    return write(lambda cur: lock_organization(cur, organization).now).astimezone(UTC)


def move_clock(organization: UUID, by: timedelta) -> None:
    """Move a sandbox organization's clock on; nothing else happens."""
    write(lambda cur: advance_clock(cur, organization=organization, by=by, author=AUTHOR))


def run_boundaries(organization: UUID) -> None:
    """Pass every boundary that is due by the organization's clock."""

    def operation(cur: Any) -> None:
        locked = lock_organization(cur, organization)
        advance(cur, locked, until=locked.now)

    write(operation)


def shown(who: Caller, subscription: dict[str, Any]) -> dict[str, Any]:
    """The subscription as it is now."""
    found: dict[str, Any] = who.get(f"{PATH}/{subscription['id']}").json()
    return found


def owner(organization: UUID) -> Caller:
    """A client that may do what S72 asks for."""
    return caller(organization, "admin", "billing:write", "spend:read", "audit:read")


def seller() -> Caller:
    """The platform's client."""
    return platform()


def items_of(organization: UUID) -> list[tuple[str, int, str]]:
    """The invoice items as (kind, cents, charge), in the order in which they were made."""

    def read(cur: Any) -> list[tuple[str, int, str]]:
        cur.execute(
            "SELECT kind, amount / 1000000, charge_key FROM invoice_items WHERE organization = %s ORDER BY id",
            (organization,),
        )
        return [tuple(row) for row in cur.fetchall()]

    return write(read)
