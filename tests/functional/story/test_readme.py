"""What README.md tells a newcomer to type does what it says."""

import json
import re
from pathlib import Path
from typing import Any

from sandbox.demo import load_demo
from sandbox.places import CHECKOUT
from tests.builders.orgs import Caller

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
BODY = re.compile(r"-d '(\{.*?\})'", re.DOTALL)


def bodies() -> list[dict[str, Any]]:
    """The JSON bodies of the page's curl commands, in their order."""
    return [json.loads(text) for text in BODY.findall(README)]


class TestTryingItYourself:
    def test_stops_the_agent_at_the_second_call(self, tmp_path: Path) -> None:
        load_demo(path=tmp_path / "demo.json")
        organization = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))["organizations"][0]
        caller = Caller(organization["api_key"])
        budget, reservation, commit, *_ = bodies()
        assert caller.post("/v1/budgets", budget).status_code == 201
        reserved = caller.post("/v1/reservations", reservation, key="call-1").json()
        assert reserved["held"] == "0.0189"
        path = f"/v1/reservations/{reserved['id']}/commit"
        assert caller.post(path, commit, key="call-1-done").json()["charged"] == "0.01263"
        refused = caller.post("/v1/reservations", reservation, key="call-2")
        assert (refused.status_code, refused.json()["code"]) == (402, "run_ceiling_reached")
        assert refused.json()["binding"]["spent"] == "0.01263"

    def test_ends_a_loop_and_pauses_an_agent(self, tmp_path: Path) -> None:
        load_demo(path=tmp_path / "demo.json")
        organization = json.loads((tmp_path / "demo.json").read_text(encoding="utf-8"))["organizations"][0]
        caller = Caller(organization["api_key"])
        policy, asked, reason = bodies()[3:6]
        assert caller.post("/v1/run-policies", policy).status_code == 201
        answers = [caller.post("/v1/reservations", asked, key=f"loop-{call}") for call in range(1, 5)]
        assert [answer.status_code for answer in answers] == [201, 201, 403, 403]
        assert {answer.json()["code"] for answer in answers[2:]} == {"loop_detected"}
        incident = caller.get("/v1/incidents").json()["data"][0]
        assert (incident["trigger"], incident["target"], incident["spent"]) == ("loop", "my-loop", "0.002")
        assert caller.post("/v1/agents/research-bot/pause", reason).status_code == 200
        other = {**asked, "subject": {**asked["subject"], "run": "another"}}
        assert caller.post("/v1/reservations", other, key="loop-5").json()["code"] == "paused"
        assert caller.post("/v1/agents/research-bot/resume", reason).status_code == 200
        assert caller.post("/v1/reservations", other, key="loop-6").status_code == 201
