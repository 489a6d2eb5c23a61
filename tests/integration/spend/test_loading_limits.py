"""Rate limits as the gate's cache takes them."""

from common.transactions import run_in_transaction
from spend.queries.ratelimits import load_limits
from tests.builders.orgs import caller, make_agent, make_organization

PLAIN = {"scope": "agent", "unit": "requests", "limit": 60, "window": "minute", "behaviour": "reject"}


def test_are_the_live_ones_that_are_not_off_with_ids_as_texts() -> None:
    organization = make_organization()
    agent, admin = make_agent(organization), caller(organization)
    caller(make_organization()).post("/v1/rate-limits", PLAIN)
    made = [
        admin.post("/v1/rate-limits", {**PLAIN, **given}).json()["id"]
        for given in ({"target": "research-bot"}, {"mode": "observe"}, {"mode": "off"}, {})
    ]
    admin.post(f"/v1/rate-limits/{made[3]}/archive")
    found = run_in_transaction(lambda cur: load_limits(cur, organization))
    assert [(one.id, one.target_id, one.mode) for one in found] == [
        (made[0], str(agent.id), "enforce"),
        (made[1], None, "observe"),
    ]
    assert found[0].organization == str(organization)
