"""Events on their way to an endpoint, tidy and otherwise."""

from typing import Any

import pytest
import stripe

from tests.builders.payments_at_stripe import account, pay
from tests.builders.stripe import CONNECT_SECRET, SECRET, Simulator
from tests.functional.stripe_simulator.conftest import Sink


def _change(simulator: Simulator, names: str) -> None:
    """One customer, renamed to each name: as many events, and its creation."""
    client = simulator.sdk()
    customer = client.v1.customers.create({"name": "new"})
    for name in names:
        client.v1.customers.update(customer.id, {"name": name})


class TestADelivery:
    def test_is_signed_so_that_the_sdk_accepts_it(self, stripe_simulator: Simulator, sink: Sink) -> None:
        stripe_simulator.register(sink.url)
        _change(stripe_simulator, "ab")
        stripe_simulator.drain()
        assert sink.verdicts(SECRET) == ["ok"] * 3
        assert sink.verdicts(CONNECT_SECRET) == ["SignatureVerificationError"] * 3
        found = {event["data"]["object"]["name"]: event["data"] for event in sink.events()}
        assert found["b"]["previous_attributes"] == {"name": "a"}
        listed = stripe_simulator.sdk().v1.events.list().data
        assert [event.pending_webhooks for event in listed] == [0, 0, 0]

    def test_goes_to_endpoints_that_want_its_type(self, stripe_simulator: Simulator, sink: Sink) -> None:
        stripe_simulator.register(sink.url, types=["payment_intent.succeeded"])
        pay(stripe_simulator)
        stripe_simulator.drain()
        assert sink.types() == ["payment_intent.succeeded"]

    def test_of_an_account_goes_to_connect_endpoints_alone(
        self, stripe_simulator: Simulator, sink: Sink
    ) -> None:
        stripe_simulator.register(sink.url, connect=True)
        pay(stripe_simulator)
        made = account(stripe_simulator)
        stripe_simulator.drain()
        assert {event["account"] for event in sink.events()} == {made}
        assert set(sink.verdicts(CONNECT_SECRET)) == {"ok"}

    def test_is_tried_again_until_it_is_taken(self, stripe_simulator: Simulator, sink: Sink) -> None:
        stripe_simulator.register(sink.url)
        sink.statuses += [500, 302]
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        client = stripe_simulator.sdk()
        [failed] = client.v1.events.list({"delivery_success": False}).data
        assert failed.pending_webhooks == 1
        for pause in (6, 61):
            stripe_simulator.advance(pause)
            stripe_simulator.drain()
        assert [event["id"] for event in sink.events()] == [failed.id] * 3
        assert set(sink.verdicts(SECRET)) == {"ok"}
        assert client.v1.events.list({"delivery_success": False}).data == []

    def test_stops_when_the_endpoint_has_failed_for_too_long(
        self, stripe_simulator: Simulator, sink: Sink
    ) -> None:
        endpoint = stripe_simulator.register(sink.url)
        stripe_simulator.deliver(disabled_after=3600, pauses=[1800])
        sink.statuses += [500] * 9
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        for _ in range(3):
            stripe_simulator.advance(1801)
            stripe_simulator.drain()
        assert stripe_simulator.sdk().v1.webhook_endpoints.retrieve(endpoint["id"]).status == "disabled"
        taken = len(sink.got)
        _change(stripe_simulator, "a")
        stripe_simulator.drain()
        assert len(sink.got) == taken


class TestASpoiledDelivery:
    @pytest.mark.parametrize("spoiled", ["tamper", "wrong_secret", "stale"])
    def test_is_refused_and_arrives_well_the_next_time(
        self, stripe_simulator: Simulator, sink: Sink, spoiled: str
    ) -> None:
        stripe_simulator.register(sink.url)
        stripe_simulator.deliver({spoiled: 301 if spoiled == "stale" else True})
        sink.statuses.append(400)
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        stripe_simulator.advance(6)
        stripe_simulator.drain()
        assert sink.verdicts(SECRET) == ["SignatureVerificationError", "ok"]

    def test_may_come_from_the_future(self, stripe_simulator: Simulator, sink: Sink) -> None:
        """The SDK accepts it: its tolerance has no upper bound, so the product needs one of its own."""
        stripe_simulator.register(sink.url)
        stripe_simulator.deliver({"future": 86_400})
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        assert sink.verdicts(SECRET) == ["ok"]
        assert int(sink.got[0][1].split(",")[0].removeprefix("t=")) > stripe_simulator.now() + 86_000

    def test_may_come_several_times_and_once_more_under_another_id(
        self, stripe_simulator: Simulator, sink: Sink
    ) -> None:
        stripe_simulator.register(sink.url)
        stripe_simulator.deliver({"duplicate": 2, "twin": True})
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        ids = [event["id"] for event in sink.events()]
        assert (len(ids), len(set(ids))) == (4, 2)

    def test_may_be_held_and_released_in_another_order(self, stripe_simulator: Simulator, sink: Sink) -> None:
        stripe_simulator.register(sink.url)
        stripe_simulator.deliver({"hold": True}, senders=1)
        _change(stripe_simulator, "abc")
        stripe_simulator.drain()
        assert sink.got == []
        stripe_simulator.deliver(senders=1)
        assert stripe_simulator.release("reversed") == 4
        stripe_simulator.drain()
        assert [event["data"]["object"]["name"] for event in sink.events()] == ["c", "b", "a", "new"]

    def test_may_be_dropped_and_is_found_in_the_list_of_events(
        self, stripe_simulator: Simulator, sink: Sink
    ) -> None:
        stripe_simulator.register(sink.url)
        stripe_simulator.deliver({"drop": True, "types": ["customer.updated"], "count": 1})
        _change(stripe_simulator, "ab")
        stripe_simulator.drain()
        assert sorted(sink.types()) == ["customer.created", "customer.updated"]
        [missed] = stripe_simulator.sdk().v1.events.list({"delivery_success": False}).data
        assert missed.type == "customer.updated"

    def test_is_signed_twice_while_a_secret_is_rolled(self, stripe_simulator: Simulator, sink: Sink) -> None:
        endpoint = stripe_simulator.register(sink.url)
        new = stripe_simulator.post("roll", endpoint=endpoint["id"])["secret"]
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        assert (sink.verdicts(SECRET), sink.verdicts(new)) == (["ok"], ["ok"])
        stripe_simulator.advance(86_401)
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        assert (sink.verdicts(SECRET)[1], sink.verdicts(new)[1]) == ("SignatureVerificationError", "ok")


class TestAnEndpoint:
    def test_tells_its_secret_once(self, stripe_simulator: Simulator, sink: Sink) -> None:
        client = stripe_simulator.sdk()
        params: Any = {"url": sink.url, "enabled_events": ["*"], "api_version": "2026-05-27.dahlia"}
        made = client.v1.webhook_endpoints.create(params)
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id)
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        assert (sink.verdicts(made.secret), sink.events()[0]["api_version"]) == (["ok"], "2026-05-27.dahlia")
        assert client.v1.webhook_endpoints.delete(made.id).deleted
        _change(stripe_simulator, "")
        stripe_simulator.drain()
        assert len(sink.got) == 1


class TestTheListOfEvents:
    def test_walks_towards_the_present_oldest_first(self, stripe_simulator: Simulator) -> None:
        _change(stripe_simulator, "abcde")
        client = stripe_simulator.sdk()
        oldest = client.v1.events.list({"limit": 100}).data[-1]
        names = [
            event.data.object["name"]
            for event in client.v1.events.list({"ending_before": oldest.id, "limit": 2}).auto_paging_iter()
        ]
        assert names == ["a", "b", "c", "d", "e"]

    def test_takes_a_group_or_up_to_twenty_types(self, stripe_simulator: Simulator) -> None:
        _change(stripe_simulator, "a")
        client = stripe_simulator.sdk()
        assert len(client.v1.events.list({"type": "customer.*"}).data) == 2
        assert len(client.v1.events.list({"types": ["customer.updated"]}).data) == 1
        for wrong in ({"types": ["a"] * 21}, {"type": "customer.*", "types": ["customer.updated"]}):
            given: Any = wrong
            with pytest.raises(stripe.InvalidRequestError):
                client.v1.events.list(given)

    def test_keeps_thirty_days(self, stripe_simulator: Simulator) -> None:
        _change(stripe_simulator, "")
        stripe_simulator.advance(30 * 86_400)
        assert stripe_simulator.sdk().v1.events.list().data == []
