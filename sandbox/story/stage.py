"""What the story needs before it begins: an organization with credit, agents and budgets, made through the API."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.story.amounts import units
from sandbox.story.api import Api, Keys
from sandbox.story.cast import AGENTS

RUN_CEILING = units("2.00")
AGENT_LIMIT = units("5.00")
APPROVAL_PERCENT = 90
ORGANIZATION_LIMIT = units("50.00")
PROMOTIONAL, PAID = units("5.00"), units("60.00")
DAY_END_MARGIN = timedelta(seconds=90)
LEVELS = (
    {"percent": 80, "action": "notify"},
    {"percent": APPROVAL_PERCENT, "action": "require_approval"},
    {"percent": 100, "action": "block"},
)


@dataclass(frozen=True, slots=True)
class Stage:
    """The organization of one play, the API with its key, and ids by what they name."""

    organization: str
    name: str
    api: Api
    agents: dict[str, str]
    budgets: dict[str, str]
    credit: int


def seconds_to_wait(now: datetime) -> int:
    """Return how long to wait so that no daily window ends in the middle of the story."""
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left = midnight - now
    return int(left.total_seconds()) + 1 if left < DAY_END_MARGIN else 0


def build(*, url: str, platform_key: str, keys: Keys) -> Stage:
    """Make the organization of one play with everything in it."""
    platform = Api(url=url, bearer=platform_key, keys=keys)
    name = f"Aurora Labs {datetime.now(UTC):%Y-%m-%d %H:%M:%S} {keys.play}"
    organization = platform.make(
        "/v1/organizations", {"name": name, "currency": "USD", "time_zone": "UTC", "funding": "prepaid"}
    )["id"]
    for kind, amount in (("promotional", "5.00"), ("paid", "60.00")):
        grant = {"organization": organization, "amount": amount, "currency": "USD", "kind": kind}
        platform.make("/v1/credits/grants", grant | {"reason": f"Demo story: {kind} credit"})
    scopes = {"name": "story", "scopes": ["admin", "spend:write", "audit:read"]}
    secret = platform.make(f"/v1/organizations/{organization}/api-keys", scopes)["secret"]
    platform.close()
    api = Api(url=url, bearer=secret, keys=keys)
    agents = _people(api)
    return Stage(organization, name, api, agents, _budgets(api), PROMOTIONAL + PAID)


def _people(api: Api) -> dict[str, str]:
    for team in sorted({agent.team for agent in AGENTS}):
        api.make("/v1/teams", {"key": team, "name": team.capitalize()})
    for workflow in sorted({agent.workflow for agent in AGENTS}):
        api.make("/v1/workflows", {"key": workflow, "name": workflow.replace("-", " ").capitalize()})
    for agent in AGENTS:
        api.make(
            "/v1/connections",
            {"key": agent.connection, "name": f"{agent.provider} prod", "billing": "resold"},
        )
    return {
        agent.key: api.make("/v1/agents", {"key": agent.key, "name": agent.name, "team": agent.team})["id"]
        for agent in AGENTS
    }


def _budgets(api: Api) -> dict[str, str]:
    wanted: dict[str, dict[str, Any]] = {
        "organization": {"scope": "organization", "window": "month", "limit": "50.00"},
        # Every agent gets its own; at 90 % of it a person decides.
        "agent": {"scope": "agent", "window": "day", "limit": "5.00", "thresholds": LEVELS},
        "run": {"scope": "run", "window": "run", "limit": "2.00"},  # and so does every run
    }
    return {name: api.make("/v1/budgets", body | {"currency": "USD"})["id"] for name, body in wanted.items()}
