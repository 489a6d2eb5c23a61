"""A contract's prices in the book: they hold for its customer from their first instant to their last (S78)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from spend.operations.prices.publish import publish_tool_price
from tests.builders.contracts import DAY, acted, agreed, make_postpaid, today_of
from tests.builders.gate import Customer, body_of, make_model, usage_body
from tests.builders.orgs import events_of, write
from tests.builders.subscriptions import now_of

TICK = timedelta(microseconds=1)
MILLION = {"input_tokens": 1_000_000, "output_tokens": 0}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LIST, OWN = "1", "0.25"


def charged(customer: Customer, model: str, at: datetime) -> str:
    """What a million input tokens at a moment cost the customer."""
    action = {"kind": "llm.chat", "provider": "acme", "model": model}
    body = usage_body(None, action=action, usage=MILLION, occurred_at=at.isoformat())
    found: str = body_of(customer.api.post("/v1/usage", body), 201)["charge"]
    return found


def midnight(customer: Customer, days: int) -> datetime:
    """The first instant of a day, so many days from today."""
    now = now_of(customer.id)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + days * DAY


def own(model: str, amount: str = OWN, **given: Any) -> dict[str, Any]:
    return {"provider": "acme", "model": model, "components": {"input": amount, "output": "5"}, **given}


class TestAPriceOfAModel:
    def test_holds_from_its_first_instant_to_its_last(self) -> None:
        customer, other, model = (
            make_postpaid(),
            make_postpaid(),
            make_model(valid_from=LONG_AGO),
        )
        today = today_of(customer.id)
        dates = {"from": str(today - 9 * DAY), "to": str(today - 5 * DAY)}
        agreed(customer.id, offset=-10, prices=[own(model, **dates)])
        start, end = midnight(customer, -9), midnight(customer, -5)
        found = {at: charged(customer, model, at) for at in (start - TICK, start, end - TICK, end)}
        assert list(found.values()) == [LIST, OWN, OWN, LIST]
        assert charged(other, model, start) == LIST

    def test_without_dates_holds_for_the_term(self) -> None:
        customer, model = make_postpaid(), make_model(valid_from=LONG_AGO)
        agreed(customer.id, offset=-10, days=20, prices=[own(model)])
        assert charged(customer, model, midnight(customer, -10) - TICK) == LIST
        assert charged(customer, model, now_of(customer.id)) == OWN

    def test_an_amendment_takes_over_at_its_instant(self) -> None:
        customer, model = make_postpaid(), make_model(valid_from=LONG_AGO)
        made = agreed(customer.id, prices=[own(model)])
        definition = {**made["definition"], "prices": [own(model, "0.5")]}
        acted(made, "amend", {"definition": definition, "effective_on": str(today_of(customer.id) + 2 * DAY)})
        change = midnight(customer, 2)
        customer.pass_time(days=3)
        # whether the billing run was there or not
        assert charged(customer, model, change - TICK) == OWN
        assert charged(customer, model, change) == "0.5"

    def test_what_an_amendment_repeats_is_published_once(self) -> None:
        customer, model = make_postpaid(), make_model()
        made = agreed(customer.id, prices=[own(model)])
        acted(made, "amend", {"definition": {**made["definition"], "net_days": 3}})
        published = [event for event in events_of(customer.id) if event[0].startswith("price.")]
        assert [event[0] for event in published] == ["price.published"]

    def test_ends_with_the_contract(self) -> None:
        customer, model = make_postpaid(), make_model()
        made = agreed(customer.id, prices=[own(model)])
        assert charged(customer, model, now_of(customer.id)) == OWN
        acted(made, "terminate", {})
        assert charged(customer, model, now_of(customer.id)) == LIST

    def test_ends_at_the_moment_of_a_termination_to_come(self) -> None:
        customer, model = make_postpaid(), make_model()
        made = agreed(customer.id, prices=[own(model)])
        at = now_of(customer.id) + 2 * DAY
        acted(made, "terminate", {"at": at.isoformat()})
        customer.pass_time(days=3)
        assert charged(customer, model, at - TICK) == OWN
        assert charged(customer, model, at) == LIST


class TestOtherPrices:
    def test_a_markup_is_on_what_has_no_price_of_its_own(self) -> None:
        customer, model = make_postpaid(), make_model()
        agreed(customer.id, prices=[{"markup_percent": "20"}])
        assert charged(customer, model, now_of(customer.id)) == "1.2"

    def test_a_tool_has_a_price_of_its_own(self) -> None:
        customer = make_postpaid()
        write(lambda cur: publish_tool_price(cur, actor="system:test", pattern="contract_search", amount="1"))
        agreed(customer.id, prices=[{"tool": "contract_search", "amount": "0.02"}])
        body = usage_body(
            None,
            action={"kind": "tool.call", "tool": "contract_search"},
            usage={"tool_calls": {"contract_search": 5}},
            occurred_at=now_of(customer.id).isoformat(),
        )
        assert body_of(customer.api.post("/v1/usage", body), 201)["charge"] == "0.1"
