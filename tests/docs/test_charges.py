"""docs/charges.md has every charge model with its JSON, and the steps it shows are those of the code."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from billing.rules.charges.definition import FAMILIES, parse_charge, write_charge
from billing.rules.charges.usage import Measured, TokenUse, Usage
from tests.builders.charges import priced

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "charges.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(
    r"^### (?P<model>\w+)\n.*?```json\n(?P<definition>.*?)```\n\nUsed: (?P<used>[^\n]+)\n\n```text\n(?P<steps>.*?)```",
    re.DOTALL | re.MULTILINE,
)
EXAMPLES = {found["model"]: found for found in EXAMPLE.finditer(PAGE)}


def measured(text: str) -> Measured:
    """What the page says was used."""
    kind, _, rest = text.partition(" ")
    if kind == "events":
        return Measured(events=tuple(Fraction(amount) for amount in rest.split(", ")))
    if kind == "tokens":
        uses = (use.split(" ") for use in rest.split(", "))
        return Measured(tokens=tuple(TokenUse(model, name, Fraction(count)) for model, name, count in uses))
    return Measured(prorated=Fraction(rest)) if kind == "prorated" else Measured(Fraction(text))


def test_every_model_has_an_example() -> None:
    assert EXAMPLES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("model", sorted(FAMILIES))
def test_the_steps_of_an_example_are_those_of_the_code(model: str) -> None:
    example = EXAMPLES[model]
    definition = parse_charge(json.loads(example["definition"]))
    assert definition.model.kind == model
    line = priced(definition, Usage(measured(example["used"])))
    assert [step.words for step in line.steps] == example["steps"].splitlines()


@pytest.mark.parametrize("model", sorted(FAMILIES))
def test_every_field_of_an_example_is_written_back(model: str) -> None:
    document = json.loads(EXAMPLES[model]["definition"])
    assert document.keys() == write_charge(parse_charge(document)).keys()
