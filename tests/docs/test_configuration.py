"""docs/configuration.md is what operators read: it names every variable that is read."""

import re
from pathlib import Path

from config.environment import VARIABLES

CHECKOUT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \|", re.MULTILINE)


def documented() -> list[str]:
    """The variables that the page has a row for."""
    return ROW.findall((CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8"))


def test_every_variable_of_the_environment_is_documented_once() -> None:
    found = documented()
    assert [name for name in VARIABLES if found.count(name) != 1] == []


def test_every_variable_of_the_makefile_is_documented() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    constants = set(re.findall(r"^([A-Z_]{2,}) :=", makefile, re.MULTILINE))
    used = set(re.findall(r"\$\(([A-Z_]{2,})\)", makefile)) - constants
    assert used - set(documented()) == set()


def test_no_variable_is_documented_that_nobody_reads() -> None:
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert [name for name in documented() if name not in VARIABLES and name not in makefile] == []
