"""docs/events.md is what readers of the event log read: it names every type."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from common.ids import new_id
from events.publictypes import public_types
from events.store import Event, projectors

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = ("orgs", "ledger", "spend", "billing", "payouts", "webhooks")
ROW = re.compile(r"^\| `(?P<type>[a-z_]+\.[a-z_]+)` \|", re.MULTILINE)
TYPE = re.compile(r"[a-z_]+\.[a-z_]+")
LEDGER_ONLY = {"grant", "refund", "clawback", "journal", "hold"}


def documented_types() -> set[str]:
    """The types that the page has a row for."""
    found = ROW.findall((CHECKOUT / "docs" / "events.md").read_text(encoding="utf-8"))
    assert len(found) == len(set(found)), "a type is documented twice"
    return set(found)


def event(name: str) -> Event:
    """An event of this type, to ask projectors whether they want it."""
    stream = name.partition(".")[0]
    return Event(new_id(), stream, new_id(), 1, name, {}, datetime.now(UTC), "system:test")


def is_projected(name: str) -> bool:
    """Whether a projector makes something of events of this type."""
    return any(projector.wants(event(name)) for projector in projectors())


def texts(folder: Path) -> Iterator[str]:
    """Every string constant of the code below a folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def made(folder: Path) -> Iterator[str]:
    """Every type that the code below a folder makes by `….event("stream", …, "verb", …)`."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "event"
            ):
                words = [
                    arg.value
                    for arg in node.args
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                ]
                if len(words) == 2:
                    yield ".".join(words)


def test_every_documented_type_is_one_that_changes_something() -> None:
    types = {name for name in documented_types() if name.partition(".")[0] not in LEDGER_ONLY}
    assert {name for name in types if not is_projected(name)} == set()


def test_every_type_that_the_code_names_is_documented() -> None:
    named = {text for app in APPS for text in texts(CHECKOUT / app) if TYPE.fullmatch(text)}
    named -= {kind.name for kind in public_types()}  # what customers are told has a page of its own
    assert {name for name in named if is_projected(name)} - documented_types() == set()


def test_every_type_that_an_operation_makes_is_documented() -> None:
    types = {name for app in APPS for name in made(CHECKOUT / app)}
    assert {"price.published", "grant.granted"} <= types
    assert types - documented_types() == set()
