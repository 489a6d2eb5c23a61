"""docs/commands.md is what operators read: it names every command that this code adds."""

import re
from pathlib import Path

from django.core.management import get_commands

CHECKOUT = Path(__file__).resolve().parents[2]
OWN_APPS = (
    "common",
    "events",
    "orgs",
    "ledger",
    "spend",
    "billing",
    "payouts",
    "webhooks",
    "config",
    "sandbox",
)
ROW = re.compile(r"^\| `manage\.py (?P<name>[a-z_]+)[^|]*` \|", re.MULTILINE)
TARGET = re.compile(r"^(?P<name>[a-z]+):", re.MULTILINE)


def page() -> str:
    """The page."""
    return (CHECKOUT / "docs" / "commands.md").read_text(encoding="utf-8")


def own_commands() -> set[str]:
    """The management commands of this code's apps."""
    return {name for name, app in get_commands().items() if app in OWN_APPS}


def test_every_management_command_is_documented_and_no_other() -> None:
    assert set(ROW.findall(page())) == own_commands()


def test_every_make_target_is_documented() -> None:
    targets = set(TARGET.findall((CHECKOUT / "Makefile").read_text(encoding="utf-8")))
    assert {target for target in targets if f"`make {target}" not in page()} == set()
