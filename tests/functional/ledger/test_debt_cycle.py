"""S08: credit that was spent is taken back. The balance shows the debt, the gate is shut, a top-up opens it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.builders.books import balances, one
from tests.builders.gate import UNIT, Customer, body_of, make_customer
from tests.builders.orgs import Caller, platform, unique
from tests.invariants import Still, assert_sound


def take_back(customer: Customer, amount: str, source: str | None = None) -> Any:
    body = {
        "organization": str(customer.id), "amount": amount, "currency": "USD",
        "source": source or f"dispute:{unique()}", "reason": "The customer disputes the charge",
    }  # fmt: skip
    return platform().post("/v1/credits/clawbacks", body, key=unique())


def top_up(customer: Customer, amount: str, **given: Any) -> dict[str, Any]:
    body = {
        "organization": str(customer.id), "amount": amount, "currency": "USD", "kind": "paid", "reason": "Top-up",
        **given,
    }  # fmt: skip
    return body_of(platform().post("/v1/credits/grants", body, key=unique()), 201)


def figures(customer: Customer) -> dict[str, str]:
    shown = customer.api.get("/v1/balance").json()
    return {name: shown[name] for name in ("posted", "held", "available", "debt")}


def books(customer: Customer) -> dict[str, int]:
    """What is posted, but for what the provider takes."""
    found = balances(customer.id)
    assert found.pop("provider_cost", 0) + found.pop("provider_payable", 0) == 0
    return found


def refused(customer: Customer, amount: str = "0.00000001") -> dict[str, Any]:
    answer = customer.reserve(amount)
    assert (answer.status_code, answer.json()["code"]) == (402, "credit_exhausted"), answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_dispute_after_the_credit_was_spent_shuts_the_gate_until_a_top_up() -> None:
    customer = make_customer("100")
    body_of(customer.commit(customer.reserved("80")["id"], "80"), 200)
    assert figures(customer) == {"posted": "20", "held": "0", "available": "20", "debt": "0"}

    entry = body_of(take_back(customer, "100"), 201)
    assert {line["kind"]: line["amount"] for line in entry["lines"]} == {
        "customer_credit": "-100",
        "cash": "100",
    }
    assert figures(customer) == {"posted": "-80", "held": "0", "available": "-80", "debt": "80"}
    assert books(customer) == {"customer_credit": -80 * UNIT, "revenue": 80 * UNIT}

    with Still(customer.id, decisions=1):
        binding = refused(customer)["binding"]
    assert (binding["scope"], binding["requested"]) == ("credit", "0.00000001")

    top_up(customer, "79.99")
    assert figures(customer) == {"posted": "-0.01", "held": "0", "available": "-0.01", "debt": "0.01"}
    refused(customer)
    top_up(customer, "5")
    assert figures(customer) == {"posted": "4.99", "held": "0", "available": "4.99", "debt": "0"}
    refused(customer, "4.99000001")
    customer.reserved("4.99")
    assert_sound(customer.id)


def test_the_same_dispute_is_posted_once() -> None:
    customer = make_customer("10")
    source = f"dispute:{unique()}"
    first = body_of(take_back(customer, "4", source), 201)
    with Still(customer.id):
        again = body_of(take_back(customer, "4", source), 201)
    assert first["id"] == again["id"]
    assert figures(customer)["posted"] == "6"


def test_what_is_held_is_not_taken_from_its_reservation_and_becomes_debt() -> None:
    customer = make_customer("10")
    reservation = customer.reserved("10")["id"]
    take_back(customer, "10")
    assert figures(customer) == {"posted": "0", "held": "10", "available": "-10", "debt": "10"}
    refused(customer)
    body_of(customer.commit(reservation, "7"), 200)
    assert figures(customer) == {"posted": "-7", "held": "0", "available": "-7", "debt": "10"}
    assert_sound(customer.id)
    top_up(customer, "20")
    assert figures(customer) == {"posted": "13", "held": "0", "available": "13", "debt": "0"}
    customer.reserved("13")
    assert_sound(customer.id)


def test_paid_credit_is_taken_before_promotional_and_the_newest_first() -> None:
    customer = make_customer("10")
    newest = top_up(customer, "5")
    gift = top_up(customer, "3", kind="promotional")
    take_back(customer, "6")
    left = {grant["id"]: grant["remaining"] for grant in customer.api.get("/v1/balance").json()["grants"]}
    assert newest["id"] not in left
    assert left[gift["id"]] == "3"
    assert sorted(left.values()) == ["3", "9"]
    assert figures(customer) == {"posted": "12", "held": "0", "available": "12", "debt": "0"}
    assert_sound(customer.id)


def test_unused_paid_credit_is_given_back_without_debt() -> None:
    customer = make_customer("0")
    grant = top_up(customer, "50")["id"]
    reservation = customer.reserved("20")["id"]
    path = f"/v1/credits/grants/{grant}/refund"

    def refund(amount: str) -> Any:
        return platform().post(path, {"amount": amount, "reason": "Account is closed"}, key=unique())

    with Still(customer.id):
        assert refund("30.00000001").status_code == 422
    entry = body_of(refund("30"), 201)
    assert entry["source"] == f"grant:{grant}"
    assert figures(customer) == {"posted": "20", "held": "20", "available": "0", "debt": "0"}
    with Still(customer.id):
        assert refund("0.01").status_code == 422
    customer.release(reservation)
    body_of(refund("20"), 201)
    assert figures(customer) == {"posted": "0", "held": "0", "available": "0", "debt": "0"}
    refused(customer)
    assert books(customer) == {}
    assert_sound(customer.id)


def test_what_is_owed_is_not_given_back() -> None:
    customer = make_customer("10")
    reservation = customer.reserved("10")["id"]
    take_back(customer, "10")
    grant = one("SELECT id FROM credit_grants WHERE organization = %s", customer.id)
    customer.release(reservation)
    with Still(customer.id):
        answer = platform().post(
            f"/v1/credits/grants/{grant}/refund", {"amount": "0.01", "reason": "x"}, key=unique()
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "amount_exceeds_available")


class TestExpiry:
    """Expired credit is not spendable, swept or not; what is held at its end stays until its hold ends."""

    def _expiring(self, amount: str = "10", **span: float) -> Customer:
        customer = make_customer("0")
        customer.grant(amount, kind="promotional", lifetime=timedelta(**(span or {"hours": 1})))
        return customer

    def test_an_expired_grant_is_not_spendable_before_it_is_swept(self) -> None:
        customer = self._expiring()
        customer.pass_time(minutes=59)
        customer.release(customer.reserved("10")["id"])
        customer.pass_time(minutes=2)
        assert figures(customer) == {"posted": "10", "held": "0", "available": "0", "debt": "0"}
        with Still(customer.id, decisions=1):
            refused(customer)
        assert customer.expire_grants() == 1
        assert figures(customer) == {"posted": "0", "held": "0", "available": "0", "debt": "0"}
        assert books(customer) == {"promotional_expense": -10 * UNIT, "breakage": 10 * UNIT}
        refused(customer)
        assert customer.expire_grants() == 0
        assert_sound(customer.id)

    def test_a_grant_is_not_spendable_before_it_is_in_effect(self) -> None:
        customer = make_customer("0")
        now = one("SELECT clock_timestamp()")
        customer.grant("10", effective_at=now + timedelta(hours=1))
        assert figures(customer) == {"posted": "10", "held": "0", "available": "0", "debt": "0"}
        refused(customer)
        customer.pass_time(hours=1, seconds=1)
        customer.reserved("10")

    def test_what_is_held_at_its_end_is_burnt_by_the_commit_and_the_rest_is_breakage(self) -> None:
        customer = self._expiring()
        reservation = customer.reserved("6", ttl_seconds=7_200)["id"]
        customer.pass_time(hours=1, seconds=1)
        assert customer.expire_grants() == 1
        assert figures(customer) == {"posted": "6", "held": "6", "available": "0", "debt": "0"}
        assert books(customer)["breakage"] == 4 * UNIT
        body_of(customer.commit(reservation, "1.5"), 200)
        assert figures(customer) == {"posted": "0", "held": "0", "available": "0", "debt": "0"}
        assert books(customer) == {
            "promotional_expense": -10 * UNIT, "breakage": 85 * UNIT // 10, "revenue": 15 * UNIT // 10,
        }  # fmt: skip
        assert_sound(customer.id)

    def test_what_is_held_at_its_end_becomes_breakage_when_it_is_released(self) -> None:
        customer = self._expiring()
        reservation = customer.reserved("6", ttl_seconds=7_200)["id"]
        customer.pass_time(hours=1, seconds=1)
        customer.expire_grants()
        body_of(customer.release(reservation), 200)
        assert books(customer) == {"promotional_expense": -10 * UNIT, "breakage": 10 * UNIT}
        assert_sound(customer.id)

    def test_a_hold_that_ends_after_its_grant_but_before_the_sweep_leaves_nothing_spendable(self) -> None:
        customer = self._expiring()
        reservation = customer.reserved("6", ttl_seconds=7_200)["id"]
        customer.pass_time(hours=1, seconds=1)
        body_of(customer.commit(reservation, "2"), 200)
        assert figures(customer)["available"] == "0"
        refused(customer)
        customer.expire_grants()
        assert books(customer) == {
            "promotional_expense": -10 * UNIT, "breakage": 8 * UNIT, "revenue": 2 * UNIT,
        }  # fmt: skip
        assert_sound(customer.id)

    def test_promotional_credit_ends_after_a_year_and_paid_credit_never(self) -> None:
        customer = make_customer("0")
        assert top_up(customer, "1")["expires_at"] is None
        gift = top_up(customer, "1", kind="promotional", effective_at="2040-01-01T00:00:00Z")
        assert gift["expires_at"] == "2040-12-31T00:00:00Z"


def entries_of(who: Caller, organization: UUID, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = who.get("/v1/entries", organization=str(organization), **query).json()[
        "data"
    ]
    return found


class TestAReversal:
    def test_of_a_charge_gives_the_credit_back_to_its_grant_once(self) -> None:
        customer = make_customer("10")
        body_of(customer.commit(customer.reserved("4")["id"], "4"), 200)
        who = platform()
        charge = next(entry for entry in entries_of(who, customer.id) if entry["kind"] != "grant")
        path = f"/v1/entries/{charge['id']}/reverse"
        made = body_of(who.post(path, {"reason": "Charged by mistake"}, key=unique()), 201)
        assert made["reverses"] == charge["id"]
        assert {line["account"]: line["amount"] for line in made["lines"]} == {
            line["account"]: line["amount"][1:] if line["amount"][0] == "-" else f"-{line['amount']}"
            for line in charge["lines"]
        }
        assert figures(customer) == {"posted": "10", "held": "0", "available": "10", "debt": "0"}
        assert "revenue" not in books(customer)
        with Still(customer.id):
            again = who.post(path, {"reason": "Again"}, key=unique())
            assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")
            back = who.post(f"/v1/entries/{made['id']}/reverse", {"reason": "Back"}, key=unique())
            assert (back.status_code, back.json()["code"]) == (409, "invalid_transition")
        assert who.get(f"/v1/entries/{charge['id']}").json()["reversed_by"] == made["id"]

    def test_of_a_grant_that_is_spent_leaves_debt(self) -> None:
        customer = make_customer("10")
        body_of(customer.commit(customer.reserved("4")["id"], "4"), 200)
        who = platform()
        grant = next(entry for entry in entries_of(who, customer.id) if entry["kind"] == "grant")
        body_of(who.post(f"/v1/entries/{grant['id']}/reverse", {"reason": "Never paid"}, key=unique()), 201)
        assert figures(customer) == {"posted": "-4", "held": "0", "available": "-4", "debt": "4"}
        refused(customer)
        assert_sound(customer.id)


def test_debt_shuts_the_line_of_a_postpaid_customer_too() -> None:
    customer = make_customer("5", funding="postpaid", credit_limit=10 * UNIT)
    body_of(customer.commit(customer.reserved("5")["id"], "5"), 200)
    body_of(take_back(customer, "5"), 201)
    for amount in ("0.00000001", "10"):
        refused(customer, amount)

    top_up(customer, "5")
    body_of(customer.commit(customer.reserved("10")["id"], "10"), 200)
    assert books(customer)["unbilled_receivable"] == -10 * UNIT
    assert_sound(customer.id)


def test_a_second_part_under_the_same_source_is_refused_instead_of_lost() -> None:
    customer = make_customer("10")
    first = body_of(take_back(customer, "4", "dispute:1"), 201)
    assert body_of(take_back(customer, "4", "dispute:1"), 201)["id"] == first["id"]
    with Still(customer.id):
        answer = take_back(customer, "2", "dispute:1")
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")
    body_of(take_back(customer, "2", "dispute:1:2"), 201)
    assert figures(customer)["posted"] == "4"
