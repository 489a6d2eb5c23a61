"""What holds for every call: keys, accounts, parameters, pages, idempotency."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from tests.builders.payments_at_stripe import account, pay, rows
from tests.builders.stripe import Simulator


def _code(error: stripe.StripeError) -> tuple[int | None, str | None, str | None]:
    assert error.error is not None
    return error.http_status, error.error.type, error.error.code


class TestAKey:
    @pytest.mark.parametrize("key", ["sk_test_another", "sk_live_1"])
    def test_that_is_wrong_is_refused(self, stripe_simulator: Simulator, key: str) -> None:
        with pytest.raises(stripe.AuthenticationError):
            stripe_simulator.sdk(key=key).v1.customers.create({})

    def test_is_needed(self, stripe_simulator: Simulator) -> None:
        assert httpx.get(f"{stripe_simulator.url}/v1/customers").status_code == 401

    def test_reaches_only_accounts_that_are_connected(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe.PermissionError):
            stripe_simulator.sdk().v1.balance.retrieve({}, {"stripe_account": "acct_stranger"})


class TestACall:
    def test_without_a_route_is_404_in_the_envelope(self, stripe_simulator: Simulator) -> None:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            stripe_simulator.sdk().v1.coupons.list()
        assert _code(caught.value) == (404, "invalid_request_error", None)
        assert caught.value.request_id is not None

    @pytest.mark.parametrize(
        ("given", "code", "param"),
        [
            ({"emial": "x"}, "parameter_unknown", "emial"),
            ({"invoice_settings": {"footr": "x"}}, "parameter_unknown", "invoice_settings[footr]"),
            ({"balance": "much"}, "parameter_invalid_integer", "balance"),
        ],
    )
    def test_with_a_wrong_parameter_is_refused_by_its_name(
        self, stripe_simulator: Simulator, given: Any, code: str, param: str
    ) -> None:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            stripe_simulator.sdk().v1.customers.create(given)
        assert (caught.value.code, caught.value.param) == (code, param)
        assert len(stripe_simulator.forgive()) == 1
        assert stripe_simulator.sdk().v1.customers.list().data == []

    def test_without_a_required_parameter_is_refused(self, stripe_simulator: Simulator) -> None:
        params: Any = {"currency": "usd"}
        with pytest.raises(stripe.InvalidRequestError) as caught:
            stripe_simulator.sdk().v1.payment_intents.create(params)
        assert (caught.value.code, caught.value.param) == ("parameter_missing", "amount")
        assert stripe_simulator.forgive() == ["POST /v1/payment_intents: it: 'amount' is a required property"]

    @pytest.mark.parametrize("amount", [0, 49, 100_000_000])
    def test_has_bounds_of_amounts(self, stripe_simulator: Simulator, amount: int) -> None:
        with pytest.raises(stripe.InvalidRequestError):
            stripe_simulator.sdk().v1.payment_intents.create({"amount": amount, "currency": "usd"})

    def test_clears_a_field_and_a_key_of_metadata_by_an_empty_text(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        made = client.v1.customers.create({"name": "Anna", "metadata": {"a": "1", "b": "2"}})
        changed = client.v1.customers.update(made.id, {"name": "", "metadata": {"a": ""}})
        assert (changed.name, changed.metadata and changed.metadata.to_dict()) == (None, {"b": "2"})
        cleared = client.v1.customers.update(made.id, {"metadata": ""})
        assert cleared.metadata is not None
        assert cleared.metadata.to_dict() == {}


class TestACustomer:
    def test_is_found_by_its_metadata(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        made = client.v1.customers.create({"metadata": {"organization": "o-1"}})
        client.v1.customers.create({"metadata": {"organization": "o-2"}})
        found = client.v1.customers.search({"query": "metadata['organization']:'o-1'"}).data
        assert [customer.id for customer in found] == [made.id]

    def test_that_is_deleted_can_be_read_and_no_more(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        made = client.v1.customers.create({"metadata": {"organization": "o-1"}})
        assert client.v1.customers.delete(made.id).deleted
        assert client.v1.customers.retrieve(made.id).deleted
        for refused in (client.v1.customers.update, client.v1.customers.delete):
            with pytest.raises(stripe.InvalidRequestError):
                refused(made.id)
        assert client.v1.customers.search({"query": "metadata['organization']:'o-1'"}).data == []


class TestAList:
    def test_is_newest_first_and_walks_both_ways(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        made = [client.v1.customers.create({}).id for _ in range(5)]
        page = client.v1.customers.list({"limit": 2})
        assert ([one.id for one in page.data], page.has_more) == ([made[4], made[3]], True)
        after = client.v1.customers.list({"limit": 3, "starting_after": made[3]})
        assert ([one.id for one in after.data], after.has_more) == ([made[2], made[1], made[0]], False)
        before = client.v1.customers.list({"limit": 2, "ending_before": made[0]})
        assert ([one.id for one in before.data], before.has_more) == ([made[2], made[1]], True)

    @pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 101}, {"starting_after": "cus_none"}])
    def test_refuses_a_wrong_limit_or_cursor(self, stripe_simulator: Simulator, wrong: Any) -> None:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            stripe_simulator.sdk().v1.customers.list(wrong)
        assert caught.value.http_status == 400

    def test_takes_bounds_of_time(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        client.v1.customers.create({})
        stripe_simulator.advance(100)
        late = client.v1.customers.create({})
        found = client.v1.customers.list({"created": {"gte": int(stripe_simulator.now()) - 50}}).data
        assert [one.id for one in found] == [late.id]

    def test_of_money_takes_every_filter(self, stripe_simulator: Simulator) -> None:
        payment = pay(stripe_simulator)
        pay(stripe_simulator, currency="eur")
        stripe_simulator.sdk().v1.refunds.create({"payment_intent": payment.id, "amount": 100})
        client = stripe_simulator.sdk()
        for given, expected in (
            ({"currency": "eur"}, 1),
            ({"type": "refund"}, 1),
            ({"source": getattr(payment.latest_charge, "id", "")}, 1),
            ({"created": {"gt": int(stripe_simulator.now()) + 10}}, 0),
        ):
            filters: Any = given
            assert len(client.v1.balance_transactions.list(filters).data) == expected

    def test_is_expanded_up_to_four_levels(self, stripe_simulator: Simulator) -> None:
        pay(stripe_simulator)
        client = stripe_simulator.sdk()
        found = client.v1.payment_intents.list(
            {"expand": ["data.latest_charge.balance_transaction", "data.customer"]}
        )
        assert isinstance(found.data[0].customer, stripe.Customer)
        assert isinstance(found.data[0].latest_charge, stripe.Charge)
        for wrong in (
            "data.latest_charge.payment_intent.latest_charge.payment_intent.customer",
            "data.nothing",
        ):
            with pytest.raises(stripe.InvalidRequestError):
                client.v1.payment_intents.list({"expand": [wrong]})


class TestAnIdempotencyKey:
    def test_gives_the_first_answer_again(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        first = client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        again = client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        assert first.id == again.id
        assert first.last_response is not None
        assert again.last_response is not None
        assert "Idempotent-Replayed" not in first.last_response.headers
        assert again.last_response.headers["Idempotent-Replayed"] == "true"
        assert len(client.v1.customers.list().data) == 1

    def test_belongs_to_its_parameters_and_its_account(self, stripe_simulator: Simulator) -> None:
        client, other = stripe_simulator.sdk(), account(stripe_simulator)
        client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        with pytest.raises(stripe.IdempotencyError):
            client.v1.customers.create({"name": "b"}, {"idempotency_key": "k"})
        there = client.v1.customers.create({"name": "b"}, {"idempotency_key": "k", "stripe_account": other})
        assert there.name == "b"

    def test_keeps_a_decline(self, stripe_simulator: Simulator) -> None:
        params: Any = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa_chargeDeclined",
                       "confirm": True}  # fmt: skip
        for _ in range(2):
            with pytest.raises(stripe.CardError):
                stripe_simulator.sdk().v1.payment_intents.create(params, {"idempotency_key": "k"})
        assert len(stripe_simulator.sdk().v1.charges.list().data) == 1

    def test_stays_free_after_a_refusal_of_its_parameters(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        wrong: Any = {"emial": "x"}
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.customers.create(wrong, {"idempotency_key": "k"})
        stripe_simulator.forgive()
        assert client.v1.customers.create({"name": "b"}, {"idempotency_key": "k"}).name == "b"

    def test_is_forgotten_after_a_day(self, stripe_simulator: Simulator) -> None:
        client = stripe_simulator.sdk()
        client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        stripe_simulator.advance(86_399)
        client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        assert len(client.v1.customers.list().data) == 1
        stripe_simulator.advance(2)
        client.v1.customers.create({"name": "a"}, {"idempotency_key": "k"})
        assert len(client.v1.customers.list().data) == 2

    def test_that_is_in_use_is_a_conflict(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.fail({"kind": "latency", "seconds": 0.7, "nth": 1, "path": "/v1/customers"})

        def create(_: int) -> str:
            try:
                return stripe_simulator.sdk().v1.customers.create({}, {"idempotency_key": "k"}).id
            except stripe.APIError as error:
                return str(_code(error))

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(create, range(4)))
        conflict = str((409, "idempotency_error", "idempotency_key_in_use"))
        assert len([one for one in answers if one.startswith("cus_")]) == 1
        assert answers.count(conflict) == 3


FAULTS = [
    ({"kind": "rate_limit"}, (429, "rate_limit"), False),
    ({"kind": "lock_timeout", "retry_after": 2}, (429, "lock_timeout"), False),
    ({"kind": "conflict"}, (409, "idempotency_key_in_use"), False),
    ({"kind": "html_502"}, (502, None), False),
    ({"kind": "reset_before"}, (None, None), False),
    ({"kind": "reset_after"}, (None, None), False),
    ({"kind": "timeout_before", "seconds": 0.2}, (None, None), False),
    ({"kind": "timeout_after", "seconds": 0.2}, (None, None), False),
    ({"kind": "truncated"}, (None, None), False),
    ({"kind": "error_before"}, (500, None), True),
    ({"kind": "error_after"}, (500, None), True),
]


class TestAFault:
    """One refund, sent again under its key after each fault: it is made once."""

    @pytest.mark.parametrize(
        ("fault", "expected", "is_stored"), FAULTS, ids=[one[0]["kind"] for one in FAULTS]
    )
    def test_lets_the_effect_happen_once(
        self, stripe_simulator: Simulator, fault: dict[str, Any], expected: Any, is_stored: bool
    ) -> None:
        payment = pay(stripe_simulator)
        stripe_simulator.fail({**fault, "method": "POST", "path": "/v1/refunds", "nth": 1})
        client = stripe_simulator.sdk()
        params: Any = {"payment_intent": payment.id, "amount": 100}
        with pytest.raises(stripe.StripeError) as caught:
            client.v1.refunds.create(params, {"idempotency_key": "k"})
        status = caught.value.http_status
        assert (status, getattr(caught.value.error, "code", None)) == expected
        stripe_simulator.fail()
        if is_stored:
            with pytest.raises(stripe.APIError):
                client.v1.refunds.create(params, {"idempotency_key": "k"})
        else:
            client.v1.refunds.create(params, {"idempotency_key": "k"})
        happened = 0 if fault["kind"] == "error_before" else 1
        assert [row.type for row in rows(stripe_simulator)].count("refund") == happened

    def test_tells_the_sdk_whether_to_try_again(self, stripe_simulator: Simulator) -> None:
        stripe_simulator.fail(
            {"kind": "rate_limit", "nth": 1, "should_retry": "true", "path": "/v1/customers"}
        )
        assert stripe_simulator.sdk(retries=1).v1.customers.create({}).id.startswith("cus_")
        assert [entry["status"] for entry in stripe_simulator.requests("POST", "/v1/customers")] == [429, 200]

    def test_may_be_left_to_a_repeatable_chance(self, stripe_simulator: Simulator) -> None:
        def struck() -> list[int]:
            stripe_simulator.reset()
            stripe_simulator.fail({"kind": "rate_limit", "probability": 0.4, "seed": 7})
            for _ in range(20):
                httpx.get(f"{stripe_simulator.url}/v1/events", auth=(stripe_simulator.key, ""))
            return [entry["status"] for entry in stripe_simulator.requests()]

        assert struck() == struck()
        assert 3 < struck().count(429) < 15
