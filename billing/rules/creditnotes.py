"""Credit notes: what is taken back of an invoice's lines, net and tax, until exactly nothing is left (B4).

A note is rounded as the invoice was: tax once per treatment (house rules 5 and 6). No line of all notes together
exceeds the invoice's line, and the note that takes the last of a treatment's net takes what is left of its tax, too. So
all notes sum exactly to the invoice, however it is cut.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from uuid import UUID

from billing.rules.rounding import Bounds, document_step, round_to_document, spread
from billing.rules.tax import TaxedDocument, TaxedLine, Treatment
from common.errors import ProblemError

Place = tuple[UUID, int]
"""An invoice, and the number of a line of it."""


class CreditExceedsInvoice(ProblemError):
    """The credit notes of an invoice take back at most what is on it, line by line."""

    code = "credit_exceeds_invoice"
    status = 422


def remaining_lines(invoice: Sequence[TaxedLine], notes: Sequence[TaxedDocument]) -> tuple[TaxedLine, ...]:
    """Return what may still be credited of each of the invoice's lines, in their order. A line's key is its own."""
    net = {line.key: line.net for line in invoice}
    tax = {line.key: line.tax for line in invoice}
    for line in (line for note in notes for line in note.lines):
        net[line.key] -= line.net
        tax[line.key] -= line.tax
    return tuple(TaxedLine(line.key, net[line.key], tax[line.key], line.treatment) for line in invoice)


def credit_all(invoice: Sequence[TaxedLine], notes: Sequence[TaxedDocument]) -> TaxedDocument:
    """Return the note that takes back whatever is left."""
    return TaxedDocument(tuple(line for line in remaining_lines(invoice, notes) if line.net or line.tax))


def credit_amount(
    invoice: Sequence[TaxedLine],
    notes: Sequence[TaxedDocument],
    amount: int,
    *,
    currency: str,
    gross: bool = False,
) -> TaxedDocument:
    """Return the note over an amount, spread over what is left of the lines in proportion.

    The amount is net, or with `gross` what the customer gets back. Raises CreditExceedsInvoice.
    """
    left = remaining_lines(invoice, notes)
    values = [line.gross if gross else line.net for line in left]
    whole = sum(values)
    if not 0 < amount <= whole:
        raise CreditExceedsInvoice
    exact = [Fraction(amount * value, whole) for value in values]
    bounds = [(min(value, 0), max(value, 0)) for value in values]
    shares = spread(amount, exact, step=document_step(currency), bounds=bounds)
    wanted = {line.key: share for line, share in zip(left, shares, strict=True) if share}
    return credit_lines(invoice, notes, wanted, currency=currency, gross=gross)


def credit_lines(
    invoice: Sequence[TaxedLine],
    notes: Sequence[TaxedDocument],
    wanted: Mapping[str, int],
    *,
    currency: str,
    gross: bool = False,
) -> TaxedDocument:
    """Return the note over an amount of each named line, net or gross, with the sign of the line.

    Raises CreditExceedsInvoice, also for a line that the invoice does not have.
    """
    left = {line.key: line for line in remaining_lines(invoice, notes)}
    for key, amount in wanted.items():
        if key not in left or not _fits(amount, left[key].gross if gross else left[key].net):
            raise CreditExceedsInvoice
    credited: dict[str, TaxedLine] = {}
    for treatment in dict.fromkeys(line.treatment for line in left.values()):
        lines = [line for line in left.values() if line.treatment == treatment]
        credited |= _credit_treatment(treatment, lines, wanted, currency, gross)
    return TaxedDocument(tuple(credited[line.key] for line in invoice if line.key in credited))


def _credit_treatment(
    treatment: Treatment, left: Sequence[TaxedLine], wanted: Mapping[str, int], currency: str, gross: bool
) -> dict[str, TaxedLine]:
    lines = [line for line in left if line.key in wanted]
    if not lines:
        return {}
    if all(wanted.get(line.key, 0) == (line.gross if gross else line.net) for line in left):
        return {line.key: line for line in left if line.net or line.tax}
    factor = treatment.rate / (1 + treatment.rate) if gross else treatment.rate
    exact = [wanted[line.key] * factor for line in lines]
    bounds = [_tax_bounds(line, wanted[line.key], gross) for line in lines]
    total = round_to_document(sum(exact, Fraction(0)), currency=currency)
    total = min(max(total, sum(least for least, _ in bounds)), sum(most for _, most in bounds))
    taxes = spread(total, exact, step=document_step(currency), bounds=bounds)
    return {
        line.key: TaxedLine(line.key, wanted[line.key] - tax if gross else wanted[line.key], tax, treatment)
        for line, tax in zip(lines, taxes, strict=True)
    }


def _tax_bounds(line: TaxedLine, amount: int, gross: bool) -> Bounds:
    """The least and the most tax so that neither tax nor net of the note exceed what is left of the line."""
    if amount < 0:
        least, most = _tax_bounds(TaxedLine(line.key, -line.net, -line.tax, line.treatment), -amount, gross)
        return -most, -least
    if gross:
        return max(amount - line.net, 0), min(line.tax, amount)
    return 0, line.tax


def _fits(amount: int, left: int) -> bool:
    return 0 < amount <= left or left <= amount < 0


def covered(back: int, left: Iterable[tuple[Place, int]]) -> dict[Place, int]:
    """Return which lines what came `back` elsewhere is counted on, in units: as much of each as is `left` of it, in the
    order given. So no credit note gives it back once more, and a later line of the same use comes before an earlier."""
    found: dict[Place, int] = {}
    for place, units in left:
        part = min(back, units)
        if part > 0:
            found[place] = part
            back -= part
    return found
