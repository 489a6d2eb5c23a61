"""What the processor did becomes entries, settled invoices and credit, each effect once (S07, S08, S83, W1)."""

from dataclasses import replace
from uuid import UUID

import pytest

from billing.operations.payments import applying
from billing.queries.dunning import find_open_case
from billing.rules.payments.views import Failure
from common.money import parse_amount
from tests.builders.billing import Billed, billing_violations, with_invoice
from tests.builders.books import balances, rows
from tests.builders.gate import UNIT, Customer, make_customer
from tests.builders.ledger import figures
from tests.builders.orgs import AUTHOR, platform, unique, write
from tests.builders.payments import Paying, asked, balance, dollars, findings, kinds
from tests.invariants import Still, assert_sound

FEE = dollars("3.20")


def invoiced(amount: str = "100") -> tuple[Billed, Paying]:
    """A customer with an open invoice, and a payment of it that was asked for."""
    made, invoice = with_invoice(amount)
    return made, asked(made.id, parse_amount(invoice["total"]), invoice=UUID(invoice["id"]))


def topped_up(amount: str = "100") -> tuple[Customer, Paying]:
    """A customer without credit who asked for a top-up that succeeded."""
    customer = make_customer("0")
    paying = asked(customer.id, dollars(amount))
    assert paying.apply(paying.view()).outcome == "applied"
    return customer, paying


def clearing(organization: UUID) -> int:
    """What the processor holds for an organization, in units."""
    return -balances(organization).get("processor_clearing", 0)


def effects(paying: Paying) -> list[str]:
    """The keys of the effects of a payment."""
    return [
        row[0] for row in rows("SELECT effect_key FROM effects WHERE organization = %s", paying.organization)
    ]


def remaining(paying: Paying) -> int:
    """What is left of the credit that a payment bought, in units."""
    found = rows(
        "SELECT sum(remaining)::bigint FROM credit_grants WHERE source = %s", f"payment:{paying.payment}"
    )
    return int(found[0][0])


def resolve(finding: UUID) -> None:
    """Finance has decided on it."""
    answer = platform().post(f"/v1/findings/{finding}/resolve", {"reason": "refunded"}, key=unique())
    assert answer.status_code == 200, answer.content


class TestMoneyThatGoesBack:
    def test_takes_the_credit_that_it_bought_before_any_other(self) -> None:
        customer, first = topped_up("100")
        second = asked(customer.id, dollars("60"))
        second.apply(second.view())
        first.apply(first.refund(dollars("30")))
        assert remaining(first) == 70 * UNIT
        assert remaining(second) == 60 * UNIT
        first.apply(first.refund(dollars("20")))
        assert remaining(first) == 50 * UNIT
        assert_sound(customer.id)

    def test_takes_the_newest_where_its_own_is_used(self) -> None:
        customer, first = topped_up("100")
        customer.commit(customer.reserved("80")["id"], "80")
        second = asked(customer.id, dollars("60"))
        second.apply(second.view())
        first.apply(first.refund(dollars("50")))
        assert remaining(first) == 0
        assert remaining(second) == 30 * UNIT
        assert_sound(customer.id)


class TestAPaymentOfAnInvoice:
    def test_settles_it_by_the_money_that_the_processor_holds(self) -> None:
        made, paying = invoiced()
        assert paying.apply(paying.view()).outcome == "applied"
        invoice = made.only()
        assert (invoice["status"], invoice["paid"]) == ("paid", "100.00")
        assert clearing(made.id) == 100 * UNIT
        assert paying.row.settled == 100 * UNIT
        made.assert_sound()

    def test_has_one_effect_however_often_it_is_told(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        with made.still():
            for _ in range(3):
                assert paying.apply(paying.view()).outcome == "unchanged"
        assert effects(paying) == [f"payment_intent:{paying.intent}"]

    def test_is_noted_while_it_is_processing_and_settles_later(self) -> None:
        made, paying = invoiced()
        assert paying.apply(paying.view("processing")).outcome == "applied"
        assert (paying.row.status, made.only()["status"]) == ("processing", "open")
        paying.apply(paying.view())
        assert paying.apply(paying.view("processing")).outcome == "unchanged"
        assert (paying.row.status, made.only()["status"]) == ("succeeded", "paid")

    def test_that_failed_moves_nothing_and_may_still_succeed(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.declined())
        assert paying.row.status == "failed"
        assert paying.row.failure == {
            "code": "card_declined",
            "decline_code": "insufficient_funds",
            "message": "",
        }
        assert made.only()["status"] == "open"
        paying.apply(paying.view())
        assert (paying.row.status, paying.row.failure, made.only()["status"]) == ("succeeded", None, "paid")

    def test_that_was_captured_in_part_lowers_what_is_due(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view(received=dollars("40")))
        assert (made.only()["status"], made.only()["due"]) == ("open", "60.00")
        made.assert_sound()

    def test_that_comes_when_the_invoice_is_paid_becomes_credit_with_a_finding(self) -> None:
        made, paying = invoiced()
        assert made.pay(made.only()["id"], "100").status_code == 200
        paying.apply(paying.view())
        assert figures(made.id)[0] == 100 * UNIT
        assert kinds(made.id) == ["paid_too_much"]
        assert (paying.row.settled, paying.row.excess) == (0, 100 * UNIT)
        made.assert_sound()

    def test_above_what_is_due_gives_the_rest_as_credit(self) -> None:
        made, paying = invoiced()
        assert made.pay(made.only()["id"], "70").status_code == 200
        paying.apply(paying.view())
        assert (made.only()["status"], figures(made.id)[0]) == ("paid", 70 * UNIT)
        assert (paying.row.settled, paying.row.excess) == (30 * UNIT, 70 * UNIT)
        assert kinds(made.id) == ["paid_too_much"]
        made.assert_sound()


class TestAPaymentThatIsNotWhatWasAskedFor:
    def test_moves_nothing_and_is_a_finding(self) -> None:
        made, paying = invoiced()
        wrong = (
            paying.view(amount=paying.amount + 1, received=paying.amount),
            paying.view(currency="EUR"),
            paying.view(received=paying.amount + 1),
            paying.view(metadata={"payment": str(paying.payment), "organization": str(UUID(int=7))}),
        )
        for view in wrong:
            before = balances(made.id)
            assert paying.apply(view).outcome == "parked"
            assert (balances(made.id), paying.row.version) == (before, 1)
        assert kinds(made.id) == ["payment_mismatch"]
        assert made.only()["status"] == "open"

    def test_of_another_customer_at_the_processor_is_parked(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view("processing"))
        assert paying.apply(paying.view(customer="cus_other")).outcome == "parked"
        assert made.only()["status"] == "open"

    def test_a_second_one_for_the_same_is_parked(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        assert paying.apply(paying.view(id=unique("pi_"))).outcome == "parked"
        assert kinds(made.id) == ["payment_double"]
        assert clearing(made.id) == 100 * UNIT

    def test_of_nobody_is_foreign_and_of_ours_without_a_request_a_finding(self) -> None:
        made, paying = invoiced()
        assert paying.apply(paying.view(metadata={})).outcome == "foreign"
        nobody = {"organization": str(UUID(int=9))}
        assert paying.apply(paying.view(metadata=nobody)).outcome == "foreign"
        garbage = {"organization": str(made.id), "payment": "'; DROP TABLE payments"}
        assert paying.apply(paying.view(metadata=garbage)).outcome == "parked"
        assert kinds(made.id) == ["payment_unknown"]
        assert clearing(made.id) == 0


class TestWhatAPersonHasDecided:
    def test_is_no_finding_again_however_often_it_is_looked_at(self) -> None:
        made, paying = invoiced()
        wrong = paying.view(amount=paying.amount + 1, received=paying.amount)
        garbage = paying.view(
            id=unique("pi_"), metadata={"organization": str(made.id), "payment": "nobody's"}
        )
        for view in (wrong, garbage):
            paying.apply(view)
        for finding in findings(made.id):
            resolve(finding.id)
        for view in (wrong, garbage, wrong, garbage):
            assert paying.apply(view).outcome == "parked"
        assert kinds(made.id) == []

    def test_is_one_again_when_the_evidence_is_another(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view(amount=paying.amount + 1, received=paying.amount))
        resolve(findings(made.id)[0].id)
        paying.apply(paying.view(amount=paying.amount + 2, received=paying.amount))
        assert kinds(made.id) == ["payment_mismatch"]


class TestFees:
    def test_are_booked_when_they_are_known_also_late_and_once(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        fee = paying.fee(FEE)
        assert paying.apply(fee).outcome == "applied"
        assert paying.apply(fee).outcome == "unchanged"
        assert (paying.row.fee, clearing(made.id)) == (FEE, 100 * UNIT - FEE)
        assert balances(made.id)["processor_fees"] == -FEE
        made.assert_sound()

    def test_of_a_charge_that_knows_them_are_booked_with_the_payment(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view(charge=paying.charged(balance=paying.fee(FEE))))
        assert clearing(made.id) == 100 * UNIT - FEE

    def test_in_another_currency_are_booked_at_the_rate_of_the_processor_with_a_finding(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        paying.apply(balance(92 * UNIT, dollars("2.76"), currency="EUR"))
        assert paying.row.fee == 3 * UNIT
        assert kinds(made.id) == ["balance_in_other_currency"]

    def test_of_a_charge_that_nobody_knows_wait(self) -> None:
        made, paying = invoiced()
        assert paying.apply(paying.fee(FEE)).outcome == "parked"
        assert balances(made.id).get("processor_fees", 0) == 0


class TestARefundOfAnInvoicesPayment:
    def test_without_a_credit_note_is_owed_again_and_a_finding(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        refund = paying.refund(dollars("30"))
        assert paying.apply(refund).outcome == "applied"
        assert paying.apply(refund).outcome == "unchanged"
        invoice = made.only()
        assert (invoice["status"], invoice["paid"], invoice["due"]) == ("open", "70.00", "30.00")
        assert kinds(made.id) == ["refund_without_note"]
        made.assert_sound()
        assert made.pay(invoice["id"], "30").status_code == 200
        assert made.only()["status"] == "paid"
        made.assert_sound()

    def test_takes_the_credit_that_a_note_gave(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        note = made.act(made.only()["id"], "credit-notes", {"amount": "30", "reason": "late"})
        assert note.status_code == 201, note.content
        assert figures(made.id)[0] == 30 * UNIT
        paying.apply(paying.refund(dollars("30")))
        assert (made.only()["status"], figures(made.id)[0]) == ("paid", 0)
        assert kinds(made.id) == []
        paying.apply(paying.refund(dollars("20")))
        assert (made.only()["status"], made.only()["due"]) == ("open", "20.00")
        made.assert_sound()

    def test_that_failed_is_paid_again(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        refund = paying.refund(dollars("30"), id="re_x" + unique())
        paying.apply(refund)
        assert paying.apply(paying.refund(dollars("30"), "failed", id=refund.id)).outcome == "applied"
        assert (made.only()["status"], clearing(made.id)) == ("paid", 100 * UNIT)
        assert kinds(made.id) == []
        assert paying.apply(refund).outcome == "unchanged"
        made.assert_sound()

    def test_opens_a_case_at_once_where_the_invoice_was_due_and_its_failure_closes_that(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        made.customer.pass_time(days=60)
        refund = paying.refund(paying.amount)
        paying.apply(refund)
        case = write(lambda cur: find_open_case(cur, made.id))
        assert case is not None
        paying.apply(replace(refund, status="failed"))
        assert write(lambda cur: find_open_case(cur, made.id)) is None

    def test_that_failed_after_the_invoice_was_paid_otherwise_is_credit(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        refund = paying.refund(dollars("30"), id="re_y" + unique())
        paying.apply(refund)
        made.pay(made.only()["id"], "30")
        paying.apply(paying.refund(dollars("30"), "failed", id=refund.id))
        assert (made.only()["status"], figures(made.id)[0]) == ("paid", 30 * UNIT)
        made.assert_sound()

    def test_of_a_written_off_invoice_is_a_loss(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view(received=dollars("40")))
        assert made.act(made.only()["id"], "write-off", {"reason": "gone"}).status_code == 200
        paying.apply(paying.refund(dollars("40")))
        assert balances(made.id)["bad_debt"] == -100 * UNIT
        assert made.only()["status"] == "uncollectible"
        made.assert_sound()

    def test_of_another_currency_or_more_than_was_paid_is_parked(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        for wrong in (paying.refund(dollars("1"), currency="EUR"), paying.refund(dollars("101"))):
            assert paying.apply(wrong).outcome == "parked"
        assert (made.only()["status"], clearing(made.id)) == ("paid", 100 * UNIT)

    def test_whose_amount_is_another_than_before_is_parked(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        refund = paying.refund(40 * UNIT, "pending")
        paying.apply(refund)
        before, row = balances(made.id), paying.row
        assert paying.apply(replace(refund, amount=60 * UNIT, status="succeeded")).outcome == "parked"
        assert (balances(made.id), paying.row, kinds(made.id)) == (before, row, ["refund_mismatch"])
        paying.apply(replace(refund, status="succeeded"))
        assert clearing(made.id) == 60 * UNIT

    def test_is_booked_on_its_own_payment_whatever_its_metadata_name(self) -> None:
        (made, paying), (_, other) = invoiced(), invoiced()
        for each in (paying, other):
            each.apply(each.view())
        before, row = balances(made.id), paying.row
        refund = other.refund(40 * UNIT, metadata={"payment": str(paying.payment)})
        assert paying.apply(refund).outcome == "applied"
        assert (balances(made.id), paying.row, kinds(made.id)) == (before, row, [])
        assert other.row.refunded == 40 * UNIT

    @pytest.mark.parametrize("is_known", [True, False], ids=["under way", "refused"])
    def test_is_never_that_of_a_payment_without_an_object_that_its_metadata_name(
        self, is_known: bool
    ) -> None:
        customer, other = topped_up()
        made, named = invoiced()
        if not is_known:
            write(
                lambda cur: applying.refuse_payment(
                    cur, organization=made.id, payment=named.payment, failure=Failure("no"), author=AUTHOR
                )
            )
        metadata = {"payment": str(named.payment)}
        assert other.apply(other.refund(40 * UNIT, metadata=metadata)).outcome == "applied"
        by_charge = replace(other.refund(10 * UNIT, metadata=metadata), payment=None)
        assert other.apply(by_charge).outcome == "applied"
        assert (other.row.refunded, figures(customer.id)[0]) == (50 * UNIT, 50 * UNIT)
        assert (named.row.refunds, kinds(made.id)) == ({}, [])

    def test_of_a_stranger_that_names_a_payment_without_an_object_is_parked(self) -> None:
        made, named = invoiced()
        metadata = {"payment": str(named.payment)}
        stranger = Paying(made.id, named.payment, named.amount)
        strange = stranger.refund(40 * UNIT, metadata=metadata)
        for wrong in (strange, replace(strange, payment=None)):
            assert named.apply(wrong).outcome == "parked"
        assert (named.row.refunds, kinds(made.id)) == ({}, ["refund_mismatch"])
        named.apply(named.view())
        assert (made.only()["status"], named.row.refunded) == ("paid", 0)

    def test_that_is_heard_of_first_waits_for_the_payment(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view("processing"))
        paying.apply(paying.refund(dollars("30")))
        assert (made.only()["due"], paying.row.refunded) == ("100.00", 0)
        paying.apply(paying.view())
        assert (made.only()["status"], made.only()["due"]) == ("open", "30.00")
        made.assert_sound()


class TestATopUp:
    def test_grants_paid_credit_once(self) -> None:
        customer, paying = topped_up()
        for _ in range(10):
            assert paying.apply(paying.view()).outcome == "unchanged"
        assert figures(customer.id)[0] == 100 * UNIT
        assert rows("SELECT kind, amount FROM credit_grants WHERE organization = %s", customer.id) == [
            ("paid", 100 * UNIT)
        ]
        assert_sound(customer.id)

    def test_refunded_after_it_was_burnt_leaves_debt_and_shuts_the_gate_until_the_next(self) -> None:
        customer, paying = topped_up()
        assert customer.commit(customer.reserved("80")["id"], "80").status_code == 200
        paying.apply(paying.refund(dollars("50")))
        assert customer.api.get("/v1/balance").json()["debt"] == "30"
        assert customer.reserve("0.01").json()["code"] == "credit_exhausted"
        assert kinds(customer.id) == ["debt_after_refund"]
        more = asked(customer.id, dollars("40"))
        more.apply(more.view())
        assert customer.reserve("10").status_code == 201
        assert kinds(customer.id) == []
        assert_sound(customer.id)

    def test_charged_back_takes_the_credit_and_what_is_won_brings_it_back(self) -> None:
        customer, paying = topped_up()
        assert customer.commit(customer.reserved("80")["id"], "80").status_code == 200
        dispute = paying.dispute(dollars("100"))
        paying.apply(dispute)
        assert customer.api.get("/v1/balance").json()["posted"] == "-80"
        assert customer.reserve("0.01").json()["code"] == "credit_exhausted"
        assert kinds(customer.id) == ["debt_after_refund", "dispute_open"]
        paying.apply(paying.won(dispute))
        assert customer.api.get("/v1/balance").json()["posted"] == "20"
        assert customer.reserve("20").status_code == 201
        assert (kinds(customer.id), clearing(customer.id)) == ([], 85 * UNIT)
        assert_sound(customer.id)


class TestADispute:
    def test_is_owed_again_only_when_it_is_lost(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        dispute = paying.dispute(dollars("100"))
        paying.apply(dispute)
        assert (made.only()["status"], clearing(made.id)) == ("paid", -15 * UNIT)
        assert kinds(made.id) == ["dispute_open"]
        made.assert_sound()
        paying.apply(paying.lost(dispute))
        assert (made.only()["status"], made.only()["due"]) == ("open", "100.00")
        assert kinds(made.id) == ["dispute_lost"]
        assert paying.apply(dispute).outcome == "unchanged"
        made.assert_sound()

    def test_after_a_note_gave_credit_for_the_money_takes_that_credit(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        dispute = paying.dispute(dollars("100"))
        paying.apply(dispute)
        note = made.act(made.only()["id"], "credit-notes", {"amount": "30", "reason": "late"})
        assert note.status_code == 201
        paying.apply(paying.lost(dispute))
        assert (made.only()["due"], figures(made.id)[0]) == ("70.00", 0)
        made.assert_sound()

    def test_of_another_currency_or_more_than_was_paid_is_parked(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        before, row = balances(made.id), paying.row
        dispute = paying.dispute(100 * UNIT)
        for wrong in (replace(dispute, currency="EUR"), replace(dispute, amount=101 * UNIT)):
            assert paying.apply(wrong).outcome == "parked"
            assert (balances(made.id), paying.row, kinds(made.id)) == (before, row, ["dispute_mismatch"])
        assert paying.apply(dispute).outcome == "applied"

    def test_that_is_only_an_inquiry_moves_nothing(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        inquiry = paying.dispute(dollars("100"), status="warning_needs_response")
        paying.apply(replace(inquiry, balance=()))
        paying.apply(replace(inquiry, balance=(), status="warning_closed"))
        assert (clearing(made.id), kinds(made.id), made.only()["status"]) == (100 * UNIT, [], "paid")

    def test_of_more_than_was_left_puts_the_rest_into_suspense(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        paying.apply(paying.refund(dollars("30")))
        paying.apply(paying.dispute(dollars("100")))
        assert balances(made.id)["suspense"] == -30 * UNIT
        assert "returned_more_than_paid" in kinds(made.id)
        made.assert_sound()

    def test_warned_of_early_is_a_finding_once(self) -> None:
        made, paying = invoiced()
        paying.apply(paying.view())
        warning = paying.warning()
        assert paying.apply(warning).outcome == "applied"
        assert paying.apply(warning).outcome == "unchanged"
        assert kinds(made.id) == ["fraud_warning"]


def test_the_books_of_a_payment_are_not_reversed_by_hand() -> None:
    customer, _ = topped_up()
    entry = rows("SELECT id FROM journal_entries WHERE organization = %s AND kind = 'top_up'", customer.id)[
        0
    ][0]
    path = f"/v1/entries/{entry}/reverse?organization={customer.id}"
    with Still(customer.id):
        answer = platform().post(path, {"reason": "no"}, key=unique())
    assert answer.status_code in (404, 409), answer.content
    assert billing_violations(customer.id) == {}
    assert findings(customer.id) == []
