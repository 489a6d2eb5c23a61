"""A simulator that is killed: what it has answered stands."""

import signal
from pathlib import Path

from sandbox.places import free_port
from tests.builders.payments_at_stripe import assert_conserved, pay, rows
from tests.builders.stripe import Simulator
from tests.servers import serving, stripe_spec, wait_until_ready


def test_a_killed_simulator_remembers_all_that_it_answered(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with serving(stripe_spec(address, tmp_path), folder=tmp_path) as child:
        simulator = Simulator(address)
        simulator.advance(86_400)
        before = simulator.now()
        customers = [
            simulator.sdk().v1.customers.create({}, {"idempotency_key": f"k{i}"}).id for i in range(5)
        ]
        payment = pay(simulator)
        assert child.process is not None
        child.process.send_signal(signal.SIGKILL)
        child.process.wait()
        child.spawn()
        wait_until_ready(child)
        again = [simulator.sdk().v1.customers.create({}, {"idempotency_key": f"k{i}"}).id for i in range(5)]
        assert again == customers
        assert simulator.sdk().v1.payment_intents.retrieve(payment.id).status == "succeeded"
        assert simulator.now() >= before
        simulator.advance(2 * 86_400)
        assert [row.status for row in rows(simulator)] == ["available"]
        assert_conserved(simulator)
