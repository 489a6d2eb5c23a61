"""Many callers and cuts at once: an id is recorded once, corrected in a row, and every fact is in one difference."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction
from typing import Any

from django.db import connection

from billing.queries.metering import aggregate
from tests.builders.metering import cut_of, facts_of, make_meter, now, sent
from tests.builders.orgs import caller, make_organization, write

CALLERS = 8


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


class TestTheSameEvent:
    def test_of_many_callers_is_recorded_once_and_answered_alike(self) -> None:
        organization = make_organization()
        client, event = caller(organization, "spend:write"), sent("at-once")
        answers = at_once(lambda _: client.post("/v1/events", event))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == CALLERS - 1
        assert len(facts_of(organization)) == 1

    def test_with_different_content_is_taken_from_one(self) -> None:
        organization = make_organization()
        client, event = caller(organization, "spend:write"), sent("at-once")
        answers = at_once(lambda place: client.post("/v1/events", {**event, "data": {"units": place}}))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 422: CALLERS - 1}
        assert len(facts_of(organization)) == 1


class TestCorrections:
    def test_of_one_event_come_one_after_the_other(self) -> None:
        organization = make_organization()
        client = caller(organization, "spend:write", "billing:write")
        event = client.post("/v1/events", sent("at-once")).json()["id"]

        def correct(place: int) -> Any:
            said = {"reason": "r", "data": {"units": str(place)}}
            return client.post(f"/v1/events/{event}/amend", said, key=f"amend-{place}").status_code

        assert at_once(correct) == [200] * CALLERS
        facts = facts_of(organization)
        assert [fact[0] for fact in facts] == [1, *(-1, 1) * CALLERS]
        assert len({fact[2] for fact in facts if fact[2] is not None}) == CALLERS

    def test_void_it_once(self) -> None:
        organization = make_organization()
        client = caller(organization, "spend:write", "billing:write")
        event = client.post("/v1/events", sent("at-once")).json()["id"]
        path = f"/v1/events/{event}/void"
        answers = at_once(lambda place: client.post(path, {"reason": "r"}, key=f"void-{place}"))
        assert {answer.status_code for answer in answers} == {200}
        assert [fact[0] for fact in facts_of(organization)] == [1, -1]


class TestCutsBesideWriters:
    def test_take_every_fact_once(self) -> None:
        organization = make_organization()
        meter = make_meter("sum")
        kind = meter.definition.event_type or ""
        client = caller(organization, "spend:write", "billing:write")
        until = now() + timedelta(hours=1)
        cuts: list[Any] = []

        def work(place: int) -> None:
            if place == 0:
                cuts.extend(cut_of(organization, until) for _ in range(15))
                return
            for turn in range(6):
                sent_ = client.post("/v1/events", sent(kind, data={"units": str(place + turn)})).json()["id"]
                if turn % 2:
                    client.post(f"/v1/events/{sent_}/void", {"reason": "r"}, key=f"{sent_}")

        at_once(work)
        cuts.append(cut_of(organization, until))
        start = now() - timedelta(days=1)
        total, count, previous = Fraction(0), 0, None
        for cut in cuts:
            found = write(
                lambda cur, cut=cut, previous=previous: aggregate(
                    cur, organization, meter, start, until, cut, previous
                )
            )
            total += sum(one.quantity for one in found)
            count += sum(one.records for one in found)
            previous = cut
        (whole,) = write(lambda cur: aggregate(cur, organization, meter, start, until, cuts[-1]))
        expected = sum(place + turn for place in range(1, CALLERS) for turn in (0, 2, 4))
        assert (total, count) == (whole.quantity, whole.records) == (expected, 7 * 9)
        assert count == len(facts_of(organization))
