"""Credit that is bought: once because somebody asks, or automatically below a threshold (S07)."""

from typing import Any
from uuid import UUID

import pytest
from django.core import mail

from billing.operations.letters import send_due
from billing.operations.payments.stopping import KIND as LETTERS
from billing.operations.payments.topups import check_auto_top_up, top_up_due
from common.money import parse_amount
from tests.builders.billing import moving
from tests.builders.books import rows
from tests.builders.gate import UNIT, Customer, body_of, make_customer
from tests.builders.orgs import Caller, caller, make_member, platform, unique, write
from tests.builders.payments import Paying, dollars, with_method
from tests.concurrency.billing.test_events_at_once import at_once
from tests.invariants import Still, assert_sound

PATH, RULE = "/v1/top-ups", "/v1/auto-top-up"


def buyer(credit: str = "0", *, method: bool = True, **given: Any) -> tuple[Customer, Caller]:
    """A customer of the real clock with a payment method, and its key for billing."""
    customer = make_customer(credit, sandbox=False, **given)
    if method:
        with_method(customer.id)
    return customer, caller(customer.id, "billing:write")


def member(customer: Customer, role: str) -> Caller:
    """A key of a member with a role."""
    made = make_member(customer.id, role, team=None)
    return caller(customer.id, "billing:write", "billing:read", "admin", member=str(made.id))


def rule(**given: Any) -> dict[str, Any]:
    """Below 10 buy 50, at most 100 a month, without a pause."""
    return {
        "enabled": True, "threshold": "10", "amount": "50", "currency": "USD", "cool_off_seconds": 0,
        "monthly_cap": "100", **given,
    }  # fmt: skip


def checks(customer: Customer) -> str | None:
    """The payment that the rule asked for now."""
    made = write(lambda cur: check_auto_top_up(cur, organization=customer.id))
    return None if made is None else str(made)


def paying(customer: Customer, payment: str, amount: str = "50") -> Paying:
    """What the processor says of a payment that was asked for."""
    customer_there = rows("SELECT customer FROM payment_customers WHERE organization = %s", customer.id)[0][0]
    return Paying(customer.id, UUID(payment), parse_amount(amount), customer=customer_there)


def sent_to(address: str) -> list[str]:
    """The subjects of the letters to an address."""
    return [each.subject for each in mail.outbox if each.to == [address]]


class TestATopUp:
    def test_asks_the_processor_and_grants_when_the_money_came(self) -> None:
        customer, api = buyer()
        made = body_of(api.post(PATH, {"amount": "25.50", "currency": "USD"}, key=unique()), 201)
        assert (made["status"], made["purpose"], made["amount"]) == ("requested", "top_up", "25.5")
        assert customer.api.get("/v1/balance").json()["posted"] == "0"
        commands = rows("SELECT purpose FROM outbound_commands WHERE organization = %s", customer.id)
        assert commands == [("create_payment",)]
        one = paying(customer, made["id"], "25.50")
        one.apply(one.view())
        shown = body_of(api.get(f"/v1/payments/{made['id']}"), 200)
        assert (shown["status"], shown["received"], shown["credited"]) == ("succeeded", "25.5", "25.5")
        assert customer.api.get("/v1/balance").json()["posted"] == "25.5"
        assert_sound(customer.id)

    def test_repeated_under_its_key_is_one(self) -> None:
        customer, api = buyer()
        key = unique()
        first, again = (api.post(PATH, {"amount": "5", "currency": "USD"}, key=key) for _ in range(2))
        assert first.content == again.content
        assert len(rows("SELECT id FROM payments WHERE organization = %s", customer.id)) == 1

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"amount": "5.005", "currency": "USD"}, "invalid_amount"),
            ({"amount": "0", "currency": "USD"}, "invalid_amount"),
            ({"amount": "-5", "currency": "USD"}, "invalid_amount"),
            ({"amount": 5, "currency": "USD"}, "invalid_amount"),
            ({"amount": "5", "currency": "EUR"}, "currency_mismatch"),
            ({"amount": "5"}, "invalid_field"),
            ({"amount": "5", "currency": "USD", "free": True}, "unknown_field"),
        ],
    )
    def test_that_makes_no_sense_is_refused_and_moves_nothing(self, body: Any, code: str) -> None:
        customer, api = buyer()
        with Still(customer.id):
            answer = api.post(PATH, body, key=unique())
        assert answer.status_code in (400, 422), answer.content
        assert code in answer.content.decode()

    def test_needs_a_key_a_method_and_a_role(self) -> None:
        customer, api = buyer()
        body = {"amount": "5", "currency": "USD"}
        without, poor = buyer(method=False)
        reader = caller(customer.id, "billing:read")
        with Still(customer.id), Still(without.id):
            assert api.post(PATH, body).json()["code"] == "idempotency_key_required"
            assert poor.post(PATH, body, key=unique()).json()["code"] == "no_payment_method"
            assert reader.post(PATH, body, key=unique()).status_code == 403
        assert member(customer, "member").post(PATH, body, key=unique()).status_code == 403
        for role in ("owner", "billing_admin"):
            assert member(customer, role).post(PATH, body, key=unique()).status_code == 201
        assert len(rows("SELECT id FROM payments WHERE organization = %s", customer.id)) == 2

    def test_of_another_organization_is_unknown(self) -> None:
        customer, api = buyer()
        made = body_of(api.post(PATH, {"amount": "5", "currency": "USD"}, key=unique()), 201)
        _, other = buyer()
        assert other.get(f"/v1/payments/{made['id']}").status_code == 404
        assert other.get("/v1/payments").json()["data"] == []
        named = {"amount": "5", "currency": "USD", "organization": str(customer.id)}
        assert other.post(PATH, named, key=unique()).status_code == 404
        assert [one["id"] for one in api.get("/v1/payments", purpose="top_up").json()["data"]] == [made["id"]]
        assert platform().get(f"/v1/payments/{made['id']}").status_code == 200


class TestAnAutomaticTopUp:
    def test_buys_below_the_threshold_and_once_at_a_time(self) -> None:
        customer, api = buyer("30")
        body_of(api.put(RULE, rule()), 200)
        assert checks(customer) is None
        body_of(customer.use("25"), 201)
        assert top_up_due() >= 1
        (made,) = api.get("/v1/payments").json()["data"]
        assert (made["cause"], made["amount"], made["status"]) == ("automatic", "50", "requested")
        assert checks(customer) is None
        one = paying(customer, made["id"])
        one.apply(one.view())
        assert customer.api.get("/v1/balance").json()["posted"] == "55"
        assert checks(customer) is None
        assert body_of(api.get(RULE), 200)["bought_this_month"] == "50"
        assert_sound(customer.id)

    def test_never_buys_more_than_the_cap_of_the_month(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule(monthly_cap="100")), 200)
        for bought in range(3):
            made = checks(customer)
            assert (made is None) == (bought == 2)
            if made is not None:
                one = paying(customer, made)
                one.apply(one.view())
                body_of(customer.use("50"), 201)
        assert api.get(RULE).json()["bought_this_month"] == "100"

    def test_waits_for_its_cool_off(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule(cool_off_seconds=3600, monthly_cap=None)), 200)
        one = paying(customer, str(checks(customer)))
        one.apply(one.view())
        body_of(customer.use("50"), 201)
        assert checks(customer) is None

    def test_stops_after_three_failures_until_it_is_said_anew(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule()), 200)
        for _ in range(3):
            one = paying(customer, str(checks(customer)))
            one.apply(one.declined())
        shown = body_of(api.get(RULE), 200)
        assert (shown["status"], shown["failures"], shown["stopped_reason"]) == (
            "stopped",
            3,
            "card_declined",
        )
        assert shown["bought_this_month"] == "0"
        assert checks(customer) is None
        notices = rows(
            "SELECT count(*) FROM v_events WHERE organization = %s AND type = 'auto_top_up.stopped'",
            customer.id,
        )
        assert notices == [(1,)]
        assert body_of(api.put(RULE, rule()), 200)["status"] == "active"
        assert checks(customer) is not None

    def test_that_stops_is_told_to_whom_invoices_go_once(self) -> None:
        customer, api = buyer(method=False)
        address = f"{customer.id}@example.com"
        profile = {"contact": {"email": address}}
        assert platform().patch(f"/v1/billing-profile?organization={customer.id}", profile).status_code == 200
        body_of(api.put(RULE, rule()), 200)
        for place in range(3):
            send_due([LETTERS])
            assert sent_to(address) == []
            assert checks(customer) is None, place
        at_once(lambda _: send_due([LETTERS]), callers=2)
        assert sent_to(address) == ["Automatic top-ups have stopped"]
        send_due([LETTERS])
        assert len(sent_to(address)) == 1
        body_of(api.put(RULE, rule()), 200)
        for _ in range(3):
            assert checks(customer) is None
        assert api.get(RULE).json()["status"] == "stopped"
        body_of(api.put(RULE, rule(threshold="11")), 200)
        send_due([LETTERS])
        assert len(sent_to(address)) == 1  # it goes on by now, so nobody is told that it stopped
        letters = rows(
            "SELECT status FROM auto_top_up_letters WHERE organization = %s ORDER BY made_at", customer.id
        )
        assert letters == [("sent",), ("superseded",)]

    def test_that_stops_by_declines_is_told_too(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule()), 200)
        for _ in range(3):
            one = paying(customer, str(checks(customer)))
            one.apply(one.declined())
            one.apply(one.declined())
        letters = "SELECT count(*) FROM auto_top_up_letters WHERE organization = %s"
        assert rows(letters, customer.id) == [(1,)]

    def test_without_a_method_fails_and_is_off_when_it_is_disabled(self) -> None:
        customer, api = buyer(method=False)
        body_of(api.put(RULE, rule()), 200)
        for _ in range(3):
            assert checks(customer) is None
        assert api.get(RULE).json()["stopped_reason"] == "no_payment_method"
        with_method(customer.id)
        body_of(api.put(RULE, rule(enabled=False)), 200)
        assert checks(customer) is None
        assert rows("SELECT id FROM payments WHERE organization = %s", customer.id) == []

    def test_a_success_forgets_failures(self) -> None:
        customer, api = buyer()
        body_of(api.put(RULE, rule()), 200)
        for goes in (False, False, True):
            one = paying(customer, str(checks(customer)))
            one.apply(one.view() if goes else one.declined())
        assert api.get(RULE).json()["failures"] == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {"amount": "0"},
            {"amount": "5.001"},
            {"currency": "EUR"},
            {"monthly_cap": "49"},
            {"cool_off_seconds": -1},
            {"cool_off_seconds": "60"},
            {"threshold": "-1"},
            {"enabled": "yes"},
            {"free": 1},
        ],
        ids=str,
    )
    def test_that_makes_no_sense_is_refused(self, wrong: dict[str, Any]) -> None:
        customer, api = buyer()
        before = moving(customer.id)
        with Still(customer.id):
            assert api.put(RULE, rule(**wrong)).status_code in (400, 422)
        assert moving(customer.id) == before
        assert api.get(RULE).status_code == 404

    @pytest.mark.parametrize(("currency", "amount"), [("KWD", "5.001"), ("MGA", "500.20")])
    def test_is_no_finer_than_what_the_processor_charges(self, currency: str, amount: str) -> None:
        customer, api = buyer(currency=currency)
        wrong = rule(currency=currency, amount=amount, monthly_cap=None)
        with Still(customer.id):
            once = {"amount": amount, "currency": currency}
            answers = [api.put(RULE, wrong), api.post(PATH, once, key=unique())]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (422, "amount_too_fine")
        body_of(api.put(RULE, {**wrong, "amount": "500"}), 200)

    def test_is_for_owners_and_billing_administrators(self) -> None:
        customer, api = buyer()
        assert member(customer, "member").put(RULE, rule()).status_code == 403
        for role in ("owner", "billing_admin"):
            assert member(customer, role).put(RULE, rule()).status_code == 200
        with Still(customer.id):
            assert api.put(RULE, rule()).status_code == 200
        other, stranger = buyer()
        assert stranger.put(f"{RULE}?organization={customer.id}", rule()).status_code == 404
        assert rows("SELECT id FROM auto_top_ups WHERE organization = %s", other.id) == []


def test_a_top_up_that_is_paid_in_part_grants_that_part() -> None:
    customer, api = buyer()
    made = body_of(api.post(PATH, {"amount": "50", "currency": "USD"}, key=unique()), 201)
    one = paying(customer, made["id"])
    one.apply(one.view(received=dollars("20")))
    assert customer.api.get("/v1/balance").json()["posted"] == "20"
    assert one.row.received == 20 * UNIT
