"""What holds of every charge model, whatever its prices and whatever was used."""

import re
from fractions import Fraction

import hypothesis.strategies as st
from hypothesis import assume, given

from billing.rules.amounts import ZERO, document_units_of, units_of
from billing.rules.charges.definition import ChargeDefinition, parse_charge, write_charge
from billing.rules.charges.pricing import price_line
from billing.rules.charges.usage import Usage, used
from tests.property.billing.charges import (
    COUNTED,
    FALLING,
    QUANTITIES,
    definitions,
    lines_of,
    measured,
    split_usage,
    whole_of,
)

_NUMBER_OR_SIGN = re.compile(r"\d+(?:\.\d+)?|(?<![a-z])x(?![a-z])|[/+%-]")


@given(st.data())
def test_the_parts_of_a_split_line_sum_to_the_whole(data: st.DataObject) -> None:
    definition = data.draw(definitions())
    parts = data.draw(split_usage(definition.model.kind))
    whole = price_line(definition, Usage(whole_of(parts)))
    lines = lines_of(definition, parts)
    assert whole is not None
    assert sum(line.amount for line in lines) == whole.amount
    assert sum(line.units for line in lines) == whole.units
    assert sum(line.net.exact for line in lines) == whole.net.exact
    assert sum(line.net.document_units("USD") for line in lines) == whole.net.document_units("USD")
    assert sum(line.billable for line in lines) == whole.billable


@given(st.data())
def test_the_tiers_of_split_lines_sum_to_those_of_the_whole(data: st.DataObject) -> None:
    definition = data.draw(definitions(("graduated", "graduated_percentage", "blocks"), adjusted=False))
    parts = data.draw(split_usage(definition.model.kind))
    sums: dict[int, tuple[Fraction, Fraction]] = {}
    for use in (use for line in lines_of(definition, parts) for use in line.tiers):
        quantity, amount = sums.get(use.number, (ZERO, ZERO))
        sums[use.number] = (quantity + use.quantity, amount + use.amount)
    whole = price_line(definition, Usage(whole_of(parts)))
    assert whole is not None
    assert sums == {use.number: (use.quantity, use.amount) for use in whole.tiers}


@given(st.data(), QUANTITIES, QUANTITIES)
def test_more_never_costs_less(data: st.DataObject, quantity: Fraction, more: Fraction) -> None:
    kinds = tuple(kind for kind in COUNTED if kind not in FALLING)
    definition = data.draw(definitions(kinds))
    assume(definition.model.splits)  # the top tier of blocks may be cheaper
    less, most = (price_line(definition, used(each)) for each in (quantity, quantity + more))
    assert less is not None
    assert most is not None
    assert less.amount <= most.amount
    assert less.net.exact <= most.net.exact


@given(st.data())
def test_another_event_never_costs_less(data: st.DataObject) -> None:
    definition = data.draw(definitions(("percentage", "tokens")))
    parts = [data.draw(measured(definition.model.kind)) for _ in range(2)]
    first, both = lines_of(definition, parts[:1])[0], price_line(definition, Usage(whole_of(parts)))
    assert both is not None
    assert first.amount <= both.amount


@given(st.data())
def test_minimum_and_maximum_hold_over_a_period(data: st.DataObject) -> None:
    definition = data.draw(definitions())
    lines = lines_of(definition, data.draw(split_usage(definition.model.kind)))
    bounds = definition.bounds
    billed = sum(line.net.document_units("USD") for line in lines)
    exact = sum((line.net.exact for line in lines), ZERO)
    if bounds.minimum is not None:
        assert exact >= bounds.minimum
        assert billed >= document_units_of(bounds.minimum, currency="USD")
    if bounds.maximum is not None:
        assert exact <= bounds.maximum
        assert billed <= document_units_of(bounds.maximum, currency="USD")


@given(st.data())
def test_a_line_and_its_adjustments_sum_to_its_net(data: st.DataObject) -> None:
    definition = data.draw(definitions())
    for line in lines_of(definition, data.draw(split_usage(definition.model.kind))):
        changes = line.adjustments
        assert line.amount + sum(change.exact for change in changes) == line.net.exact
        assert line.units + sum(change.units for change in changes) == line.net.units
        document = line.gross.document_units("USD") + sum(change.document_units("USD") for change in changes)
        assert document == line.net.document_units("USD")
        assert abs(line.units - units_of(line.amount)) <= 1


@given(st.data())
def test_every_step_is_right_as_its_words_say(data: st.DataObject) -> None:
    definition = data.draw(definitions())
    for line in lines_of(definition, data.draw(split_usage(definition.model.kind))):
        for step in line.steps:
            calculated = _calculated(step.words)
            assert calculated is None or calculated == step.result, step.words
        assert (line.steps[-1].result if line.steps else ZERO) == line.net.exact


@given(definitions())
def test_a_definition_reads_back_as_it_was_written(definition: ChargeDefinition) -> None:
    assert parse_charge(write_charge(definition)) == definition


def _calculated(words: str) -> Fraction | None:
    """What a calculator says to the words of a step; None where they cut a number short, round up or name no sum."""
    formula = words.rpartition(" = ")[0].rpartition(": ")[2]
    if "…" in words or "rounded up" in words or "below 0" in words:
        return None
    parts = _NUMBER_OR_SIGN.findall(formula)
    if not parts:
        return None
    signs = {"x": "*", "%": "/100"}
    python = " ".join(signs.get(part, part if part in "+-/" else f"Fraction('{part}')") for part in parts)
    return Fraction(eval(python, {"Fraction": Fraction}))
