"""Seats with tiers that change within a period, from the API to the invoice's lines: they sum to what rule 17 says."""

from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from tests.builders.billing import Billed, billed
from tests.builders.charges import Tiers, ladder
from tests.builders.subscriptions import (
    act,
    acted,
    items_of,
    move_clock,
    now_of,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)

SEATS: Tiers = [("5", "10", "100"), (None, "5", "50")]
V1: Tiers = [("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50")]


def team(model: str, tiers: Tiers) -> Any:
    """A plan of seats alone, changed at once with an invoice."""
    price = {"USD": {"model": model, "tiers": ladder(tiers)}}
    seats = {"key": "seats", "name": "Seats", "kind": "licensed", "prices": price}
    return sell(seats, upgrade="invoice", downgrade="invoice")


def pass_to(organization: UUID, moment: datetime) -> None:
    move_clock(organization, moment - now_of(organization) + timedelta(seconds=1))
    run_boundaries(organization)


def begun(made: Billed, plan: Any, held: int) -> dict[str, Any]:
    """A subscription whose first period began at a whole second."""
    start = (now_of(made.id) + timedelta(hours=1)).replace(microsecond=0)
    who = owner(made.id)
    sub = subscribe(who, plan, start_at=start.isoformat(), quantities={"seats": held})
    pass_to(made.id, start)
    return shown(who, sub)


def left_at(sub: dict[str, Any], share: str) -> datetime:
    """The moment at which this share of the period is left."""
    start, end = (datetime.fromisoformat(sub[name]) for name in ("period_start", "period_end"))
    left = Fraction(share) * ((end - start) // timedelta(microseconds=1))
    return end - timedelta(microseconds=int(left))


def lines_of_seats(made: Billed, until: str) -> list[dict[str, Any]]:
    """The lines over seats until the end of a period, each with the steps that explain it."""
    found = []
    for invoice in made.invoices():
        for line in made.lines(invoice["id"]):
            if line["charge_key"] == "seats" and line["service_end"] <= until:
                path = f"/v1/invoices/{invoice['id']}/lines/{line['number']}/explain"
                found.append({**line, "steps": made.reader.get(path).json()["steps"]})
    return found


@pytest.mark.parametrize(
    ("case", "model", "tiers", "held", "changes", "expected"),
    [
        (
            "W5-in-time",
            "graduated",
            SEATS,
            0,
            [("7/10", 5), ("8/15", 10), ("11/30", 4), ("1/5", 14)],
            "196.5",
        ),
        ("W7", "graduated", SEATS, 0, [("7/10", 5), ("1/2", 7), ("2/5", 3), ("1/5", 13)], "190"),
        ("V1-pro", "volume", V1, 100, [("0.493", 300)], "149.3"),
    ],
    ids=["W5-in-time", "W7", "V1-pro"],
)
def test_the_invoice_lines_of_a_period_sum_to_what_the_course_of_its_seats_costs(
    case: str, model: str, tiers: Tiers, held: int, changes: list[tuple[str, int]], expected: str
) -> None:
    """`changes`: with so much of the period left to so many seats."""
    made = billed()
    who, sub = owner(made.id), begun(made, team(model, tiers), held)
    for share, seats in changes:
        at = left_at(sub, share)
        acted(who, sub, "quantity", {"quantities": {"seats": seats}, "mode": "invoice", "at": at.isoformat()})
        pass_to(made.id, at)
    made.pass_months()
    made.run()
    lines = lines_of_seats(made, sub["period_end"])
    assert sum(Fraction(line["amount"]) for line in lines) == Fraction(expected)
    assert all(Fraction(line["steps"][-1]["result"]) == Fraction(line["amount"]) for line in lines)
    assert [line["description"] for line in lines if line["kind"].startswith("proration")] == [
        f"Seats: {before} to {after}" for before, after in changed(held, changes)
    ]
    made.assert_sound()


def changed(held: int, changes: list[tuple[str, int]]) -> list[tuple[int, int]]:
    numbers = [held, *(seats for _, seats in changes)]
    return list(pairwise(numbers))


def test_a_change_costs_what_its_preview_said_and_once() -> None:
    made = billed()
    who, sub = owner(made.id), begun(made, team("graduated", SEATS), 5)
    pass_to(made.id, left_at(sub, "1/2"))
    body = {"quantities": {"seats": 10}}
    told = act(who, sub, "change/preview", body).json()
    assert items_of(made.id) == [("licensed", 15_000, "seats")]
    first, again = (act(who, sub, "quantity", body, key="more") for _ in range(2))
    assert (first.status_code, again.content) == (200, first.content)
    _, (kind, cents, _) = items_of(made.id)
    assert (kind, cents) == ("proration_charge", 6_250)
    assert [float(item["amount"]) * 100 for item in told["items"]] == pytest.approx([cents], abs=1)
    fewer = act(who, sub, "change/preview", {"quantities": {"seats": 5}}).json()
    assert [item["kind"] for item in fewer["items"]] == ["proration_credit"]
    assert first.json()["fees"][0]["billed"] == "212.5"


def test_of_fewer_seats_nothing_comes_back_that_credit_notes_did() -> None:
    """The line that the period began with and the one of a later change were both credited whole."""
    made = billed()
    plan = team("graduated", [("5", "10", "0"), (None, "5", "0")])
    who, sub = owner(made.id), begun(made, plan, 5)
    pass_to(made.id, left_at(sub, "1/2"))
    acted(who, sub, "quantity", {"quantities": {"seats": 6}})
    made.run()
    made.customer.pass_time(hours=2)
    made.run()
    answers = [
        made.act(one["id"], "credit-notes", {"reason": "goodwill"}).status_code for one in made.invoices()
    ]
    assert set(answers) == {201}
    acted(who, sub, "quantity", {"quantities": {"seats": 0}})
    assert [cents for _, cents, _ in items_of(made.id)] == [5_000, 250]
    made.assert_sound()
