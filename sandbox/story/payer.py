"""Whom the act on paying is about: a customer on the real clock, its cards at the simulated Stripe, its receiver."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from sandbox.story.api import Api, Keys, StoryFailed
from sandbox.story.calls import Account, Caller
from sandbox.story.customer import SELLER, equip, offer_plans
from sandbox.story.hooks import Receiver

_Found = TypeVar("_Found")

DESK, POLICY = "story-desk", "story-desk"
DESK_FEE = "20"
SCOPES = ("admin", "billing:write", "spend:write")
TOLD = ("top_up.*", "payment.*", "dunning.*")
PATIENCE_SECONDS = 40
LOOK_SECONDS = 0.1
_PLAN = {
    "name": "Desk", "interval": {"unit": "month", "count": 1}, "currencies": ["USD"],
    "charges": [{"key": "base", "name": "Desk plan", "kind": "recurring",
                 "prices": {"USD": {"model": "flat", "amount": DESK_FEE}}}],
}  # fmt: skip
# Everything on the day on which it falls due: the story has no three weeks.
_POLICY = {
    "key": POLICY, "name": "All in a day", "plans": [DESK],
    "policy": {"steps": [{"day": 0, "action": action} for action in ("retry", "throttle", "suspend")]},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Payer:
    """The customer with its own key, finance, its agent, the simulated Stripe, and where it hears of things."""

    organization: str
    name: str
    api: Api
    platform: Api
    caller: Caller
    stripe: httpx.Client
    receiver: Receiver

    def control(self, path: str, **given: Any) -> dict[str, Any]:
        """Have customers, banks and networks do something at the simulated Stripe."""
        found: dict[str, Any] = self.stripe.post(f"/_sim/{path}", json=given).raise_for_status().json()
        return found

    def add_card(self, card: str) -> str:
        """Leave a card as a browser does, and wait until Stripe has told of it; its id."""
        before = {one["id"] for one in self.methods()}
        setup = self.api.post("/v1/payment-methods/setup", None).expect(201)
        self.control("decide", setup_intent=setup["setup_intent"], method=card)
        found: str = wait(
            "a card", lambda: next((one["id"] for one in self.methods() if one["id"] not in before), None)
        )
        return found

    def methods(self) -> list[dict[str, Any]]:
        """What it may pay with, the newest first."""
        found: list[dict[str, Any]] = self.api.get("/v1/payment-methods")["data"]
        return found

    def draft(self, known: set[str]) -> str:
        """Wait for the billing run to make another invoice, and finalise it; its id."""
        made: dict[str, Any] = wait(
            "an invoice", lambda: next((one for one in self.invoices() if one["id"] not in known), None)
        )
        if made["status"] == "draft":
            self.platform.post(f"/v1/invoices/{made['id']}/finalize", None)
        return str(made["id"])

    def invoices(self) -> list[dict[str, Any]]:
        """Its invoices."""
        found: list[dict[str, Any]] = self.api.get("/v1/invoices?limit=100")["data"]
        return found

    def invoice(self, name: str, status: str) -> dict[str, Any]:
        """An invoice when it is so."""

        def look() -> dict[str, Any] | None:
            found = self.api.get(f"/v1/invoices/{name}")
            return found if found["status"] == status else None

        return wait(f"an invoice that is {status}", look)

    def case(self) -> dict[str, Any]:
        """Its newest dunning case with what happened; empty without one."""
        found = self.api.get("/v1/dunning-cases")["data"]
        return self.api.get(f"/v1/dunning-cases/{found[0]['id']}") if found else {}

    def close(self) -> None:
        """Let go of everything."""
        self.api.close()
        self.platform.close()
        self.stripe.close()
        self.receiver.close()


def wait(what: str, look: Callable[[], _Found | None]) -> _Found:
    """Return what comes by itself. Raises StoryFailed when it does not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(LOOK_SECONDS)
    raise StoryFailed(f"{what} did not come within {PATIENCE_SECONDS} s")


def open_payer(*, url: str, stripe: str, platform_key: str, keys: Keys) -> Payer:
    """Make the customer, what it buys, and its receiver."""
    platform = Api(url=url, bearer=platform_key, keys=keys)
    offer_plans(platform, {DESK: _PLAN})
    if platform.find(f"/v1/dunning-policies/{POLICY}") is None:
        platform.make("/v1/dunning-policies", _POLICY)
    name = f"Zephyr Desk {keys.play}"
    organization = platform.make(
        "/v1/organizations", {"name": name, "currency": "USD", "time_zone": "UTC", "funding": "prepaid"}
    )["id"]
    profile = {
        "legal_entity": SELLER,
        "tax": {"country": "DE"},
        "net_days": 0,
        "collection": "charge_automatically",
    }
    platform.change(f"/v1/billing-profile?organization={organization}", profile)
    secret = platform.make(
        f"/v1/organizations/{organization}/api-keys", {"name": "story", "scopes": list(SCOPES)}
    )["secret"]
    api = Api(url=url, bearer=secret, keys=keys)
    equip(api)
    receiver = Receiver()
    endpoint = api.make("/v1/webhook-endpoints", {"url": receiver.url, "event_types": list(TOLD)})
    receiver.secret = endpoint["secret"]
    client = httpx.Client(base_url=stripe, timeout=60, trust_env=False)
    caller = Caller(api=api, account=Account())
    return Payer(organization, name, api, platform, caller, client, receiver)
