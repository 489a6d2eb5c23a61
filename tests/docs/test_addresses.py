"""docs/api.md is where whoever calls the API finds its addresses: its table has every one, and no other."""

import json
import re
from pathlib import Path

from django.test import Client

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
ADDRESS = re.compile(r"`/v1/([a-z0-9-]+)")


def rows() -> list[str]:
    """The rows of the table."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Addresses\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def described() -> set[str]:
    """The first segment of every path of the OpenAPI document."""
    paths = json.loads(Client().get("/v1/openapi.json").content)["paths"]
    return {path.removeprefix("/v1/").partition("/")[0] for path in paths}


def test_every_address_of_the_api_stands_in_the_table_and_no_other() -> None:
    assert set(ADDRESS.findall("\n".join(rows()))) == described()


def test_every_row_leads_to_a_page_that_is_there_or_to_this_one() -> None:
    pages = {row: re.findall(r"\]\(([a-z-]+\.md)?(?:#[a-z-]+)?\)", row) for row in rows()}
    assert [row for row, names in pages.items() if not names] == []
    assert [name for names in pages.values() for name in names if not (PAGE.parent / name).exists()] == []
