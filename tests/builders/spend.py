"""Organizations that spend: with books, credit, agents and calls, made through the API; each test takes its own."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.builders.orgs import Caller, caller, platform, unique

DAILY = {"scope": "organization", "window": "day", "limit": "5.00", "currency": "USD"}


@dataclass
class Spender:
    """An organization with credit and one agent, and a client with its admin key."""

    organization: UUID
    client: Caller
    agent: str

    def budget(self, **given: Any) -> Any:
        """A budget of the whole organization unless something else is given."""
        answer = self.client.post("/v1/budgets", {**DAILY, **given})
        assert answer.status_code == 201, answer.json()
        return answer.json()

    def reserve(self, amount: str = "1", **given: Any) -> Any:
        """The answer to a reservation of an amount; `subject` and `action` are merged, `key` is the idempotency key."""
        body = {
            "subject": {"agent": self.agent, **given.pop("subject", {})},
            "action": {"kind": "llm.chat", **given.pop("action", {})},
            "estimate": {"amount": amount},
            "currency": "USD",
        }
        return self.client.post("/v1/reservations", {**body, **given}, key=unique("r"))

    def commit(self, reservation: str, amount: str = "1", **given: Any) -> Any:
        """The answer to a commit of an amount."""
        body = {"outcome": "completed", "amount": amount, **given}
        return self.client.post(f"/v1/reservations/{reservation}/commit", body, key=unique("c"))

    def call(self, amount: str = "1", **given: Any) -> Any:
        """A call that was reserved and committed; the answer to its commit."""
        reserved = self.reserve(amount, **given)
        assert reserved.status_code == 201, reserved.json()
        committed = self.commit(reserved.json()["id"], amount)
        assert committed.status_code == 200, committed.json()
        return committed.json()


def spender(credit: str = "100", **given: Any) -> Spender:
    """An organization with this much paid credit and the agent `bot`."""
    body = {"name": "Acme", "currency": "USD", "time_zone": "UTC", "funding": "prepaid", **given}
    made = platform().post("/v1/organizations", body, key=unique("o"))
    assert made.status_code == 201, made.json()
    organization = UUID(made.json()["id"])
    client = caller(organization)
    assert client.post("/v1/agents", {"key": "bot", "name": "Bot"}).status_code == 201
    if credit != "0":
        grant = {
            "organization": str(organization),
            "amount": credit,
            "currency": "USD",
            "kind": "paid",
            "reason": "test",
        }
        granted = platform().post("/v1/credits/grants", grant, key=unique("g"))
        assert granted.status_code == 201, granted.json()
    return Spender(organization, client, "bot")
