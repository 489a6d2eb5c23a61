"""Lanes and jobs of senders: who is slow keeps its own share of them, and no other customer and no worker (S113)."""

import time
from threading import Event, Thread
from uuid import UUID

from django.db import connection

from events.database import own_session
from events.store import Cursor
from tests.builders.orgs import write
from tests.builders.receivers import Receiver
from tests.builders.webhooks import Told, told
from webhooks.operations.outbound.delivering import claim, send_alone, send_due


def crowd_at(receiver: Receiver, endpoints: int) -> Told:
    """An organization with so many endpoints, in each of which something is due."""
    made = told(receiver.url)
    for _ in range(1, endpoints):
        told(receiver.url, organization=made.organization)
    for each in made.api.get("/v1/webhook-endpoints", limit="100").json()["data"]:
        assert made.api.post(f"/v1/webhook-endpoints/{each['id']}/test").status_code == 202
    return made


def claimed() -> list[UUID]:
    """Whose lanes a sender is given now."""
    return [each.organization for each in write(lambda cur: claim(cur, limit=100))]


def free_lanes(made: Told) -> None:
    """Let the leases of its organization's lanes end."""
    statement = "UPDATE webhook_lanes SET leased_until = clock_timestamp() WHERE organization = %s"
    write(lambda cur: cur.execute(statement, (made.organization,)))


def status_of(made: Told) -> str:
    """What became of its only delivery."""
    (found,) = made.deliveries()
    return str(found["status"])


class TestManySlowEndpointsOfOneOrganization:
    def test_have_four_lanes_in_work_and_keep_nobody_elses_waiting(self, receiver: Receiver) -> None:
        crowd, other = crowd_at(receiver, 6), crowd_at(receiver, 1)
        first = claimed()
        assert (first.count(crowd.organization), first.count(other.organization)) == (4, 1)
        assert crowd.organization not in claimed()
        free_lanes(crowd)
        assert claimed().count(crowd.organization) == 4
        free_lanes(crowd)

    def test_have_four_in_work_of_two_senders_that_claim_at_once(self, receiver: Receiver) -> None:
        crowd, is_there = crowd_at(receiver, 6), Event()
        found: list[UUID] = []
        free_lanes(crowd)

        def second() -> None:
            newest = told(receiver.url, organization=crowd.organization)  # its lane comes before all others
            newest.post("/test")
            is_there.set()
            found.extend(claimed())
            connection.close()

        beside = Thread(target=second)

        def first(cur: Cursor) -> None:
            found.extend(each.organization for each in claim(cur, limit=100))
            beside.start()
            is_there.wait(10)
            time.sleep(0.5)  # the second looks before the first has ended

        write(first)
        beside.join()
        assert found.count(crowd.organization) == 4
        free_lanes(crowd)

    def test_are_all_told_in_the_end(self, receiver: Receiver) -> None:
        crowd_at(receiver, 6)
        send_due()
        assert receiver.types == ["webhook.test"] * 6


class TestAJobOfAWorker:
    def test_leaves_slow_requests_to_a_thread_that_notes_them(self, receiver: Receiver) -> None:
        made, start = crowd_at(receiver, 1), time.monotonic()
        receiver.sleeps(2)
        assert send_due(seconds=0.3, waits=False) >= 1
        assert time.monotonic() - start < 1.7
        assert status_of(made) == "pending"
        while status_of(made) == "pending" and time.monotonic() - start < 10:
            time.sleep(0.1)
        assert (status_of(made), len(receiver.got)) == ("delivered", 1)

    def test_sends_nothing_while_another_one_does(self, receiver: Receiver) -> None:
        crowd_at(receiver, 1)
        with own_session() as other:
            other.execute("SELECT pg_advisory_lock(hashtext('counterfoil webhook sender'))")
            assert send_alone() == 0
            assert receiver.got == []
        assert send_alone() >= 1
        assert receiver.types == ["webhook.test"]
