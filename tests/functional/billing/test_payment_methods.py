"""Payment methods through the API and the processor: left in a browser, listed, chosen, detached; who may do that."""

from typing import Any

import pytest

from billing import stripe_gateway
from billing.operations.payments.customers import apply_customer
from billing.operations.payments.methods import apply_method, apply_setup
from billing.rules.payments.views import CustomerView, MethodView, SetupView
from tests.builders.deliveries import post
from tests.builders.orgs import (
    AUTHOR,
    caller,
    events_of,
    make_member,
    make_organization,
    make_team,
    unique,
    write,
)
from tests.builders.paying import payer, paying
from tests.builders.processor import header, listed
from tests.builders.stripe import Simulator
from webhooks.operations.inbound.processing import process_due

PATH = "/v1/payment-methods"


class TestASetup:
    def test_makes_the_customer_once_and_gives_a_secret(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)

        begun = [made.setup().json() for _ in range(3)]

        assert len({one["setup_intent"] for one in begun}) == 3
        assert all(one["client_secret"].startswith(one["setup_intent"]) for one in begun)
        assert {one["status"] for one in begun} == {"requires_payment_method"}
        assert len(stripe_simulator.requests("POST", "/v1/customers")) == 1

    def test_is_the_same_under_the_same_key(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        key = unique()

        assert made.setup(key=key).json() == made.setup(key=key).json()
        assert len(stripe_simulator.requests("POST", "/v1/setup_intents")) == 1

    def test_leaves_a_method_that_pays(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        begun = made.setup().json()
        stripe_simulator.decide(setup_intent=begun["setup_intent"], method="pm_card_visa")

        shown = made.owner.get(f"{PATH}/setups/{begun['id']}").json()
        made.owner.post(f"{PATH}/refresh")

        assert shown["status"] == "succeeded"
        (method,) = made.methods()
        assert {name: method[name] for name in ("is_default", "type", "brand", "last4")} == {
            "is_default": True,
            "type": "card",
            "brand": "visa",
            "last4": "4242",
        }

    def test_keeps_no_secret_and_no_digit_of_a_card_in_events(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)

        said = str(events_of(made.id))

        assert "_secret_" not in said
        assert "4242" not in said
        assert "visa" not in said

    def test_waits_when_the_processor_is_down_and_goes_on_with_the_same_customer(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        stripe_simulator.fail({"kind": "reset_after", "method": "POST", "path": "/v1/customers"})

        refused = made.setup()

        assert (refused.status_code, refused.json()["code"]) == (503, "processor_unavailable")
        stripe_simulator.fail()
        assert made.setup_when_due().status_code == 201
        assert len(list(stripe_simulator.sdk().v1.customers.list())) == 1

    def test_of_a_sandbox_is_refused(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator, sandbox=True)

        answer = made.setup()

        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
        assert made.commands() == []

    def test_without_a_processor_is_refused(self) -> None:
        organization = make_organization()

        answer = caller(organization, "billing:write").post(f"{PATH}/setup")

        assert (answer.status_code, answer.json()["code"]) == (503, "no_payment_processor")


class TestMethods:
    def test_are_listed_newest_first_and_the_first_one_pays(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        first, second = made.add_method(), made.add_method("pm_card_mastercard")

        assert [(one["id"], one["is_default"]) for one in made.methods()] == [(second, False), (first, True)]

    def test_another_one_is_chosen_here_and_there(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        first, second = made.add_method(), made.add_method("pm_card_mastercard")

        answer = made.owner.post(f"{PATH}/{second}/default")
        before = events_of(made.id)
        made.owner.post(f"{PATH}/{second}/default")

        assert [(one["id"], one["is_default"]) for one in answer.json()["data"]] == [
            (second, True),
            (first, False),
        ]
        assert events_of(made.id) == before
        made.send()
        (customer,) = stripe_simulator.sdk().v1.customers.list()
        assert customer.invoice_settings.default_payment_method == second

    def test_one_is_detached_and_the_newest_of_the_others_pays(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        first, second = made.add_method(), made.add_method("pm_card_mastercard")

        answer = made.owner.delete(f"{PATH}/{first}")

        assert [(one["id"], one["is_default"]) for one in answer.json()["data"]] == [(second, True)]
        made.send()
        assert stripe_simulator.sdk().v1.payment_methods.retrieve(first).customer is None
        assert made.owner.delete(f"{PATH}/{first}").status_code == 404

    def test_one_that_was_detached_here_does_not_come_back_by_a_late_event(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        first = made.add_method()
        view = stripe_gateway.method(first)
        made.owner.delete(f"{PATH}/{first}")

        done = write(lambda cur: apply_method(cur, view, attached=True, author=AUTHOR))

        assert (done.outcome, made.methods()) == ("unchanged", [])

    def test_one_that_is_detached_there_is_gone_here(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        first = made.add_method()
        stripe_simulator.sdk().v1.payment_methods.detach(first)

        made.owner.post(f"{PATH}/refresh")

        assert made.methods() == []

    def test_one_that_is_detached_there_does_not_come_back_with_its_setup_in_whatever_order(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        begun = made.setup().json()
        stripe_simulator.decide(setup_intent=begun["setup_intent"], method="pm_card_visa")
        left = stripe_gateway.setup(begun["setup_intent"]).method
        assert left is not None
        stripe_simulator.sdk().v1.payment_methods.detach(left)

        for body in listed(stripe_simulator)[::-1]:
            assert post(body, header(body)).status_code == 200
        while process_due():
            pass
        assert made.methods() == []
        shown = made.owner.get(f"{PATH}/setups/{begun['id']}").json()

        assert (shown["status"], made.methods()) == ("succeeded", [])


class TestWhatTheProcessorTells:
    def test_a_deleted_customer_pays_nothing_and_is_made_anew(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        (customer,) = stripe_simulator.sdk().v1.customers.list()
        stripe_simulator.sdk().v1.customers.delete(customer.id)
        view = stripe_gateway.customer(customer.id)

        done = write(lambda cur: apply_customer(cur, view, author=AUTHOR))

        assert (view.deleted, done.outcome, made.methods()) == (True, "applied", [])
        made.add_method()
        assert len(made.methods()) == 1
        assert write(lambda cur: apply_customer(cur, view, author=AUTHOR)).outcome == "foreign"

    def test_a_default_that_was_chosen_there_pays_here(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        made.add_method()
        second = made.add_method("pm_card_mastercard")
        (customer,) = stripe_simulator.sdk().v1.customers.list()
        stripe_simulator.sdk().v1.customers.update(
            customer.id, {"invoice_settings": {"default_payment_method": second}}
        )
        view = stripe_gateway.customer(customer.id)

        outcomes = [write(lambda cur: apply_customer(cur, view, author=AUTHOR)).outcome for _ in range(2)]

        assert outcomes == ["applied", "unchanged"]
        assert made.methods()[0]["is_default"] is True

    def test_a_customer_method_and_setup_of_nobody_are_foreign(self) -> None:
        customer = CustomerView("cus_nobody", False, False, metadata={"organization": "x"})
        method = MethodView("pm_nobody", "cus_nobody", "card")
        setup = SetupView("seti_nobody", "cus_nobody", "succeeded", "pm_nobody")

        assert write(lambda cur: apply_customer(cur, customer, author=AUTHOR)).outcome == "foreign"
        assert write(lambda cur: apply_method(cur, method, attached=True, author=AUTHOR)).outcome == "foreign"
        assert (
            write(lambda cur: apply_method(cur, method, attached=False, author=AUTHOR)).outcome == "foreign"
        )
        assert write(lambda cur: apply_setup(cur, setup, method, author=AUTHOR)).outcome == "foreign"

    def test_a_customer_that_names_us_without_a_command_of_ours_is_foreign(self) -> None:
        organization = make_organization()
        named = {"organization": str(organization), "command": str(organization)}
        view = CustomerView("cus_liar", False, False, metadata=named)

        assert write(lambda cur: apply_customer(cur, view, author=AUTHOR)).outcome == "foreign"


ROLES: dict[str, tuple[int, int]] = {
    "owner": (200, 404),
    "billing_admin": (200, 404),
    "team_owner": (403, 403),
    "member": (403, 403),
}


class TestWhoMay:
    @pytest.mark.parametrize("role", ROLES)
    def test_read_and_change_is_for(self, role: str) -> None:
        organization = make_organization()
        team = make_team(organization).key if role == "team_owner" else None
        member = make_member(organization, role, team)
        who = caller(organization, "billing:read", "billing:write", member=str(member.id))

        answers = who.get(PATH).status_code, who.delete(f"{PATH}/pm_1").status_code

        assert answers == ROLES[role]

    def test_another_organization_sees_and_moves_nothing(self, stripe_simulator: Simulator) -> None:
        made = paying(stripe_simulator)
        (method,) = made.methods()
        setup = made.setup().json()["id"]
        before = events_of(made.id)
        stranger = payer(stripe_simulator).owner

        calls: list[Any] = [
            stranger.get(f"{PATH}/{method['id']}"),
            stranger.delete(f"{PATH}/{method['id']}"),
            stranger.post(f"{PATH}/{method['id']}/default"),
            stranger.get(f"{PATH}/setups/{setup}"),
            stranger.get(PATH, organization=str(made.id)),
        ]

        assert [one.status_code for one in calls] == [404] * 5
        assert events_of(made.id) == before
