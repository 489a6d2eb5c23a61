"""What `verify_ledger` finds when shares, payouts or statements part from the books: each check has its row."""

import pytest

from events.integrity import checks
from payouts.operations.statements import make_statement
from payouts.queries import payingintegrity, payoutintegrity
from tests.builders.gate import Customer
from tests.builders.marketplace import (
    Seller,
    calling,
    calling_on_account,
    make_seller,
    pass_time,
    settled,
    spend,
)
from tests.builders.orgs import write
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.builders.tampering import is_said, told
from tests.database import Session

MINE = "WHERE organization = %(organization)s"
OF = "FROM journal_entries e, accounts a WHERE e.id = p.entry_id AND a.id = p.account_id"


def moved() -> tuple[Seller, Customer]:
    """A partner, and a customer of whom its share was moved."""
    seller = make_seller(holdback_days=0)
    customer = calling(seller)
    spend(customer, "10")
    settled(customer.id)
    customer.pass_time(hours=2)
    settled(customer.id)
    return seller, customer


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        (f"UPDATE payouts SET transfer = 'tr_other' {MINE}", "P2", "the payout says tr_other"),
        (f"UPDATE payouts SET transfer = 'tr_other' {MINE}", "P2", "has a transfer that no command made"),
        (f"UPDATE payouts SET payout = NULL {MINE}", "P2", "the payout says nothing"),
        (
            "INSERT INTO outbound_commands SELECT (jsonb_populate_record(c, jsonb_build_object("
            f"'id', gen_random_uuid(), 'key', 'other', 'generation', 2))).* FROM outbound_commands c {MINE}"
            " AND purpose = 'create_transfer'",
            "P2",
            "create_transfer was done 2 times",
        ),
        (f"UPDATE payouts SET amount = amount + 1 {MINE}", "P3", "gone, they say"),
        (f"UPDATE payouts SET taken_back = 1 {MINE}", "P3", "gone, they say"),
        (f"UPDATE payouts SET state = 'processing' {MINE}", "P3", "in transit"),
    ],
)
def test_a_payout_that_parts_from_books_and_commands_is_found(
    stripe_simulator: Simulator, test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.paid()
    found = told(test_session, payingintegrity.violations, tampering, made.id)
    assert is_said(found, invariant, words), found


def test_money_in_transit_that_never_came_is_found(
    stripe_simulator: Simulator, test_session: Session
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.asked()
    tampering = f"""UPDATE postings p SET amount = p.amount + 1 {OF}
        AND p.organization = %(organization)s AND a.kind = 'payout_in_transit'"""
    found = told(test_session, payoutintegrity.violations, tampering, made.id)
    assert is_said(found, "P1", "in transit, and got only"), found


def test_an_entry_that_is_no_payouts_but_moves_what_is_in_transit_is_found(
    stripe_simulator: Simulator, test_session: Session
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.asked()
    reversal = f"""
    WITH entry AS (
        INSERT INTO journal_entries SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(),
            'kind', 'reversal', 'source', 'entry:' || e.id, 'idempotency_key', 'reversal', 'reverses', e.id))).*
        FROM journal_entries e {MINE} AND kind = 'payout_requested' RETURNING id, reverses
    )
    INSERT INTO postings SELECT (jsonb_populate_record(p, jsonb_build_object(
        'entry_id', entry.id, 'amount', -p.amount))).* FROM postings p JOIN entry ON p.entry_id = entry.reverses"""
    found = told(test_session, payingintegrity.violations, reversal, made.id)
    assert is_said(found, "P3", "the journal has 0 in transit"), found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("opening = opening + 1, closing = closing + 1", "opens with"),
        ("counter = 9", "has number"),
        ("document = jsonb_set(document, '{payable}', '1')", "leaves 1 to withdraw"),
        ("document = jsonb_set(document, '{received}', '7')", "received are 7"),
    ],
)
def test_a_statement_that_does_not_chain_is_found(test_session: Session, change: str, words: str) -> None:
    seller = make_seller()
    spend(calling(seller), "10")
    pass_time(seller.id, days=40)
    assert write(lambda cur: make_statement(cur, organization=seller.id)) is not None
    found = told(
        test_session, payingintegrity.violations, f"UPDATE partner_statements SET {change} {MINE}", seller.id
    )
    assert is_said(found, "P4", words), found


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        (f"UPDATE earning_pairs SET moved = moved + 1 {MINE}", "P1 units", "the books have earned"),
        (f"UPDATE earning_pairs SET earned = earned + 1 {MINE}", "P1 units", "the books have earned"),
        (f"UPDATE earning_buckets SET share = share + 1 {MINE}", "P1 sums", "are not those of the pair"),
        (f"UPDATE earning_sources SET collected = collected + 1 {MINE}", "P1 sums", "are not those of"),
        (
            f"UPDATE earning_collections SET amount = amount + 1 {MINE}",
            "P1 sums",
            "are not those of the pair",
        ),
        (
            f"UPDATE postings p SET amount = p.amount + 1 {OF} AND p.organization = %(organization)s"
            " AND a.kind = 'partner_earned' AND e.source LIKE 'usage_record:%%'",
            "P1 records",
            "its entry",
        ),
    ],
)
def test_a_share_that_is_somewhere_twice_or_nowhere_is_found(
    test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    _, customer = moved()
    found = told(test_session, payoutintegrity.violations, tampering, customer.id)
    assert is_said(found, invariant, words), found


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        ("UPDATE earning_pairs SET collected = 0 WHERE partner = %(organization)s", "P1", "collected is 0"),
        (
            f"UPDATE postings p SET amount = p.amount + 1 {OF} AND p.organization = %(organization)s"
            " AND a.kind = 'intercompany_clearing'",
            "L8",
            "its two entries clear 1 in 2",
        ),
        (
            f"UPDATE journal_entries e SET source = 'earning:other' {MINE} AND e.kind = 'earning_received'",
            "L8",
            "in 1 organizations",
        ),
    ],
)
def test_a_partner_who_got_what_nobody_gave_is_found(
    test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    seller, _ = moved()
    found = told(test_session, payoutintegrity.violations, tampering, seller.id)
    assert is_said(found, invariant, words), found


def test_a_share_that_is_collected_of_what_was_not_paid_is_found(test_session: Session) -> None:
    made = calling_on_account(make_seller())
    made.use("10", "5")
    made.pass_months()
    made.run()
    settled(made.id)
    made.pay(made.only()["id"], "5.00")
    settled(made.id)
    tampering = f"UPDATE invoices SET paid = paid - 1000000 {MINE}"
    found = told(test_session, payoutintegrity.violations, tampering, made.id)
    assert is_said(found, "P1 paid", "but paid are"), found


def test_a_share_that_is_collected_of_an_invoice_without_its_payment_is_found(test_session: Session) -> None:
    made = calling_on_account(make_seller())
    made.use("10")
    made.pass_months()
    made.run()
    settled(made.id)
    made.pay(made.only()["id"], "10.00")
    settled(made.id)
    tampering = f"UPDATE invoice_payments SET applied = applied - 100000000 {MINE}"
    found = told(test_session, payoutintegrity.violations, tampering, made.id)
    assert is_said(found, "P1 money", "collected is 800000000, but money came for 720000000"), found


@pytest.mark.parametrize(
    ("tampering", "invariant", "words"),
    [
        (
            f"UPDATE accounts SET debt = 100000000 {MINE} AND kind = 'customer_credit'",
            "P1 money",
            "came for 720000000",
        ),
        (f"UPDATE earning_pairs SET earned = collected - 1 {MINE}", "P1 earned", "but earned only 799999999"),
    ],
    ids=["owed", "earned"],
)
def test_a_share_that_is_collected_without_money_is_found(
    test_session: Session, tampering: str, invariant: str, words: str
) -> None:
    _, customer = moved()
    found = told(test_session, payoutintegrity.violations, tampering, customer.id)
    assert is_said(found, invariant, words), found


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("invoice:%%", "it has 799999999 of shares, its calls give 800000000"),
        ("line", "its calls give 400000000"),
    ],
    ids=["billed", "unbilled"],
)
def test_a_share_that_stands_not_where_its_call_is_billed_is_found(
    test_session: Session, source: str, words: str
) -> None:
    made = calling_on_account(make_seller())
    made.use("10")
    made.pass_months()
    made.run()
    made.use("5")
    settled(made.id)
    tampering = f"UPDATE earning_sources SET share = share - 1 {MINE} AND source LIKE '{source}'"
    found = told(test_session, payoutintegrity.violations, tampering, made.id)
    assert is_said(found, "P1 calls", words), found


def test_verify_ledger_runs_these_checks() -> None:
    known = dict(checks())
    assert known["payouts"] is payoutintegrity.violations
    assert known["payouts.paying"] is payingintegrity.violations
