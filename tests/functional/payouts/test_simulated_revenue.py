"""Two years of random lives pass through the whole house: the movements sum to the change of MRR, every month."""

import random
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest

from billing.operations.simulating import simulate
from billing.rules.months import month_text, next_month
from common.money import format_amount, parse_amount
from payouts.queries.metrics.asked import month_start
from tests.builders.billing import Billed
from tests.builders.contracts import agreed
from tests.builders.dunning import usual_policy
from tests.builders.metrics import broken, metric, moved, only
from tests.builders.recurring import a_month
from tests.builders.simulated import at, at_start, decide
from tests.builders.subscribed import DOLLAR, fee, seats
from tests.builders.subscriptions import act, now_of, sell, subscribe

START = at("2027-01-10T08:00:00")
YEAR = {"unit": "year", "count": 1}


class Life:
    """A customer of the whole house that does something every month, and the prices that it was told."""

    def __init__(self, number: int) -> None:
        self.chance = random.Random(number)
        self.made: Billed = at_start(START, net_days=365)
        self.who = decide(self.made)
        self.plans = {
            sell(fee("30"), seats("10")).plan_key: (30, 10, Fraction(1)),
            sell(fee("600"), seats("120"), interval=YEAR).plan_key: (600, 120, Fraction(1, 12)),
            sell(fee("9"), seats("1")).plan_key: (9, 1, Fraction(1)),
        }
        self.held: list[dict[str, Any]] = []

    def month(self) -> None:
        """Do one thing, as far as it is allowed."""
        chosen = self.chance.choice(("subscribe", "seats", "change", "pause", "resume", "cancel", "cancel"))
        if chosen == "subscribe" or not self.held:
            key = self.chance.choice(sorted(self.plans))
            self.held.append(
                subscribe(self.who, key, quantities={"seats": self.chance.randint(1, 9)}, trial_days=0)
            )
            return
        one = self.chance.choice(self.held)
        bodies: dict[str, Any] = {
            "seats": ("quantity", {"quantities": {"seats": self.chance.randint(0, 9)}}),
            "change": ("change", {"plan": self.chance.choice(sorted(self.plans))}),
            "cancel": ("cancel", {"when": self.chance.choice(("now", "period_end"))}),
        }
        verb, body = bodies.get(chosen, (chosen, None))
        assert act(self.who, one, verb, body).status_code in (200, 400, 409)

    def expected(self) -> int:
        """What its subscriptions come to, by the prices of their plans and what the API says of them."""
        total = 0
        for row in self.who.get("/v1/subscriptions", limit="100").json()["data"]:
            if row["status"] in ("active", "past_due"):
                base, seat, per_month = self.plans[row["plan"]]
                total += a_month((base + seat * int(row["quantities"]["seats"])) * DOLLAR * per_month)
        return total


@pytest.mark.parametrize(("number", "months"), [(1, 24), (2, 12)], ids=["two-years", "another-year"])
def test_movements_sum_to_the_mrr_of_every_month(number: int, months: int) -> None:
    with usual_policy():
        life = Life(number)
        expected, ends = [], []
        month = START.date().replace(day=1)
        for _ in range(months):
            life.month()
            month = next_month(month)
            end = month_start(month)
            simulate(organization=life.made.id, until=end - timedelta(seconds=1))
            expected.append(life.expected())
            ends.append(end)
            simulate(organization=life.made.id, until=end + timedelta(days=life.chance.randint(1, 20)))
        check(life.made.id, expected, ends)


def check(organization: UUID, expected: list[int], ends: list[datetime]) -> None:
    """Every month's end is what was expected, as movements, as levels, as ARR, and as of then."""
    last = month_text(ends[-1].date() - timedelta(days=1))
    months = metric("movements", organization, **{"from": month_text(START.date()), "to": last})
    assert [row["end"] for row in months] == [format_amount(amount) for amount in expected]
    for row in months:
        start, end, *moved_ = (
            parse_amount(row[name], allow_zero=True)
            for name in ("start", "end", "new", "expansion", "reactivation", "contraction", "churn")
        )
        assert end - start == sum(moved_[:3]) - sum(moved_[3:])
        assert parse_amount(row["arr"], allow_zero=True) == 12 * end
    for end, amount in list(zip(ends, expected, strict=True))[::6]:
        shown = only("mrr", organization, as_of=(end - timedelta(seconds=1)).isoformat())
        assert shown["mrr"] == format_amount(amount)
    assert broken(organization) == []


def test_a_past_month_says_the_same_after_more_of_its_life() -> None:
    with usual_policy():
        life = Life(4)
        for _ in range(4):
            life.month()
            simulate(organization=life.made.id, until=now_of(life.made.id) + timedelta(days=31))
        then = now_of(life.made.id)
        before = moved(life.made.id, then)
        reports = {name: metric(name, life.made.id, as_of=then.isoformat()) for name in REPORTS}
        day = (then - timedelta(days=1)).date().isoformat()  # revenue goes by whole days
        earned = [metric(name, life.made.id, as_of=day, **more) for name, more in EARNED]
        assert all(earned)
        for _ in range(4):
            life.month()
            simulate(organization=life.made.id, until=now_of(life.made.id) + timedelta(days=31))
        agreed(life.made.id, "1000", days=365)
        simulate(organization=life.made.id, until=now_of(life.made.id) + timedelta(days=60))
        assert moved(life.made.id, then) == before
        assert {name: metric(name, life.made.id, as_of=then.isoformat()) for name in REPORTS} == reports
        assert [metric(name, life.made.id, as_of=day, **more) for name, more in EARNED] == earned


REPORTS = ("mrr", "movements", "retention", "cohorts", "concentration")
EARNED: tuple[tuple[str, dict[str, str]], ...] = (
    ("revenue", {"from": "2027-01"}),
    ("top-customers", {"from": "2027-01"}),
    ("concentration", {"from": "2027-01", "basis": "revenue"}),
)
