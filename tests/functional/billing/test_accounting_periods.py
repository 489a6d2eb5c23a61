"""Closing months: what they say stays, and what comes late takes effect in the next one and says so."""

import csv
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest

from billing.operations.profiles import change_billing_profile
from billing.operations.revenue.closing import close_books, close_due_books
from billing.operations.revenue.recognising import recognise_due
from billing.queries.accounting import seller_named
from billing.queries.parties import HOUSE
from billing.rules.months import month_text, next_month, previous_month
from common.errors import ProblemError
from ledger.operations.posting import NewEntry, post_entry
from tests.builders.billing import DOLLAR, Billed, billed, item, owe
from tests.builders.books import balances, rows
from tests.builders.gate import usage_body
from tests.builders.metering import sent, unique_type
from tests.builders.orgs import AUTHOR, caller, make_organization, platform, unique, write
from tests.builders.revenue import (
    charge,
    close,
    closing,
    end_of,
    go_to,
    invoiced,
    month_of_now,
    now_of,
    recognise,
    revenue,
    schedules,
    sold_by,
    wrong,
)

UNKNOWN = "01900000-0000-7000-8000-0000000000ff"


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]


def at_month_end() -> tuple[Billed, str, Any]:
    """A customer of a seller of its own with a fee over two months, the first of which is over; that month."""
    made = billed()
    start = end_of(month_of_now(made))
    go_to(made, start)
    charge(made, 60, start, end_of(next_month(start.date())))
    go_to(made, end_of(start.date()))
    return made, sold_by(made), start.date()


def report(made: Billed, name: str, month: Any, **given: str) -> Any:
    """A report of a month, as the platform reads it of this customer."""
    return made.finance.get(
        f"/v1/reports/{name}", month=month_text(month), organization=str(made.id), **given
    )


class TestClosing:
    def test_books_the_revenue_and_publishes_from_when_on_the_books_are_open(self) -> None:
        made, seller, month = at_month_end()
        shown = close(seller, month, made)
        assert (shown["month"], shown["status"], shown["unfinished_invoices"]) == (
            month_text(month),
            "closing",
            0,
        )
        (period,) = made.finance.get("/v1/accounting-periods", legal_entity=seller).json()["data"]
        assert period["status"] == "closed"
        assert list(revenue(made)) == [month_text(month)]
        assert rows("SELECT closed_until FROM closed_books WHERE organization = %s", made.id) == [
            (end_of(month),)
        ]
        assert report(made, "trial-balance", month).json()["closed"] is True
        assert report(made, "trial-balance", next_month(month)).json()["closed"] is False
        assert wrong(made) == []

    def test_is_repeated_under_its_key_and_refused_under_another(self) -> None:
        made, seller, month = at_month_end()
        key = unique()
        first = closing(seller, month, made, key=key)
        again = closing(seller, month, made, key=key)
        assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
        close_due_books()
        assert problem(closing(seller, month, made)) == (409, "invalid_transition")
        assert close_due_books() == 0

    def test_takes_months_in_their_order_and_only_when_they_are_over(self) -> None:
        made, seller, month = at_month_end()
        with made.still():
            assert problem(closing(seller, next_month(month), made)) == (409, "period_not_over")
        close(seller, month, made)
        go_to(made, end_of(next_month(next_month(month))))
        with made.still():
            assert problem(closing(seller, next_month(next_month(month)), made)) == (
                409,
                "invalid_transition",
            )
            assert problem(closing(seller, previous_month(month), made)) == (409, "invalid_transition")
        close(seller, next_month(month), made)
        assert sum(revenue(made).values()) == 60 * DOLLAR
        assert wrong(made) == []

    def test_waits_for_the_slowest_customer(self) -> None:
        made, _, month = at_month_end()
        slow = billed()
        seller = sold_by(made, slow)
        assert problem(closing(seller, month, made)) == (409, "period_not_over")
        go_to(slow, end_of(month))
        assert closing(seller, month, made).status_code == 200

    def test_closes_also_the_books_of_who_comes_to_the_seller_later(self) -> None:
        made, seller, month = at_month_end()
        close(seller, month, made)
        other = billed()
        go_to(other, end_of(month))
        write(lambda cur: change(cur, other, seller))
        assert close_due_books() == 1
        assert rows("SELECT closed_until FROM closed_books WHERE organization = %s", other.id) == [
            (end_of(month),)
        ]

    @pytest.mark.parametrize("month", ["2026-13", "2026-1", "26-01", "x", "2026-00", "%00", "２026-01"])
    def test_of_what_is_no_month_is_not_found(self, month: str) -> None:
        answer = platform().post(f"/v1/accounting-periods/{month}/close", {}, key=unique())
        assert problem(answer) == (404, "not_found")

    def test_is_the_platforms_and_needs_a_key(self) -> None:
        made, seller, month = at_month_end()
        path = f"/v1/accounting-periods/{month_text(month)}/close"
        for who in (made.reader, caller(made.id, "admin"), caller(make_organization(), "admin")):
            assert problem(who.post(path, {"legal_entity": seller}, key=unique())) == (403, "forbidden")
            assert problem(who.get("/v1/accounting-periods")) == (403, "forbidden")
        assert problem(made.finance.post(path, {"legal_entity": seller})) == (400, "idempotency_key_required")
        assert problem(made.finance.post(path, {"legal_entity": UNKNOWN}, key=unique())) == (404, "not_found")
        assert problem(made.finance.post(path, {"entity": seller}, key=unique())) == (400, "unknown_field")


def change(cur: Any, made: Billed, seller: str) -> None:
    """Let a seller sell to a customer."""
    change_billing_profile(cur, made.id, {"legal_entity": seller}, author=AUTHOR)


class TestOneAfterTheOther:
    def test_a_run_that_died_in_the_middle_is_finished_by_the_next(self) -> None:
        made, other = at_month_end()[0], at_month_end()[0]
        month = previous_month(month_of_now(made))
        seller = sold_by(made, other)
        assert closing(seller, month, made).status_code == 200
        entity = write(lambda cur: seller_named(cur, seller))
        given = {"organization": made.id, "entity": entity, "month": month, "author": AUTHOR}
        assert write(partial(close_books, **given)) is True
        assert write(partial(close_books, **given)) is False
        (period,) = made.finance.get("/v1/accounting-periods", legal_entity=seller).json()["data"]
        assert period["status"] == "closing"
        assert close_due_books() == 1
        (period,) = made.finance.get("/v1/accounting-periods", legal_entity=seller).json()["data"]
        assert period["status"] == "closed"
        assert wrong(made, other) == []

    def test_an_entry_at_the_same_moment_is_in_the_closed_month_or_refused(self) -> None:
        for _ in range(4):
            made, _, month = at_month_end()
            late = end_of(month) - timedelta(seconds=1)
            given = {"organization": made.id, "entity": HOUSE.id, "month": month, "author": AUTHOR}
            with ThreadPoolExecutor(2) as pool:
                posted = pool.submit(post, made, late)
                closed = pool.submit(write, partial(close_books, **given))
                assert closed.result() is True
            if posted.exception() is None:
                assert balances(made.id)["suspense"] == DOLLAR
            else:
                assert posted.exception().code == "period_closed"  # type: ignore[union-attr]
            assert wrong(made) == []

    def test_one_with_trouble_stops_nobody_else(self) -> None:
        made, other = at_month_end()[0], at_month_end()[0]
        broken = min(made, other, key=lambda one: one.id)
        fine = max(made, other, key=lambda one: one.id)
        with write_locked(broken):
            recognise_due()
            assert (revenue(broken), len(revenue(fine))) == ({}, 1)
        recognise_due()
        assert len(revenue(broken)) == 1


@contextmanager
def write_locked(made: Billed) -> Iterator[None]:
    """A block in which somebody else holds the customer's row."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("SELECT FROM organizations WHERE id = %s FOR NO KEY UPDATE", (made.id,))
        yield


class TestWhatComesLate:
    def test_an_invoice_takes_effect_in_the_open_month_and_so_does_its_revenue(self) -> None:
        made, seller, month = at_month_end()
        start = end_of(previous_month(month))
        close(seller, month, made)
        before = report(made, "trial-balance", month).json()
        owe(
            made.id,
            item(
                amount=30 * DOLLAR, due_at=start, service_start=start, service_end=end_of(month),
                recognition="straight",
            ),
        )  # fmt: skip
        invoiced(made)
        ((effective, reason),) = rows(
            "SELECT effective_at, reason FROM journal_entries WHERE organization = %s AND kind = 'invoice'"
            " AND reason <> ''",
            made.id,
        )
        assert effective == end_of(month)
        assert "in a closed month" in reason
        assert report(made, "trial-balance", month).json() == before
        go_to(made, end_of(next_month(month)))
        booked = recognise(made)
        assert [one.month for one in booked] == [next_month(month)]
        ((reason,),) = rows("SELECT reason FROM journal_entries WHERE id = %s", booked[0].entry)
        assert (
            reason
            == f"Revenue of {month_text(next_month(month))}; of closed months: 30 of {month_text(month)}"
        )
        assert {one.status for one in schedules(made)} == {"done"}
        assert report(made, "trial-balance", month).json() == before
        assert wrong(made) == []

    def test_a_payment_keeps_its_own_day_and_takes_effect_in_the_open_month(self) -> None:
        made, seller, month = at_month_end()
        close(seller, month, made)
        invoice = made.invoices()[0]["id"]
        paid_at = end_of(month) - timedelta(days=2)
        answer = made.pay(invoice, "60", paid_at=paid_at.isoformat())
        assert answer.status_code in (200, 201), answer.content
        ((effective, reason),) = rows(
            "SELECT effective_at, reason FROM journal_entries WHERE organization = %s AND kind = 'payment'",
            made.id,
        )
        assert (effective, "in a closed month" in reason) == (end_of(month), True)
        ((kept,),) = rows("SELECT paid_at FROM invoice_payments WHERE organization = %s", made.id)
        assert kept.astimezone(UTC) == paid_at
        assert wrong(made) == []

    def test_usage_of_a_closed_month_is_an_adjustment_of_the_open_one_and_keeps_its_time(self) -> None:
        made, seller, month = at_month_end()
        late = end_of(month) - timedelta(hours=1)
        event = sent(unique_type(), occurred_at=late.isoformat())
        told = {"/v1/usage": usage_body("2", occurred_at=late.isoformat()), "/v1/events": event}
        before = [made.customer.api.post(path, body).json() for path, body in told.items()]
        close(seller, month, made)
        after = [made.customer.api.post(path, {**body, "id": unique()}).json() for path, body in told.items()]
        assert [one["adjustment"] for one in (*before, *after)] == [False, False, True, True]
        assert {datetime.fromisoformat(one["occurred_at"]) for one in after} == {late}
        assert wrong(made) == []

    def test_the_ledger_refuses_an_entry_in_a_closed_month_and_says_what_to_do(self) -> None:
        made, seller, month = at_month_end()
        close(seller, month, made)
        late = end_of(month) - timedelta(microseconds=1)
        with made.still(), pytest.raises(ProblemError) as refused:
            post(made, late)
        assert (refused.value.code, refused.value.status) == ("period_closed", 409)
        assert "reopened" in refused.value.detail
        post(made, end_of(month))
        post(made, None)
        assert balances(made.id)["suspense"] == 2 * DOLLAR


def post(made: Billed, at: datetime | None) -> None:
    """Post an entry in effect at a moment."""
    entry = NewEntry(
        "correction", unique(), "test:1", [("suspense", DOLLAR), ("cash", -DOLLAR)], effective_at=at
    )
    write(lambda cur: post_entry(cur, organization=made.id, entry=entry, author=AUTHOR))


class TestReopening:
    def test_needs_a_reason_and_is_for_the_last_closed_month(self) -> None:
        made, seller, month = at_month_end()
        close(seller, month, made)
        go_to(made, end_of(next_month(month)))
        close(seller, next_month(month), made)
        with made.still():
            assert problem(reopen(made, seller, month, "why")) == (409, "invalid_transition")
            assert problem(reopen(made, seller, next_month(month), " ")) == (400, "invalid_field")
            assert problem(reopen(made, seller, previous_month(month), "why")) == (404, "not_found")
        answer = reopen(made, seller, next_month(month), "a late bill")
        assert (answer.status_code, answer.json()["status"]) == (200, "reopening")
        close_due_books()
        shown = made.finance.get("/v1/accounting-periods", legal_entity=seller).json()["data"]
        assert [(one["status"], one["reason"]) for one in shown] == [("open", "a late bill"), ("closed", "")]
        assert rows("SELECT closed_until FROM closed_books WHERE organization = %s", made.id) == [
            (end_of(month),)
        ]
        post(made, end_of(month))
        close(seller, next_month(month), made)
        assert wrong(made) == []

    def test_of_the_only_closed_month_opens_everything(self) -> None:
        made, seller, month = at_month_end()
        close(seller, month, made)
        assert reopen(made, seller, month, "first try").status_code == 200
        close_due_books()
        assert rows("SELECT closed_until FROM closed_books WHERE organization = %s", made.id) == [(None,)]
        post(made, end_of(previous_month(month)))


def reopen(made: Billed, seller: str, month: Any, reason: str) -> Any:
    """The answer to reopening a month."""
    path = f"/v1/accounting-periods/{month_text(month)}/reopen"
    return made.finance.post(path, {"legal_entity": seller, "reason": reason}, key=unique())


class TestReports:
    def test_the_trial_balance_is_level_and_goes_on_where_the_month_before_ended(self) -> None:
        made, _, month = at_month_end()
        made.use("3")
        recognise(made)
        first = report(made, "trial-balance", month).json()["data"]
        second = report(made, "trial-balance", next_month(month)).json()["data"]
        for name in ("opening", "debits", "credits", "closing"):
            assert sum(float(row[name]) for row in first) == pytest.approx(
                0 if name in ("opening", "closing") else -sum(
                    float(row[{"debits": "credits", "credits": "debits"}[name]]) for row in first
                )
            )  # fmt: skip
        closings = {row["kind"]: row["closing"] for row in first}
        assert {row["kind"]: row["opening"] for row in second if row["opening"] != "0"} == closings

    def test_the_roll_forward_names_each_movement(self) -> None:
        made, seller, month = at_month_end()
        made.use("3")
        recognise(made)
        (found,) = report(made, "deferred-revenue", month).json()["data"]
        rolled = found["deferred_revenue"]
        half = float(rolled["closing"])
        assert (rolled["opening"], rolled["billed"]) == ("0", "60")
        assert float(rolled["recognised"]) == half - 60
        (now,) = report(made, "deferred-revenue", next_month(month)).json()["data"]
        assert now["unbilled_receivable"]["used"] == "-3"
        assert now["deferred_revenue"]["opening"] == rolled["closing"]
        total = made.finance.get("/v1/reports/deferred-revenue", month=month_text(month), legal_entity=seller)
        assert total.json()["total"] == [{name: found[name] for name in found if name != "organization"}]

    def test_the_customer_sees_its_own_and_nobody_elses(self) -> None:
        made, seller, month = at_month_end()
        auditor = caller(made.id, "audit:read")
        own = auditor.get("/v1/reports/trial-balance", month=month_text(month)).json()
        assert own == report(made, "trial-balance", month).json()
        stranger = caller(make_organization(), "audit:read")
        given = {"month": month_text(month), "organization": str(made.id)}
        for name in ("trial-balance", "deferred-revenue", "trial-balance.csv", "deferred-revenue.csv"):
            path = f"/v1/reports/{name}"
            assert problem(stranger.get(path, **given)) == (404, "not_found")
            assert problem(made.reader.get(path, month=month_text(month))) == (403, "forbidden")
            assert problem(auditor.get(path, month=month_text(month), legal_entity=seller)) == (
                403,
                "forbidden",
            )
            assert problem(auditor.get(path)) == (400, "invalid_parameter")
            assert problem(auditor.get(path, month="2026-13")) == (400, "invalid_parameter")
            assert problem(auditor.get(path, month=month_text(month), day="1")) == (400, "unknown_parameter")

    def test_csv_says_the_same(self) -> None:
        made, _, month = at_month_end()
        recognise(made)
        answer = report(made, "trial-balance.csv", month)
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert (
            list(csv.DictReader(io.StringIO(answer.content.decode())))
            == report(made, "trial-balance", month).json()["data"]
        )
        rolled = list(
            csv.DictReader(io.StringIO(report(made, "deferred-revenue.csv", month).content.decode()))
        )
        shown = {(row["account"], row["movement"]): row["amount"] for row in rolled}
        (found,) = report(made, "deferred-revenue", month).json()["data"]
        assert shown[("deferred_revenue", "recognised")] == found["deferred_revenue"]["recognised"]
        assert shown[("customer_credit", "closing")] == found["customer_credit"]["closing"]

    def test_of_a_seller_count_all_of_its_customers(self) -> None:
        made, _, month = at_month_end()
        other, _, _ = at_month_end()
        seller = sold_by(made, other)
        answer = made.finance.get(
            "/v1/reports/deferred-revenue", month=month_text(month), legal_entity=seller, limit="1"
        ).json()
        assert len(answer["data"]) == 1
        assert answer["total"][0]["deferred_revenue"]["billed"] == "120"
        more = made.finance.get(
            "/v1/reports/deferred-revenue",
            month=month_text(month), legal_entity=seller, limit="1", cursor=answer["next_cursor"],
        ).json()  # fmt: skip
        assert {answer["data"][0]["organization"], more["data"][0]["organization"]} == {
            str(made.id),
            str(other.id),
        }
        trial = made.finance.get(
            "/v1/reports/trial-balance", month=month_text(month), legal_entity=seller
        ).json()
        assert {row["kind"]: row["closing"] for row in trial["data"]}["deferred_revenue"] == "120"


def test_now_is_never_in_a_closed_month() -> None:
    made, seller, month = at_month_end()
    close(seller, month, made)
    assert now_of(made.id) >= end_of(month)
    made.use("1")
    assert wrong(made) == []
