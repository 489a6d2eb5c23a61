"""Worked examples of tax and credit notes: billing_oracles, section 8 (X2 to X12) and Y5."""

from datetime import date
from fractions import Fraction

import pytest

from billing.rules.creditnotes import credit_amount
from billing.rules.rounding import round_to_document, spread
from billing.rules.tax import (
    Customer,
    TaxableLine,
    TaxedDocument,
    TaxPending,
    Treatment,
    standard_rate,
    tax_document,
    tax_treatment,
)
from billing.rules.vatids import check_vat_id
from tests.builders.billing import billed

MINOR = 1_000_000
TEN = Treatment(Fraction(10, 100), "S", "XA")
TWENTY = Treatment(Fraction(20, 100), "S", "XB")
PRICES = (1000, 2000, 3000, 4000, 1000, 2000, 3000, 4000)
DAY = date(2026, 11, 27)
FRENCH_ID = "FR40303265045"
ITALIAN_ID = "IT00743110157"


def minor(amount: int) -> int:
    assert amount % MINOR == 0
    return amount // MINOR


def exact_discounts() -> list[Fraction]:
    """The coupons of X1: 20.00 on lines 1 and 2, then 10.00 on 5 to 8, then 5.00 on all, each over what is left."""
    left = [Fraction(price) for price in PRICES]
    for discount, targets in ((2000, (0, 1)), (1000, (4, 5, 6, 7)), (500, range(8))):
        whole = sum(left[place] for place in targets)
        for place in targets:
            left[place] -= discount * left[place] / whole
    return [price - rest for price, rest in zip(PRICES, left, strict=True)]


def lines_of_x2() -> list[TaxableLine]:
    exact = exact_discounts()
    shares = spread(3500, exact)
    assert shares == (677, 1353, 88, 118, 126, 253, 379, 506)
    return [
        TaxableLine(
            str(place),
            (PRICES[place] - shares[place]) * MINOR,
            TWENTY if place in (1, 5) else TEN,
            exact=(PRICES[place] - exact[place]) * MINOR,
        )
        for place in range(8)
    ]


@pytest.mark.parametrize(
    ("case", "rounding", "line_taxes", "tax", "gross"),
    [
        ("X2", "per_rate", [32, 130, 291, 388, 88, 349, 262, 350], 1_890, 18_390),
        ("X2-line", "per_line", [32, 129, 291, 388, 87, 349, 262, 349], 1_887, 18_387),
        ("X2-total", "exact_total", None, 1_889, 18_389),
    ],
)
def test_tax_is_rounded_once_per_rate_and_spread(
    case: str, rounding: str, line_taxes: list[int] | None, tax: int, gross: int
) -> None:
    document = tax_document(lines_of_x2(), currency="EUR", rounding=rounding)
    assert (minor(document.net), minor(document.tax), minor(document.gross)) == (16_500, tax, gross)
    if line_taxes is not None:
        assert [minor(line.tax) for line in document.lines] == line_taxes


def test_x2_has_a_total_for_each_rate() -> None:
    totals = tax_document(lines_of_x2(), currency="EUR").rates
    assert [(total.treatment, minor(total.tax)) for total in totals] == [(TEN, 1_411), (TWENTY, 479)]


def credit_note_of_x4(rounding: str) -> TaxedDocument:
    exact = Fraction(16_000 * MINOR * 29, 30)
    quarter = Treatment(Fraction(25, 100), "S", "SE")
    line = TaxableLine("plan", round_to_document(exact, currency="SEK"), quarter, exact=exact)
    return tax_document([line], currency="SEK", rounding=rounding)


@pytest.mark.parametrize(
    ("case", "rounding", "net", "tax"),
    [("X4", "per_rate", 15_467, 3_867), ("X4-total", "exact_total", 15_467, 3_866)],
)
def test_a_credit_note_is_rounded_like_an_invoice(case: str, rounding: str, net: int, tax: int) -> None:
    note = credit_note_of_x4(rounding)
    assert (minor(note.net), minor(note.tax)) == (net, tax)


@pytest.mark.parametrize(
    ("case", "invoiced", "percent", "credited", "tax", "gross"),
    [("X4", 16_000, 25, 15_467, 3_867, 19_334), ("X6", 76_900, 20, 72_686, 14_537, 87_223)],
)
def test_a_part_of_an_invoice_is_credited_with_its_tax(
    case: str, invoiced: int, percent: int, credited: int, tax: int, gross: int
) -> None:
    treatment = Treatment(Fraction(percent, 100), "S", "FR")
    invoice = tax_document([TaxableLine("plan", invoiced * MINOR, treatment)], currency="EUR")
    note = credit_amount(invoice.lines, [], credited * MINOR, currency="EUR")
    assert (minor(note.net), minor(note.tax), minor(note.gross)) == (credited, tax, gross)


@pytest.mark.parametrize(("case", "expected"), [("X8", (1_450, 73, 1_523))])
def test_half_a_cent_of_tax_is_rounded_up(case: str, expected: tuple[int, int, int]) -> None:
    net = 2_900 * MINOR // 2
    document = tax_document(
        [TaxableLine("plan", net, Treatment(Fraction(5, 100), "S", "XA"))], currency="EUR"
    )
    assert (minor(document.net), minor(document.tax), minor(document.gross)) == expected


@pytest.mark.parametrize(
    ("case", "vat_id", "answer", "expected"),
    [
        ("X9-none", None, None, Treatment(Fraction(22, 100), "S", "IT")),
        ("X9-unknown", ITALIAN_ID, "invalid", Treatment(Fraction(22, 100), "S", "IT")),
        ("X9-valid", ITALIAN_ID, "valid", Treatment(Fraction(0), "AE", "IT", "reverse_charge")),
        ("X12", ITALIAN_ID, "unavailable", TaxPending(ITALIAN_ID)),
    ],
)
def test_a_valid_vat_id_of_another_country_reverses_the_charge(
    case: str, vat_id: str | None, answer: str | None, expected: Treatment | TaxPending
) -> None:
    assert tax_treatment("FR", Customer("IT", vat_id), answer=answer, on=DAY) == expected
    assert standard_rate("IT", on=DAY) == Fraction(22, 100)


def test_x12_the_invoice_waits_and_then_has_its_tax() -> None:
    customer = Customer("IT", ITALIAN_ID)
    waiting = tax_treatment("FR", customer, answer="unavailable", on=DAY)
    assert isinstance(waiting, TaxPending)
    assert waiting.state == "tax_pending"
    answered = tax_treatment("FR", customer, answer="invalid", on=DAY)
    assert isinstance(answered, Treatment)
    document = tax_document([TaxableLine("plan", 10_000 * MINOR, answered)], currency="EUR")
    assert minor(document.tax) == 2_200


@pytest.mark.parametrize(
    ("case", "text", "valid"),
    [
        ("Y5-DE", "DE136695976", True),
        ("Y5-FR", FRENCH_ID, True),
        ("Y5-AT", "ATU13585627", True),
        ("Y5-DE-wrong", "DE136695978", False),
    ],
)
def test_check_digits_of_vat_ids(case: str, text: str, valid: bool) -> None:
    found = check_vat_id(text)
    assert (found is not None) == valid
    assert found is None or (found.text, found.country) == (text, text[:2])
    made = billed()
    tax = {"country": text[:2], "vat_id": text}
    said = made.finance.patch(f"/v1/billing-profile?organization={made.id}", {"tax": tax})
    assert (said.status_code, said.json().get("code")) == ((200, None) if valid else (400, "invalid_vat_id"))
