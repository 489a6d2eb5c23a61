"""Thresholds of a period's use, each of which makes an invoice once, and the last invoice that states them (rule 29).
The worked examples are in tests/oracles/test_progressive.py."""

import secrets
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.operations.simulating import simulate
from billing.queries.terms import invoice_terms
from common.errors import ServiceUnavailable
from tests.builders.billing import Billed, billed
from tests.builders.books import balances, rows
from tests.builders.cutting import dying_after
from tests.builders.orgs import caller, make_organization, write
from tests.builders.progressive import (
    APRIL,
    CYCLE,
    MARCH,
    March,
    cents,
    progressive,
    set_thresholds,
    stated,
)
from tests.builders.simulated import decide
from tests.builders.subscribed import fee, seats
from tests.builders.subscriptions import acted, sell, subscribe
from tests.concurrency.billing.test_events_at_once import at_once

WHY = {"reason": "It was wrong."}
HOUR = timedelta(hours=1)
LAST = (2, 13, 24, 37)
"""Which statement of a run is its last."""


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def early(made: Billed) -> list[int]:
    """What progressive invoices are over, in minor units, void ones left out."""
    found = [one for one in made.invoices() if one["cause"] == "threshold" and one["status"] != "void"]
    return [cents(one["total"]) for one in found]


def cycle(made: Billed) -> dict[str, Any]:
    """Where the customer's billing stands."""
    shown: dict[str, Any] = made.reader.get(CYCLE).json()
    return shown


def at_april(made: Billed) -> dict[str, Any]:
    """The invoice of the end of March, with its number."""
    simulate(organization=made.id, until=APRIL + 2 * HOUR)
    (found,) = [one for one in made.invoices() if one["dated_at"] == "2027-04-01T00:00:00Z"]
    return found


def in_march(country: str = "US", **wanted: Any) -> Billed:
    """A customer with these thresholds on the first of March."""
    made = progressive(country, **wanted)
    simulate(organization=made.id, until=MARCH + 2 * HOUR)
    return made


class TestThresholds:
    def test_are_a_list_and_one_that_recurs_and_what_is_not_named_stays(self) -> None:
        made = billed()
        names = ("thresholds", "recurring_threshold", "threshold", "billed")
        asked: list[dict[str, Any]] = [
            {"thresholds": ["200.00", "500"], "recurring_threshold": "100"},
            {"thresholds": ["7"]},
            {"recurring_threshold": None},
            {"threshold": "2.50"},
            {"thresholds": []},
            {"threshold": None},
        ]
        found = [tuple(set_thresholds(made, **body).json()[name] for name in names) for body in asked]
        assert found == [
            (["200", "500"], "100", None, "0"),
            (["7"], "100", None, "0"),
            (["7"], None, None, "0"),
            ([], "2.5", "2.5", "0"),
            ([], "2.5", "2.5", "0"),
            ([], None, None, "0"),
        ]
        kinds = (
            "SELECT count(*) FROM v_events WHERE organization = %s AND type = 'billing_cycle.threshold_set'"
        )
        assert rows(kinds, made.id) == [(5,)]  # the same again changes nothing

    def test_that_are_wrong_are_refused_and_nothing_moves(self) -> None:
        made = billed()
        assert set_thresholds(made, thresholds=["5"]).status_code == 200
        wrong: list[dict[str, Any]] = [
            {},
            {"threshold": "5", "thresholds": ["6"]},
            {"threshold": None, "recurring_threshold": None},
            {"thresholds": ["5", "5"]},
            {"thresholds": ["6", "5"]},
            {"thresholds": [str(number) for number in range(1, 22)]},
            {"thresholds": "5"},
            {"thresholds": None},
            {"thresholds": {}},
            {"thresholds": [["5"]]},
            {"thresholds": ["0"]},
            {"thresholds": ["-1"]},
            {"thresholds": [5]},
            {"thresholds": [None]},
            {"recurring_threshold": "0"},
            {"recurring_threshold": 5},
            {"recurring": "5"},
        ]
        with made.still():
            answers = [set_thresholds(made, **body) for body in wrong]
            assert {answer.status_code for answer in answers} == {400}
            assert problem(made.reader.patch(CYCLE, {"thresholds": []})) == (403, "forbidden")
            stranger = caller(make_organization(), "billing:read")
            assert problem(stranger.get(CYCLE, organization=str(made.id))) == (404, "not_found")

    def test_that_change_within_the_period_look_at_all_of_it_and_fire_nothing_again(self) -> None:
        made = in_march(thresholds=["5"])
        made.use("4")
        assert made.run() == 0
        assert set_thresholds(made, thresholds=["3", "6"]).status_code == 200
        made.run()
        assert (early(made), cycle(made)["billed"]) == ([400], "4")
        for lower in ({"thresholds": ["1", "4", "6"]}, {"threshold": None}, {"thresholds": ["2", "6"]}):
            assert set_thresholds(made, **lower).status_code == 200
            assert made.run() == 0
        made.use("1.99")
        assert made.run() == 0
        made.use("0.01")
        made.run()
        assert early(made) == [400, 200]
        made.assert_sound()

    def test_begin_anew_with_the_next_period_and_are_stated_in_theirs(self) -> None:
        made = in_march(thresholds=["5"])
        made.use("5")
        made.run()
        made.use("1")
        assert stated(at_april(made)) == (600, 500, 100)
        made.use("4.99")
        assert made.run() == 0
        made.use("0.01")
        made.run()
        made.use("2")
        simulate(organization=made.id, until=APRIL + timedelta(days=31))
        assert (early(made), stated(made.invoices()[-1])) == ([500, 500], (700, 500, 200))
        made.assert_sound()


class TestEachFiresOnce:
    def test_in_a_run_that_dies_at_a_statement_and_is_repeated(self) -> None:
        made = in_march(recurring_threshold="1")
        deaths = 0
        for statement in LAST:
            made.use("1")
            try:
                with dying_after(statements=statement):
                    made.run()
            except (ServiceUnavailable, psycopg.Error):
                deaths += 1
            made.run()
        assert (early(made), deaths >= 3) == ([100] * len(LAST), True)
        made.assert_sound()

    def test_in_runs_of_several_workers_at_once(self) -> None:
        made = in_march(thresholds=["2"], recurring_threshold="1")
        for amount in ("2.5", "1"):
            made.use(amount)
            at_once(lambda _: made.run(), callers=4)
        assert early(made) == [250, 100]
        made.assert_sound()

    def test_with_late_use_of_a_period_that_was_billed(self) -> None:
        """It is billed in the period in which it comes, and counts there."""
        made = in_march(thresholds=["5"])
        made.use("5")
        made.run()
        simulate(organization=made.id, until=APRIL + 2 * HOUR)
        assert len(made.invoices()) == 1  # nothing was left for the last one
        made.use("3")
        assert made.run() == 0
        late = made.customer.use("2", occurred_at="2027-03-20T00:00:00Z")
        assert late.status_code == 201, late.content
        made.run()
        last = made.invoices()[-1]
        lines = [(line["late"], line["amount"]) for line in made.lines(last["id"])]
        assert (last["cause"], sorted(lines)) == ("threshold", [(False, "3.00"), (True, "2.00")])
        made.assert_sound()


class TestTheLastInvoice:
    def test_states_what_the_upcoming_one_did_and_the_documents_say_so(self) -> None:
        made = in_march(thresholds=["200"])
        made.use("200")
        made.run()
        simulate(organization=made.id, until=MARCH + 5 * HOUR)
        (first,) = made.invoices()
        assert first["progressive"] is None
        made.use("31.5")
        upcoming = made.reader.get("/v1/invoices/upcoming").json()
        last = at_april(made)
        assert stated(last) == (23_150, 20_000, 3_150)
        assert upcoming["progressive"] == last["progressive"] == upcoming["invoices"][0]["progressive"]
        assert last["progressive"]["count"] == 1
        assert last["progressive"]["invoices"] == [
            {
                "id": first["id"], "number": first["number"], "issued_at": first["finalized_at"], "net": "200.00",
                "tax": "0.00",
            }
        ]  # fmt: skip
        terms = write(lambda cur: invoice_terms(cur, organization=made.id, invoice=last["id"]))
        assert terms["progressive"] == {
            "fees": "231.50",
            "credit": "-200.00",
            "count": 1,
            "BG-3": [{"BT-25": first["number"], "BT-26": first["finalized_at"][:10], "net": "200.00"}],
        }
        pdf = made.reader.get(f"/v1/invoices/{last['id']}/pdf")
        assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
        page = staff().get(f"/admin/billing/invoice/{last['id']}/change/").content.decode()
        assert "fees 231.5, progressive credit 200, due 31.5" in page
        with pytest.raises(psycopg.errors.RestrictViolation):
            write(
                lambda cur: cur.execute("UPDATE invoices SET progressive = NULL WHERE id = %s", (last["id"],))
            )

    def test_taxes_the_rest_and_tells_the_tax_of_those_before(self) -> None:
        made = in_march("DE", thresholds=["10"])
        made.use("10")
        made.run()
        made.use("5")
        last = at_april(made)
        (before,) = [one for one in made.invoices() if one["cause"] == "threshold"]
        assert (before["tax"], last["tax"], last["total"]) == ("1.90", "0.95", "5.95")
        assert (stated(last), last["progressive"]["credit_tax"]) == ((1_500, 1_000, 500), "1.90")
        assert balances(made.id)["receivable"] == -17_85 * 10**6
        made.assert_sound()

    def test_leaves_out_what_credit_notes_took_back(self) -> None:
        made = in_march("DE", thresholds=["10"])
        made.use("10")
        made.run()
        simulate(organization=made.id, until=MARCH + 5 * HOUR)
        (before,) = made.invoices()
        note = made.act(before["id"], "credit-notes", {"reason": "A gift", "amount": "5.95"})
        assert note.status_code == 201, note.content
        made.use("2")
        last = at_april(made)
        assert (stated(last), last["progressive"]["credit_tax"]) == ((700, 500, 200), "0.95")
        made.assert_sound()

    def test_is_that_of_the_use_where_each_subscription_has_its_own(self) -> None:
        made = progressive(thresholds=["10"])
        assert decide(made).patch("/v1/billing-profile", {"consolidation": "subscription"}).status_code == 200
        subscribe(decide(made), sell(fee("31", timing="arrears")), start_at=MARCH.isoformat())
        simulate(organization=made.id, until=MARCH + 2 * HOUR)
        made.use("10")
        made.run()
        made.use("1")
        simulate(organization=made.id, until=APRIL + 2 * HOUR)
        last = [one for one in made.invoices() if one["dated_at"] == "2027-04-01T00:00:00Z"]
        assert sorted((one["total"], one["progressive"] and stated(one)) for one in last) == [
            ("1.00", (1_100, 1_000, 100)),
            ("31.00", None),
        ]


class TestAVoidProgressiveInvoice:
    def test_is_billed_with_the_rest_and_fires_nothing_again(self) -> None:
        made = in_march(thresholds=["5", "9"])
        made.use("5")
        made.run()
        (draft,) = made.invoices()
        assert made.act(draft["id"], "void", WHY).status_code == 200
        assert (made.run(), cycle(made)["billed"], cycle(made)["unbilled"]) == (0, "0", "5")
        made.use("3.99")
        assert made.run() == 0
        made.use("0.01")
        made.run()
        made.use("1")
        assert early(made) == [900]
        assert stated(at_april(made)) == (1_000, 900, 100)
        made.assert_sound()

    def test_is_not_credited_when_it_is_void_before_the_last_has_its_number(self) -> None:
        made = in_march(thresholds=["5", "7"])
        made.use("5")
        made.run()
        made.use("2.5")
        simulate(organization=made.id, until=MARCH + 5 * HOUR)
        made.use("1")
        simulate(organization=made.id, until=APRIL + timedelta(minutes=5))
        first, second, last = made.invoices()
        assert (last["status"], stated(last)) == ("draft", (850, 750, 100))
        assert made.act(first["id"], "void", WHY).status_code == 200
        simulate(organization=made.id, until=APRIL + 2 * HOUR)
        assert stated(made.invoices()[2]) == (350, 250, 100)
        assert [one["id"] for one in made.invoices()[2]["progressive"]["invoices"]] == [second["id"]]
        assert (
            cycle(made)["unbilled"] == "0"
        )  # it fires April's first threshold, with the whole of the void one
        assert (early(made), made.invoices()[-1]["total"]) == ([250, 500], "5.00")
        made.assert_sound()

    def test_of_a_period_that_is_over_leaves_the_document_as_it_is(self) -> None:
        made = in_march(thresholds=["5"])
        made.use("5")
        made.run()
        made.use("1")
        last = at_april(made)
        assert set_thresholds(made, threshold=None).status_code == 200
        (first,) = [one for one in made.invoices() if one["cause"] == "threshold"]
        assert made.act(first["id"], "void", WHY).status_code == 200
        made.run()
        assert made.invoices()[-1]["progressive"] == last["progressive"]
        simulate(organization=made.id, until=APRIL + timedelta(days=31))
        assert (made.invoices()[-1]["total"], made.invoices()[-1]["progressive"]) == ("5.00", None)
        made.assert_sound()


class TestAChangeOfPlan:
    def test_bills_the_use_until_then_and_begins_anew(self) -> None:
        march = March(progressive(thresholds=["200"]))
        made = march.made
        march.go_to(3.5)
        march.use(1_000_000)
        march.use(250_000)
        march.go_to(17.5)
        march.upgrade()
        last = made.invoices()[-1]
        assert (stated(last), last["total"]) == ((26_700, 20_000, 6_700), "67.00")
        assert [line["kind"] for line in made.lines(last["id"])] == ["proration_charge", "usage"]
        assert (cycle(made)["cycle_start"], cycle(made)["billed"]) == (last["dated_at"], "0")
        assert march.use(990_000) is None
        assert march.use(10_000) == 20_000
        april = march.end()
        assert (stated(april), april["total"]) == ((22_800, 20_000, 2_800), "28.00")
        made.assert_sound()

    def test_of_quantities_is_none_and_without_thresholds_no_use_is_billed(self) -> None:
        made = in_march(thresholds=["200"])
        held = subscribe(decide(made), sell(seats("10"), upgrade="invoice"), quantities={"seats": 1})
        made.use("3")
        made.run()
        acted(decide(made), held, "quantity", {"quantities": {"seats": 2}})
        made.run()
        assert {line["kind"] for one in made.invoices() for line in made.lines(one["id"])} <= {
            "licensed", "proration_credit", "proration_charge",
        }  # fmt: skip
        assert set_thresholds(made, threshold=None).status_code == 200
        acted(decide(made), held, "change", {"plan": sell(fee("900"), upgrade="invoice").plan_key})
        made.run()
        assert (cycle(made)["unbilled"], made.invoices()[-1]["progressive"]) == ("3", None)
        made.assert_sound()


def staff() -> Client:
    """A superuser's browser."""
    user = User.objects.create_superuser(f"finance-{secrets.token_hex(4)}")
    client = Client()
    client.force_login(user)
    return client
