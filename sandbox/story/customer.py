"""Whom the acts on billing are about: a sandbox customer, who sells to it, and what is sold; made through the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.story.api import Api, Keys
from sandbox.story.calls import Account, Caller
from sandbox.story.cast import ANALYST

ADVANCED, SCALE, READING = "advanced", "story-scale", "story-reading"
METER, EVENT_TYPE, PAGES = "story-pages", "pages.read", "pages"
SELLER = "story"
CREDIT, LINE = "10.00", "500.00"
SCALE_FEE, SCALE_ALLOWANCE = "99", "60"
PAGE_PRICE, PAGES_INCLUDED = "0.01", 1_000
SCOPES = ("admin", "billing:write", "spend:write")

_MONTH = {"unit": "month", "count": 1}
_SELLER = {
    "key": SELLER, "name": "Counterfoil Story GmbH", "country": "DE", "currency": "USD",
    "address": {"line1": "Beispielweg 1", "postal_code": "10115", "city": "Berlin"}, "invoice_series": "STORY",
    "credit_note_series": "STORYCN",
}  # fmt: skip
_METER = {
    "key": METER, "name": "Pages read", "source": "events", "event_type": EVENT_TYPE, "aggregation": "sum",
    "value_property": PAGES,
}  # fmt: skip
PLANS: Mapping[str, dict[str, Any]] = {
    SCALE: {
        "name": "Scale", "interval": _MONTH, "currencies": ["USD"],
        "charges": [{"key": "base", "name": "Scale plan", "kind": "recurring",
                     "prices": {"USD": {"model": "flat", "amount": SCALE_FEE}}}],
        "credits": [{"amounts": {"USD": SCALE_ALLOWANCE}, "every": _MONTH, "source": "allowance"}],
    },
    READING: {
        "name": "Document reading", "interval": _MONTH, "currencies": ["USD"],
        "charges": [{"key": PAGES, "name": "Pages read", "kind": "metered", "meter": METER,
                     "included": str(PAGES_INCLUDED),
                     "prices": {"USD": {"model": "per_unit", "unit_price": PAGE_PRICE}}}],
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Customer:
    """A sandbox organization, whose clock the story moves: its own key, the platform's, and the month it is about."""

    organization: str
    name: str
    api: Api
    platform: Api
    caller: Caller
    starts_at: datetime
    ends_at: datetime

    @property
    def account(self) -> Account:
        """What its agents know of their own calls."""
        return self.caller.account

    def now(self) -> datetime:
        """What its clock shows."""
        return datetime.fromisoformat(self.api.get(f"/v1/organizations/{self.organization}/clock")["now"])

    def pass_until(self, moment: datetime) -> list[dict[str, Any]]:
        """Let its time pass; returns what happened by itself meanwhile."""
        happened: list[dict[str, Any]] = []
        finished = False
        while not finished:
            body = {"organization": self.organization, "until": moment.isoformat()}
            found = self.platform.post("/v1/simulations", body).expect(200)
            happened += found["happenings"]
            finished = found["finished"]
        return happened

    def invoices(self) -> list[dict[str, Any]]:
        """Its invoices, oldest first."""
        found: list[dict[str, Any]] = self.api.get("/v1/invoices?limit=100")["data"]
        return found[::-1]

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()
        self.platform.close()


def open_customer(*, url: str, platform_key: str, keys: Keys) -> Customer:
    """Make the customer, and what it can buy unless an earlier play made it."""
    platform = Api(url=url, bearer=platform_key, keys=keys)
    _offer(platform)
    name = f"Borealis Analytics {keys.play}"
    organization = platform.make(
        "/v1/organizations",
        {"name": name, "currency": "USD", "time_zone": "UTC", "funding": "postpaid", "credit_limit": LINE,
         "sandbox": True},
    )["id"]  # fmt: skip
    grant = {"organization": organization, "amount": CREDIT, "currency": "USD", "kind": "paid"}
    platform.make("/v1/credits/grants", grant | {"reason": "Demo story: prepaid"})
    # Not the three days of the house: the story shows each number soon after its draft.
    profile = {"legal_entity": SELLER, "tax": {"country": "DE"}, "grace_hours": 1, "net_days": 14}
    platform.change(f"/v1/billing-profile?organization={organization}", profile)
    secret = platform.make(
        f"/v1/organizations/{organization}/api-keys", {"name": "story", "scopes": list(SCOPES)}
    )["secret"]
    api = Api(url=url, bearer=secret, keys=keys)
    equip(api)
    starts_at = _next_month(datetime.now(UTC))
    caller = Caller(api=api, account=Account())
    return Customer(organization, name, api, platform, caller, starts_at, _next_month(starts_at))


def equip(api: Api) -> None:
    """Make the analyst and what it works with."""
    api.make("/v1/teams", {"key": ANALYST.team, "name": "Analysis"})
    api.make("/v1/workflows", {"key": ANALYST.workflow, "name": "Filings"})
    api.make("/v1/connections", {"key": ANALYST.connection, "name": "Anthropic", "billing": "resold"})
    api.make("/v1/agents", {"key": ANALYST.key, "name": ANALYST.name, "team": ANALYST.team})


def _offer(platform: Api) -> None:
    for address, body in (("legal-entities", _SELLER), ("meters", _METER)):
        if platform.find(f"/v1/{address}/{body['key']}") is None:
            platform.make(f"/v1/{address}", body)
    offer_plans(platform, PLANS)


def offer_plans(platform: Api, plans: Mapping[str, Mapping[str, Any]]) -> None:
    """Put plans on sale. The catalog is one for all customers, and its keys are for ever: what is there is used
    again."""
    for key, definition in plans.items():
        plan = platform.find(f"/v1/plans/{key}")
        if plan is None:
            platform.make("/v1/plans", {"key": key, "definition": definition})
        if plan is None or plan["number"] is None:
            platform.post(f"/v1/plans/{key}/versions/1/publish", None).expect(200)


def _next_month(moment: datetime) -> datetime:
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
