"""docs/staff.md is what groups of the staff are made by: it names every page of the admin with its actions."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils.text import capfirst

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "staff.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| \*(?P<name>[^*]+)\* \| `(?P<label>[a-z.]+)` \|(?P<add>[^|]*)\|(?P<change>[^|]*)\|$", re.MULTILINE
)
ROWS = {row["label"]: row for row in ROW.finditer(PAGE)}
PAGES: dict[str, Any] = {
    model._meta.label_lower: page
    for model, page in admin.site._registry.items()
    if model._meta.app_label != "auth"
}
LOOKED_AT = set(re.findall(r"\*([^*]+)\*", PAGE.split("\nTo look at only: ")[1].split("\n")[0]))


def name_of(label: str) -> str:
    """What the list of pages calls it."""
    return str(capfirst(PAGES[label].opts.verbose_name_plural))


def words(label: str) -> list[str]:
    """The actions of a page, as its menu calls them, without what they ask for."""
    page = PAGES[label]
    return [str(page.get_action(name)[2]).split(" (")[0] for name in page.actions or ()]


@pytest.fixture
def superuser() -> HttpRequest:
    """A request of somebody who may do everything."""
    request = RequestFactory().get("/admin/")
    request.user = User(is_active=True, is_staff=True, is_superuser=True)
    return request


def test_every_page_stands_in_the_table_or_is_to_look_at_only_and_no_other() -> None:
    assert ROWS.keys() - PAGES.keys() == set()
    assert {name_of(label) for label in PAGES.keys() - ROWS.keys()} == LOOKED_AT


def test_every_page_has_the_name_that_the_admin_gives_it() -> None:
    assert {label: row["name"] for label, row in ROWS.items()} == {label: name_of(label) for label in ROWS}


def test_every_action_of_a_page_stands_in_its_row() -> None:
    told = {label: row["change"] for label, row in ROWS.items()}
    assert [word for label in PAGES for word in words(label) if word not in told.get(label, "")] == []


def test_exactly_the_pages_with_a_form_for_a_new_one_say_what_it_makes(superuser: HttpRequest) -> None:
    may_add = {label for label, page in PAGES.items() if page.has_add_permission(superuser)}
    assert {label for label, row in ROWS.items() if row["add"].strip()} == may_add


@pytest.mark.django_db
def test_every_permission_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`([a-z]+\.(?:add|change|view)_[a-z]+)`", PAGE))
    known = {
        f"{app}.{codename}"
        for app, codename in Permission.objects.values_list("content_type__app_label", "codename")
    }
    assert len(named) > 30
    assert named - known == set()
