"""Customers whose agents call the gate: made by operations, spoken to over HTTP."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from common.money import parse_amount
from ledger.operations.grants import NewGrant, expire_grants, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.clock import advance_clock
from spend.operations.budgets.change import change_budget
from spend.operations.budgets.create import create_budget
from spend.operations.gate.apply import Expire
from spend.operations.gate.submit import submit
from spend.operations.prices.publish import publish_price
from spend.rules.budgetfacts import Budget, Terms
from tests.builders.orgs import (
    AUTHOR,
    Caller,
    make_agent,
    make_connection,
    make_key,
    make_team,
    make_workflow,
    unique,
    write,
)

UNIT = 10**8


def units(text: str) -> int:
    """Units of 10^-8 of a decimal."""
    return parse_amount(text, allow_zero=True)


@dataclass(frozen=True)
class Customer:
    """An organization with a sandbox clock, an agent `bot`, credit, and a key that may spend."""

    id: UUID
    api: Caller

    def reserve(self, amount: str | None = "1", *, key: str | None = None, **given: Any) -> Any:
        """POST /v1/reservations; `subject` is added to the agent, other fields replace the body's."""
        return self.api.post("/v1/reservations", reserve_body(amount, **given), key=key or unique())

    def reserved(self, amount: str | None = "1", **given: Any) -> dict[str, Any]:
        """The body of a reservation that must be granted."""
        return body_of(self.reserve(amount, **given), 201)

    def dry(self, amount: str | None = "1", **given: Any) -> dict[str, Any]:
        """The body of a dry run."""
        body = reserve_body(amount, **given)
        return body_of(self.api.post("/v1/reservations", {**body, "mode": "dry_run"}), 200)

    def commit(
        self, reservation: str, amount: str | None = None, *, key: str | None = None, **given: Any
    ) -> Any:
        """POST …/commit."""
        body = commit_body(amount, **given)
        return self.api.post(f"/v1/reservations/{reservation}/commit", body, key=key or unique())

    def release(self, reservation: str, *, key: str | None = None, **given: Any) -> Any:
        """POST …/release."""
        path = f"/v1/reservations/{reservation}/release"
        return self.api.post(path, {"reason": "not needed", **given}, key=key or unique())

    def extend(self, reservation: str, seconds: int, *, key: str | None = None) -> Any:
        """POST …/extend."""
        return self.api.post(f"/v1/reservations/{reservation}/extend", {"ttl_seconds": seconds}, key=key)

    def use(self, amount: str | None = "1", **given: Any) -> Any:
        """POST /v1/usage."""
        return self.api.post("/v1/usage", usage_body(amount, **given))

    def available(self) -> str:
        """What the balance says is available."""
        shown: str = self.api.get("/v1/balance").json()["available"]
        return shown

    def grant(self, amount: str, **given: Any) -> UUID:
        """Credit; `lifetime` or `expires_at` as in NewGrant."""
        new = NewGrant(self.id, units(amount), given.pop("currency", "USD"), reason="test", **given)
        return write(lambda cur: grant_credit(cur, new, author=AUTHOR))

    def expire_grants(self) -> int:
        """Post breakage of what has expired."""
        return write(lambda cur: expire_grants(cur, organization=self.id, author=AUTHOR))

    def budget(self, limit: str, *, scope: str = "organization", window: str = "day", **given: Any) -> Budget:
        """A budget; limits in its unit."""
        unit = given.pop("unit", "USD")
        limits = {"limit": limit, "overdraft": given.pop("overdraft", "0")}
        whole = unit in ("TOKENS", "CREDITS", "RISK_POINTS")
        parsed = {name: int(text) if whole else units(text) for name, text in limits.items()}
        terms = Terms(scope=scope, window=window, unit=unit, **parsed, **given)
        return write(lambda cur: create_budget(cur, self.id, terms, author=AUTHOR))

    def change_budget(self, budget: Budget, **changes: str) -> Budget:
        """Another limit or overdraft, as texts."""
        return write(lambda cur: change_budget(cur, self.id, budget.id, changes, author=AUTHOR))

    def pass_time(self, **span: float) -> None:
        """Move the business clock forward (as timedelta)."""
        write(lambda cur: advance_clock(cur, organization=self.id, by=timedelta(**span), author=AUTHOR))

    def sweep(self) -> None:
        """Write down what has expired."""
        submit([Expire(self.id)])


def reserve_body(
    amount: str | None = "1", *, subject: dict[str, Any] | None = None, **given: Any
) -> dict[str, Any]:
    """A reservation's body; amount None leaves the estimate out unless it is given."""
    estimate = {} if amount is None else {"estimate": {"amount": amount}}
    return {"subject": {"agent": "bot", **(subject or {})}, **estimate, **given}


def commit_body(amount: str | None = None, **given: Any) -> dict[str, Any]:
    """A commit's body."""
    return {"outcome": "completed", **({} if amount is None else {"amount": amount}), **given}


def usage_body(
    amount: str | None = "1", *, subject: dict[str, Any] | None = None, **given: Any
) -> dict[str, Any]:
    """A body of usage after the fact."""
    booked = {} if amount is None else {"amount": amount}
    body = {
        "source": "billing-export",
        "id": unique(),
        "subject": {"agent": "bot", **(subject or {})},
        **booked,
    }
    return {
        **body,
        "action": {"kind": "llm.chat"},
        "occurred_at": "2026-01-01T00:00:00Z",
        "outcome": "completed",
        **given,
    }


def body_of(answer: Any, status: int) -> dict[str, Any]:
    """The body of an answer that must have this status."""
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


def make_customer(
    credit: str = "100",
    *,
    agents: tuple[str, ...] = ("bot",),
    scopes: tuple[str, ...] = ("spend:write", "spend:read"),
    **given: Any,
) -> Customer:
    """A customer with its books open; credit "0" is none. `currency`, `time_zone`, `funding`, `credit_limit`."""
    new = NewOrganization(name="Acme", **{"sandbox": True, **given})
    organization = write(lambda cur: create_organization(cur, new, author=AUTHOR))
    for agent in agents:
        make_agent(organization, agent, agent.replace("-", " ").capitalize())
    customer = Customer(organization, Caller(make_key(organization, *scopes).secret))
    if units(credit):
        customer.grant(credit, currency=new.currency)
    return customer


def make_model(provider: str = "acme", *, currency: str = "USD", **given: Any) -> str:
    """A model of the price book: 1 per million input tokens, 10 per million output tokens unless `components`."""
    model = unique("model")
    components = given.pop("components", {"input": "1", "output": "10"})
    write(
        lambda cur: publish_price(
            cur,
            actor="system:test",
            provider=provider,
            model=model,
            components=components,
            currency=currency,
            **given,
        )
    )
    return model


EVERYTHING = {
    "workflow": "weekly",
    "connection": "main",
    "run": "run-1",
    "user": "u-7",
}
"""What `whole_house` has beside its bot."""


def whole_house(credit: str = "100") -> Customer:
    """A customer whose bot is in a team and has a workflow and a connection."""
    customer = make_customer(credit, agents=())
    make_team(customer.id)
    make_agent(customer.id, "bot", "Bot", team="research")
    make_workflow(customer.id)
    make_connection(customer.id)
    return customer
