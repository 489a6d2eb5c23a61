"""Every job that goes by a customer's time asks that customer's clock: a sandbox's work is done, nobody else's."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from billing.operations.dunning.due import advance_due
from billing.operations.runs import bill_due_customers, run_customer
from billing.operations.simulating import SimulationStuck, simulate
from billing.queries.moments import next_moment
from common.errors import ServiceUnavailable
from events.jobs import jobs
from ledger.operations.expiry import expire_due_grants
from spend.operations.gate.sweeping import sweep
from tests.builders.billing import Billed, billed, with_invoice
from tests.builders.books import rows
from tests.builders.metering import make_meter
from tests.builders.orgs import write
from tests.builders.simulated import decide, documents, happened
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import now_of, sell, subscribe

DAY = timedelta(days=1)
MONTHLY = [{"amounts": {"USD": "20"}, "every": {"unit": "month", "count": 1}}]
BY_THE_WALL = {
    "billing.ask_vat_ids": "asks a register that has no customer's clock",
    "billing.tax_rates": "looks for rates that a person entered",
    "billing.close_books": "does what a person decided",
    "billing.send_commands": "asks the processor, which has a clock of its own",
    "billing.top_up": "looks at credit, and sandboxes buy none",
    "billing.letters": "sends what was decided; the mail server has no customer's clock",
    "billing.dunning_settled": "closes what waits for nothing, whenever it is",
    "billing.entitlements_untold": "tells the gate of customers from before it listened",
    "ledger.snapshot_accounts": "folds what transactions have ended",
}
BY_THE_CUSTOMER = {
    "billing.dunning", "billing.entitlements", "billing.recognise_revenue", "billing.run", "ledger.expire_grants",
    "spend.expire_reservations", "spend.forget_minutes", "spend.judge_velocity",
}  # fmt: skip


def types(organization: UUID) -> set[str]:
    """The types of events that an organization has."""
    return {
        row[0] for row in rows("SELECT DISTINCT type FROM v_events WHERE organization = %s", organization)
    }


def with_work() -> Billed:
    """A customer for whom a reservation, a grant and a period will end."""
    made = billed()
    subscribe(decide(made), sell(fee("49")))
    made.customer.grant("5", expires_at=now_of(made.id) + 2 * DAY)
    made.customer.reserved("1", ttl_seconds=3_600)
    made.run()
    return made


def test_every_job_of_a_customers_work_is_known_here() -> None:
    found = {job.name for job in jobs() if job.name.partition(".")[0] in ("billing", "spend", "ledger")}
    assert found == BY_THE_CUSTOMER | set(BY_THE_WALL)


@pytest.mark.parametrize(
    ("run", "done"),
    [
        (sweep, "reservation.expired"),
        (expire_due_grants, "grant.expired"),
        (bill_due_customers, "subscription.renewed"),
    ],
)
def test_a_job_does_what_is_due_by_the_customers_own_clock(run: Callable[[], Any], done: str) -> None:
    ahead, behind = with_work(), with_work()
    run()
    assert done not in types(ahead.id) | types(behind.id)
    ahead.customer.pass_time(days=40)
    run()
    assert done in types(ahead.id)
    assert done not in types(behind.id)


def test_dunning_opens_a_case_by_the_customers_own_clock() -> None:
    (ahead, _), (behind, _) = (with_invoice("5") for _ in range(2))
    ahead.customer.pass_time(days=40)
    advance_due()
    assert "dunning_case.opened" in types(ahead.id)
    assert "dunning_case.opened" not in types(behind.id)


class TestMoments:
    def test_go_from_one_to_the_next_and_leave_none_behind(self) -> None:
        made = with_work()
        begun = now_of(made.id)
        seen = []
        for _ in range(4):
            moment = write(lambda cur: next_moment(cur, made.id))
            assert moment is not None
            assert moment > now_of(made.id)
            seen.append(moment)
            simulate(organization=made.id, until=moment)
        assert seen == sorted(set(seen))
        # an invoice's grace, the reservation, the grant; the cycle's or the period's end
        assert [
            moment - begun < span for moment, span in zip(seen, (DAY, DAY, 3 * DAY, 32 * DAY), strict=True)
        ]

    def test_that_stay_due_stop_the_simulation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = with_work()
        monkeypatch.setattr("billing.operations.simulating.expire_grants_of", lambda organization: 0)
        with pytest.raises(SimulationStuck):
            simulate(organization=made.id, until=now_of(made.id) + 5 * DAY)
        shown = now_of(made.id)
        monkeypatch.undo()
        done = simulate(organization=made.id, until=shown + DAY)
        assert done.is_finished
        assert "grant.expired" in types(made.id)


class TestManyAtOnce:
    def test_let_the_same_months_pass_once_while_the_jobs_run_beside_them(self) -> None:
        meter = make_meter("sum").key
        plan = sell(fee("49"), seats("10"), metered(meter=meter), credits=MONTHLY)
        crowded, alone = billed(), billed()
        for made in (crowded, alone):
            subscribe(decide(made), plan)
        until = {made.id: now_of(made.id) + 100 * DAY for made in (crowded, alone)}

        def pass_time(place: int) -> None:
            try:
                for _ in range(60):
                    with suppress(ServiceUnavailable):
                        if place:
                            run_customer(crowded.id)
                        elif simulate(organization=crowded.id, until=until[crowded.id]).is_finished:
                            return
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(pass_time, (0, 1, 0, 1)))
        for made in (crowded, alone):
            assert simulate(organization=made.id, until=until[made.id]).is_finished
            made.assert_sound()
        assert [row[3:5] + row[10:15] for row in documents(crowded.id)] == [
            row[3:5] + row[10:15] for row in documents(alone.id)
        ]
        assert [row[1:] for row in happened(crowded.id)] == [row[1:] for row in happened(alone.id)]
        assert now_of(crowded.id) - until[crowded.id] < timedelta(minutes=3)
