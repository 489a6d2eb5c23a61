"""From the inbox to one effect: order, repetition, failure, death of a worker (W1, W2, S82, S83, S84, S86)."""

from collections.abc import Iterator
from typing import Any

import pytest

from billing.stripe_gateway import NotAtProcessor, ProcessorUnavailable, Unreadable
from common.transactions import run_in_transaction
from tests.builders.deliveries import Objects, deliver, event, handling, identifier, make_due, row_of
from tests.builders.signing import SECRET
from webhooks.operations.inbound.claiming import Claim, claim_subjects, offer_subjects
from webhooks.operations.inbound.processing import _finish, process_due, process_subjects
from webhooks.operations.inbound.replaying import replay_event
from webhooks.queries.inbox import InboxEvent
from webhooks.rules.inbound.judging import MOST_ATTEMPTS


@pytest.fixture
def objects(settings: Any) -> Iterator[Objects]:
    settings.STRIPE_WEBHOOK_SECRETS = (SECRET,)
    with handling(Objects()) as found:
        process_due()  # what other tests left
        found.fetched.clear()
        yield found


def arrived(object_id: str, type: str = "payment_intent.succeeded") -> dict[str, Any]:
    value = event(type, object_id)
    assert deliver(value).status_code == 200
    return value


def subject(value: dict[str, Any]) -> str:
    return f"/payment:{value['data']['object']['id']}"


def claim(value: dict[str, Any]) -> Claim:
    (found,) = run_in_transaction(lambda cur: claim_subjects(cur, [subject(value)]))
    return found


def state(value: dict[str, Any]) -> tuple[str, str | None]:
    row = row_of(value)
    return row.state, row.reason


def end_lease_by_time(value: dict[str, Any]) -> None:
    run_in_transaction(
        lambda cur: cur.execute(
            "UPDATE stripe_leases SET leased_until = clock_timestamp() WHERE subject = %s", (subject(value),)
        )
    )


class TestAnEvent:
    def test_leads_to_what_its_object_is_now(self, objects: Objects) -> None:
        name = identifier("pi")
        objects.now[name] = 7
        value = arrived(name)
        assert process_due() == 1
        assert objects.effect(name) == "7"
        row = row_of(value)
        assert (row.state, row.reason, row.detail, row.attempts) == ("applied", "applied", "by the test", 0)
        assert row.next_at is None and row.finished_at is not None
        assert process_due() == 0

    def test_of_one_object_is_one_work_with_all_the_others(self, objects: Objects) -> None:
        name = identifier("pi")
        types = ("payment_intent.created", "payment_intent.succeeded", "payment_intent.processing")
        values = [arrived(name, one) for one in types]
        process_due()
        assert objects.fetched == [name]
        assert {state(value)[0] for value in values} == {"applied"}

    def test_that_comes_while_its_object_is_in_work_is_worked_on_afterwards(self, objects: Objects) -> None:
        name = identifier("pi")
        first = arrived(name)
        held = claim(first)
        objects.now[name] = 1
        fetched = objects.fetch(name, None)
        objects.now[name] = 2
        second = arrived(name)
        assert process_subjects([subject(first)]) == 0
        _finish(held, fetched)
        assert (objects.effect(name), state(first)[0], state(second)[0]) == ("1", "applied", "received")
        make_due(row_of(second).id)
        process_due()
        assert (objects.effect(name), state(second)[0]) == ("2", "applied")

    @pytest.mark.parametrize(
        ("outcome", "expected"), [("unchanged", "applied"), ("parked", "parked"), ("foreign", "parked")]
    )
    def test_is_in_the_state_that_its_operation_says(
        self, objects: Objects, outcome: str, expected: str
    ) -> None:
        objects.outcome = outcome
        value = arrived(identifier("pi"))
        process_due()
        assert state(value) == (expected, outcome)

    def test_that_is_parked_is_looked_at_again(self, objects: Objects) -> None:
        objects.outcome = "parked"
        value = arrived(identifier("pi"))
        process_due()
        assert row_of(value).next_at is not None
        objects.outcome = "applied"
        make_due(row_of(value).id)
        process_due()
        assert state(value) == ("applied", "applied")

    @pytest.mark.parametrize(
        ("error", "reason"),
        [(NotAtProcessor("no"), "not_at_processor"), (Unreadable("what"), "unknown_shape")],
        ids=str,
    )
    def test_whose_object_cannot_be_had_or_read_is_parked(
        self, objects: Objects, error: Exception, reason: str
    ) -> None:
        objects.error = error
        value = arrived(identifier("pi"))
        process_due()
        assert state(value) == ("parked", reason)


class TestAFailure:
    @pytest.mark.parametrize("place", ["error", "apply_error"])
    def test_moves_nothing_and_is_tried_again(self, objects: Objects, place: str) -> None:
        name = identifier("pi")
        setattr(objects, place, RuntimeError("broken"))
        value = arrived(name)
        process_due()
        row = row_of(value)
        assert (row.state, row.reason, row.attempts, objects.effect(name)) == ("received", "failed", 1, None)
        assert row.detail == "RuntimeError: broken"
        setattr(objects, place, None)
        make_due(row.id)
        process_due()
        assert (state(value)[0], objects.effect(name)) == ("applied", "0")

    def test_of_the_eighth_attempt_makes_a_dead_letter_that_a_replay_revives(self, objects: Objects) -> None:
        name = identifier("pi")
        objects.error = RuntimeError("broken")
        value = arrived(name)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            make_due(row_of(value).id)
            process_due()
            assert row_of(value).attempts == attempt
        assert state(value) == ("dead", "failed")
        assert process_due() == 0
        objects.error = None
        for _ in range(2):
            assert replayed(row_of(value)) == "received"
            process_due()
            assert (state(value)[0], row_of(value).attempts, objects.effect(name)) == ("applied", 0, "0")

    def test_that_is_only_busy_is_not_counted(self, objects: Objects) -> None:
        objects.error = ProcessorUnavailable(retry_after=1)
        value = arrived(identifier("pi"))
        for _ in range(MOST_ATTEMPTS + 2):
            make_due(row_of(value).id)
            process_due()
        assert (state(value), row_of(value).attempts) == (("received", "busy"), 0)

    def test_of_one_object_stops_no_other(self, objects: Objects) -> None:
        values = [arrived(identifier("pi")) for _ in range(3)]
        bad = values[1]["data"]["object"]["id"]
        fetch = objects.fetch

        def fetched(name: str, account: str | None) -> Any:
            if name == bad:
                raise RuntimeError("broken")
            return fetch(name, account)

        objects.fetch = fetched  # type: ignore[method-assign]
        with handling(objects):
            process_due()
        assert [state(value)[0] for value in values] == ["applied", "received", "applied"]


class TestADeadWorker:
    def test_leaves_what_another_one_does_when_its_lease_has_ended(self, objects: Objects) -> None:
        name = identifier("pi")
        value = arrived(name)
        claim(value)
        assert (state(value)[0], process_due()) == ("processing", 0)
        end_lease_by_time(value)
        make_due(row_of(value).id)
        assert process_due() == 1
        assert (state(value)[0], objects.effect(name)) == ("applied", "0")

    def test_that_comes_back_late_writes_nothing_old(self, objects: Objects) -> None:
        name = identifier("pi")
        value = arrived(name)
        late = claim(value)
        objects.now[name] = 1
        old = objects.fetch(name, None)
        objects.now[name] = 2
        end_lease_by_time(value)
        make_due(row_of(value).id)
        process_due()
        assert objects.effect(name) == "2"
        _finish(late, old)
        assert (objects.effect(name), state(value)[0]) == ("2", "applied")

    def test_is_counted_so_that_no_event_kills_workers_for_ever(self, objects: Objects) -> None:
        value = arrived(identifier("pi"))
        for _ in range(MOST_ATTEMPTS):
            claim(value)
            end_lease_by_time(value)
        make_due(row_of(value).id)
        process_due()
        assert state(value) == ("dead", "crashed")


class TestALostMessage:
    def test_is_made_good_by_handing_out_again(self, objects: Objects) -> None:
        value = arrived(identifier("pi"))
        offered = run_in_transaction(lambda cur: offer_subjects(cur, limit=1000))
        assert subject(value) in offered
        assert subject(value) not in run_in_transaction(lambda cur: offer_subjects(cur, limit=1000))
        make_due(row_of(value).id)  # its time has passed
        assert process_due() == 1
        assert state(value)[0] == "applied"


def replayed(row: InboxEvent) -> str:
    return run_in_transaction(lambda cur: replay_event(cur, identifier=row.id, author_name="a test"))
