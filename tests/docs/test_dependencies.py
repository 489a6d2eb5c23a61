"""docs/adr/0004 says of every dependency why it is there."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "adr" / "0004-dependencies.md"
PACKAGE = re.compile(r"^([a-z][a-z0-9-]*)", re.MULTILINE)


def test_every_dependency_has_a_line() -> None:
    required = {
        name
        for place in (CHECKOUT / "requirements").glob("*.in")
        for name in PACKAGE.findall(place.read_text(encoding="utf-8"))
    }
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"[a-z][a-z0-9-]*", row.split("|")[1])}
    assert required - named == set()
