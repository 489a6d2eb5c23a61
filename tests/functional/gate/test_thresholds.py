"""What thresholds do to calls, and that each fires once per window and arming (S34 to S37, S42)."""

from typing import Any

import pytest

from spend.rules.budgetfacts import Budget
from spend.rules.thresholds import parse_thresholds
from tests.builders.crowd import Client, crowd
from tests.builders.gate import Customer, make_customer, reserve_body
from tests.builders.orgs import Caller, caller, events_of, unique
from tests.invariants import assert_sound

LEAST = "0.00000001"
SUBJECT = {"run": "r-1"}


def at(*levels: tuple[int, str], **more: Any) -> list[dict[str, Any]]:
    """Thresholds by percent; `more` belongs to the last of them."""
    stated = [{"percent": percent, "action": action} for percent, action in levels]
    return [*stated[:-1], {**stated[-1], **more}]


def budget(customer: Customer, thresholds: list[dict[str, Any]], **given: Any) -> Budget:
    """A budget of 10 USD a day for the whole organization."""
    unit = given.get("unit", "USD")
    parsed = parse_thresholds(thresholds, unit=unit)
    return customer.budget(given.pop("limit", "10"), thresholds=parsed, **given)


def crossed(customer: Customer) -> list[dict[str, Any]]:
    """The thresholds that have fired, in their order."""
    return [data for kind, _, _, _, data in events_of(customer.id) if kind == "threshold.crossed"]


def fired(customer: Customer) -> list[tuple[str, int]]:
    return [(data["action"], data["percent"]) for data in crossed(customer)]


def admin(customer: Customer) -> Caller:
    return caller(customer.id)


def spend(customer: Customer, amount: str, **given: Any) -> None:
    """A call that was made and committed."""
    name = customer.reserved(amount, **given)["id"]
    assert customer.commit(name, amount).status_code == 200


def code(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("code")


class TestAThreshold:
    def test_fires_once_with_who_what_and_how_much(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "notify"), (80, "notify")))
        spend(customer, "4.99999999")
        assert crossed(customer) == []
        held = customer.reserved(LEAST, subject=SUBJECT)
        assert held["warnings"] == [{"code": "threshold_reached", "budget_id": str(made.id), "percent": 50}]
        (said,) = crossed(customer)
        assert {
            name: said[name] for name in ("budget", "action", "percent", "used", "limit", "unit", "level")
        } == {
            "budget": str(made.id),
            "action": "notify",
            "percent": 50,
            "used": 500_000_000,
            "limit": 1_000_000_000,
            "unit": "USD",
            "level": 500_000_000,
        }
        assert (said["run"], said["mode"]) == ("r-1", "enforce")
        spend(customer, "1")
        customer.release(held["id"])
        spend(customer, "0.5")
        assert fired(customer) == [("notify", 50)]
        assert_sound(customer.id, within_limits=True)

    def test_fires_with_all_below_it_when_one_call_passes_several(self) -> None:
        customer = make_customer()
        budget(customer, at((10, "notify"), (50, "notify"), (80, "notify"), (90, "notify")))
        customer.reserved("8")
        assert fired(customer) == [("notify", 10), ("notify", 50), ("notify", 80)]

    def test_of_an_amount_fires_in_its_place_between_percents(self) -> None:
        customer = make_customer()
        levels = [*at((50, "notify"), (80, "notify")), {"amount": "6", "action": "notify"}]
        budget(customer, levels)
        customer.reserved("5")
        customer.reserved("1")
        customer.reserved("2")
        assert [data["level"] for data in crossed(customer)] == [5 * 10**8, 6 * 10**8, 8 * 10**8]

    def test_fires_by_what_was_used_beyond_the_estimate(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "notify")))
        name = customer.reserved("1")["id"]
        customer.commit(name, "5")
        assert fired(customer) == [("notify", 50)]

    def test_fires_by_usage_without_a_reservation(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "notify")), window="lifetime")
        assert customer.use("5").status_code == 201
        assert fired(customer) == [("notify", 50)]

    def test_is_armed_anew_by_the_next_window(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "notify")))
        spend(customer, "6")
        customer.pass_time(days=1)
        spend(customer, "4")
        assert fired(customer) == [("notify", 50)]
        spend(customer, "1")
        assert fired(customer) == [("notify", 50)] * 2

    def test_is_armed_anew_by_a_change_of_the_limit_but_not_of_the_mode(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "notify")))
        spend(customer, "5")
        path = f"/v1/budgets/{made.id}"
        for mode in ("off", "enforce"):
            assert admin(customer).patch(path, {"mode": mode}).status_code == 200
        spend(customer, "0.5")
        assert fired(customer) == [("notify", 50)]
        customer.change_budget(made, limit="20")
        assert fired(customer) == [("notify", 50)]
        spend(customer, "4.5")
        assert fired(customer) == [("notify", 50)] * 2

    def test_of_everyones_budget_fires_for_each_target_by_itself(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        budget(customer, at((50, "notify")), scope="agent")
        for agent in ("bot", "other", "bot"):
            spend(customer, "5", subject={"agent": agent})
        assert [data["target"] for data in crossed(customer)] == ["bot", "other"]

    @pytest.mark.parametrize("window", ["rolling", "run", "lifetime", "hour"])
    def test_fires_once_in_every_kind_of_window(self, window: str) -> None:
        customer = make_customer()
        more = {"rolling_seconds": 3_600} if window == "rolling" else {}
        budget(customer, at((50, "notify")), window=window, **more)
        for _ in range(4):
            spend(customer, "2", subject=SUBJECT)
        assert fired(customer) == [("notify", 50)]

    def test_is_not_fired_by_a_dry_run_or_a_refused_call(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "notify")))
        customer.dry("6")
        assert code(customer.reserve("11")) == (402, "too_large")
        assert crossed(customer) == []


class TestManyClientsAtOnce:
    def test_fire_every_threshold_once(self, web: str) -> None:
        customer = make_customer("1000")
        made = budget(
            customer,
            at((10, "notify"), (30, "notify"), (60, "pause"), (90, "notify"), (100, "block")),
            limit="64",
        )

        def work(client: Client, place: int) -> None:
            for _ in range(4):
                held = client.post("/v1/reservations", reserve_body("1"), key=unique())
                if held.status == 201:
                    body = {"outcome": "completed", "amount": "1"}
                    client.post(f"/v1/reservations/{held.json()['id']}/commit", body, key=unique())

        crowd(web, customer.api.secret, work, clients=32)
        assert fired(customer) == [("notify", 10), ("notify", 30), ("pause", 60)]
        kinds = [kind for kind, *_ in events_of(customer.id)]
        assert (kinds.count("switch.set"), kinds.count("incident.opened")) == (1, 1)
        (counter,) = admin(customer).get(f"/v1/budgets/{made.id}").json()["counters"]
        assert (
            counter["spent"] == "39"
        )  # the call that reaches 60 % of 64 is the last: 38.4 is met by the 39th
        assert_sound(customer.id, within_limits=True)

    def test_ask_for_one_approval_and_are_refused_once_told(self, web: str) -> None:
        customer = make_customer("1000")
        budget(customer, at((50, "require_approval")), limit="64")

        def work(client: Client, place: int) -> list[int]:
            return [client.post("/v1/reservations", reserve_body("1"), key=unique()).status for _ in range(4)]

        replies = [
            status for several in crowd(web, customer.api.secret, work, clients=32) for status in several
        ]
        assert (replies.count(201), replies.count(403)) == (32, 96)
        assert fired(customer) == [("require_approval", 50)]
        assert len(admin(customer).get("/v1/approvals").json()["data"]) == 1

    def test_are_refused_by_a_block_that_fires_once(self, web: str) -> None:
        customer = make_customer("1000")
        budget(customer, at((50, "block")), limit="64")

        def work(client: Client, place: int) -> None:
            for _ in range(4):
                held = client.post("/v1/reservations", reserve_body("1"), key=unique())
                if held.status == 201:
                    body = {"outcome": "completed", "amount": "1"}
                    client.post(f"/v1/reservations/{held.json()['id']}/commit", body, key=unique())

        crowd(web, customer.api.secret, work, clients=32)
        assert fired(customer) == [("block", 50)]
        assert [kind for kind, *_ in events_of(customer.id)].count("incident.opened") == 1
        assert_sound(customer.id, within_limits=True)


class TestBlock:
    @pytest.mark.parametrize("percent", [50, 100])
    def test_lets_what_ends_exactly_on_it_pass_and_refuses_the_least_above(self, percent: int) -> None:
        customer = make_customer()
        budget(customer, at((percent, "block")))
        level = percent // 10
        spend(customer, str(level - 1))
        assert code(customer.reserve(f"1{LEAST[1:]}")) == (402, "budget_exhausted")
        customer.reserved("1")
        assert code(customer.reserve(LEAST)) == (409, "budget_busy")
        assert_sound(customer.id, within_limits=True)

    def test_ends_by_itself_with_the_window(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "block")))
        spend(customer, "5")
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        customer.pass_time(days=1)
        customer.reserved("5")

    def test_ends_with_a_higher_limit(self) -> None:
        customer = make_customer()
        made = budget(customer, at((50, "block")))
        spend(customer, "5")
        assert code(customer.reserve("1")) == (402, "budget_exhausted")
        customer.change_budget(made, limit="12")
        customer.reserved("1")
        assert code(customer.reserve(LEAST)) == (409, "budget_busy")

    def test_that_refuses_before_it_is_reached_has_fired(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "block")))
        spend(customer, "3")
        for _ in range(3):
            assert code(customer.reserve("2.5")) == (402, "budget_exhausted")
        assert fired(customer) == [("block", 50)]
        spend(customer, "2")
        assert fired(customer) == [("block", 50)]


class TestPause:
    def test_waits_for_a_person_also_after_the_window(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "pause")), scope="agent")
        spend(customer, "5")
        assert fired(customer) == [("pause", 50)]
        assert code(customer.reserve("1")) == (403, "paused")
        customer.pass_time(days=1)
        assert code(customer.reserve("1")) == (403, "paused")
        resumed = admin(customer).post("/v1/agents/bot/resume", {"reason": "looked at it"})
        assert resumed.status_code == 200
        customer.reserved("1")

    def test_stops_its_target_only(self) -> None:
        customer = make_customer(agents=("bot", "other"))
        budget(customer, at((50, "pause")), scope="agent")
        spend(customer, "5")
        assert code(customer.reserve("1")) == (403, "paused")
        customer.reserved("1", subject={"agent": "other"})

    def test_is_not_set_again_in_the_window_in_which_a_person_resumed(self) -> None:
        customer = make_customer()
        budget(customer, at((50, "pause")), scope="agent")
        spend(customer, "5")
        assert admin(customer).post("/v1/agents/bot/resume", {"reason": "go on"}).status_code == 200
        spend(customer, "1")
        customer.reserved("1")
        assert fired(customer) == [("pause", 50)]
