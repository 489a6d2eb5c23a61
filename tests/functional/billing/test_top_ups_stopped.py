"""Automatic top-ups that are not wanted any more: money went back, the gate is shut, or it was said so before they were
sent. None of them is charged (S07)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.core import mail

from billing.operations.letters import send_due
from billing.operations.payments.stopping import KIND as LETTERS
from spend.operations.standing import publish_standing
from tests.builders.billing import with_invoice
from tests.builders.books import rows
from tests.builders.gate import Customer, body_of
from tests.builders.orgs import AUTHOR, Caller, caller, platform, unique, write
from tests.builders.paying import Payer
from tests.builders.paying import paying as at_stripe
from tests.builders.payments import Paying, asked, dollars
from tests.builders.stripe import Simulator
from tests.functional.billing.test_top_ups import RULE, buyer, checks, paying, rule
from tests.invariants import assert_sound


def bought(amount: str = "50") -> tuple[Customer, Caller, Paying]:
    """A customer for whom its rule has bought credit."""
    customer, api = buyer()
    body_of(api.put(RULE, rule(monthly_cap=None, amount=amount)), 200)
    one = paying(customer, str(checks(customer)), amount)
    one.apply(one.view())
    return customer, api, one


def inquiry(one: Paying) -> Any:
    """A dispute that takes nothing yet."""
    return replace(one.dispute(one.amount, status="warning_needs_response"), balance=())


def stopped(api: Caller) -> tuple[str, str | None]:
    """The rule's status, and why."""
    shown = body_of(api.get(RULE), 200)
    return shown["status"], shown["stopped_reason"]


WENT_BACK: dict[str, tuple[Callable[[Paying], Any], str]] = {
    "a refund": (lambda one: one.refund(one.amount), "refunded"),
    "a part": (lambda one: one.refund(dollars("45")), "refunded"),
    "a dispute": (lambda one: one.dispute(one.amount), "disputed"),
    "an inquiry": (inquiry, "disputed"),
    "a warning": (lambda one: one.warning(), "fraud_warning"),
}


class TestMoneyThatWentBack:
    @pytest.mark.parametrize("what", WENT_BACK)
    def test_is_not_charged_again_until_it_is_said_anew(self, what: str) -> None:
        customer, api, one = bought()
        view, reason = WENT_BACK[what][0](one), WENT_BACK[what][1]
        one.apply(view)
        one.apply(view)
        assert stopped(api) == ("stopped", reason)
        assert api.get(RULE).json()["failures"] == 0
        left = customer.api.get("/v1/balance").json()["posted"]
        assert checks(customer) is None
        letters = rows("SELECT count(*) FROM auto_top_up_letters WHERE organization = %s", customer.id)
        assert letters == [(1,)]
        assert body_of(api.put(RULE, rule(monthly_cap=None)), 200)["status"] == "active"
        assert (checks(customer) is not None) == (float(left) < 10)
        assert_sound(customer.id)

    def test_that_nobody_asked_for_by_a_rule_stops_it_too(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule(threshold="0")), 200)
        manual = paying(customer, str(asked(customer.id, dollars("20")).payment), "20")
        manual.apply(manual.view())
        manual.apply(manual.refund(dollars("5")))
        assert stopped(api) == ("stopped", "refunded")

    def test_of_an_invoice_stops_it_where_it_was_disputed_and_not_where_it_was_refunded(self) -> None:
        made, invoice = with_invoice("100")
        api = caller(made.id, "billing:write")
        body_of(api.put(RULE, rule()), 200)
        one = asked(made.id, dollars("100"), invoice=UUID(invoice["id"]))
        one.apply(one.view())
        one.apply(one.refund(dollars("5")))
        assert stopped(api) == ("active", None)
        one.apply(one.dispute(dollars("95")))
        assert stopped(api) == ("stopped", "disputed")

    def test_stops_no_rule_that_is_switched_off(self) -> None:
        _, api, one = bought()
        body_of(api.put(RULE, rule(enabled=False)), 200)
        one.apply(one.refund(dollars("50")))
        assert stopped(api) == ("active", None)

    def test_is_what_its_reason_stays_when_a_payment_fails_later(self) -> None:
        customer, api, one = bought()
        body_of(customer.use("50"), 201)
        later = paying(customer, str(checks(customer)))
        one.apply(one.dispute(dollars("50")))
        later.apply(later.declined())
        assert stopped(api) == ("stopped", "disputed")
        assert api.get(RULE).json()["failures"] == 0

    @pytest.mark.parametrize(
        ("language", "subject", "cause"),
        [
            ("en", "Automatic top-ups have stopped", "credit that was bought was refunded"),
            ("de", "Die automatische Aufladung ist angehalten", "Gekauftes Guthaben wurde erstattet"),
        ],
        ids=["English", "German"],
    )
    def test_is_told_with_its_reason(self, language: str, subject: str, cause: str) -> None:
        customer, _, one = bought()
        address = f"{customer.id}@example.com"
        profile = {"contact": {"email": address}, "language": language}
        assert platform().patch(f"/v1/billing-profile?organization={customer.id}", profile).status_code == 200
        one.apply(one.refund(dollars("50")))
        send_due([LETTERS])
        (letter,) = [each for each in mail.outbox if each.to == [address]]
        assert (letter.subject, cause in letter.body) == (subject, True)
        assert "times in a row" not in letter.body


class TestASuspendedCustomer:
    def test_is_not_charged_for_credit_that_it_cannot_spend(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule()), 200)

        def stands(standing: str, **given: Any) -> None:
            write(
                lambda cur: publish_standing(
                    cur, organization=customer.id, standing=standing, author=AUTHOR, **given
                )
            )

        stands("suspended")
        assert checks(customer) is None
        assert stopped(api) == ("active", None)
        stands("suspended", spends_credit=True)
        assert checks(customer) is not None
        stands("clear")


def waiting(simulator: Simulator, **given: Any) -> Payer:
    """A customer at the processor whose rule has asked for credit that nobody has sent yet."""
    made = at_stripe(simulator)
    body_of(made.owner.put(RULE, rule(monthly_cap="500", **given)), 200)
    assert checks(made.made.customer) is not None
    return made


def is_archived(made: Payer) -> None:
    """Its organization is closed."""
    answer = platform().post(f"/v1/organizations/{made.id}/archive")
    assert answer.status_code == 200, answer.content


def is_said(**given: Any) -> Callable[[Payer], Any]:
    """The rule is another one by then."""
    return lambda made: body_of(made.owner.put(RULE, rule(**given)), 200)


MEANWHILE: dict[str, Callable[[Payer], Any]] = {
    "switched off": is_said(enabled=False, monthly_cap="500"),
    "said smaller": is_said(amount="20", monthly_cap="500"),
    "said to begin lower": is_said(threshold="0"),
    "of a closed organization": is_archived,
}


class TestATopUpThatIsNotSentYet:
    @pytest.mark.parametrize("what", MEANWHILE)
    def test_is_withdrawn_and_no_failure_when_its_rule_is(
        self, what: str, stripe_simulator: Simulator
    ) -> None:
        made = waiting(stripe_simulator)
        MEANWHILE[what](made)
        made.send()
        assert made.charged() == []
        assert [one.state for one in made.commands("create_payment")] == ["lapsed"]
        assert [status for _, status, _ in made.payments()] == ["failed"]
        failures = rows("SELECT failures, status FROM auto_top_ups WHERE organization = %s", made.id)
        assert failures == [(0, "active")]
        made.made.assert_sound()

    def test_is_withdrawn_when_credit_came_otherwise(self, stripe_simulator: Simulator) -> None:
        made = waiting(stripe_simulator)
        one = asked(made.id, dollars("20"))
        one.customer = str(made.commands("create_payment")[0].params["customer"])
        one.apply(one.view())
        made.send()
        assert made.charged() == []

    def test_is_withdrawn_when_money_went_back_meanwhile(self, stripe_simulator: Simulator) -> None:
        made = at_stripe(stripe_simulator)
        one = asked(made.id, dollars("20"))
        one.customer = str(made.commands("create_customer")[0].object_id)
        one.apply(one.view())
        body_of(made.owner.put(RULE, rule(threshold="30")), 200)
        assert checks(made.made.customer) is not None
        one.apply(one.dispute(dollars("20")))
        made.send()
        assert made.charged() == []

    def test_of_a_closed_organization_is_withdrawn_also_when_it_was_asked_for_by_hand(
        self, stripe_simulator: Simulator
    ) -> None:
        made = at_stripe(stripe_simulator)
        body_of(made.owner.post("/v1/top-ups", {"amount": "20", "currency": "USD"}, key=unique()), 201)
        is_archived(made)
        made.send()
        assert made.charged() == []

    def test_is_sent_as_long_as_its_rule_wants_it(self, stripe_simulator: Simulator) -> None:
        made = waiting(stripe_simulator)
        body_of(made.owner.put(RULE, rule(amount="60", monthly_cap="500")), 200)
        made.send()
        assert made.charged() == [5_000]
        assert made.owner.get(RULE).json()["failures"] == 0
        made.made.assert_sound()
