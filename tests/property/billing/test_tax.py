"""Tax lines sum to the tax of each rate, and credit notes to the invoice, however it is cut."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from billing.rules.creditnotes import credit_all, credit_amount, credit_lines, remaining_lines
from billing.rules.rounding import document_step, round_to_document, spread
from billing.rules.tax import TaxableLine, TaxedDocument, Treatment, tax_document
from tests.property.billing.fractions import fractions

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
TREATMENTS = st.sampled_from(
    [Treatment(Fraction(percent) / 100, "S", "XX") for percent in ("25.5", "20", "8.1", "0")]
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[TaxableLine], bool]:
    currency = draw(CURRENCIES)
    step = document_step(currency)
    drawn = draw(st.lists(st.tuples(st.integers(-5_000, 5_000), TREATMENTS), max_size=7))
    lines = [
        TaxableLine(str(place), amount * step, treatment) for place, (amount, treatment) in enumerate(drawn)
    ]
    return currency, lines, draw(st.booleans())


@given(document=documents())
def test_lines_sum_to_the_tax_of_each_rate(document: tuple[str, list[TaxableLine], bool]) -> None:
    currency, lines, inclusive = document
    taxed = tax_document(lines, currency=currency, inclusive=inclusive)
    assert [line.key for line in taxed.lines] == [line.key for line in lines]
    for total in taxed.rates:
        rate = total.treatment.rate
        same = [line for line in taxed.lines if line.treatment == total.treatment]
        assert (sum(line.net for line in same), sum(line.tax for line in same)) == (total.base, total.tax)
        exact = total.base * rate if not inclusive else (total.base + total.tax) * rate / (1 + rate)
        assert total.tax == round_to_document(exact, currency=currency)
    for line, before in zip(taxed.lines, lines, strict=True):
        assert (line.gross if inclusive else line.net) == before.amount


@given(document=documents())
def test_a_line_s_tax_is_within_a_step_of_its_own(document: tuple[str, list[TaxableLine], bool]) -> None:
    currency, lines, _ = document
    for line in tax_document(lines, currency=currency).lines:
        assert abs(line.tax - line.net * line.treatment.rate) < document_step(currency)


@given(document=documents())
def test_the_negative_of_a_document_has_the_negative_tax(
    document: tuple[str, list[TaxableLine], bool],
) -> None:
    currency, lines, inclusive = document
    mirrored = [TaxableLine(line.key, -line.amount, line.treatment) for line in lines]
    plain, negative = (
        tax_document(each, currency=currency, inclusive=inclusive) for each in (lines, mirrored)
    )
    assert [(total.base, total.tax) for total in negative.rates] == [(-t.base, -t.tax) for t in plain.rates]


def _part(data: st.DataObject, left: int, step: int) -> int:
    return data.draw(st.integers(1, abs(left) // step)) * step * (1 if left > 0 else -1)


@given(document=documents(), data=st.data())
def test_credit_notes_sum_exactly_to_the_invoice(
    document: tuple[str, list[TaxableLine], bool], data: st.DataObject
) -> None:
    currency, lines, inclusive = document
    step = document_step(currency)
    invoice = tax_document(lines, currency=currency, inclusive=inclusive).lines
    notes: list[TaxedDocument] = []
    for _ in range(data.draw(st.integers(0, 5))):
        gross = data.draw(st.booleans())
        left = [line.gross if gross else line.net for line in remaining_lines(invoice, notes)]
        if data.draw(st.booleans()) and sum(left) > 0:
            amount = data.draw(st.integers(1, sum(left) // step)) * step
            note = credit_amount(invoice, notes, amount, currency=currency, gross=gross)
            assert (note.gross if gross else note.net) == amount
        elif any(left):
            places = st.sampled_from([place for place, each in enumerate(left) if each])
            wanted = {
                invoice[place].key: _part(data, left[place], step)
                for place in data.draw(st.sets(places, min_size=1))
            }
            note = credit_lines(invoice, notes, wanted, currency=currency, gross=gross)
        else:
            break
        notes.append(note)
        for line, rest in zip(invoice, remaining_lines(invoice, notes), strict=True):
            assert min(line.net, 0) <= rest.net <= max(line.net, 0)
            assert min(line.tax, 0) <= rest.tax <= max(line.tax, 0)
    notes.append(credit_all(invoice, notes))
    assert all((line.net, line.tax) == (0, 0) for line in remaining_lines(invoice, notes))
    assert sum(note.gross for note in notes) == sum(line.gross for line in invoice)


@given(
    parts=st.lists(fractions(2000, max_denominator=97).map(lambda part: part - 1000), min_size=1, max_size=9),
    step=st.sampled_from([1, 10]),
)
def test_spread_parts_sum_to_the_total_and_stay_next_to_their_share(parts: list[Fraction], step: int) -> None:
    whole = sum(parts)
    total = (whole.numerator // (whole.denominator * step)) * step
    shares = spread(total, parts, step=step)
    assert sum(shares) == total
    assert all(abs(share - part) < step for share, part in zip(shares, parts, strict=True))
