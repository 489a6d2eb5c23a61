"""Which days are due, what balance transactions book, and how providers' files are read."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from billing.rules.payments.views import BalanceView
from common.errors import InvalidField, InvalidTransition
from webhooks.rules.reconciling import bills, items
from webhooks.rules.reconciling.billfiles import MAX_LINE, UnknownColumns, read_statement
from webhooks.rules.reconciling.periods import bounds, last_period, periods_due

UNIT = 10**8
NOW = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)  # the night in which Europe's summer time begins


class TestPeriods:
    @pytest.mark.parametrize(
        ("now", "last"),
        [
            (datetime(2026, 3, 29, 1, 59, tzinfo=UTC), date(2026, 3, 27)),
            (datetime(2026, 3, 29, 2, 0, tzinfo=UTC), date(2026, 3, 28)),
            (datetime(2026, 10, 25, 2, 0, tzinfo=UTC), date(2026, 10, 24)),
            (datetime(2026, 11, 1, 2, 0, tzinfo=UTC), date(2026, 10, 31)),
            (datetime(2028, 3, 1, 2, 0, tzinfo=UTC), date(2028, 2, 29)),
        ],
    )
    def test_a_day_is_due_two_hours_after_its_end(self, now: datetime, last: date) -> None:
        assert last_period(now) == last
        assert periods_due(now, newest=None) == [last]
        assert periods_due(now, newest=last) == []

    def test_a_beat_that_was_away_for_a_day_finds_both_days(self) -> None:
        before = date(2026, 3, 26)
        assert periods_due(NOW, newest=before) == [date(2026, 3, 27), date(2026, 3, 28)]

    def test_a_clock_that_was_set_back_makes_no_day_due_again(self) -> None:
        assert periods_due(NOW - timedelta(hours=1), newest=date(2026, 3, 28)) == []
        assert periods_due(NOW - timedelta(days=9), newest=date(2026, 3, 28)) == []

    def test_every_hour_of_a_year_makes_each_day_due_once(self) -> None:
        newest, run = None, []
        for hour in range(24 * 366):
            for day in periods_due(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour), newest=newest):
                run.append(day)
                newest = day
        assert run == [date(2025, 12, 30) + timedelta(days=n) for n in range(len(run))]

    def test_of_a_long_pause_only_the_last_week_is_run(self) -> None:
        assert len(periods_due(NOW, newest=date(2025, 1, 1))) == 7

    def test_a_run_looks_back_and_leaves_out_what_is_in_flight(self) -> None:
        grace = timedelta(minutes=15)
        since, until = bounds(date(2026, 3, 28), now=NOW, grace=grace)
        assert (since, until) == (datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC))
        assert bounds(date(2026, 3, 29), now=NOW, grace=grace)[1] == NOW - grace


def row(category: str, amount: int, fee: int = 0) -> BalanceView:
    return BalanceView(
        "txn_1", amount, fee, amount - fee, "USD", "charge", category, "available", None, NOW, NOW
    )


class TestItems:
    @pytest.mark.parametrize(
        ("view", "booked"),
        [
            (row("charge", 100, 3), {"processor_clearing": -97, "processor_fees": -3, "suspense": 100}),
            (row("refund", -100), {"processor_clearing": 100, "suspense": -100}),
            (row("fee", -7), {"processor_clearing": 7, "processor_fees": -7}),
            (row("fee", -7, 1), {"processor_clearing": 8, "processor_fees": -8}),
            (row("topup", 50), {"processor_clearing": -50, "cash": 50}),
            (row("a_word_of_tomorrow", 5), {"processor_clearing": -5, "suspense": 5}),
        ],
        ids=["charge", "refund", "fee", "fee-with-fee", "topup", "unknown"],
    )
    def test_book_their_net_at_the_processor_and_sum_to_zero(
        self, view: BalanceView, booked: dict[str, int]
    ) -> None:
        item = items.new_item(view, subject="charge:ch_1", booked_to=None, now=NOW)
        assert items.postings(item) == booked
        assert sum(booked.values()) == 0
        assert booked["processor_clearing"] == -view.net
        back = items.reversed_postings(item)
        assert {kind: amount + back[kind] for kind, amount in booked.items()} == dict.fromkeys(booked, 0)

    def test_leave_suspense_once_and_with_a_reason(self) -> None:
        item = items.new_item(row("charge", 100), subject="charge:ch_1", booked_to=None, now=NOW)
        with pytest.raises(InvalidField):
            items.ended(item, items.FOREIGN, at=NOW, reason="  ")
        done = items.ended(item, items.FOREIGN, at=NOW, reason="theirs")
        with pytest.raises(InvalidTransition):
            items.ended(done, items.ASSIGNED, at=NOW, reason="mine")


OPENAI = """start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id
1759622400,1759708800,2025-10-05,2025-10-06,0.8958740000000000,usd,"gpt-5-mini, input",p
1759622400,1759708800,2025-10-05,2025-10-06,0.000000004,usd,"gpt-5-mini, output",p
1759708800,1759795200,2025-10-06,2025-10-07,,,,
1759795200,1759881600,2025-10-07,2025-10-08,1.5,usd,"GPT-5-mini, input",p
"""
ANTHROPIC = """usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type
2026-03-01,claude-opus,Default,k,standard,<= 200k,uncached_input,1.25,token
2026-03-01,claude-opus,Default,k,standard,<= 200k,output,2.5,token
2026-03-02,,Default,,,,,0.01,web_search
"""


def read(text: str, provider: str = "openai") -> bills.Bill:
    statement = read_statement(io.StringIO(text, newline=""), provider=provider)
    return bills.new_bill(statement, tolerance_ppm=10_000, by="system:test", now=NOW)


def columns_turned(text: str) -> str:
    """The same columns and lines the other way round."""
    head, *rest = csv.reader(io.StringIO(text))
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows(row[::-1] for row in (head, *rest[::-1]))
    return output.getvalue()


class Endless(io.StringIO):
    """A file of so many lines of a kilobyte, none of which is made before it is read."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.given = 0
        self._lines = self._made(lines)

    def _made(self, lines: int) -> Iterator[str]:
        yield "usage_date_utc,model,cost_usd,workspace\n"
        for _ in range(lines):
            yield f"2026-03-01,m,1,{'w' * 1_000}\n"

    def readline(self, size: int = -1, /) -> str:
        line = next(self._lines, "")
        self.given += len(line)
        return line


class TestBills:
    def test_are_summed_exactly_by_day_and_model_and_rounded_once(self) -> None:
        bill = read(OPENAI)
        assert [(line.day.day, line.model, line.amount) for line in bill.lines] == [
            (5, "gpt-5-mini", 89_587_400),
            (7, "gpt-5-mini", 150_000_000),
        ]
        assert (bill.currency, bill.total) == ("USD", 239_587_400)

    def test_of_anthropic_are_read_by_their_columns(self) -> None:
        bill = read(ANTHROPIC, "anthropic")
        assert [(line.model, line.amount) for line in bill.lines] == [
            ("claude-opus", 375_000_000),
            ("other", 1_000_000),
        ]

    @pytest.mark.parametrize(
        "text",
        [
            OPENAI.splitlines()[0] + "\n",
            OPENAI.replace("0.8958740000000000", "1e3"), OPENAI.replace("0.8958740000000000", "NaN"),
            OPENAI.replace("0.8958740000000000", "٣"), OPENAI.replace("1.5,usd", "1.5,eur"),
            OPENAI.replace("1.5,usd", "1.5,xxq"), OPENAI.replace("1759622400,1759708800", "1759622401,1759708800"),
            OPENAI + "1759795200,1\n", OPENAI + '1759795200,1,a,b,1,usd,"open,p\n',
            OPENAI.replace("1.5,usd", "99999999999999,usd"),
        ],
        ids=["nothing", "exponent", "nan", "digits", "two-currencies", "currency", "second",
             "short", "quote", "huge"],
    )  # fmt: skip
    def test_that_cannot_be_read_whole_are_refused_whole(self, text: str) -> None:
        with pytest.raises(InvalidField):
            read(text)

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: "\ufeff" + text,
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace("amount_value", " Amount_Value ").replace("line_item", "LINE_ITEM"),
            columns_turned,
            lambda text: text.replace("\n", "\n\n"),
            lambda text: text.replace("usd", " USD ".lower()),
            lambda text: '\ufeff"' + text.replace(",", '",', 1),
        ],
        ids=["bom", "crlf", "case", "order", "blank-lines", "spaces", "quoted-bom"],
    )
    def test_that_a_spreadsheet_has_saved_anew_are_the_same_bill(self, change: Callable[[str], str]) -> None:
        assert read(change(OPENAI)) == read(OPENAI)

    def test_with_another_value_in_any_column_are_another_bill(self) -> None:
        other = read(OPENAI.replace('input",p', 'input",q', 1))
        assert (other.lines, other.id == read(OPENAI).id) == (read(OPENAI).lines, False)

    @pytest.mark.parametrize(
        ("text", "missing"),
        [
            ("", ["usage_date_utc", "model", "cost_usd"]),
            ("usage_date_utc,model,cost\n2026-03-01,m,1\n", ["cost_usd"]),
            ("usage_date_utc;model;cost_usd\n2026-03-01;m;1\n", ["usage_date_utc", "model", "cost_usd"]),
            ("usage_date_utc,model,cost_usd,Model\n2026-03-01,m,1,n\n", ["model"]),
        ],
        ids=["empty", "another-name", "semicolons", "twice"],
    )
    def test_without_the_columns_say_which_are_expected(self, text: str, missing: list[str]) -> None:
        with pytest.raises(UnknownColumns) as refused:
            read(text, "anthropic")
        assert refused.value.extra["missing_columns"] == missing
        assert refused.value.extra["expected_columns"] == ["usage_date_utc", "model", "cost_usd"]
        assert "usage_date_utc, model, cost_usd" in refused.value.detail

    @pytest.mark.parametrize(
        ("given", "wrong", "place"),
        [
            ("2.5", '"1,234.50"', "Line 3, column cost_usd"),
            ("2.5", "1 234.50", "Line 3, column cost_usd"),
            ("2.5", '"2,5"', "Line 3, column cost_usd"),
            ("2.5", "$2.50", "Line 3, column cost_usd"),
            ("2.5", "", "Line 3, column cost_usd"),
            ("2026-03-02", "03/02/2026", "Line 4, column usage_date_utc"),
        ],
        ids=["thousands", "space", "comma", "dollar", "empty", "day"],
    )
    def test_with_a_wrong_value_name_its_line_and_column(self, given: str, wrong: str, place: str) -> None:
        with pytest.raises(InvalidField, match=f"^{place}: "):
            read(ANTHROPIC.replace(given, wrong), "anthropic")

    def test_with_exponents_are_summed_exactly(self) -> None:
        tiny = "".join(f"2026-03-0{1 + n % 2},m,{cost}\n" for n, cost in enumerate(["5e-9", "1", "4.9E-9"]))
        assert [line.amount for line in read(f"usage_date_utc,model,cost_usd\n{tiny}", "anthropic").lines] == [
            1, UNIT,
        ]  # fmt: skip

    def test_larger_than_memory_are_read_line_by_line(self) -> None:
        file = Endless(20_000)
        tracemalloc.start()
        statement = read_statement(file, provider="anthropic")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert statement.sums == {(date(2026, 3, 1), "m"): 20_000}
        assert file.given > 20_000_000
        assert peak < 1_000_000

    def test_in_one_endless_line_are_refused_before_they_are_in_memory(self) -> None:
        file = io.StringIO("usage_date_utc,model,cost_usd" + "x" * 3 * MAX_LINE)
        with pytest.raises(InvalidField):
            read_statement(file, provider="anthropic")
        assert file.tell() < 2 * MAX_LINE

    def test_differ_when_they_are_outside_the_tolerance_either_way(self) -> None:
        def within(billed: int, ours: int) -> bool:
            return bills.Compared(date(2026, 3, 1), "m", billed, ours).is_within(10_000)

        assert within(100 * UNIT, 99 * UNIT)
        assert not within(100 * UNIT, 99 * UNIT - 1)
        assert not within(0, 1)
        assert within(0, 0)

    @pytest.mark.parametrize(
        ("against", "ours", "booked"),
        [
            ("cash", 200, {"provider_cost": -239_587_200, "provider_payable": -200, "cash": 239_587_400}),
            ("provider_payable", 239_587_000, {"provider_cost": -400, "provider_payable": 400}),
            ("provider_payable", 239_587_400, {}),
        ],
        ids=["cash", "difference", "agrees"],
    )
    def test_are_booked_so_that_what_is_owed_is_what_was_billed(
        self, against: str, ours: int, booked: dict[str, int]
    ) -> None:
        done = bills.booked(read(OPENAI), against=against, now=NOW)
        assert bills.postings(done, ours=ours) == booked
        assert sum(booked.values()) == 0
        with pytest.raises(InvalidTransition):
            bills.booked(done, against=against, now=NOW)
