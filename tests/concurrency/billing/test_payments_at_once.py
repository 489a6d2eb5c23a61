"""Two deliveries of one object, and many checks of one rule, in real threads at once: one effect (W1, S07)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from django.db import connections

from billing.operations.payments.topups import NewAutoTopUp, check_auto_top_up, set_auto_top_up
from common.money import parse_amount
from common.transactions import run_in_transaction
from tests.builders.billing import with_invoice
from tests.builders.books import balances, rows
from tests.builders.gate import UNIT, make_customer
from tests.builders.ledger import figures
from tests.builders.orgs import AUTHOR, write
from tests.builders.payments import asked, dollars, with_method
from tests.invariants import assert_sound

THREADS = 8


def together(work: list[Callable[[], Any]]) -> list[Any]:
    """The results of all of it, run at once on a connection each."""
    start = threading.Barrier(len(work))

    def run(one: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(work)) as pool:
        return [done.result() for done in [pool.submit(run, one) for one in work]]


def test_one_payment_delivered_at_once_grants_once() -> None:
    customer = make_customer("0")
    paying = asked(customer.id, dollars("100"))
    done = together([lambda: paying.apply(paying.view()).outcome] * THREADS)
    assert sorted(done) == ["applied"] + ["unchanged"] * (THREADS - 1)
    assert figures(customer.id)[0] == 100 * UNIT
    assert_sound(customer.id)


def test_refund_dispute_and_payment_at_once_are_each_booked_once() -> None:
    made, invoice = with_invoice("100")
    paying = asked(made.id, parse_amount(invoice["total"]), invoice=UUID(invoice["id"]))
    paying.apply(paying.view("processing"))
    refund, dispute, fee = paying.refund(dollars("30")), paying.dispute(dollars("70")), paying.fee(UNIT)
    views = [paying.view(), refund, dispute, paying.view(), refund, dispute, paying.lost(dispute)]
    together([lambda view=view: paying.apply(view) for view in views])
    paying.apply(fee)
    assert (made.only()["status"], made.only()["due"]) == ("open", "100.00")
    assert balances(made.id)["processor_clearing"] == 16 * UNIT
    keys = rows("SELECT effect_key FROM effects WHERE organization = %s", made.id)
    assert len(keys) == len(set(keys)) == 5
    made.assert_sound()


def test_many_checks_of_a_rule_at_once_buy_once() -> None:
    customer = make_customer("0", sandbox=False)
    with_method(customer.id)
    rule = NewAutoTopUp(True, 10 * UNIT, 50 * UNIT, "USD", 0, 50 * UNIT)
    write(lambda cur: set_auto_top_up(cur, organization=customer.id, new=rule, author=AUTHOR))
    done = together(
        [lambda: run_in_transaction(lambda cur: check_auto_top_up(cur, organization=customer.id))] * THREADS
    )
    assert sum(payment is not None for payment in done) == 1
    assert len(rows("SELECT id FROM payments WHERE organization = %s", customer.id)) == 1
