"""The shape of the code: what fits a screen can be read, what has a reason can be kept."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
APPS = ("common", "events", "orgs", "ledger", "spend", "billing", "payouts", "webhooks")
PRODUCT = (*APPS, "config", "sandbox")
LONGEST_FUNCTION_LINES = 60
LONGEST_MODULE_LINES = 500
LONGEST_TEST_MODULE_LINES = 800  # a table of cases may be long
# The border of the API: whatever happened becomes a problem document, and is logged. The lanes: whatever happened is
# raised where the call was made. Billing and webhooks: whatever happened to a customer or to an object of Stripe's is
# counted and reported, and stops no other. Outbound webhooks: a request that cannot be made stops no other.
# So it is with a command to the processor.
LAST_RESORTS = {
    "common/api/views.py",
    "common/api/rsgi.py",
    "spend/operations/gate/apply.py",
    "spend/operations/gate/lanes.py",
    "billing/operations/dunning/due.py",
    "billing/operations/entitling.py",
    "billing/operations/letters.py",
    "billing/operations/revenue/recognising.py",
    "billing/operations/runs.py",
    "webhooks/operations/inbound/intake.py",
    "webhooks/operations/inbound/processing.py",
    "webhooks/operations/outbound/delivering.py",
    "billing/operations/commands/sending.py",
    "payouts/operations/attempting.py",
    "payouts/operations/statements.py",
}
VAGUE = {"service", "services", "manager", "managers", "utils", "util", "helper", "helpers"}


def modules(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


def _name(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


class TestSize:
    def test_no_function_is_longer_than_a_screen(self) -> None:
        long = [
            f"{_name(path)}:{node.lineno} {node.name}"
            for path in modules(*PRODUCT)
            for node in _functions(_parsed(path))
            if (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION_LINES
        ]
        assert long == []

    def test_no_module_is_longer_than_one_can_keep_in_mind(self) -> None:
        long = [
            _name(path)
            for folder in (*PRODUCT, "tests")
            for path in modules(folder)
            if len(path.read_text(encoding="utf-8").splitlines())
            > (LONGEST_TEST_MODULE_LINES if folder == "tests" else LONGEST_MODULE_LINES)
        ]
        assert long == []


class TestNames:
    def test_no_module_has_a_name_that_says_nothing(self) -> None:
        assert [_name(path) for path in modules(*PRODUCT) if path.stem in VAGUE] == []


class TestErrors:
    def test_nothing_catches_every_exception_and_goes_on(self) -> None:
        found = []
        for path in modules(*PRODUCT):
            for node in ast.walk(_parsed(path)) if _name(path) not in LAST_RESORTS else ():
                if isinstance(node, ast.ExceptHandler) and _catches_all(node) and not _raises(node):
                    found.append(f"{_name(path)}:{node.lineno}")
        assert found == []


def _catches_all(node: ast.ExceptHandler) -> bool:
    return node.type is None or (
        isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
    )


def _raises(node: ast.ExceptHandler) -> bool:
    return any(isinstance(part, ast.Raise) for part in ast.walk(node))


class TestMoney:
    @pytest.mark.parametrize("app", ["common", "events", "orgs", "ledger", "spend", "billing"])
    def test_no_rule_computes_with_floats(self, app: str) -> None:
        found = []
        for path in modules(app):
            if "rules" not in path.parts and path.stem != "money":
                continue
            for node in ast.walk(_parsed(path)):
                literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
                call = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float"
                if literal or call:
                    found.append(f"{_name(path)}:{node.lineno}")
        assert found == []


class TestOperations:
    @pytest.mark.parametrize("room", ["operations", "queries"])
    def test_a_public_function_says_what_it_does(self, room: str) -> None:
        silent = [
            f"{_name(path)} {node.name}"
            for path in modules(*APPS)
            if room in path.parts
            for node in _parsed(path).body
            if isinstance(node, ast.FunctionDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
        ]
        assert silent == []


class TestMigrations:
    def test_partition_rights_never_come_by_default(self) -> None:
        """A default right would let a role write into a partition past its parent's triggers."""
        found = [
            _name(path)
            for app in APPS
            for path in (CHECKOUT / app).rglob("*.sql")
            if "ALTER DEFAULT PRIVILEGES" in path.read_text(encoding="utf-8").upper()
        ]
        assert found == []
