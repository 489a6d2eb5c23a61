# ruff: noqa: DTZ001  (hypothesis adds the zones)
"""Strict checks of single values."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import fields
from common.errors import ProblemError
from common.strictjson import NumberText

SOME_ID = "01a21f15-a6d8-75f2-b4d6-447018e43b18"


def code_of(check: Callable[..., Any], value: object, **options: Any) -> str:
    """The code of a check's refusal, whose pointer must be the one that it was given."""
    with pytest.raises(ProblemError) as refused:
        check(value, pointer="/x", **options)
    assert refused.value.errors[0].pointer.startswith("/x")
    assert refused.value.errors[0].code == refused.value.code
    return refused.value.code


class TestQuantities:
    @pytest.mark.parametrize(
        "value", [NumberText("1.0"), NumberText("1e3"), -1, 10**12 + 1, "5", True, None, [], NumberText("-0")]
    )
    def test_only_an_integer_up_to_a_million_millions_b29_b30_b39(self, value: object) -> None:
        assert code_of(fields.quantity, value) == "invalid_quantity"

    @pytest.mark.parametrize("value", [0, 1, 10**12])
    def test_it_is_taken_as_it_is(self, value: int) -> None:
        assert fields.quantity(value) == value

    def test_a_metered_one_is_a_string(self) -> None:
        assert fields.metered_quantity("3.5") == 3_500_000_000_000
        assert code_of(fields.metered_quantity, 3) == "invalid_quantity"


class TestAmounts:
    @pytest.mark.parametrize("value", [1, NumberText("0.1"), True, None, [], "1e3", "-1", "0"])
    def test_the_code_and_the_pointer_name_the_field(self, value: object) -> None:
        assert code_of(fields.amount, value) == "invalid_amount"

    def test_options_reach_the_check(self) -> None:
        assert fields.amount("0", allow_zero=True) == 0
        assert code_of(fields.amount, "10.5", currency="JPY", document=True) == "invalid_amount"
        assert fields.price("0.000001") == 1_000_000
        assert code_of(fields.price, 1) == "invalid_amount"
        assert fields.count_text("500") == 500
        assert code_of(fields.count_text, "1.5") == "invalid_amount"
        assert code_of(fields.currency, "usd") == "invalid_currency"
        assert fields.currency("KWD") == "KWD"


class TestTexts:
    @pytest.mark.parametrize(
        ("row", "value"),
        [
            ("B41", "a\x00b"), ("B42", "\ud800"), ("B61", "a\u202eb"), ("B61", "a\u200bb"),
            ("B61", "\ufeffa"),
            ("B61", "a\u200db"), ("B61", "\u2066a"), ("tab", "a\tb"), ("line feed", "a\n"), ("DEL", "a\x7f"),
            ("C1", "a\x85"), ("line separator", "a\u2028"), ("soft hyphen", "a\u00adb"),
            ("tag", "a\U000e0041"),
        ],
    )  # fmt: skip
    def test_control_and_format_characters_are_refused(self, row: str, value: str) -> None:
        assert code_of(fields.text, value) == "invalid_text"
        assert code_of(fields.key, value) == "invalid_text"

    def test_lengths_count_code_points_b63(self) -> None:
        assert fields.text("😀" * 100) == "😀" * 100
        assert code_of(fields.text, "😀" * 101) == "invalid_field"

    def test_a_name_is_normalised_before_it_is_counted(self) -> None:
        assert fields.text("a\u0308" * 100) == "ä" * 100

    @pytest.mark.parametrize("value", ["", " ", "\u3000", None, 5, NumberText("1.5"), True, ["a"]])
    def test_what_is_empty_or_no_text_is_refused(self, value: object) -> None:
        assert code_of(fields.text, value) == "invalid_field"

    @pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", "two\nlines"])
    def test_a_longer_text_may_have_lines_and_begin_with_anything_b125(self, value: str) -> None:
        assert fields.text(value, multiline=True, max_length=500) == value

    def test_a_longer_text_has_no_other_control_characters(self) -> None:
        assert code_of(fields.text, "a\x00", multiline=True) == "invalid_text"
        assert code_of(fields.text, "a\u202e", multiline=True) == "invalid_text"

    @pytest.mark.parametrize("value", ["research-bot", "a", "A.b_c:d/e@f+g-1", "9lives", "x" * 100])
    def test_a_key_is_plain(self, value: str) -> None:
        assert fields.key(value) == value

    @pytest.mark.parametrize(
        "value",
        ["-a", "a b", "ä", "a;b", "../x", "", "x" * 101, SOME_ID, "a'b"],
    )
    def test_another_text_is_no_key(self, value: str) -> None:
        assert code_of(fields.key, value) == "invalid_field"


class TestIds:
    def test_a_malformed_id_in_a_body_is_named(self) -> None:
        assert code_of(fields.uuid, "0198C5A2-0000-7000-8000-000000000000") == "invalid_id"
        assert fields.uuid("0198c5a2-0000-7000-8000-000000000000") == UUID(
            "0198c5a2-0000-7000-8000-000000000000"
        )


class TestTimes:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-03-01T12:00:00Z", dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)),
            ("2026-03-01T12:00:00+02:00", dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)),
            ("2026-03-01t12:00:00.5z", dt.datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)),
            ("2026-03-01T12:00:00.123456789Z", dt.datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=dt.UTC)),
            ("1970-01-01T00:00:00-00:00", dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
            ("9998-12-31T23:59:59Z", dt.datetime(9998, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        ],
    )
    def test_a_time_of_rfc_3339_is_read_in_utc(self, text: str, moment: dt.datetime) -> None:
        assert fields.instant(text) == moment
        assert fields.instant(text).tzinfo is dt.UTC

    def test_a_time_without_offset_is_naive_b85(self) -> None:
        assert code_of(fields.instant, "2026-03-01T12:00:00") == "naive_datetime"
        assert code_of(fields.instant, "2026-03-01T12:00:00.5") == "naive_datetime"

    @pytest.mark.parametrize(
        ("row", "value"),
        [
            ("B88", "2026-02-29T00:00:00Z"), ("B89", "2026-01-01T23:59:60Z"),
            ("B91", "2026-01-01T00:00:00+99:99"),
            ("B91", "2026-01-01T00:00:00+10:60"), ("B92", 1_772_323_200), ("B92", NumberText("1772323200.5")),
            ("year", "1969-12-31T23:59:59Z"), ("year", "9999-01-01T00:00:00Z"),
            ("year", "0000-01-01T00:00:00Z"),
            ("year of the offset", "1970-01-01T00:00:00+01:00"), ("space", "2026-01-01 00:00:00Z"),
            ("hour", "2026-01-01T24:00:00Z"), ("week", "2026-W01-1T00:00:00Z"), ("date", "2026-01-01"),
            ("short offset", "2026-01-01T00:00:00+01"), ("no seconds", "2026-01-01T00:00Z"), ("null", None),
            ("full-width", "２026-01-01T00:00:00Z"), ("comma", "2026-01-01T00:00:00,5Z"), ("empty", ""),
            ("naive and wrong", "2026-02-30T00:00:00"),
        ],
    )  # fmt: skip
    def test_everything_else_is_no_time(self, row: str, value: object) -> None:
        assert code_of(fields.instant, value) == "invalid_datetime"

    @given(st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(9998, 12, 30), timezones=st.timezones()))
    def test_what_isoformat_writes_is_read_back(self, moment: dt.datetime) -> None:
        offset = moment.utcoffset()
        if offset is not None and offset % dt.timedelta(minutes=1) == dt.timedelta():
            assert fields.instant(moment.isoformat()) == moment.astimezone(dt.UTC)

    @pytest.mark.parametrize(
        "value", ["2026-02-29", "2026-2-1", "1969-12-31", "9999-01-01", 20260101, None, "x"]
    )
    def test_a_date_that_is_none_is_refused_b88(self, value: object) -> None:
        assert code_of(fields.date, value) == "invalid_datetime"

    def test_a_date_is_read(self) -> None:
        assert fields.date("2028-02-29") == dt.date(2028, 2, 29)

    def test_a_period_ends_after_its_start(self) -> None:
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        fields.period(start, start + dt.timedelta(microseconds=1), pointer="/x")
        fields.period(None, start, pointer="/x")
        with pytest.raises(ProblemError) as refused:
            fields.period(start, start, pointer="/expires_at")
        assert (refused.value.code, refused.value.errors[0].pointer) == ("invalid_period", "/expires_at")

    def test_a_wall_time_is_read_in_its_zone_b86(self) -> None:
        zone = "America/New_York"
        assert fields.wall_time("2026-03-08T03:30:00", zone=zone) == dt.datetime(
            2026, 3, 8, 7, 30, tzinfo=dt.UTC
        )
        assert code_of(fields.wall_time, "2026-03-08T02:30:00", zone=zone) == "nonexistent_local_time"
        assert code_of(fields.wall_time, "2026-03-08T03:30:00Z", zone=zone) == "invalid_datetime"
        assert code_of(fields.wall_time, "02:30", zone=zone) == "invalid_datetime"


class TestTheRest:
    @pytest.mark.parametrize("value", [1, 0, "true", None, NumberText("1.0")])
    def test_a_flag_is_true_or_false(self, value: object) -> None:
        assert code_of(fields.boolean, value) == "invalid_field"
        assert fields.boolean(True) is True

    @pytest.mark.parametrize("value", ["weekly", "Day", 1, None, ["day"], {}])
    def test_a_word_is_one_of_a_few(self, value: object) -> None:
        assert code_of(fields.choice, value, options={"day", "week"}) == "invalid_field"
        assert fields.choice("day", options={"day", "week"}) == "day"

    @pytest.mark.parametrize("value", [0, 86_401, NumberText("60.0"), True, "60", None, NumberText("9" * 30)])
    def test_an_integer_lies_in_its_range(self, value: object) -> None:
        assert code_of(fields.integer, value, minimum=1, maximum=86_400) == "invalid_field"
        assert fields.integer(86_400, minimum=1, maximum=86_400) == 86_400

    @pytest.mark.parametrize(
        "value", ["Mars/Olympus", "europe/berlin", "+02:00", "", None, "../etc/passwd", "localtime"]
    )
    def test_a_zone_is_one_of_the_database(self, value: object) -> None:
        assert code_of(fields.time_zone, value) == "invalid_field"
        assert fields.time_zone("Europe/Berlin") == "Europe/Berlin"
        assert fields.time_zone("UTC") == "UTC"

    @pytest.mark.parametrize(
        ("row", "value"),
        [
            ("B64", {f"k{number}": "v" for number in range(10_000)}),
            ("51 keys", {f"k{n}": "v" for n in range(51)}),
            ("long key", {"k" * 41: "v"}), ("empty key", {"": "v"}), ("long value", {"k": "v" * 501}),
            ("number", {"k": 1}), ("null", {"k": None}), ("nested", {"k": {}}), ("list", []), ("text", "x"),
        ],
    )  # fmt: skip
    def test_metadata_is_small_and_flat(self, row: str, value: object) -> None:
        assert code_of(fields.metadata, value) == "invalid_metadata"

    def test_metadata_at_its_limits_is_taken(self) -> None:
        value = {f"{number:040d}": "😀" * 500 for number in range(50)}
        assert fields.metadata(value) == value

    def test_a_free_object_keeps_numbers_that_a_database_can_keep(self) -> None:
        value = {"usage": [{"cost": NumberText("0.0001"), "n": NumberText("1e300")}]}
        assert fields.free_object(value) == value
        assert code_of(fields.free_object, {"n": [NumberText("1e999999999")]}) == "invalid_field"
        assert code_of(fields.free_object, {"n": NumberText("9" * 41)}) == "invalid_field"
        assert code_of(fields.free_object, []) == "invalid_field"

    def test_a_list_of_words_is_distinct_and_not_empty(self) -> None:
        assert fields.choices(["a", "b"], options={"a", "b", "c"}) == ["a", "b"]
        for value in (["a", "a"], [], ["d"], "a", None, [1]):
            assert code_of(fields.choices, value, options={"a", "b", "c"}) == "invalid_field"
