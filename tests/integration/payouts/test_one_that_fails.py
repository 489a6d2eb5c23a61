"""Jobs that do something of many callers: what stands in the way of one stops none of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from payouts.operations.adjusting import adjust_due
from payouts.operations.paying.batches import run_batches
from payouts.operations.publishing import publish_due
from payouts.operations.settling import settle_due
from payouts.rules.shares import Tier
from tests.builders.gate import Customer
from tests.builders.marketplace import Seller, calling, make_seller, pass_time, spend
from tests.builders.orgs import events_of, platform, unique, write
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.database import Session

ONE = 10**8


@contextmanager
def refused(
    session: Session, identifier: UUID, column: str = "organization", sqlstate: str = "P0001"
) -> Iterator[None]:
    """Meanwhile the database refuses every event of an organization, or of a stream (stream_id), with this SQLSTATE."""
    with psycopg.connect(session.databases.superuser_url(session.name), autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$".encode()
        )
        connection.execute(
            "CREATE TRIGGER refuse_event BEFORE INSERT ON events FOR EACH ROW "
            f"WHEN (NEW.{column} = '{identifier}') EXECUTE FUNCTION refuse_event()".encode()
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER refuse_event ON events")
            connection.execute("DROP FUNCTION refuse_event()")


def called(seller: Seller) -> list[Customer]:
    """Three customers that called, the first tier of the month and one beyond."""
    found = [calling(seller) for _ in range(3)]
    for customer in found:
        spend(customer, "10", "1")
    return found


def waits_for_settling(seller: Seller) -> list[Customer]:
    return called(seller)


def waits_for_terms(seller: Seller) -> list[Customer]:
    found = [calling(seller) for _ in range(3)]
    seller.share(fee_rate=500_000)
    return found


def waits_for_its_tier(seller: Seller) -> list[Customer]:
    seller.share(tiers=(Tier(10 * ONE, 300_000), Tier(None, 100_000)))
    found = called(seller)
    for organization in (seller.id, *(customer.id for customer in found)):
        pass_time(organization, days=31)
    return found


@pytest.mark.parametrize(
    ("prepared", "job", "event"),
    [
        (waits_for_settling, settle_due, "earning.settled"),
        (waits_for_terms, publish_due, "split_rule.published"),
        (waits_for_its_tier, adjust_due, "earning.adjusted"),
    ],
    ids=["settling", "publishing", "adjusting"],
)
def test_a_caller_that_fails_stops_no_other(
    test_session: Session,
    prepared: Callable[[Seller], list[Customer]],
    job: Callable[[], int],
    event: str,
) -> None:
    customers = prepared(make_seller(holdback_days=0))
    before = [told(customer, event) for customer in customers]

    with refused(test_session, customers[1].id):
        job()
    while_refused = [told(customer, event) for customer in customers]
    job()

    assert while_refused == [before[0] + 1, before[1], before[2] + 1]
    assert [told(customer, event) for customer in customers] == [count + 1 for count in before]


def told(customer: Customer, event: str) -> int:
    return sum(event in row for row in events_of(customer.id))


def batch_asked() -> UUID:
    answer = platform().post("/v1/payouts/batch", key=unique())
    assert answer.status_code == 201, answer.content
    return UUID(answer.json()["id"])


def status_of(batch: UUID) -> str:
    """What a batch is."""
    found: str = platform().get(f"/v1/payouts/batches/{batch}").json()["status"]
    return found


def findings_of(batch: UUID) -> list[dict[str, Any]]:
    """What a person is told of a batch, the newest first."""
    given = {"kind": "payout_batch_waits", "subject": f"payout_batch:{batch}"}
    found: list[dict[str, Any]] = platform().get("/v1/findings", **given).json()["data"]
    return found


class TestABatchOfPayouts:
    @pytest.mark.parametrize("sqlstate", ["P0001", "55P03"], ids=["a-defect", "busy"])
    def test_pays_all_but_the_partner_that_fails_and_asks_that_again(
        self, stripe_simulator: Simulator, test_session: Session, sqlstate: str
    ) -> None:
        partners = sorted((partner(stripe_simulator, cents=5_000) for _ in range(3)), key=lambda one: one.id)
        batch = batch_asked()

        with refused(test_session, partners[1].id, sqlstate=sqlstate):
            run_batches()

        assert [len(one.payouts()) for one in partners] == [1, 0, 1]
        assert (status_of(batch), findings_of(batch)) == ("open", [])
        assert partners[1].money() == {"partner_payable": 5_000}
        run_batches()
        assert [len(one.payouts()) for one in partners] == [1, 1, 1]
        assert (status_of(batch), findings_of(batch)) == ("done", [])

    def test_tells_a_person_after_five_rounds_whom_it_cannot_ask(
        self, stripe_simulator: Simulator, test_session: Session
    ) -> None:
        made = partner(stripe_simulator, cents=5_000)
        batch = batch_asked()

        with refused(test_session, made.id):
            for _ in range(5):
                assert findings_of(batch) == []
                run_batches()

        (found,) = findings_of(batch)
        assert (found["status"], found["detail"]) == ("open", {"count": 1, "partners": [str(made.id)]})
        run_batches()
        assert (status_of(batch), made.payouts()) == ("open", [])
        is_over = "UPDATE payout_batch_rounds SET next_at = clock_timestamp() WHERE batch = %s"
        write(lambda cur: cur.execute(is_over, (batch,)))
        run_batches()
        assert (status_of(batch), len(made.payouts())) == ("done", 1)
        assert [one["status"] for one in findings_of(batch)] == ["resolved"]

    def test_that_fails_stops_no_later_one(self, stripe_simulator: Simulator, test_session: Session) -> None:
        partner(stripe_simulator, cents=5_000)
        first, second = batch_asked(), batch_asked()

        with refused(test_session, first, "stream_id"):
            run_batches()

        assert [status_of(batch) for batch in (first, second)] == ["open", "done"]
        run_batches()
        assert status_of(first) == "done"
