"""Endpoints made through the API, and time that passes for deliveries."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from events.operations.advance import advance_subscriber
from tests.builders.orgs import Caller, caller, make_agent, make_organization, write
from webhooks.operations.outbound.delivering import send_due
from webhooks.operations.outbound.telling import READER


@dataclass(frozen=True)
class Told:
    """An organization with one endpoint: its id, its secret, and a key that sets it up."""

    organization: UUID
    endpoint: str
    secret: str
    api: Caller

    def get(self, path: str = "") -> Any:
        """The endpoint, or what stands below it."""
        return self.api.get(f"/v1/webhook-endpoints/{self.endpoint}{path}").json()

    def post(self, path: str, body: Any = None) -> Any:
        """POST below the endpoint."""
        return self.api.post(f"/v1/webhook-endpoints/{self.endpoint}{path}", body)

    def deliveries(self, **query: str) -> list[dict[str, Any]]:
        """Its deliveries, newest first."""
        given = {"endpoint": self.endpoint, "limit": "100", **query}
        found: list[dict[str, Any]] = self.api.get("/v1/webhook-deliveries", **given).json()["data"]
        return found

    def happen(self, *keys: str) -> list[str]:
        """Pause new agents with these keys, one after the other; their ids, which are told as `target`."""
        made = []
        for key in keys:
            made.append(str(make_agent(self.organization, key).id))
            answer = self.api.post(f"/v1/agents/{key}/pause", {"reason": "burns money"})
            assert answer.status_code == 200, answer.content
        return made


def told(url: str, *types: str, organization: UUID | None = None, **given: Any) -> Told:
    """An endpoint of a new organization (or this one), told of everything unless types are named."""
    owner = organization or make_organization()
    api = caller(owner, "admin")
    body = {"url": url, "event_types": list(types) or ["*"], **given}
    answer = api.post("/v1/webhook-endpoints", body)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    return Told(owner, made["id"], made["secret"], api)


def read_events() -> None:
    """Let the reader of events read all that is final."""
    while advance_subscriber(name=READER):
        pass


def deliver() -> int:
    """Read the events and send what is due."""
    read_events()
    return send_due(seconds=2)


def come_due(endpoint: str) -> None:
    """Let the pauses of an endpoint's deliveries pass."""
    write(
        lambda cur: cur.execute(
            "UPDATE webhook_deliveries SET next_at = clock_timestamp() WHERE endpoint = %s AND status = 'pending'",
            (endpoint,),
        )
    )
