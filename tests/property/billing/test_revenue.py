"""Whatever happens to a customer, in whatever order: the books and the documents say the same (R1 to R4).

recognised + deferred - unbilled = invoiced net of tax and credit notes + credit bought + rounding.
"""

import contextlib
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from billing.operations.invoices.crediting import NewCreditNote, issue_credit_note
from billing.operations.invoices.paying import NewPayment, record_payment, write_off
from billing.operations.invoices.voiding import void_invoice
from billing.operations.revenue.closing import close_books
from billing.queries.parties import HOUSE
from billing.rules.months import month_start, next_month, previous_month
from common.errors import ProblemError
from ledger.operations.adjusting import NewAdjustment, propose_adjustment
from ledger.operations.grants import NewGrant, expire_grants, grant_credit
from ledger.operations.reversing import reverse_entry
from ledger.operations.taking_back import claw_back, refund_credit
from tests.builders.billing import CENT, DOLLAR, Billed, billed, invoices, item, owe
from tests.builders.books import balances, rows
from tests.builders.orgs import AUTHOR, unique, write
from tests.builders.revenue import go_to, month_of_now, now_of, recognise, revenue, schedules, wrong
from tests.invariants import assert_sound

CENTS = st.integers(1, 30_000)
CONTRAS = {
    "paid": ("cash",),
    "promotional": ("promotional_expense",),
    "included": ("deferred_revenue", "promotional_expense"),
    "committed": ("deferred_revenue",),
}
ADJUSTED = ("promotional_expense", "revenue", "cash", "suspense", "bad_debt", "deferred_revenue")


class Customer(RuleBasedStateMachine):
    """Everything that moves a customer's money, as operations do it; what is refused moves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Billed = billed()

    def do(self, operation: Any, **given: Any) -> None:
        with contextlib.suppress(ProblemError):
            write(lambda cur: operation(cur, organization=self.made.id, author=AUTHOR, **given))

    @rule(
        cents=CENTS,
        kind=st.sampled_from(tuple(CONTRAS)),
        source=st.sampled_from(("allowance", "commitment", "credit")),
        days=st.sampled_from((None, 3, 40)),
        data=st.data(),
    )
    def grant(self, cents: int, kind: str, source: str, days: int | None, data: st.DataObject) -> None:
        amount = cents * CENT
        first = data.draw(st.integers(0, amount)) if len(CONTRAS[kind]) > 1 else amount
        parts = zip(CONTRAS[kind], (first, amount - first), strict=False)
        new = NewGrant(
            self.made.id,
            amount,
            "USD",
            kind=kind,
            source=source,
            reason="model",
            lifetime=None if days is None else timedelta(days=days),
            contra=tuple(part for part in parts if part[1]),
        )
        write(lambda cur: grant_credit(cur, new, author=AUTHOR))

    @rule(units=st.integers(1, 40 * DOLLAR))
    def use(self, units: int) -> None:
        text = f"{units // DOLLAR}.{units % DOLLAR:08d}"
        answer = self.made.customer.use(text, occurred_at=now_of(self.made.id).isoformat())
        assert answer.status_code == 201

    @rule(
        cents=st.integers(-20_000, 30_000).filter(bool),
        days=st.sampled_from((None, 1, 30, 100, 365)),
        back=st.integers(0, 40),
        included=st.integers(0, 10_000),
    )
    def owe_a_fee(self, cents: int, days: int | None, back: int, included: int) -> None:
        due = now_of(self.made.id) - timedelta(seconds=1)
        start = due - timedelta(days=back)
        period: dict[str, Any] = {"recognition": "at_once"}
        if days is not None:
            end = start + timedelta(days=days)
            period = {"recognition": "straight", "service_start": start, "service_end": end}
        owe(
            self.made.id,
            item(amount=cents * CENT, due_at=due, included=min(included, abs(cents)) * CENT, **period),
        )

    @rule()
    def bill(self) -> None:
        self.made.run()
        self.made.customer.pass_time(hours=1, seconds=1)
        self.made.run()

    @rule(data=st.data(), part=st.sampled_from(("all", "some", "line")))
    def credit(self, data: st.DataObject, part: str) -> None:
        found = self.drawn(data)
        if found is None:
            return
        amount = data.draw(st.integers(1, max(found.total // CENT, 1))) * CENT if part != "all" else None
        new = NewCreditNote(
            "model",
            amount=amount if part == "some" else None,
            lines={1: amount} if part == "line" and amount is not None else None,
        )
        self.do(issue_credit_note, invoice=found.id, new=new)

    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        if (found := self.drawn(data)) is not None:
            self.do(void_invoice, invoice=found.id, reason="model")

    @rule(data=st.data(), cents=CENTS, method=st.sampled_from(("cash", "credit")), back=st.integers(0, 40))
    def pay(self, data: st.DataObject, cents: int, method: str, back: int) -> None:
        if (found := self.drawn(data)) is not None:
            amount = min(cents * CENT, found.due or CENT) if method == "credit" else cents * CENT
            paid_at = now_of(self.made.id) - timedelta(days=back)
            payment = NewPayment(amount, "USD", method, unique(), paid_at)
            self.do(record_payment, invoice=found.id, payment=payment)

    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        if (found := self.drawn(data)) is not None:
            self.do(write_off, invoice=found.id, reason="model")

    @rule(cents=CENTS)
    def claw_back(self, cents: int) -> None:
        self.do(claw_back, amount=cents * CENT, key=unique("dispute"), reason="model")

    @rule(data=st.data(), cents=CENTS)
    def refund(self, data: st.DataObject, cents: int) -> None:
        found = rows("SELECT id FROM credit_grants WHERE organization = %s ORDER BY id", self.made.id)
        if found:
            (grant,) = data.draw(st.sampled_from(found))
            self.do(refund_credit, grant=grant, amount=cents * CENT, reason="model")

    @rule(cents=st.integers(-20_000, 20_000).filter(bool), contra=st.sampled_from(ADJUSTED))
    def adjust(self, cents: int, contra: str) -> None:
        new = NewAdjustment(self.made.id, cents * CENT, "USD", contra, "model")
        with contextlib.suppress(ProblemError):
            write(lambda cur: propose_adjustment(cur, new, author=AUTHOR))

    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        found = rows("SELECT id FROM journal_entries WHERE organization = %s ORDER BY id", self.made.id)
        if found:
            (entry,) = data.draw(st.sampled_from(found))
            self.do(reverse_entry, entry=entry, reason="model")

    @rule(days=st.sampled_from((1, 20, 45, 130)))
    def time_passes(self, days: int) -> None:
        self.made.customer.pass_time(days=days)

    @rule()
    def expire(self) -> None:
        self.do(expire_grants)

    @rule()
    def recognise(self) -> None:
        recognise(self.made)
        assert recognise(self.made) == []

    @rule()
    def close_the_last_month(self) -> None:
        month = previous_month(month_of_now(self.made))
        self.do(close_books, entity=HOUSE.id, month=month)

    def drawn(self, data: st.DataObject) -> Any:
        found = invoices(self.made.id)
        return data.draw(st.sampled_from(found)) if found else None

    @invariant()
    def books_and_documents_say_the_same(self) -> None:
        assert wrong(self.made) == []

    def teardown(self) -> None:
        """Once everything is invoiced and over, nothing of any fee is deferred any more."""
        invoiced_ = invoices(self.made.id)
        if invoiced_ or balances(self.made.id):
            go_to(self.made, month_start(next_month(month_of_now(self.made)), zone="UTC"))
            self.made.customer.pass_time(days=500)
            recognise(self.made)
        assert all(one.status != "open" for one in schedules(self.made))
        assert sum(revenue(self.made).values()) == sum(one.amount for one in schedules(self.made))
        assert wrong(self.made) == []
        assert_sound(self.made.id)


TestCustomer = Customer.TestCase
TestCustomer.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
