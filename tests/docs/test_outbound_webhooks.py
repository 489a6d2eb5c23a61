"""docs/outbound-webhooks.md is what receivers are written from: it names every type with its example, and no other."""

import json
import re
from pathlib import Path

from events.publictypes import public_types
from tests.docs.test_events import documented_types
from webhooks.rules.outbound.ladder import LADDER

PAGE = Path(__file__).resolve().parents[2] / "docs" / "outbound-webhooks.md"
ROW = re.compile(r"^\| `(?P<name>[a-z_.]+)` \| (?P<text>.+) \| (?P<sources>.+) \|$", re.MULTILINE)
EXAMPLE = re.compile(r"^### (?P<name>[a-z_.]+)\n\n```json\n(?P<json>.+?)\n```", re.MULTILINE | re.DOTALL)


def types_part() -> str:
    return PAGE.read_text(encoding="utf-8").split("\n## Types\n")[1]


def test_every_type_is_documented_with_what_it_is_told_from_and_no_other() -> None:
    documented = {row["name"]: (row["text"], row["sources"]) for row in ROW.finditer(types_part())}
    known = {
        kind.name: (kind.description, ", ".join(f"`{name}`" for name in kind.sources) or "worked out")
        for kind in public_types()
    }
    assert documented == known


def test_every_example_is_the_registered_one() -> None:
    documented = {found["name"]: json.loads(found["json"]) for found in EXAMPLE.finditer(types_part())}
    assert documented == {kind.name: dict(kind.example) for kind in public_types()}


def test_every_type_is_told_from_events_that_exist() -> None:
    sources = {name for kind in public_types() for name in kind.sources}
    assert sources - documented_types() == set()


def test_the_ladder_is_the_published_one() -> None:
    text = "5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h"
    assert text in PAGE.read_text(encoding="utf-8")
    units = {"s": 1, "min": 60, "h": 3_600}
    published = [int(number) * units[unit] for number, unit in re.findall(r"(\d+) (s|min|h)", text)]
    assert [int(step.total_seconds()) for step in LADDER] == published
