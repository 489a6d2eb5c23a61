"""Batches of payouts, and partners who are paid by a schedule."""

from datetime import date

import pytest
from pytest_django import Settings

from payouts.operations.paying.batches import request_batch, run_batch, run_batches
from payouts.queries.batches import find_batch
from payouts.rules.paying.schedules import slot_of
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.builders.payouts import Earner, partner
from tests.builders.simulated import at
from tests.builders.stripe import Simulator


class TestABatch:
    def test_pays_every_partner_once(self, stripe_simulator: Simulator) -> None:
        from payouts.operations.paying.batches import run_batches

        rich, poor = partner(stripe_simulator, cents=5_000), partner(stripe_simulator, cents=500)
        answer = platform().post("/v1/payouts/batch", key=unique())
        assert (answer.status_code, answer.json()["status"]) == (201, "open")
        run_batches()
        run_batches()

        done = platform().get(f"/v1/payouts/batches/{answer.json()['id']}").json()
        assert done["status"] == "done"
        assert ([one.cause for one in rich.payouts()], poor.payouts()) == (["batch"], [])


def test_a_batch_waits_while_there_is_no_processor(stripe_simulator: Simulator, settings: Settings) -> None:
    made = partner(stripe_simulator, cents=5_000)
    begun = write(lambda cur: request_batch(cur, author=AUTHOR))
    key, settings.STRIPE_API_KEY = settings.STRIPE_API_KEY, None
    run_batches()
    assert (write(lambda cur: find_batch(cur, begun.id)).state, made.payouts()) == ("open", [])

    settings.STRIPE_API_KEY = key
    run_batches()

    assert (write(lambda cur: find_batch(cur, begun.id)).state, len(made.payouts())) == ("done", 1)


def test_a_batch_is_finished_once(stripe_simulator: Simulator) -> None:
    partner(stripe_simulator, cents=5_000)
    begun = write(lambda cur: request_batch(cur, author=AUTHOR))
    run_batches()
    done = write(lambda cur: find_batch(cur, begun.id))
    assert (done.state, done.made >= 1) == ("done", True)

    run_batch(begun)

    assert write(lambda cur: find_batch(cur, begun.id)) == done


def test_a_scheduled_partner_is_paid_once_a_day(stripe_simulator: Simulator) -> None:
    from payouts.operations.paying.due import schedule_due, schedule_partner

    made: Earner = partner(stripe_simulator, cents=5_000)
    made.change(schedule="daily")
    schedule_due()
    schedule_due()
    assert [one.cause for one in made.payouts()] == ["scheduled"]
    ahead = "UPDATE payout_schedules SET slot = slot + 1 WHERE organization = %s RETURNING slot"
    slot = write(lambda cur: cur.execute(ahead, (made.id,)).fetchone())  # its clock was set back by a day
    assert not write(lambda cur: schedule_partner(cur, organization=made.id))
    kept = "SELECT slot FROM payout_schedules WHERE organization = %s"
    assert write(lambda cur: cur.execute(kept, (made.id,)).fetchone()) == slot


@pytest.mark.parametrize(
    ("schedule", "now", "zone", "slot"),
    [
        ("daily", "2027-03-28T00:30", "Europe/Berlin", "2027-03-28"),
        ("daily", "2027-10-30T22:30", "Europe/Berlin", "2027-10-31"),
        ("daily", "2027-10-31T22:59", "Europe/Berlin", "2027-10-31"),
        ("daily", "2027-10-31T23:00", "Europe/Berlin", "2027-11-01"),
        ("weekly", "2027-10-31T22:59", "Europe/Berlin", "2027-10-25"),
        ("monthly", "2028-02-29T12:00", "UTC", "2028-02-01"),
        ("monthly", "2028-03-01T04:59", "America/New_York", "2028-02-01"),
        ("monthly", "2028-03-01T05:00", "America/New_York", "2028-03-01"),
    ],
)
def test_a_schedules_day_is_that_of_the_partners_wall_clock(
    schedule: str, now: str, zone: str, slot: str
) -> None:
    assert slot_of(schedule, at(now), zone=zone) == date.fromisoformat(slot)
