"""W1, W2, S84: whatever the order of what the processor tells, and however often, the state in the end is one.

The views are those of every moment of the objects' lives, old ones too, in any order, each told once to three times.
What is parked because its payment is not known yet is told again, as the inbox does. The end of every run compares
balances, rows, the invoice and the open findings with the tidy order; the session's end rebuilds all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, given, settings

from common.money import parse_amount
from tests.builders.billing import CENT, billed, billing_violations, invoices, with_invoice
from tests.builders.books import balances, rows
from tests.builders.ledger import figures
from tests.builders.orgs import unique
from tests.builders.payments import Paying, asked, kinds
from tests.invariants import assert_sound

WHOLE = 10_000 * CENT
PARTS = st.integers(1, 9_999).map(lambda cents: cents * CENT)


@dataclass(frozen=True)
class Story:
    """What happened at the processor, in cents; `burnt`: what of a top-up was used before it came."""

    purpose: str
    refunded: tuple[int, ...]
    failing: int
    disputed: int | None
    outcome: str
    fee: int
    burnt: int


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Some refunds, of which the last may fail; perhaps a dispute that is won, lost or open still; a late fee."""
    refunds = tuple(draw(st.lists(PARTS, max_size=3)))
    while sum(refunds) > WHOLE:
        refunds = refunds[1:]
    return Story(
        purpose=draw(st.sampled_from(("invoice", "top_up"))),
        refunded=refunds,
        failing=draw(st.sampled_from((0, 0, 500 * CENT, 3_000 * CENT))),
        disputed=draw(st.one_of(st.none(), PARTS, st.just(WHOLE))),
        outcome=draw(st.sampled_from(("open", "won", "lost"))),
        fee=draw(st.integers(1, 500)) * CENT,
        burnt=draw(st.sampled_from((0, 40, 80))),
    )


def begun(story: Story) -> Paying:
    """A customer and the payment that was asked of it."""
    if story.purpose == "invoice":
        made, invoice = with_invoice("100")
        return asked(made.id, parse_amount(invoice["total"]), invoice=UUID(invoice["id"]))
    customer = billed(funding="prepaid").customer
    if story.burnt:
        assert customer.use(str(story.burnt)).status_code == 201
    return asked(customer.id, WHOLE)


def told(story: Story, paying: Paying) -> list[Any]:
    """Every view that the processor gave, in the order of what happened."""
    views: list[Any] = [paying.view("processing"), paying.view()]
    views.append(paying.fee(story.fee))
    for amount in story.refunded:
        pending = paying.refund(amount, "pending", id=unique("re_"))
        views += [pending, replace(pending, status="succeeded")]
    if story.failing:
        good = paying.refund(story.failing)
        views += [good, replace(good, status="failed")]
    if story.disputed:
        dispute = paying.dispute(story.disputed)
        views += [replace(dispute, status="warning_needs_response", balance=()), dispute]
        if story.outcome != "open":
            views.append(paying.won(dispute) if story.outcome == "won" else paying.lost(dispute))
    return [*views, paying.warning()]


def deliver(paying: Paying, views: Sequence[Any]) -> None:
    """Tell them all; what is parked is told again until nothing is."""
    waiting = list(views)
    for _ in range(len(views) + 1):
        waiting = [view for view in waiting if paying.apply(view).outcome == "parked"]
        if not waiting:
            return
    raise AssertionError([(paying.apply(view), view) for view in waiting][:1])


def state(paying: Paying) -> dict[str, Any]:
    """Everything that is to be the same, without ids, versions and times."""
    row = paying.row
    names = (
        "status", "received", "settled", "excess", "refunded", "disputed", "credit_back", "invoice_back", "reopened",
        "beyond", "fee", "failure",
    )  # fmt: skip
    here = (paying.organization,)
    return {
        "payment": {name: getattr(row, name) for name in names},
        "refunds": rows("SELECT amount, status FROM refunds WHERE organization = %s ORDER BY 1, 2", *here),
        "disputes": rows(
            "SELECT amount, status, withdrawn, fee FROM disputes WHERE organization = %s", *here
        ),
        "books": balances(paying.organization),
        "credit": figures(paying.organization),
        "grants": rows("SELECT sum(remaining) FROM credit_grants WHERE organization = %s", *here),
        "invoice": [(one.status, one.paid, one.due) for one in invoices(paying.organization)],
        "findings": kinds(paying.organization),
    }


@settings(
    max_examples=8,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(story=stories(), data=st.data())
def test_any_order_and_any_number_of_deliveries_ends_in_the_same_state(
    story: Story, data: st.DataObject
) -> None:
    tidy = begun(story)
    deliver(tidy, told(story, tidy))
    mixed = begun(story)
    views = [view for view in told(story, mixed) for _ in range(data.draw(st.integers(1, 3), label="times"))]
    deliver(mixed, data.draw(st.permutations(views), label="order"))

    assert state(mixed) == state(tidy)
    assert billing_violations(mixed.organization) == billing_violations(tidy.organization) == {}
    assert_sound(mixed.organization, tidy.organization)
    keys = rows("SELECT effect_key FROM effects WHERE organization = %s", mixed.organization)
    assert len(keys) == len(set(keys)) == len(mixed.row.applied)
