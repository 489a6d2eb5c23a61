"""Whoever follows a link of the pages comes somewhere, and every page is come to from README.md."""

import re
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [
    *CHECKOUT.glob("*.md"),
    *(CHECKOUT / "docs").rglob("*.md"),
    *(page for page in CHECKOUT.glob("*/README.md") if page.parent.name != "docs"),
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@cache
def text_of(page: Path) -> str:
    """A page without its examples, in which nothing is a link or a heading."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """The name under which GitHub and others link a heading: small letters, no punctuation, hyphens for blanks."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The names of a page's headings."""
    return frozenset(anchor(heading) for heading in HEADING.findall(text_of(page)))


def links(page: Path) -> list[tuple[Path, str]]:
    """Where a page leads: the other page, or itself, and the name of a heading there or nothing."""
    found = LINK.findall(text_of(page))
    return [((page.parent / path).resolve() if path else page, name) for path, name in found]


def test_every_link_leads_to_something_that_is_there() -> None:
    broken = [(page.name, str(target)) for page in PAGES for target, _ in links(page) if not target.exists()]
    assert broken == []


def test_every_link_into_a_page_names_one_of_its_headings() -> None:
    named = [(page, target, name) for page in PAGES for target, name in links(page) if name]
    assert len(named) > 50
    assert [
        f"{page.name}: {target.name}#{name}"
        for page, target, name in named
        if target.suffix == ".md" and target.exists() and name not in anchors(target)
    ] == []


def test_every_page_for_users_is_come_to_from_the_readme() -> None:
    come_to, pending = set(), [CHECKOUT / "README.md"]
    while pending:
        page = pending.pop()
        if page not in come_to and page.suffix == ".md" and page.exists():
            come_to.add(page)
            pending += [target for target, _ in links(page)]
    wanted = [page for page in (CHECKOUT / "docs").rglob("*.md") if page.parent.name != "adr"]
    assert [page.name for page in wanted if page not in come_to] == []
