"""What the gate obeys beside budgets: limits, policies and switches, made by operations, and the persons who decide."""

from typing import Any
from uuid import UUID

import psycopg

from spend.operations.budgets.approvals import decide_approval
from spend.operations.ratelimits.create import create_rate_limit
from spend.operations.runpolicies.create import create_run_policy
from spend.operations.switches.lifting import lift_switch
from spend.rules.limitfacts import LimitTerms, read_terms
from spend.rules.limits import RateLimit
from spend.rules.runpolicies import RunPolicy
from spend.rules.runpolicyfacts import read_policy
from tests.builders.gate import Customer
from tests.builders.orgs import AUTHOR, write

SET = "SELECT id, kind FROM switches WHERE organization = %s AND lifted_at IS NULL ORDER BY id"
WAITING = "SELECT id FROM approvals WHERE organization = %s AND status = 'pending' ORDER BY id"


def make_limit(customer: Customer, **stated: Any) -> RateLimit:
    """A rate limit as a request states it."""
    terms: LimitTerms = read_terms({"behaviour": "reject", **stated})
    return write(lambda cur: create_rate_limit(cur, customer.id, terms, author=AUTHOR))


def make_policy(customer: Customer, scope: str = "organization", **stated: Any) -> RunPolicy:
    """A run policy as a request states it."""
    terms = read_policy({"scope": scope, **stated})
    return write(lambda cur: create_run_policy(cur, customer.id, terms, author=AUTHOR))


def switches_set(customer: Customer, connection: psycopg.Connection[Any]) -> list[UUID]:
    """The switches that a person may lift."""
    rows = connection.execute(SET, (customer.id,)).fetchall()
    return [name for name, kind in rows if kind != "stop"]


def approvals_waiting(customer: Customer, connection: psycopg.Connection[Any]) -> list[UUID]:
    """What waits for a person."""
    return [name for (name,) in connection.execute(WAITING, (customer.id,)).fetchall()]


def approve(customer: Customer, approval: UUID, decision: str = "approve") -> None:
    """A person's decision. Raises InvalidTransition when it could have no effect any more."""
    write(
        lambda cur: decide_approval(
            cur, customer.id, approval, decision, reason="looked at it", author=AUTHOR
        )
    )


def lift(customer: Customer, switch: UUID) -> None:
    """A person lifts a switch."""
    write(lambda cur: lift_switch(cur, customer.id, switch, reason="looked at it", author=AUTHOR))
