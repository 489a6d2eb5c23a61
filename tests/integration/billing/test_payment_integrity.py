"""What `verify_ledger` finds when payments, dunning or external events part from the books: each check has its row."""

from dataclasses import replace
from uuid import UUID

import pytest

from billing.queries import dunningintegrity, meterintegrity, paymentintegrity
from common.money import parse_amount
from events.integrity import checks
from orgs import PLATFORM_ID
from tests.builders.billing import with_invoice
from tests.builders.dunning import in_arrears
from tests.builders.gate import UNIT
from tests.builders.metering import make_meter, now, sent
from tests.builders.orgs import caller, make_organization
from tests.builders.payments import Paying, apply, asked, dollars, payout
from tests.builders.tampering import is_said, told
from tests.database import Session

MINE = "WHERE organization = %(organization)s"
PARKED = "(organization, failures, failed_at, parked_at) VALUES (%(organization)s, 5, now(), now())"


def paid_and_partly_refunded() -> Paying:
    """A payment of an invoice with its fee, of which a part went back."""
    made, invoice = with_invoice("100")
    paying = asked(made.id, parse_amount(invoice["total"]), invoice=UUID(invoice["id"]))
    paying.apply(paying.view())
    paying.apply(paying.fee(dollars("3.20")))
    paying.apply(paying.refund(10 * UNIT))
    return paying


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        (f"UPDATE payments SET fee = fee + 1 {MINE}", "M1", "its payments say"),
        (f"DELETE FROM effects {MINE}", "W1", "it stands nowhere"),
        (f"UPDATE payments SET applied = '[]' {MINE}", "W1", "no payment names it"),
        (
            f"UPDATE journal_entries SET idempotency_key = 'other' {MINE} AND kind = 'processor_fee'",
            "W1",
            "no payment has its effect",
        ),
        (f"UPDATE invoices SET paid = paid + 1 {MINE}", "M2", "its payments say"),
        (f"UPDATE payments SET reopened = reopened - 1 {MINE}", "M2", "its payments say"),
    ],
)
def test_a_payment_that_parts_from_the_books_is_found(
    test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    paying = paid_and_partly_refunded()
    found = told(test_session, paymentintegrity.violations, tampering, paying.organization)
    assert is_said(found, invariant, words), found


@pytest.mark.parametrize("status", ["pending", "paid"])
def test_a_payout_of_the_platform_that_parts_from_its_books_is_found(
    test_session: Session, status: str
) -> None:
    one = payout(90 * UNIT)
    apply(one)
    apply(replace(one, status=status))
    column = {"pending": "in_transit", "paid": "arrived"}[status]
    tampering = f"UPDATE processor_payouts SET {column} = {column} + 1 WHERE payout = %(payout)s"
    found = told(test_session, paymentintegrity.violations, tampering, PLATFORM_ID, payout=one.id)
    assert is_said(found, "M3", "the journal has"), found


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        (f"DELETE FROM standings {MINE}", "D1", "the gate obeys clear"),
        (f"UPDATE standings SET spends_credit = NOT spends_credit {MINE}", "D1", "the gate obeys suspended"),
        (
            f"UPDATE dunning_cases SET state = 'closed', closed_at = now(), closing = 'settled', next_at = NULL {MINE}",
            "D1",
            "its case says clear",
        ),
        (f"UPDATE invoices SET status = 'paid' {MINE}", "D2", "everything is settled"),
        (f"UPDATE invoices SET status = 'uncollectible' {MINE}", "D2", "everything is settled"),
        (f"INSERT INTO dunning_claims {PARKED}", "D3", "no finding says so"),
        (f"INSERT INTO billing_runs {PARKED}", "D3", "no finding says so"),
    ],
)
def test_a_customer_who_is_blocked_otherwise_than_the_case_says_is_found(
    test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    dunned = in_arrears()
    assert dunned.finance("move", to="suspended").status_code == 200
    found = told(test_session, dunningintegrity.violations, tampering, dunned.id)
    assert is_said(found, invariant, words), found


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("UPDATE meter_events SET cancels = %(live)s, sign = -1 WHERE id = %(other)s", "stands otherwise"),
        ("UPDATE meter_events SET event_id = %(live)s WHERE id = %(other)s", "counts 2 times"),
        (f"DELETE FROM meter_event_keys {MINE} AND event_id = %(live)s", "has no key of its own"),
        (
            f"UPDATE meter_events SET cancels = %(live)s, sign = -1 {MINE} AND id <> %(live)s",
            "is taken back 2 times",
        ),
        (f"UPDATE event_backfills SET status = 'reverted' {MINE}", "of it count"),
    ],
)
def test_an_external_event_that_counts_otherwise_than_once_is_found(
    test_session: Session, tampering: str, words: str
) -> None:
    organization = make_organization()
    client = caller(organization, "spend:write", "billing:write")
    kind = make_meter("sum").definition.event_type or ""
    live, other = (
        client.post("/v1/events", sent(kind, occurred_at=now().isoformat())).json()["id"] for _ in range(2)
    )
    made = client.post("/v1/event-backfills", {"name": "March", "reason": "a test"}).json()["id"]
    answer = client.post(f"/v1/event-backfills/{made}/events", {"items": [sent(kind)]})
    assert answer.status_code == 200, answer.content
    found = told(test_session, meterintegrity.violations, tampering, organization, live=live, other=other)
    assert is_said(found, "B1", words), found


def test_verify_ledger_runs_these_checks() -> None:
    known = dict(checks())
    assert known["billing.payments"] is paymentintegrity.violations
    assert known["billing.dunning"] is dunningintegrity.violations
    assert {name for name, _ in meterintegrity.STATEMENTS} <= known.keys()
