"""docs/runbooks/stop-an-agent.md is read in a hurry: every call in it is one that the API takes."""

import json
import re
from pathlib import Path
from typing import Any

from tests.builders.gate import Customer, make_customer
from tests.builders.incidents import open_incident
from tests.builders.orgs import make_key, make_workflow, platform

PAGE = Path(__file__).resolve().parents[3] / "docs" / "runbooks" / "stop-an-agent.md"
CALL = re.compile(r"^(?:\| [^|]*\| `)?(post|get) '?(/v1/[^ '`]+)'?(?: '(\{.*?\})')?", re.MULTILINE)
INLINE = re.compile(r"`get '?(/v1/[^ '`]+)'?`")


def house() -> Customer:
    customer = make_customer(agents=("research-bot",), scopes=("admin", "spend:write"))
    make_workflow(customer.id, "weekly-report", "Report")
    customer.reserved(subject={"agent": "research-bot", "run": "run-81"})
    return customer


def test_every_call_of_the_page_is_accepted() -> None:
    text = PAGE.read_text(encoding="utf-8")
    calls = CALL.findall(text) + [("get", path, "") for path in INLINE.findall(text)]
    assert len(calls) >= 15
    customer = house()
    for verb, path, body in calls:
        told = answer(customer, verb, path, body)
        # The page stops the run before it pauses it, as a reader would not.
        expected = (409,) if path == "/v1/runs/run-81/pause" else (200, 201)
        assert told.status_code in expected, (verb, path, told.content)


def answer(customer: Customer, verb: str, path: str, body: str) -> Any:
    if "<id>" in path:
        incident = open_incident(customer.id, switch="kill")
        path = path.replace("<id>", str(incident.id if "incidents" in path else incident.switch_id))
    if verb == "get":
        return customer.api.get(path)
    given = json.loads(body.replace("<id of the key>", str(make_key(customer.id).key.id)))
    if given.get("scope") == "platform":  # everybody, also the other tests: only observed here
        return lifted_at_once(platform().post(path, {**given, "mode": "observe"}))
    return customer.api.post(path, given)


def lifted_at_once(made: Any) -> Any:
    platform().post(f"/v1/kill-switches/{made.json()['id']}/release", {"reason": "drill"})
    return made
