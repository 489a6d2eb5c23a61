"""Tax: rates by country and day, who is taxed how, and how much is on a document."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from billing.rules.invoices import treatment_data, treatment_of
from billing.rules.tax import (
    Customer,
    RateTotal,
    TaxableLine,
    TaxPending,
    TaxRate,
    TaxRateUnknown,
    Treatment,
    id_to_ask_for,
    rate_of_code,
    reduced_rates,
    standard_rate,
    standard_rates,
    tax_area,
    tax_document,
    tax_treatment,
)
from common.ids import new_id
from orgs import PLATFORM_ID

CENT = 1_000_000
DAY = date(2026, 11, 27)
ITALIAN_ID = "IT00743110157"
TWENTY = Treatment(Fraction(1, 5), "S", "FR")
TEN = Treatment(Fraction(1, 10), "S", "FR")
MEMBERS = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()


def untaxed(category: str, country: str, code: str) -> Treatment:
    return Treatment(Fraction(0), category, country, code)


class TestRates:
    @pytest.mark.parametrize(
        ("country", "day", "percent"),
        [
            ("DE", "2020-06-30", "19"),
            ("DE", "2020-07-01", "16"),
            ("DE", "2020-12-31", "16"),
            ("DE", "2021-01-01", "19"),
            ("EE", "2025-06-30", "22"),
            ("EE", "2025-07-01", "24"),
            ("FI", "2026-01-01", "25.5"),
            ("CH", "2023-12-31", "7.7"),
            ("CH", "2024-01-01", "8.1"),
            ("GB", "2026-01-01", "20"),
            ("NO", "2026-01-01", "25"),
            ("RO", "2025-08-01", "21"),
            ("SK", "2025-01-01", "23"),
        ],
    )
    def test_are_those_of_the_day(self, country: str, day: str, percent: str) -> None:
        assert standard_rate(country, on=date.fromisoformat(day)) == Fraction(percent) / 100

    def test_of_the_united_states_are_none(self) -> None:
        assert standard_rate("US", on=DAY) is None

    @pytest.mark.parametrize(("country", "day"), [("DE", date(2015, 12, 31)), ("BR", DAY), ("", DAY)])
    def test_are_never_guessed(self, country: str, day: date) -> None:
        with pytest.raises(TaxRateUnknown):
            standard_rate(country, on=day)

    def test_are_there_for_every_member_of_the_union(self) -> None:
        assert sorted(country for country in standard_rates() if tax_area(country) == "EU") == MEMBERS
        assert [tax_area(country) for country in ("GB", "CH", "NO", "US", "BR")] == [
            "GB",
            "CH",
            "NO",
            "US",
            "BR",
        ]

    @pytest.mark.parametrize(
        ("country", "code", "day", "percent"),
        [
            ("DE", "reduced", "2026-01-01", "7"),
            ("DE", "reduced", "2020-07-01", "5"),
            ("NL", "reduced", "2018-12-31", "21"),
            ("NL", "reduced", "2019-01-01", "9"),
            ("AT", "reduced", "2026-01-01", "20"),
            ("DE", "saas", "2026-01-01", "19"),
            ("DE", "standard", "2026-01-01", "19"),
        ],
    )
    def test_are_reduced_for_the_codes_and_countries_of_the_table_alone(
        self, country: str, code: str, day: str, percent: str
    ) -> None:
        assert rate_of_code(country, code, on=date.fromisoformat(day)) == Fraction(percent) / 100

    @pytest.mark.parametrize(("code", "country"), sorted(reduced_rates()))
    def test_that_are_reduced_follow_each_other_below_the_standard_rate(
        self, code: str, country: str
    ) -> None:
        entries = reduced_rates()[code, country]
        assert all(one[0] < other[0] and one[1] != other[1] for one, other in pairwise(entries))
        for since, rate in entries:
            standard = standard_rate(country, on=since)
            assert standard is not None and 0 < rate < standard

    @pytest.mark.parametrize("country", sorted(standard_rates()))
    def test_of_a_country_follow_each_other_and_are_plausible(self, country: str) -> None:
        entries = standard_rates()[country]
        assert all(one.since < other.since and one.rate != other.rate for one, other in pairwise(entries))
        assert {entry.area for entry in entries} == {tax_area(country)}
        assert all(
            entry.rate is None or Fraction(7, 100) < entry.rate <= Fraction(27, 100) for entry in entries
        )


class TestTreatment:
    @pytest.mark.parametrize(
        ("supplier", "customer", "answer", "expected"),
        [
            ("FR", Customer("FR"), None, TWENTY),
            ("FR", Customer("FR", "FR40303265045"), "valid", TWENTY),
            ("FR", Customer("IT"), None, Treatment(Fraction(22, 100), "S", "IT")),
            ("FR", Customer("IT", ITALIAN_ID), "valid", untaxed("AE", "IT", "reverse_charge")),
            ("FR", Customer("IT", ITALIAN_ID), "invalid", Treatment(Fraction(22, 100), "S", "IT")),
            ("FR", Customer("IT", ITALIAN_ID), "unavailable", TaxPending(ITALIAN_ID)),
            ("FR", Customer("IT", ITALIAN_ID), None, TaxPending(ITALIAN_ID)),
            ("FR", Customer("IT", "IT00743110158"), "valid", Treatment(Fraction(22, 100), "S", "IT")),
            ("FR", Customer("IT", "DE136695976"), "valid", Treatment(Fraction(22, 100), "S", "IT")),
            ("FR", Customer("IT", ITALIAN_ID, "VATEX-EU-151"), "valid", untaxed("E", "IT", "VATEX-EU-151")),
            ("FR", Customer("GR", "EL094259216"), "valid", untaxed("AE", "GR", "reverse_charge")),
            ("FR", Customer("CH"), None, untaxed("O", "CH", "outside_area")),
            ("FR", Customer("GB", "GB980780684"), "valid", untaxed("O", "GB", "outside_area")),
            ("FR", Customer("BR"), None, untaxed("O", "BR", "outside_area")),
            ("CH", Customer("CH"), None, Treatment(Fraction(81, 1000), "S", "CH")),
            ("CH", Customer("DE", "DE136695976"), "valid", untaxed("O", "DE", "outside_area")),
            ("US", Customer("US"), None, untaxed("O", "US", "no_rate")),
            ("US", Customer("DE"), None, untaxed("O", "DE", "outside_area")),
        ],
    )  # fmt: skip
    def test_follows_from_supplier_customer_and_answer(
        self, supplier: str, customer: Customer, answer: str | None, expected: Treatment | TaxPending
    ) -> None:
        assert tax_treatment(supplier, customer, answer=answer, on=DAY) == expected

    def test_asks_the_register_only_where_its_answer_decides(self) -> None:
        assert id_to_ask_for("FR", Customer("IT", "it 00743110157")) == ITALIAN_ID
        for customer in (
            Customer("IT"),
            Customer("IT", "IT00743110158"),
            Customer("IT", "DE136695976"),
            Customer("IT", ITALIAN_ID, "VATEX-EU-151"),
            Customer("FR", "FR40303265045"),
            Customer("GB", "GB980780684"),
        ):
            assert id_to_ask_for("FR", customer) is None

    def test_of_a_country_without_a_rate_is_refused(self) -> None:
        with pytest.raises(TaxRateUnknown):
            tax_treatment("BR", Customer("BR"), answer=None, on=DAY)
        with pytest.raises(TaxRateUnknown):
            tax_treatment("FR", Customer("IT"), answer=None, on=DAY - timedelta(days=5000))


def entered(percent: str | None, since: str, until: str | None = None, **given: Any) -> TaxRate:
    """A rate that the platform entered for Germany."""
    ppm = None if percent is None else int(Fraction(percent) * 10_000)
    end = None if until is None else date.fromisoformat(until)
    values = {"country": "DE", "tax_code": "standard", "source": "The law", "version": 1, **given}
    return TaxRate(
        id=new_id(), organization=PLATFORM_ID, ppm=ppm, valid_from=date.fromisoformat(since), valid_to=end,
        created_at=datetime(2026, 1, 1, tzinfo=UTC), **values,
    )  # fmt: skip


class TestRatesThatWereEntered:
    @pytest.mark.parametrize(
        ("code", "day", "percent"),
        [
            ("standard", "2026-12-31", "19"),
            ("standard", "2027-01-01", "21"),
            ("standard", "2027-06-30", "23"),
            ("standard", "2027-07-01", "21"),
            ("reduced", "2027-01-01", "7"),
            ("books", "2026-12-31", "19"),
            ("books", "2027-01-01", "0"),
        ],
    )
    def test_go_before_the_package_on_their_days(self, code: str, day: str, percent: str) -> None:
        rates = (
            entered("23", "2027-06-01", "2027-07-01"),
            entered("21", "2027-01-01"),
            entered("99", "2027-02-01", "2027-02-01"),
            entered("0", "2027-01-01", tax_code="books"),
            entered("50", "2020-01-01", country="FR"),
        )
        on = date.fromisoformat(day)
        assert rate_of_code("DE", code, on=on, entered=rates) == Fraction(percent) / 100

    def test_are_named_by_the_treatment_but_part_no_lines(self) -> None:
        rate = entered("20", "2026-01-01", country="FR")
        found = tax_treatment("FR", Customer("FR"), answer=None, on=DAY, entered=[rate])
        assert isinstance(found, Treatment)
        assert (found, found.tax_rate, TWENTY.tax_rate) == (TWENTY, rate.id, None)
        lines = [TaxableLine("a", 7 * CENT, found), TaxableLine("b", 6 * CENT, TWENTY)]
        assert [total.tax for total in tax_document(lines, currency="EUR").rates] == [3 * CENT]

    @pytest.mark.parametrize(
        ("percent", "expected"),
        [
            ("0", Treatment(Fraction(0), "Z", "BR")),
            (None, untaxed("O", "BR", "no_rate")),
            ("9.975", Treatment(Fraction("9.975") / 100, "S", "BR")),
        ],
    )
    def test_of_zero_are_no_lack_of_a_rate(self, percent: str | None, expected: Treatment) -> None:
        rate = entered(percent, "2026-01-01", country="BR")
        found = tax_treatment("BR", Customer("BR"), answer=None, on=DAY, entered=[rate])
        assert isinstance(found, Treatment)
        kept = treatment_of(treatment_data(found))
        assert (found, kept, kept.tax_rate) == (expected, expected, rate.id)


class TestDocuments:
    def test_have_tax_by_rate_that_sums_over_the_lines(self) -> None:
        document = tax_document(
            [
                TaxableLine("a", 101 * CENT, TWENTY),
                TaxableLine("b", 101 * CENT, TEN),
                TaxableLine("c", 101 * CENT, TWENTY),
            ],
            currency="EUR",
        )
        assert [(line.key, line.net, line.tax) for line in document.lines] == [
            ("a", 101 * CENT, 20 * CENT),
            ("b", 101 * CENT, 10 * CENT),
            ("c", 101 * CENT, 20 * CENT),
        ]
        assert document.rates == (
            RateTotal(TWENTY, 202 * CENT, 40 * CENT),
            RateTotal(TEN, 101 * CENT, 10 * CENT),
        )
        assert (document.net, document.tax, document.gross) == (303 * CENT, 50 * CENT, 353 * CENT)

    def test_take_included_tax_out_of_the_amounts(self) -> None:
        document = tax_document(
            [TaxableLine("a", 1_000 * CENT, TWENTY), TaxableLine("b", 1_001 * CENT, TWENTY)],
            currency="EUR",
            inclusive=True,
        )
        assert [(line.net, line.tax, line.gross) for line in document.lines] == [
            (833 * CENT, 167 * CENT, 1_000 * CENT),
            (834 * CENT, 167 * CENT, 1_001 * CENT),
        ]

    @pytest.mark.parametrize("rounding", ["per_rate", "per_line", "exact_total"])
    def test_keep_the_gross_that_includes_tax(self, rounding: str) -> None:
        lines = [TaxableLine(str(place), 333 * CENT, TWENTY if place % 2 else TEN) for place in range(7)]
        assert tax_document(lines, currency="EUR", inclusive=True, rounding=rounding).gross == 7 * 333 * CENT

    def test_rounded_in_total_only_have_as_tax_what_the_rounded_lines_leave(self) -> None:
        half = Fraction(201, 2) * CENT
        lines = [TaxableLine(key, 101 * CENT, TWENTY, exact=half) for key in ("a", "b")]
        document = tax_document(lines, currency="EUR", rounding="exact_total")
        assert (document.net, document.tax, document.gross) == (202 * CENT, 39 * CENT, 241 * CENT)

    def test_mirror_when_every_line_is_negative(self) -> None:
        lines = [TaxableLine(str(place), 333 * CENT * (place + 1), TWENTY) for place in range(5)]
        mirrored = [TaxableLine(line.key, -line.amount, TWENTY) for line in lines]
        plain, negative = (tax_document(each, currency="EUR") for each in (lines, mirrored))
        assert [line.tax for line in negative.lines] == [-line.tax for line in plain.lines]

    def test_have_no_tax_where_it_is_not_charged_and_say_why(self) -> None:
        reverse = untaxed("AE", "IT", "reverse_charge")
        document = tax_document([TaxableLine("a", 1_000 * CENT, reverse)], currency="EUR")
        assert document.rates == (RateTotal(reverse, 1_000 * CENT, 0),)

    def test_without_decimals_are_rounded_to_whole_units(self) -> None:
        document = tax_document([TaxableLine("a", 1_005 * 100 * CENT, TEN)], currency="JPY")
        assert document.tax == 101 * 100 * CENT

    def test_without_lines_are_nothing(self) -> None:
        assert tax_document([], currency="EUR").gross == 0

    def test_are_rounded_in_a_known_way(self) -> None:
        with pytest.raises(ValueError, match="ROUNDINGS"):
            tax_document([], currency="EUR", rounding="per_page")
