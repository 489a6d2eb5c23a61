"""docs/errors.md is what callers read: it names every code with its status."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from common.errors import known_errors

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = ("common", "events", "orgs", "ledger", "spend", "billing", "payouts", "webhooks")
ROW = re.compile(r"^\| `(?P<code>[a-z_]+)` \| (?P<retryable>yes|no) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def documented() -> dict[str, tuple[int, bool]]:
    """Status and retryable by code, as the page says."""
    found = {}
    page = (CHECKOUT / "docs" / "errors.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        status = int(section[:3])
        for row in ROW.finditer(section):
            assert row["code"] not in found, f"{row['code']} is documented twice"
            found[row["code"]] = (status, row["retryable"] == "yes")
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[int, bool]]:
    """Status and retryable by code, as all apps say."""
    for app in APPS:
        for module in pkgutil.walk_packages([str(CHECKOUT / app)], prefix=f"{app}."):
            if ".migrations" not in module.name and ".management" not in module.name:
                importlib.import_module(module.name)
    return {code: (error.status, error.retryable) for code, error in known_errors().items()}


def test_every_code_is_documented_with_its_status(
    documented: dict[str, tuple[int, bool]], known: dict[str, tuple[int, bool]]
) -> None:
    assert {code: documented.get(code) for code in known} == known


def test_no_code_is_documented_that_does_not_exist(
    documented: dict[str, tuple[int, bool]], known: dict[str, tuple[int, bool]]
) -> None:
    assert sorted(documented.keys() - known.keys()) == []


def test_every_class_of_a_code_has_the_status_of_the_code() -> None:
    """A code may be raised by several classes; they never contradict each other."""
    from common.errors import ProblemError

    pending, wrong = [ProblemError], []
    while pending:
        error = pending.pop()
        pending.extend(error.__subclasses__())
        if error.code and known_errors()[error.code].status != error.status:
            wrong.append(error.__qualname__)
    assert wrong == []
