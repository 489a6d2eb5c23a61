"""Boundaries: what is due, each dated at its own moment, also after standstill and after a run that was killed."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from billing.queries.due import next_boundary, organizations_due
from billing.queries.subscriptions import open_metered_periods
from ledger.operations.grants import expire_grants
from orgs.operations.organizations import close_organization
from tests.builders.books import balances, open_books
from tests.builders.orgs import AUTHOR, events_of, write
from tests.builders.subscribed import fee, metered, seats
from tests.builders.subscriptions import (
    acted,
    move_clock,
    now_of,
    owner,
    run_boundaries,
    sell,
    shown,
    subscribe,
)

CHECKOUT = Path(__file__).resolve().parents[3]
DAY = timedelta(days=1)
YEAR = {"unit": "year", "count": 1}
MONTHLY = [{"amounts": {"USD": "20"}, "every": {"unit": "month", "count": 1}}]


def story(organization: UUID, start: datetime) -> list[Any]:
    """What billing's events of an organization say, without ids: times count from the start."""

    def since(text: str | None) -> Any:
        return None if text is None else (datetime.fromisoformat(text) - start) // timedelta(seconds=1)

    told = []
    for kind, _, version, _, data in events_of(organization):
        if kind.startswith("subscription."):
            items = [
                (i["kind"], i["amount"], since(i["service_start"]), since(i["service_end"]))
                for i in data.get("items", ())
            ]
            periods = [(m["charge"], since(m["start"]), since(m["end"])) for m in data.get("metered", ())]
            told.append(
                (kind, version, since(data["period_start"]), since(data["period_end"]), items, periods)
            )
        elif kind == "grant.granted":
            (made,) = data["ledger"]["granted"]
            told.append((kind, made["amount"], made.get("gift", 0), since(made["expires_at"])))
    return told


def plan() -> Any:
    return sell(fee("49"), seats("10"), metered(), credits=MONTHLY)


class TestWhatIsDue:
    def test_is_the_earliest_boundary_of_the_organization(self) -> None:
        organization = open_books()
        who = owner(organization)
        assert write(lambda cur: next_boundary(cur, organization)) is None
        made = subscribe(who, sell())
        later = (now_of(organization) + 3 * DAY).isoformat()
        subscribe(who, sell(), start_at=later)
        assert write(lambda cur: next_boundary(cur, organization)) == datetime.fromisoformat(later)
        assert made["period_end"] > later

    def test_is_found_by_the_organizations_own_clock(self) -> None:
        organization = open_books()
        subscribe(owner(organization), sell())
        assert organization not in write(organizations_due)
        move_clock(organization, 40 * DAY)
        assert organization in write(organizations_due)
        run_boundaries(organization)
        assert organization not in write(organizations_due)

    def test_is_nothing_of_a_closed_organization(self) -> None:
        organization = open_books()
        subscribe(owner(organization), sell())
        write(lambda cur: close_organization(cur, organization=organization, author=AUTHOR))
        move_clock_of_closed = write(lambda cur: next_boundary(cur, organization))
        assert move_clock_of_closed is None


class TestStandstill:
    def test_of_13_months_ends_as_if_each_boundary_had_been_passed_in_time(self) -> None:
        late, prompt = open_books(), open_books()
        starts = {}
        for organization in (late, prompt):
            made = subscribe(owner(organization), plan(), quantities={"seats": 2})
            starts[organization] = datetime.fromisoformat(made["starts_at"])
        for _ in range(13 * 2):
            move_clock(prompt, 15 * DAY)
            run_boundaries(prompt)
        move_clock(late, 13 * 2 * 15 * DAY)
        run_boundaries(late)
        # both starts are moments of one day in UTC, whose clock never changes
        assert story(late, starts[late]) == story(prompt, starts[prompt])
        assert len(story(late, starts[late])) == 2 * 13
        for organization in (late, prompt):
            write(lambda cur, o=organization: expire_grants(cur, organization=o, author=AUTHOR))
        assert balances(late) == balances(prompt)

    def test_is_caught_up_before_any_change(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, plan())
        move_clock(organization, 100 * DAY)
        more = acted(who, made, "quantity", {"quantities": {"seats": 2}})
        assert more["period_start"] > made["period_end"]
        kinds = [event[0] for event in events_of(organization) if event[0].startswith("subscription.")]
        assert kinds == ["subscription.started"] + ["subscription.renewed"] * 3 + ["subscription.changed"]

    def test_grants_credit_every_month_on_a_yearly_plan(self) -> None:
        organization = open_books()
        who = owner(organization)
        made = subscribe(who, sell(fee("490"), interval=YEAR, credits=MONTHLY))
        assert [one["grant"] is not None for one in made["credits"]] == [True] + [False] * 11
        assert sum(int(one["paid"]) for one in made["credits"]) == 240
        move_clock(organization, 95 * DAY)
        run_boundaries(organization)
        now = shown(who, made)
        assert [one["grant"] is not None for one in now["credits"]] == [True] * 4 + [False] * 8
        assert len([e for e in events_of(organization) if e[0] == "subscription.credited"]) == 3


class TestMeteredPeriods:
    def test_wait_for_an_invoice_in_order_of_time(self) -> None:
        organization = open_books()
        made = subscribe(owner(organization), plan())
        move_clock(organization, 70 * DAY)
        run_boundaries(organization)
        found = write(lambda cur: open_metered_periods(cur, organization=organization))
        assert [(row.charge_key, row.meter, row.invoice_id) for row in found] == [
            ("calls", "api_calls", None)
        ] * 2
        assert found[0].end_at == found[1].start_at == datetime.fromisoformat(made["period_end"])


class TestAKilledRun:
    @pytest.mark.parametrize("statements", [0, 7, 16, 31])
    def test_is_repeated_with_the_same_rows(self, statements: int) -> None:
        killed, whole = open_books(), open_books()
        starts = {}
        for organization in (killed, whole):
            made = subscribe(owner(organization), plan())
            starts[organization] = datetime.fromisoformat(made["starts_at"])
            move_clock(organization, 100 * DAY)
        until = now_of(killed).isoformat()
        command = [sys.executable, "-m", "tests.integration.billing.dying", str(killed), until]
        died = subprocess.run([*command, str(statements)], cwd=CHECKOUT, capture_output=True, text=True)
        assert died.returncode == -9, died.stderr
        ended = subprocess.run([*command, "-1"], cwd=CHECKOUT, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        run_boundaries(whole)
        assert story(killed, starts[killed]) == story(whole, starts[whole])
        assert balances(killed) == balances(whole)
