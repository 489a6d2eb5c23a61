"""Many callers at once: one effect, and every other caller is told the truth."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from orgs.queries.authentication import authenticate
from tests.builders.orgs import Caller, caller, events_of, make_key, make_organization

CALLERS = 16


def at_once(call: Callable[[int], Any], *, callers: int = CALLERS) -> list[Any]:
    """What each of the calls gave, all started together."""
    barrier, answers = threading.Barrier(callers), [None] * callers

    def run(place: int) -> None:
        try:
            barrier.wait()
            answers[place] = call(place)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class TestTheSameKeyOfAnAgent:
    def test_is_taken_by_exactly_one_of_many(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        answers = at_once(lambda _: admin.post("/v1/agents", {"key": "bot", "name": "Bot"}))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CALLERS - 1}
        codes = {answer.json()["code"] for answer in answers if answer.status_code == 409}
        assert codes == {"name_conflict"}
        assert [event[0] for event in events_of(organization)].count("agent.created") == 1

    def test_under_one_idempotency_key_is_answered_alike_to_all(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        answers = at_once(lambda _: admin.post("/v1/agents", {"key": "bot", "name": "Bot"}, key="once"))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == CALLERS - 1
        assert [event[0] for event in events_of(organization)].count("agent.created") == 1

    def test_that_only_looks_the_same_is_taken_by_exactly_one(self) -> None:
        admin = caller(make_organization())
        names = ("pay-1", "pay-l", "PAY-1", "pay_1")
        answers = at_once(
            lambda place: admin.post("/v1/teams", {"key": names[place % 4], "name": f"N{place}"})
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CALLERS - 1}


class TestChangesOfOneAgent:
    def test_are_all_kept_one_after_the_other(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        admin.post("/v1/agents", {"key": "bot", "name": "Bot"})
        answers = at_once(lambda place: admin.patch("/v1/agents/bot", {"name": f"Bot number {place}"}))
        assert {answer.status_code for answer in answers} == {200}
        changes = [event for event in events_of(organization) if event[0] == "agent.changed"]
        assert [change[2] for change in changes] == list(range(2, CALLERS + 2))
        olds = [change[4]["changed"]["name"][0] for change in changes]
        news = [change[4]["changed"]["name"][1] for change in changes]
        assert olds == ["Bot", *news[:-1]]


class TestRotation:
    def test_of_one_key_by_many_makes_one_successor(self) -> None:
        organization = make_organization()
        admin = caller(organization)
        old = make_key(organization, "spend:read")
        path = f"/v1/organizations/{organization}/api-keys/{old.key.id}/rotate"
        answers = at_once(lambda _: admin.post(path))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CALLERS - 1}


class TestRevocation:
    @pytest.mark.parametrize("round_number", range(3))
    def test_stops_every_request_that_begins_after_its_answer(self, round_number: int) -> None:
        organization = make_organization()
        admin = caller(organization)
        key = make_key(organization, "spend:read")
        revoked = threading.Event()

        def use(place: int) -> list[tuple[bool, bool]]:
            if place == 0:
                admin.post(f"/v1/organizations/{organization}/api-keys/{key.key.id}/revoke")
                revoked.set()
                return []
            seen = []
            with psycopg.connect(settings.GATE_DATABASE_URL, autocommit=True) as gate:
                for _ in range(100):
                    was_revoked = revoked.is_set()
                    seen.append((was_revoked, authenticate(gate.cursor(), key.secret) is not None))
            return seen

        for seen in at_once(use, callers=6):
            assert (True, True) not in seen
        assert Caller(key.secret).get("/v1/agents").status_code == 401
