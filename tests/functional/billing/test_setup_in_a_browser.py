"""A product's own page leaves a payment method: what Stripe.js sends from a browser, with the publishable key and the
client secret alone (docs/payments.md). The processor is the simulator over HTTP."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.builders.paying import Payer, payer
from tests.builders.stripe import Simulator

PUBLISHABLE = "pk_test_counterfoil"


def browser(simulator: Simulator, path: str, form: dict[str, str] | None, key: str = PUBLISHABLE) -> Any:
    """Status and body of what a browser's request is answered; GET without a form."""
    body = None if form is None else urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(simulator.url + path, body, {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def confirmed(simulator: Simulator, begun: dict[str, Any], method: str, **given: str) -> Any:
    """`stripe.confirmSetup({clientSecret})`."""
    form = {
        "client_secret": begun["client_secret"],
        "payment_method": method,
        "use_stripe_sdk": "true",
        **given,
    }
    return browser(simulator, f"/v1/setup_intents/{begun['setup_intent']}/confirm", form)


def begun_by(made: Payer) -> dict[str, Any]:
    """What the product's server hands to its page."""
    answer = made.setup()
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def methods_of(made: Payer) -> list[tuple[str, bool]]:
    """What it pays with after the page has told the server that it is done."""
    answer = made.owner.post("/v1/payment-methods/refresh")
    assert answer.status_code == 200, answer.content
    return [(one["last4"], one["is_default"]) for one in made.methods()]


class TestAPage:
    def test_leaves_a_card_with_the_secret_alone(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        begun = begun_by(made)
        status, intent = confirmed(stripe_simulator, begun, "pm_card_visa")
        assert (status, intent["status"]) == (200, "succeeded")
        assert made.owner.get(f"/v1/payment-methods/setups/{begun['id']}").json()["status"] == "succeeded"
        assert methods_of(made) == [("4242", True)]

    def test_shows_why_a_card_was_refused_and_takes_another_with_the_same_secret(
        self, stripe_simulator: Simulator
    ) -> None:
        made = payer(stripe_simulator)
        begun = begun_by(made)
        status, answer = confirmed(stripe_simulator, begun, "pm_card_visa_chargeDeclined")
        assert (status, answer["error"]["type"], answer["error"]["code"]) == (
            402,
            "card_error",
            "card_declined",
        )
        assert methods_of(made) == []
        assert confirmed(stripe_simulator, begun, "pm_card_visa")[0] == 200
        assert methods_of(made) == [("4242", True)]

    def test_waits_for_a_bank_that_asks(self, stripe_simulator: Simulator) -> None:
        made = payer(stripe_simulator)
        begun = begun_by(made)
        status, intent = confirmed(stripe_simulator, begun, "pm_card_authenticationRequired")
        assert (status, intent["status"], intent["next_action"]["type"]) == (
            200,
            "requires_action",
            "use_stripe_sdk",
        )
        assert methods_of(made) == []
        stripe_simulator.decide(setup_intent=begun["setup_intent"])  # the customer answers its bank
        query = urllib.parse.urlencode({"client_secret": begun["client_secret"]})
        status, intent = browser(stripe_simulator, f"/v1/setup_intents/{begun['setup_intent']}?{query}", None)
        assert (status, intent["status"]) == (200, "succeeded")
        assert len(methods_of(made)) == 1

    @pytest.mark.parametrize("secret", ["another's", "none"])
    def test_can_do_nothing_without_its_own_secret(self, stripe_simulator: Simulator, secret: str) -> None:
        made, other = payer(stripe_simulator), payer(stripe_simulator)
        begun, others = begun_by(made), begun_by(other)
        path = f"/v1/setup_intents/{begun['setup_intent']}/confirm"
        given = {"client_secret": others["client_secret"]} if secret == "another's" else {}
        status, _ = browser(stripe_simulator, path, {"payment_method": "pm_card_visa", **given})
        assert status in (400, 403)
        assert browser(stripe_simulator, "/v1/customers", None)[0] == 403
        assert methods_of(made) == []
