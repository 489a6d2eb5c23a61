"""The comparison with Stripe's specification finds what it is there to find."""

from typing import Any

import pytest

from sandbox.stripe.forms import parse_form
from sandbox.stripe.money import fee_of
from sandbox.stripe.world import CURRENT_VERSION, Settings
from tests.stripe_spec import Checker

CHECKER = Checker()
INTENT = "amount=500&currency=usd"
CUSTOMER: dict[str, Any] = {"id": "cus_1", "object": "customer", "created": 1, "livemode": False}


class TestARequest:
    @pytest.mark.parametrize(
        ("method", "path", "form"),
        [
            (
                "POST",
                "/v1/payment_intents",
                f"{INTENT}&metadata[0]=x&expand[0]=latest_charge&off_session=true",
            ),
            ("POST", "/v1/customers", "metadata="),
            ("GET", "/v1/events", "created[gte]=1&types[0]=invoice.paid&limit=100"),
            ("DELETE", "/v1/customers/cus_1", "expand[0]=x"),
        ],
    )
    def test_of_known_parameters_is_fine(self, method: str, path: str, form: str) -> None:
        assert CHECKER.request(method, path, parse_form(form)) == []

    @pytest.mark.parametrize(
        ("method", "path", "form", "told"),
        [
            ("POST", "/v1/payment_intents", f"{INTENT}&amuont=5", "'amuont' was unexpected"),
            ("POST", "/v1/subscriptions", "customer=c&items[0][quantty]=2", "quantty"),
            ("POST", "/v1/payment_intents", f"{INTENT}&capture_method=never", "capture_method"),
            ("POST", "/v1/payment_intents", "currency=usd", "'amount' is a required property"),
            ("POST", "/v1/payment_intents", "amount=5.5&currency=usd", "'5.5' is not of type 'integer'"),
            ("POST", "/v1/payment_intents", "amount=500&currency=USD", "three small letters"),
            ("POST", "/v1/subscriptions", "customer=c&items[0][price]=p&coupon=x", "coupon"),
            ("GET", "/v1/invoices/upcoming_lines/x", "", "no such operation"),
            ("GET", "/v1/customers", "mail=x", "'mail' was unexpected"),
        ],
    )
    def test_that_stripe_would_refuse_is_told(self, method: str, path: str, form: str, told: str) -> None:
        [wrong] = CHECKER.request(method, path, parse_form(form))
        assert told in wrong


class TestAnAnswer:
    def _answer(self, body: Any, status: int = 200, version: str = CURRENT_VERSION) -> list[str]:
        return CHECKER.answer("POST", "/v1/customers", status, body, version)

    def test_in_the_documents_shape_is_fine(self) -> None:
        assert self._answer(CUSTOMER) == []
        assert self._answer({"error": {"type": "card_error", "message": "No."}}, 402) == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {**CUSTOMER, "invented": 1},
            {**CUSTOMER, "created": "1"},
            {name: value for name, value in CUSTOMER.items() if name != "livemode"},
            {**CUSTOMER, "invoice_settings": {"footer": None, "invented": 1}},
        ],
        ids=["invented", "type", "missing", "nested"],
    )
    def test_with_another_shape_is_told(self, wrong: Any) -> None:
        assert len(self._answer(wrong)) == 1

    def test_in_an_older_version_is_not_compared(self) -> None:
        assert self._answer({"anything": 1}, version="2025-02-24.acacia") == []


class TestAnEvent:
    def test_has_a_known_type_and_an_object_in_its_shape(self) -> None:
        assert CHECKER.event("customer.created", CUSTOMER) == []
        assert CHECKER.event("transfer.paid", CUSTOMER) == ["no such type of event: transfer.paid"]
        assert len(CHECKER.event("customer.created", {**CUSTOMER, "invented": 1})) == 1


class TestAFee:
    @pytest.mark.parametrize(
        ("amount", "fee"), [(0, 30), (17, 30), (18, 31), (1000, 59), (1017, 59), (1018, 60)]
    )
    def test_is_rounded_half_up(self, amount: int, fee: int) -> None:
        """2.9 % of 17 is 0.493, of 18 0.522."""

        class Somewhere:
            settings = Settings()

        assert fee_of(Somewhere(), amount) == fee  # type: ignore[arg-type]
