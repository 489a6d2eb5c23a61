"""Business keys stand in the database, too: whatever code forgets its lock, nothing is there twice (W1, B2, P2)."""

import psycopg
import pytest

from billing.operations.payments.topups import NewAutoTopUp, request_top_up, set_auto_top_up
from tests.builders.billing import with_invoice
from tests.builders.dunning import in_arrears
from tests.builders.gate import UNIT, make_customer
from tests.builders.orgs import AUTHOR, write
from tests.builders.payments import asked, with_method
from tests.builders.payouts import partner
from tests.builders.stripe import Simulator
from tests.database import Session


def refusal(session: Session, table: str, organization: object, changes: str) -> str | None:
    """Which key refuses a copy of an organization's rows with these changes; it is taken back."""
    copy = f"""INSERT INTO {table} SELECT (jsonb_populate_record(r, {changes})).*
        FROM {table} r WHERE r.organization = %s"""
    with psycopg.connect(session.databases.superuser_url(session.name)) as connection:
        connection.execute("SET session_replication_role = replica")
        cur = connection.cursor()
        try:
            cur.execute(copy.encode(), (organization,))
        except psycopg.errors.UniqueViolation as error:
            return error.diag.constraint_name
        finally:
            connection.rollback()
    return None


ANOTHER = "jsonb_build_object('id', gen_random_uuid())"
SAME = "'{}'::jsonb"


@pytest.mark.parametrize(
    ("table", "changes", "key"),
    [
        ("effects", SAME, "effects_pkey"),
        ("payments", ANOTHER, "payments_intent"),
        ("invoices", f'{ANOTHER} || \'{{"number": "other"}}\'', "invoices_counter"),
        ("invoices", f'{ANOTHER} || \'{{"series": "other"}}\'', "invoices_number"),
        ("invoice_payments", ANOTHER, "invoice_payments_reference"),
        ("credit_notes", f'{ANOTHER} || \'{{"number": "other"}}\'', "credit_notes_counter"),
        ("findings", ANOTHER, "findings_open"),
    ],
)
def test_of_documents_and_payments_are_there_once(
    test_session: Session, table: str, changes: str, key: str
) -> None:
    made, invoice = with_invoice("100")
    paying = asked(made.id, 100 * UNIT)
    paying.apply(paying.view())
    paying.apply(paying.warning())
    assert made.pay(invoice["id"], "40").status_code == 200
    note = made.act(invoice["id"], "credit-notes", {"reason": "a test", "amount": "10"})
    assert note.status_code == 201, note.content
    assert refusal(test_session, table, made.id, changes) == key


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        (ANOTHER, "outbound_commands_key_key"),
        (
            f'{ANOTHER} || \'{{"key": "other"}}\'',
            "outbound_commands_organization_purpose_business_key_generat_key",
        ),
    ],
)
def test_of_commands_are_there_once(test_session: Session, changes: str, key: str) -> None:
    customer = make_customer("0", sandbox=False)
    with_method(customer.id)
    write(
        lambda cur: request_top_up(
            cur, organization=customer.id, amount=50 * UNIT, currency="USD", author=AUTHOR
        )
    )
    assert refusal(test_session, "outbound_commands", customer.id, changes) == key


def test_an_organization_has_one_rule_of_top_ups_and_one_open_case(test_session: Session) -> None:
    customer = make_customer("0")
    rule = NewAutoTopUp(True, 10 * UNIT, 50 * UNIT, "USD", 0, None)
    write(lambda cur: set_auto_top_up(cur, organization=customer.id, new=rule, author=AUTHOR))
    assert refusal(test_session, "auto_top_ups", customer.id, ANOTHER) == "auto_top_ups_organization_key"
    dunned = in_arrears()
    assert refusal(test_session, "dunning_cases", dunned.id, ANOTHER) == "dunning_cases_open"


def test_a_partner_has_one_open_payout_of_one_transfer(
    stripe_simulator: Simulator, test_session: Session
) -> None:
    made = partner(stripe_simulator, cents=5_000)
    made.asked()
    assert refusal(test_session, "payouts", made.id, ANOTHER) == "payouts_open"
    made.send()
    assert refusal(test_session, "payouts", made.id, f'{ANOTHER} || \'{{"state": "paid"}}\'') in (
        "payouts_transfer",
        "payouts_payout",
    )
