"""From an invoiced fee to revenue, month by month: in time, late and after standstill (house rule 36)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing.rules.months import month_text, next_month
from events.jobs import job
from events.rebuilding.run import rebuild
from tests.builders.billing import DOLLAR, Billed, billed, item, lines, owe
from tests.builders.books import balances, rows
from tests.builders.orgs import caller, make_organization, unique
from tests.builders.revenue import (
    charge,
    close,
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
from tests.builders.subscribed import fee
from tests.builders.subscriptions import act, owner, sell, subscribe

DAY = timedelta(days=1)


def at_month_start(**given: str) -> tuple[Billed, datetime]:
    """A customer whose clock stands at the beginning of a month, and that moment."""
    made = billed(**given)
    start = end_of(month_of_now(made))
    go_to(made, start)
    return made, start


def months_from(start: datetime, count: int) -> list[datetime]:
    """The first instants of `count` months after the one that begins at `start`."""
    found, month = [], start.date().replace(day=1)
    for _ in range(count):
        found.append(end_of(month))
        month = next_month(month)
    return found


def named(start: datetime, count: int) -> list[str]:
    """The names of `count` months from the one that begins at `start`."""
    return [month_text(end.date()) for end in [start, *months_from(start, count - 1)]]


class TestAFee:
    def test_is_deferred_when_it_is_invoiced_and_revenue_when_its_months_are_over(self) -> None:
        made, start = at_month_start()
        first, second, third = months_from(start, 3)
        charge(made, 90, start, third, kind="recurring")
        (schedule,) = schedules(made)
        assert (schedule.amount, schedule.recognised, schedule.status) == (90 * DOLLAR, 0, "open")
        assert balances(made.id)["deferred_revenue"] == 90 * DOLLAR
        assert recognise(made) == []
        go_to(made, first)
        (booked,) = recognise(made)
        whole, part = (third - start).total_seconds(), (first - start).total_seconds()
        assert booked.amount == round(90 * DOLLAR * part / whole)
        assert balances(made.id)["deferred_revenue"] == 90 * DOLLAR - booked.amount
        assert recognise(made) == []
        go_to(made, third)
        assert [one.month for one in recognise(made)] == [first.date(), second.date()]
        (schedule,) = schedules(made)
        assert (schedule.status, schedule.recognised) == ("done", 90 * DOLLAR)
        assert "deferred_revenue" not in balances(made.id)
        assert sum(revenue(made).values()) == 90 * DOLLAR
        made.assert_sound()
        assert wrong(made) == []

    def test_is_booked_at_the_last_instant_of_its_month_under_one_key(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        charge(made, 31, start, end)
        go_to(made, end)
        (booked,) = recognise(made)
        ((kind, key, effective, reason),) = rows(
            "SELECT kind, idempotency_key, effective_at, reason FROM journal_entries WHERE id = %s",
            booked.entry,
        )
        name = month_text(booked.month)
        assert (kind, key, reason) == ("recognition", f"recognition:{name}:1", f"Revenue of {name}")
        assert effective == end - timedelta(microseconds=1)

    def test_ends_a_month_where_the_customer_is(self) -> None:
        made = billed(time_zone="Asia/Tokyo")
        start = now_of(made.id).replace(microsecond=0)
        charge(made, 60, start, start + 40 * DAY)
        go_to(made, start + 41 * DAY)
        recognise(made)
        ((hour,),) = rows(
            "SELECT DISTINCT date_part('hour', effective_at AT TIME ZONE 'UTC')::int FROM journal_entries"
            " WHERE organization = %s AND kind = 'recognition'",
            made.id,
        )
        assert hour == 14  # 23 o'clock in Tokyo

    def test_that_is_not_over_a_period_is_revenue_at_once(self) -> None:
        made, start = at_month_start()
        owe(made.id, item(due_at=start, amount=12 * DOLLAR, kind="one_time"))
        invoiced(made)
        assert schedules(made) == []
        assert balances(made.id)["revenue"] == 12 * DOLLAR

    def test_leaves_out_what_its_credit_is_worth(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        charge(made, 49, start, end, included=20 * DOLLAR)
        made.customer.grant("20", kind="included", source="allowance", expires_at=end)
        (schedule,) = schedules(made)
        assert (schedule.amount, schedule.included) == (29 * DOLLAR, 20 * DOLLAR)
        made.use("5")
        go_to(made, end)
        recognise(made)
        made.customer.expire_grants()
        posted = balances(made.id)
        assert (posted["revenue"], posted["breakage"]) == (34 * DOLLAR, 15 * DOLLAR)
        assert "deferred_revenue" not in posted
        assert wrong(made) == []

    def test_without_a_period_that_pays_for_credit_is_revenue_of_its_month_but_for_the_credit(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        owe(made.id, item(due_at=start, amount=30 * DOLLAR, kind="one_time", included=20 * DOLLAR))
        invoiced(made)
        go_to(made, end)
        (booked,) = recognise(made)
        assert booked.amount == 10 * DOLLAR
        assert wrong(made) == []


class TestWhenItIsRun:
    def test_once_after_a_year_gives_the_same_months_as_every_month(self) -> None:
        fees = [(1200, 0, 12), (90, 1, 4), (31, 3, 4)]
        in_time, late = at_month_start(), at_month_start()
        assert in_time[1] == late[1]
        for made, start in (in_time, late):
            ends = [start, *months_from(start, 13)]
            for dollars, first, last in fees:
                owe(
                    made.id,
                    item(
                        amount=dollars * DOLLAR, due_at=ends[first], service_start=ends[first],
                        service_end=ends[last], recognition="straight",
                    ),
                )  # fmt: skip
            for end in ends if made is in_time[0] else ends[-1:]:
                go_to(made, end)
                invoiced(made)
                recognise(made)
        assert revenue(in_time[0]) == revenue(late[0])
        assert list(revenue(late[0])) == named(late[1], 12)
        assert sum(revenue(late[0]).values()) == 1321 * DOLLAR
        assert wrong(in_time[0], late[0]) == []

    def test_again_for_a_month_books_only_what_came_since(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        charge(made, 30, start, end)
        go_to(made, end)
        assert [one.amount for one in recognise(made)] == [30 * DOLLAR]
        charge(made, 8, start, end)
        assert [one.amount for one in recognise(made)] == [8 * DOLLAR]
        assert recognise(made) == []
        keys = rows(
            "SELECT idempotency_key FROM journal_entries WHERE organization = %s AND kind = 'recognition' ORDER BY id",
            made.id,
        )
        name = month_text(start.date())
        assert keys == [(f"recognition:{name}:1",), (f"recognition:{name}:2",)]
        assert revenue(made) == {name: 38 * DOLLAR}
        assert wrong(made) == []

    def test_by_the_job_everybody_is_booked_by_their_own_clock(self) -> None:
        (made, start), (other, _) = at_month_start(), at_month_start()
        (end,) = months_from(start, 1)
        for one in (made, other):
            charge(one, 30, start, end)
        go_to(made, end)
        job("billing.recognise_revenue").run()
        assert revenue(made) == {month_text(start.date()): 30 * DOLLAR}
        assert revenue(other) == {}
        job("billing.recognise_revenue").run()
        assert sum(revenue(made).values()) == 30 * DOLLAR


class TestAPlanThatSaysHow:
    @pytest.mark.parametrize("method", ["per_day", "even_month"])
    def test_has_its_fees_recognised_that_way(self, method: str) -> None:
        made, start = at_month_start()
        plan = sell(fee("90"), interval={"unit": "quarter", "count": 1}, recognition=method)
        subscribe(owner(made.id), plan)
        first, _, third = months_from(start, 3)
        go_to(made, first)
        made.run()
        recognise(made)
        (schedule,) = schedules(made)
        assert (schedule.method, schedule.amount) == (method, 90 * DOLLAR)
        days = Fraction((first - start).days, (third - start).days)
        share = Fraction(1, 3) if method == "even_month" else days
        assert revenue(made) == {named(start, 1)[0]: int(90 * DOLLAR * share + Fraction(1, 2))}
        assert wrong(made) == []


class TestACreditNote:
    def test_over_a_part_takes_it_from_all_of_the_service(self) -> None:
        made, start = at_month_start()
        ends = months_from(start, 4)
        invoice = charge(made, 120, start, ends[3], recognition="straight")
        go_to(made, ends[0])
        recognise(made)
        before = revenue(made)
        body = {"reason": "outage", "lines": [{"line": 1, "net": "40"}]}
        assert made.act(str(invoice), "credit-notes", body).status_code == 201
        (schedule,) = schedules(made)
        assert (schedule.amount, schedule.status) == (80 * DOLLAR, "open")
        go_to(made, ends[1])
        recognise(made)
        whole, part = (ends[3] - start).total_seconds(), (ends[1] - start).total_seconds()
        assert sum(revenue(made).values()) == round(80 * DOLLAR * part / whole)
        assert revenue(made)[named(start, 1)[0]] == before[named(start, 1)[0]]
        go_to(made, ends[3])
        recognise(made)
        assert sum(revenue(made).values()) == 80 * DOLLAR
        assert schedules(made)[0].status == "done"
        assert wrong(made) == []

    def test_over_all_of_it_takes_back_what_was_recognised_in_its_own_month(self) -> None:
        made, start = at_month_start()
        ends = months_from(start, 4)
        invoice = charge(made, 120, start, ends[3])
        go_to(made, ends[0])
        recognise(made)
        (first,) = revenue(made).values()
        assert made.act(str(invoice), "credit-notes", {"reason": "mistake"}).status_code == 201
        go_to(made, ends[3])
        recognise(made)
        one, two = named(start, 2)
        assert revenue(made) == {one: first, two: -first}
        assert schedules(made)[0].status == "ended"
        assert "deferred_revenue" not in balances(made.id)
        assert wrong(made) == []

    def test_on_a_fee_that_only_pays_for_credit_is_less_revenue(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        invoice = charge(made, 20, start, end, included=20 * DOLLAR)
        body = {"reason": "sorry", "amount": "12"}
        assert made.act(str(invoice), "credit-notes", body).status_code == 201
        assert wrong(made) == []
        go_to(made, end)
        recognise(made)
        assert revenue(made) == {named(start, 1)[0]: -12 * DOLLAR}
        assert wrong(made) == []

    def test_after_the_service_is_over_is_less_revenue_then(self) -> None:
        made, start = at_month_start()
        end, following = months_from(start, 2)
        invoice = charge(made, 30, start, end)
        go_to(made, end)
        recognise(made)
        assert schedules(made)[0].status == "done"
        assert made.act(str(invoice), "credit-notes", {"reason": "sorry", "amount": "10"}).status_code == 201
        go_to(made, following)
        recognise(made)
        assert revenue(made) == dict(zip(named(start, 2), (30 * DOLLAR, -10 * DOLLAR), strict=True))
        assert wrong(made) == []


class TestAVoid:
    def test_takes_back_what_was_recognised_and_the_next_invoice_begins_anew(self) -> None:
        made, start = at_month_start()
        ends = months_from(start, 3)
        invoice = charge(made, 90, start, ends[2])
        go_to(made, ends[0])
        recognise(made)
        assert made.act(str(invoice), "void", {"reason": "wrong address"}).status_code == 200
        go_to(made, ends[1])
        invoiced(made)
        go_to(made, ends[2])
        invoiced(made)
        recognise(made)
        assert [one.status for one in schedules(made)] == ["ended", "done"]
        assert sum(revenue(made).values()) == 90 * DOLLAR
        assert "deferred_revenue" not in balances(made.id)
        made.assert_sound()
        assert wrong(made) == []


class TestReading:
    def test_shows_schedules_and_months_to_their_own_only(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        invoice = charge(made, 30, start, end)
        go_to(made, end)
        recognise(made)
        (shown,) = made.reader.get("/v1/recognition-schedules", invoice=str(invoice)).json()["data"]
        assert (shown["amount"], shown["recognised"], shown["deferred"], shown["status"]) == (
            "30.00", "30", "0", "done",
        )  # fmt: skip
        path = f"/v1/recognition-schedules/{shown['id']}"
        assert made.reader.get(path).json() == shown
        stranger = caller(make_organization(), "billing:read")
        assert stranger.get(path).status_code == 404
        assert stranger.get("/v1/recognition-schedules").json()["data"] == []
        assert caller(made.id, "spend:write").get(path).status_code == 403
        (month,) = made.reader.get("/v1/recognised-months").json()["data"]
        assert (month["month"], month["amount"], month["entries"]) == (named(start, 1)[0], "30", 1)
        assert made.reader.get("/v1/recognition-schedules", status="done ").status_code == 400
        assert made.reader.get("/v1/recognition-schedules", state="done").status_code == 400

    @pytest.mark.parametrize("name", ["x", "01900000-0000-7000-8000-0000000000ff", "%00"])
    def test_one_that_is_not_there_is_not_found(self, name: str) -> None:
        made = billed()
        assert made.reader.get(f"/v1/recognition-schedules/{name}").status_code == 404


def test_a_line_has_one_schedule() -> None:
    made, start = at_month_start()
    (end,) = months_from(start, 1)
    invoice = charge(made, 30, start, end)
    assert [(one.invoice_id, one.line) for one in schedules(made)] == [
        (invoice, line.n) for line in lines(invoice)
    ]


class TestWhatTheBooksRefuse:
    def test_an_entry_of_a_document_is_not_reversed_by_itself(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        charge(made, 30, start, end)
        go_to(made, end)
        recognise(made)
        entries = rows("SELECT id FROM journal_entries WHERE organization = %s", made.id)
        assert len(entries) == 2
        for (entry,) in entries:
            with made.still():
                answer = made.finance.post(f"/v1/entries/{entry}/reverse", {"reason": "x"}, key=unique())
                assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition")


class TestTwoAtOnce:
    def test_book_a_month_once(self) -> None:
        made, start = at_month_start()
        (end,) = months_from(start, 1)
        charge(made, 30, start, end)
        go_to(made, end)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: recognise(made), range(4)))
        assert sorted(len(booked) for booked in found) == [0, 0, 0, 1]
        assert sum(revenue(made).values()) == 30 * DOLLAR
        made.assert_sound()


class TestASubscriptionThatEnds:
    def test_owes_no_service_any_more_and_what_is_left_is_revenue(self) -> None:
        made, start = at_month_start()
        ends = months_from(start, 3)
        plan = sell(fee("120"), interval={"unit": "quarter", "count": 1})
        who = owner(made.id)
        subscribed = subscribe(who, plan)
        invoiced(made)
        assert act(who, subscribed, "cancel", {"when": "now"}).status_code == 200
        go_to(made, ends[0])
        recognise(made)
        assert revenue(made) == {named(start, 1)[0]: 120 * DOLLAR}
        assert [one.status for one in schedules(made)] == ["ended"]
        go_to(made, ends[2])
        assert recognise(made) == []
        assert wrong(made) == []

    def test_with_credit_for_what_is_unused_is_less_revenue(self) -> None:
        made, start = at_month_start()
        ends = months_from(start, 3)
        plan = sell(
            fee("120"), interval={"unit": "quarter", "count": 1}, credits=[{"amounts": {"USD": "30"}}]
        )
        who = owner(made.id)
        subscribed = subscribe(who, plan)
        invoiced(made)
        go_to(made, start + timedelta(days=30))
        assert (
            act(made.finance, subscribed, "cancel", {"when": "now", "credit_unused": True}).status_code == 200
        )
        go_to(made, ends[1])
        invoiced(made)
        recognise(made)
        made.customer.pass_time(days=200)
        recognise(made)
        made.customer.expire_grants()
        net = sum(float(one["net"]) for one in made.invoices())
        posted = balances(made.id)
        assert {one.status for one in schedules(made)} <= {"done", "ended"}
        assert "deferred_revenue" not in posted
        kept = posted["revenue"] + posted.get("breakage", 0) + posted.get("promotional_expense", 0)
        assert kept == round(net * DOLLAR)
        assert "customer_credit" not in posted  # what is given back pays the open invoice first
        assert wrong(made) == []


def test_a_rebuild_makes_the_same_schedules_months_and_closed_books() -> None:
    made, start = at_month_start()
    ends = months_from(start, 2)
    invoice = charge(made, 90, start, ends[1])
    go_to(made, ends[0])
    recognise(made)
    assert made.act(str(invoice), "credit-notes", {"reason": "sorry", "amount": "9"}).status_code == 201
    close(sold_by(made), start.date(), made)
    go_to(made, ends[1])
    recognise(made)
    outcome = rebuild()
    names = (
        "recognition_schedules",
        "recognised_months",
        "closed_months",
        "accounting_periods",
        "closed_books",
    )
    assert [one for one in outcome.differences if one.table in names] == []
    assert min(outcome.tables[name] for name in names) > 0
