"""Credit notes: full, partial, by line; never more than the invoice, and in the end exactly it."""

from fractions import Fraction

import pytest

from billing.rules.creditnotes import (
    CreditExceedsInvoice,
    credit_all,
    credit_amount,
    credit_lines,
    remaining_lines,
)
from billing.rules.tax import TaxableLine, TaxedDocument, Treatment, tax_document

CENT = 1_000_000
TWENTY = Treatment(Fraction(1, 5), "S", "FR")
TEN = Treatment(Fraction(1, 10), "S", "FR")


def invoice(*lines: tuple[str, int, Treatment]) -> TaxedDocument:
    return tax_document([TaxableLine(key, cents * CENT, rate) for key, cents, rate in lines], currency="EUR")


def cents(note: TaxedDocument) -> list[tuple[str, int, int]]:
    return [(line.key, line.net // CENT, line.tax // CENT) for line in note.lines]


THREE = invoice(("a", 1_000, TWENTY), ("b", 500, TEN), ("c", 333, TWENTY))


class TestFull:
    def test_is_the_whole_invoice(self) -> None:
        assert credit_all(THREE.lines, []) == THREE

    def test_is_what_earlier_notes_left(self) -> None:
        first = credit_lines(THREE.lines, [], {"b": 200 * CENT}, currency="EUR")
        rest = credit_all(THREE.lines, [first])
        assert cents(rest) == [("a", 1_000, 200), ("b", 300, 30), ("c", 333, 67)]
        assert remaining_lines(THREE.lines, [first, rest]) == tuple(
            type(line)(line.key, 0, 0, line.treatment) for line in THREE.lines
        )
        assert credit_all(THREE.lines, [first, rest]).lines == ()


class TestPartial:
    def test_is_spread_in_proportion_and_taxed_per_rate(self) -> None:
        note = credit_amount(THREE.lines, [], 1_000 * CENT, currency="EUR")
        assert cents(note) == [("a", 545, 109), ("b", 273, 27), ("c", 182, 36)]

    def test_of_everything_is_the_invoice(self) -> None:
        assert credit_amount(THREE.lines, [], THREE.net, currency="EUR") == THREE
        assert credit_amount(THREE.lines, [], THREE.gross, currency="EUR", gross=True) == THREE

    def test_may_be_what_the_customer_gets_back(self) -> None:
        note = credit_amount(THREE.lines, [], 1_000 * CENT, currency="EUR", gross=True)
        assert note.gross == 1_000 * CENT
        assert cents(note) == [("a", 465, 93), ("b", 233, 23), ("c", 155, 31)]

    @pytest.mark.parametrize("amount", [1_834, 0, -1])
    def test_never_exceeds_the_invoice(self, amount: int) -> None:
        with pytest.raises(CreditExceedsInvoice):
            credit_amount(THREE.lines, [], amount * CENT, currency="EUR")

    def test_never_exceeds_what_earlier_notes_left(self) -> None:
        first = credit_amount(THREE.lines, [], 1_800 * CENT, currency="EUR")
        with pytest.raises(CreditExceedsInvoice):
            credit_amount(THREE.lines, [first], 34 * CENT, currency="EUR")
        assert credit_amount(THREE.lines, [first], 33 * CENT, currency="EUR").net == 33 * CENT


class TestByLine:
    def test_takes_the_named_lines(self) -> None:
        note = credit_lines(THREE.lines, [], {"c": 333 * CENT, "b": 1 * CENT}, currency="EUR")
        assert cents(note) == [("b", 1, 0), ("c", 333, 67)]

    @pytest.mark.parametrize("wanted", [{"a": 1_001}, {"a": 0}, {"a": -1}, {"d": 1}])
    def test_never_exceeds_a_line(self, wanted: dict[str, int]) -> None:
        with pytest.raises(CreditExceedsInvoice):
            credit_lines(
                THREE.lines, [], {key: value * CENT for key, value in wanted.items()}, currency="EUR"
            )

    def test_leaves_the_last_note_of_a_rate_what_is_left_of_its_tax(self) -> None:
        """Ten notes of 0.04 with 20 % each round 0.008 up to 0.01; the invoice has 0.08 of tax."""
        forty = invoice(("a", 40, TWENTY))
        notes: list[TaxedDocument] = []
        for _ in range(10):
            notes.append(credit_lines(forty.lines, notes, {"a": 4 * CENT}, currency="EUR"))
        assert [note.tax // CENT for note in notes] == [1] * 8 + [0, 0]
        assert sum(note.tax for note in notes) == forty.tax

    def test_takes_the_tax_that_notes_too_small_for_any_left(self) -> None:
        forty = invoice(("a", 40, TWENTY))
        notes: list[TaxedDocument] = []
        for _ in range(20):
            notes.append(credit_lines(forty.lines, notes, {"a": 2 * CENT}, currency="EUR"))
        assert [note.tax // CENT for note in notes] == [0] * 19 + [8]

    def test_never_takes_more_tax_than_its_line_has(self) -> None:
        """Both lines have 12.4 cents of tax, the first 13 on the invoice and the second 12."""
        two = invoice(("a", 62, TWENTY), ("b", 62, TWENTY))
        assert cents(two) == [("a", 62, 13), ("b", 62, 12)]
        first = credit_lines(two.lines, [], {"b": 62 * CENT}, currency="EUR")
        assert cents(first) == [("b", 62, 12)]
        assert cents(credit_all(two.lines, [first])) == [("a", 62, 13)]

    def test_credits_negative_lines_with_their_sign(self) -> None:
        mixed = invoice(("charge", 1_000, TWENTY), ("credit", -400, TWENTY))
        note = credit_lines(mixed.lines, [], {"charge": 500 * CENT, "credit": -200 * CENT}, currency="EUR")
        assert cents(note) == [("charge", 500, 100), ("credit", -200, -40)]
        half = credit_amount(mixed.lines, [], 300 * CENT, currency="EUR")
        assert cents(half) == [("charge", 500, 100), ("credit", -200, -40)]
        with pytest.raises(CreditExceedsInvoice):
            credit_lines(mixed.lines, [], {"credit": 1 * CENT}, currency="EUR")
