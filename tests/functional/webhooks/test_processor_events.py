"""From a delivery of the simulator's over HTTP to the books, and what was never delivered found again (S82, S88)."""

import json
from typing import Any

import pytest
import stripe

from billing.stripe_gateway.client import LONGEST_CALL_SECONDS
from common.transactions import run_in_transaction
from tests.builders.deliveries import event, make_due, post, row_of, stored
from tests.builders.orgs import caller, make_organization, platform
from tests.builders.processor import CENT, Payer, effects, header, listed, payer, state
from tests.builders.stripe import Simulator
from tests.invariants import Still, assert_sound, reading
from webhooks.operations.inbound.catching_up import catch_up, catch_up_objects
from webhooks.operations.inbound.claiming import claim_subjects, lease_of
from webhooks.operations.inbound.handlers import handler_of
from webhooks.operations.inbound.processing import process_due
from webhooks.operations.inbound.routing import CALLS
from webhooks.operations.inbound.storing import subject_text
from webhooks.queries.inbox import list_inbox


@pytest.fixture
def customer(stripe_simulator: Simulator) -> Payer:
    process_due()
    forget_watermarks()
    return payer(stripe_simulator)


def forget_watermarks() -> None:
    """The simulator of another test had other events."""
    run_in_transaction(
        lambda cur: cur.execute("UPDATE stripe_watermarks SET event = NULL, created = NULL, swept_at = NULL")
    )


def move_watermarks(to: str) -> None:
    """Let what was seen last be so old."""
    run_in_transaction(lambda cur: cur.execute(f"UPDATE stripe_watermarks SET {to} WHERE account = ''"))


def listed_since(simulator: Simulator, before: int) -> set[str]:
    """What the processor was asked for after so many requests."""
    return {entry["path"] for entry in simulator.requests()[before:]}


def deliver_all(simulator: Simulator) -> list[dict[str, Any]]:
    bodies = listed(simulator)
    for body in bodies:
        assert post(body, header(body)).status_code == 200
    return [json.loads(body) for body in bodies]


def process_all() -> None:
    while process_due():
        pass


def effects_as_readers_see_them(customer: Payer, *objects: str) -> dict[tuple[str, str], int]:
    """How often each effect stands in v_effects: of these objects at the processor, and of the customer's journal."""
    asked = """SELECT source, effect_key, count FROM v_effects
        WHERE source = ANY(%s) OR (source = 'journal' AND starts_with(effect_key, %s))"""
    with reading() as connection:
        found = connection.execute(asked, (list(objects), f"{customer.organization}:")).fetchall()
    assert len(found) == len({(source, key) for source, key, _ in found})
    return {(source, key): count for source, key, count in found}


def entries_as_readers_see_them(customer: Payer) -> set[tuple[str, str]]:
    """The keys of the customer's journal, as v_effects writes them."""
    with reading() as connection:
        found = connection.execute(
            "SELECT organization || ':' || idempotency_key FROM v_entries WHERE organization = %s",
            (customer.organization,),
        ).fetchall()
    return {("journal", key) for (key,) in found}


def credit(customer: Payer) -> int:
    return int(state(customer.organization)["balances"].get("customer_credit", 0))


class TestADeliveryOfTheProcessor:
    def test_reaches_the_books_through_the_real_servers(
        self, web: str, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        stripe_simulator.register(f"{web}/webhooks/stripe/")
        stripe_simulator.register(f"{web}/webhooks/stripe", version="2025-02-24.acacia")
        customer.pay(2_500)
        stripe_simulator.drain()
        assert {entry["state"] for entry in stripe_simulator.deliveries()} == {"delivered"}
        process_all()
        assert credit(customer) == 2_500 * CENT
        assert effects(customer.organization) >= 1
        assert_sound(customer.organization)

    def test_of_every_kind_ends_in_one_effect_each(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        intent = customer.pay(10_000)
        stripe_simulator.refund(intent.latest_charge, 1_000)
        other = customer.pay(5_000)
        dispute = stripe_simulator.dispute(other.latest_charge)
        stripe_simulator.close_dispute(dispute["id"], "lost")
        stripe_simulator.warn(intent.latest_charge)
        deliver_all(stripe_simulator)
        process_all()
        found = state(customer.organization)
        assert [row[0] for row in found["payments"]] == ["succeeded", "succeeded"]
        assert found["refunds"] == [(1_000 * CENT, "succeeded")]
        assert [row[:2] for row in found["disputes"]] == [(5_000 * CENT, "lost")]
        assert credit(customer) == 9_000 * CENT
        with Still(customer.organization):
            deliver_all(stripe_simulator)
            process_all()
        assert_sound(customer.organization)

    def test_stands_once_in_the_view_of_effects_however_often_it_is_told(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        intent = customer.pay(2_500)
        refund = stripe_simulator.refund(intent.latest_charge, 500)
        objects = (f"payment_intent:{intent.id}", f"refund:{refund['id']}")
        assert effects_as_readers_see_them(customer, *objects) == {}
        for _ in range(2):
            deliver_all(stripe_simulator)
            process_all()
        found = effects_as_readers_see_them(customer, *objects)
        assert {source for source, _ in found} == {"journal", *objects}
        assert set(found.values()) == {1}
        assert {name for name in found if name[0] == "journal"} == entries_as_readers_see_them(customer)
        assert len(entries_as_readers_see_them(customer)) >= 2

    def test_that_was_declined_first_is_credited_once(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        payment = customer.ask(1_200)
        with pytest.raises(stripe.CardError):
            customer.pay(1_200, "pm_card_visa_chargeDeclined", payment=payment)
        deliver_all(stripe_simulator)
        process_all()
        assert credit(customer) == 0
        customer.pay(1_200, payment=payment)
        deliver_all(stripe_simulator)
        process_all()
        assert credit(customer) == 1_200 * CENT

    def test_whose_fee_comes_late_is_booked_with_its_charge(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        stripe_simulator.next_payment(customer.customer, "fee_later")
        customer.pay(1_000)
        deliver_all(stripe_simulator)
        process_all()
        assert "processor_fees" not in state(customer.organization)["balances"]
        stripe_simulator.advance(3_600)
        deliver_all(stripe_simulator)
        process_all()
        assert state(customer.organization)["balances"]["processor_fees"] == -59 * CENT

    def test_of_a_payment_that_is_not_ours_is_parked_and_moves_nothing(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        with Still(customer.organization):
            stripe_simulator.sdk().v1.payment_intents.create(
                {"amount": 700, "currency": "usd", "customer": customer.customer, "payment_method": "pm_card_visa",
                 "confirm": True, "off_session": True}
            )  # fmt: skip
            events = deliver_all(stripe_simulator)
            process_all()
        (value,) = [event for event in events if event["type"] == "payment_intent.succeeded"]
        row = row_of(value)
        assert (row.state, row.reason, row.next_at) == ("parked", "foreign", None)

    def test_whose_object_is_away_waits_for_the_processor(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        customer.pay(900)
        events = deliver_all(stripe_simulator)
        stripe_simulator.fail({"kind": "error_before", "path": "/v1/payment_intents/.*", "count": 100})
        process_due()
        (value,) = [event for event in events if event["type"] == "payment_intent.succeeded"]
        assert (row_of(value).state, row_of(value).reason, row_of(value).attempts) == ("received", "busy", 0)
        stripe_simulator.fail()
        make_due(row_of(value).id)
        process_all()
        assert credit(customer) == 900 * CENT

    @pytest.mark.parametrize(
        ("minutes", "rule", "least", "most"),
        [
            (0, {"kind": "error_before"}, 2, 6),
            (2, {"kind": "error_before"}, 28, 40),
            (60, {"kind": "error_before"}, 110, 121),
            (0, {"kind": "rate_limit", "retry_after": 20}, 18, 21),
        ],
        ids=["at once", "after two minutes", "after an hour", "asked to wait"],
    )
    def test_that_waits_for_the_processor_is_tried_again_in_growing_pauses(
        self, stripe_simulator: Simulator, customer: Payer, minutes: int, rule: Any, least: int, most: int
    ) -> None:
        customer.pay(900)
        events = deliver_all(stripe_simulator)
        (value,) = [event for event in events if event["type"] == "payment_intent.succeeded"]
        moved = "UPDATE stripe_events SET received_at = received_at - make_interval(mins => %s) WHERE id = %s"
        run_in_transaction(lambda cur: cur.execute(moved, (minutes, row_of(value).id)))
        stripe_simulator.fail({**rule, "path": "/v1/payment_intents/.*", "count": 100})
        process_due()
        (left,) = run_in_transaction(
            lambda cur: cur.execute(
                "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM stripe_events WHERE id = %s",
                (row_of(value).id,),
            ).fetchone()
        )
        assert (row_of(value).reason, least <= left <= most) == ("busy", True), left
        stripe_simulator.fail()


class TestCatchingUp:
    def test_finds_what_was_never_delivered(self, stripe_simulator: Simulator, customer: Payer) -> None:
        for cents in (1_000, 2_000, 3_000):
            customer.pay(cents)
        assert credit(customer) == 0
        assert catch_up() > 0
        process_all()
        assert credit(customer) == 6_000 * CENT
        row = next(row for row in inbox() if row.type == "payment_intent.succeeded")
        assert (row.via, row.secret, row.state) == ("list", None, "applied")
        with Still(customer.organization):
            assert catch_up() == 0
            deliver_all(stripe_simulator)
            process_all()

    def test_goes_on_where_it_was(self, stripe_simulator: Simulator, customer: Payer) -> None:
        customer.pay(1_000)
        catch_up()
        before = len(stripe_simulator.requests("GET", "/v1/events"))
        customer.pay(2_000)
        assert catch_up() > 0
        asked = stripe_simulator.requests("GET", "/v1/events")[before:]
        assert any("ending_before" in str(entry) for entry in asked)
        process_all()
        assert credit(customer) == 3_000 * CENT

    def test_after_a_month_finds_the_objects(self, stripe_simulator: Simulator, customer: Payer) -> None:
        intent = customer.pay(1_000)
        stripe_simulator.refund(intent.latest_charge, 400)
        start = inbox_time()
        assert catch_up_objects(created_from=start) > 0
        process_all()
        assert credit(customer) == 600 * CENT
        assert {row.via for row in inbox() if row.object_id == intent.id} == {"objects"}

    def test_lists_no_objects_after_a_month_in_which_nothing_happened(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        customer.pay(1_000)
        catch_up()
        move_watermarks("created = created - interval '40 days'")
        before = len(stripe_simulator.requests())
        assert catch_up() == 0
        assert listed_since(stripe_simulator, before) == {"/v1/events"}

    def test_lists_the_objects_once_where_it_did_not_look_for_a_month(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        catch_up()
        intent = customer.pay(1_000)
        move_watermarks("created = created - interval '40 days', swept_at = swept_at - interval '40 days'")
        before = len(stripe_simulator.requests())
        assert catch_up() > 0
        assert "/v1/payment_intents" in listed_since(stripe_simulator, before)
        assert intent.id in {row.object_id for row in inbox() if row.via == "objects"}
        before = len(stripe_simulator.requests())
        assert catch_up() == 0
        assert listed_since(stripe_simulator, before) == {"/v1/events"}
        process_all()
        assert credit(customer) == 1_000 * CENT

    def test_that_fails_keeps_what_it_has_and_its_place(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        customer.pay(1_000)
        broken = {"kind": "error_before", "path": "/v1/events"}
        stripe_simulator.fail({**broken, "nth": 3}, {**broken, "nth": 4})  # the SDK asks once more
        with pytest.raises(Exception, match="processor"):
            catch_up()
        stripe_simulator.fail()
        catch_up()
        process_all()
        assert credit(customer) == 1_000 * CENT

    def test_does_nothing_without_a_key(
        self, stripe_simulator: Simulator, customer: Payer, settings: Any
    ) -> None:
        settings.STRIPE_API_KEY = None
        customer.pay(100)
        assert catch_up() == 0


class TestTheInbox:
    def test_is_read_and_replayed_by_the_platform_alone(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        customer.pay(800)
        events = deliver_all(stripe_simulator)
        process_all()
        (value,) = [event for event in events if event["type"] == "payment_intent.succeeded"]
        row = stored(value["id"])
        assert row is not None
        who = platform()
        shown = who.get(f"/v1/stripe-events/{row.id}").json()
        assert (shown["event"], shown["state"], shown["attempts"], shown["endpoint"]) == (
            value["id"], "applied", 0, "platform",
        )  # fmt: skip
        assert who.get("/v1/stripe-events", event=value["id"]).json()["data"] == [shown]
        listed_ = who.get("/v1/stripe-events", state="applied", object=shown["object"], limit="1").json()
        assert listed_["next_cursor"] is not None
        with Still(customer.organization):
            again = who.post(f"/v1/stripe-events/{row.id}/replay")
            assert (again.status_code, again.json()["state"]) == (200, "received")
            process_all()
        assert who.get(f"/v1/stripe-events/{row.id}").json()["state"] == "applied"
        other = caller(make_organization(), "admin", "billing:read")
        for answer in (
            other.get("/v1/stripe-events"),
            other.get(f"/v1/stripe-events/{row.id}"),
            other.post(f"/v1/stripe-events/{row.id}/replay"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert who.get(f"/v1/stripe-events/{customer.organization}").status_code == 404
        assert who.get("/v1/stripe-events", state="lost").json()["code"] == "invalid_parameter"


def inbox() -> Any:
    return run_in_transaction(lambda cur: list_inbox(cur, limit=200))


def inbox_time() -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) - timedelta(hours=1)


class TestALease:
    def test_lasts_as_long_as_all_requests_of_a_fetch_may_take(
        self, stripe_simulator: Simulator, customer: Payer
    ) -> None:
        """Else who is slow loses its object to the next worker each time, and the event dies."""
        intent = customer.pay(1_000)
        refund = stripe_simulator.refund(intent.latest_charge, 100)
        dispute = stripe_simulator.dispute(customer.pay(900).latest_charge)
        invoice = stripe_simulator.seed(invoice={"customer": customer.customer, "amount": 500})
        stripe_simulator.sdk().v1.invoices.pay(
            invoice["id"], {"payment_method": "pm_card_visa", "off_session": True}
        )
        for kind, name in (
            ("payment", intent.id), ("charge", intent.latest_charge), ("refund", refund["id"]),
            ("charge_refunds", intent.latest_charge), ("dispute", dispute["id"]), ("invoice", invoice["id"]),
            ("customer", customer.customer),
        ):  # fmt: skip
            handler = handler_of("platform", kind)
            assert handler is not None
            before = len(stripe_simulator.requests())
            handler.fetch(name, None)
            calls = len(stripe_simulator.requests()) - before
            assert calls >= 1
            lease = lease_of(subject_text("", kind, name)).total_seconds()
            assert lease > calls * LONGEST_CALL_SECONDS, (kind, calls)
            most = max(
                calls, CALLS[kind] if kind == "invoice" else 0
            )  # of one that went back it asks for that, too
            assert lease < (most + 2) * LONGEST_CALL_SECONDS, (kind, calls)

    def test_is_the_one_of_the_row_that_is_claimed(self, customer: Payer) -> None:
        named = [subject_text("", "charge_refunds", "ch_lease"), subject_text("", "payment", "pi_lease")]
        for kind, name in (("charge.refunded", "ch_lease"), ("payment_intent.succeeded", "pi_lease")):
            body = json.dumps(event(kind, name)).encode()
            assert post(body, header(body)).status_code == 200
        assert len(run_in_transaction(lambda cur: claim_subjects(cur, named))) == 2
        found = run_in_transaction(
            lambda cur: cur.execute(
                "SELECT round(extract(epoch FROM l.leased_until - clock_timestamp()) / 10) * 10,"
                " bool_and(e.next_at = l.leased_until) FROM stripe_leases l JOIN stripe_events e USING (subject)"
                " WHERE l.subject = ANY(%s) GROUP BY l.subject, l.leased_until ORDER BY l.subject",
                (named,),
            ).fetchall()
        )
        assert [(int(left), same) for left, same in found] == [(180, True), (60, True)]
        run_in_transaction(
            lambda cur: cur.execute("DELETE FROM stripe_leases WHERE subject = ANY(%s)", (named,))
        )
        run_in_transaction(
            lambda cur: cur.execute(
                "UPDATE stripe_events SET state = 'ignored', next_at = NULL, finished_at = clock_timestamp()"
                " WHERE subject = ANY(%s)",
                (named,),
            )
        )
