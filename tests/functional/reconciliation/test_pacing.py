"""Every read of reconciliation and of catch-up takes its right to a call from the bucket that all calls share."""

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.builders.books import rows
from tests.builders.reconciling import AT_STRIPE, Day, forget_processor
from tests.builders.stripe import Simulator
from webhooks.operations.inbound.catching_up import catch_up

COUNT = """
CREATE SEQUENCE taken;
CREATE FUNCTION count_taken() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
    $$ BEGIN PERFORM nextval('public.taken'); RETURN NULL; END $$;
CREATE TRIGGER count_taken AFTER INSERT OR UPDATE ON processor_buckets FOR EACH ROW EXECUTE FUNCTION count_taken();
GRANT SELECT ON taken TO counterfoil_app, counterfoil_readonly;
"""
FORGET = """
DROP TRIGGER count_taken ON processor_buckets; DROP FUNCTION count_taken(); DROP SEQUENCE taken;
"""


@pytest.fixture
def counted() -> Iterator[None]:
    """Whoever takes from a bucket is counted, in whichever process and thread."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(COUNT)
        yield
        cursor.execute(FORGET)


def taken() -> int:
    """How many rights were taken."""
    return int(rows("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM taken")[0][0])


def requests(simulator: Simulator) -> int:
    """How many requests came to the processor's API."""
    return len(simulator.requests())


@pytest.mark.usefixtures("counted")
class TestEveryRequest:
    def test_of_a_run_takes_its_turn_pages_fetches_and_partners_too(self, day: Day) -> None:
        customers = [day.payer() for _ in range(2)]
        for customer in customers:
            paid = customer.pay(1_000)
            day.simulator.refund(paid.latest_charge, 100)
        for cents in range(1, 102):  # more than a page
            day.simulator.fund(cents)
        before, made = taken(), requests(day.simulator)
        day.run("catch_up", "commands", "partner_payouts", *AT_STRIPE)
        asked = requests(day.simulator) - made
        assert taken() - before == asked
        assert asked > len(AT_STRIPE)
        assert day.by_class("open") == {}

    def test_of_catch_up_takes_its_turn(self, day: Day) -> None:
        day.payer().pay(1_000)
        forget_processor()
        before, made = taken(), requests(day.simulator)
        assert catch_up() > 0
        assert taken() - before == requests(day.simulator) - made > 0
