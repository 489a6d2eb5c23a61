"""The journal as a file: proved by beancount's own checker, which also finds what was tampered with."""

import io
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from ledger.operations.snapshots import snapshot_accounts
from tests.builders.books import balances, give, open_books, rows
from tests.builders.gate import make_customer

BEAN_CHECK = Path(sys.executable).with_name("bean-check")
AMOUNT = re.compile(r"^  (\S+)  (-?)(\d+)\.(\d{8}) ([A-Z]{3})$", re.MULTILINE)
NASTY = 'Goodwill "quoted" \\ back; * | 100.00 USD #tag ^link'


@pytest.fixture(scope="module")
def books() -> UUID:
    """An organization whose journal has grants, usage and odd texts."""
    customer = make_customer("10")
    for amount in ("0.00000001", "1.23456789", "0.5"):
        customer.commit(customer.reserved("2")["id"], amount)
    customer.use("0.07")
    give(customer.id, "92233.00000001", kind="promotional", reason=NASTY)
    return customer.id


def exported(organization: UUID | None = None, form: str = "beancount", **options: str) -> str:
    output = io.StringIO()
    arguments = ["--format", form, *(("--organization", str(organization)) if organization else ())]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", value]
    call_command("export_journal", *arguments, stdout=output)
    return output.getvalue()


def checked(text: str, folder: Path) -> str:
    """What bean-check says against it; empty when it says nothing."""
    path = folder / "journal.beancount"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


def changed(text: str, *, entry: int, legs: tuple[int, ...], by: int) -> str:
    """The file with these legs of the entry `by` units higher (of the second: lower)."""
    starts = [match.start() for match in re.finditer(r"^\d{4}-\d\d-\d\d \* ", text, re.MULTILINE)]
    lines = [match for match in AMOUNT.finditer(text) if match.start() > starts[entry]]
    for leg in sorted(legs, reverse=True):
        match = lines[leg]
        units = int(f"{match[2]}{match[3]}{match[4]}") + (by if leg == 0 else -by)
        sign, size = ("-" if units < 0 else ""), abs(units)
        amount = f"{sign}{size // 10**8}.{size % 10**8:08d}"
        text = f"{text[: match.start()]}  {match[1]}  {amount} {match[5]}{text[match.end() :]}"
    return text


def test_bean_check_proves_the_export(books: UUID, tmp_path: Path) -> None:
    text = exported(books)
    entries = rows("SELECT count(*) FROM v_entries WHERE organization = %s", books)[0][0]
    assert len(re.findall(r"^\d{4}-\d\d-\d\d \* ", text, re.MULTILINE)) == entries == 6
    assert text.count(" balance ") == len(balances(books)) > 3
    assert checked(text, tmp_path) == ""


def test_the_signs_are_turned(books: UUID) -> None:
    text = exported(books)
    units = balances(books)["customer_credit"]
    assert units > 0
    amount = f"-{units // 10**8}.{units % 10**8:08d} ~ 0.000000001 USD"
    assert f":Customer-credit:USD  {amount}" in text


@pytest.mark.parametrize("by", [1, -1, 10**8])
@pytest.mark.parametrize("entry", [0, 2, 5])
def test_bean_check_finds_one_changed_posting(books: UUID, entry: int, by: int, tmp_path: Path) -> None:
    text = changed(exported(books), entry=entry, legs=(0,), by=by)
    assert "does not balance" in checked(text, tmp_path)


@pytest.mark.parametrize("by", [1, -1, 10**8])
@pytest.mark.parametrize("entry", [0, 2, 5])
def test_bean_check_finds_an_entry_that_was_changed_so_that_it_still_sums_to_zero(
    books: UUID, entry: int, by: int, tmp_path: Path
) -> None:
    """One unit of 10^-8 is enough: that is what the tolerance on every balance line is for."""
    text = changed(exported(books), entry=entry, legs=(0, 1), by=by)
    found = checked(text, tmp_path)
    assert found.count("Balance failed for") == 2


def test_bean_check_finds_an_entry_that_is_gone(books: UUID, tmp_path: Path) -> None:
    parts = re.split(r"\n\n(?=\d{4}-\d\d-\d\d \* )", exported(books))
    assert "Balance failed for" in checked("\n\n".join(parts[:2] + parts[3:]), tmp_path)


def test_balances_are_what_the_books_state_not_sums_of_the_file(books: UUID, tmp_path: Path) -> None:
    before = exported(books)
    snapshot_accounts()
    assert exported(books) == before
    assert checked(before, tmp_path) == ""


def test_all_organizations_come_into_one_file(books: UUID, tmp_path: Path) -> None:
    other = open_books(currency="JPY")
    give(other, "5000", currency="JPY")
    text = exported()
    assert f"Org-{books}" in text
    assert f"Org-{other}" in text
    assert checked(text, tmp_path) == ""


def test_as_of_leaves_out_what_took_effect_later(tmp_path: Path) -> None:
    organization = open_books()
    give(organization, "10")
    moment = rows("SELECT clock_timestamp()")[0][0]
    give(organization, "7")
    text = exported(organization, as_of=moment.isoformat())
    assert ":Cash:USD  10.00000000 ~ 0.000000001 USD" in text
    assert "7.00000000" not in text
    assert checked(text, tmp_path) == ""
    assert ":Cash:USD  17.00000000 ~ 0.000000001 USD" in exported(organization)


def test_an_organization_without_entries_gives_an_empty_journal(tmp_path: Path) -> None:
    text = exported(open_books())
    assert checked(text, tmp_path) == ""
    assert " open " not in text


def test_hledger_gets_the_same_journal_with_exact_assertions(books: UUID) -> None:
    text = exported(books, "hledger")
    lines = re.findall(
        r"^    ((?:Assets|Liabilities|Income|Expenses|Equity):\S+)  (\S+) USD$", text, re.MULTILINE
    )
    asserted = re.findall(r"^    (\S+)  0\.00000000 USD = (\S+) USD$", text, re.MULTILINE)
    sums: dict[str, int] = {}
    for account, amount in lines:
        sums[account] = sums.get(account, 0) + int(amount.replace(".", ""))
    assert dict(sums) == {account: int(amount.replace(".", "")) for account, amount in asserted}
    assert len(asserted) == len(balances(books))
    assert f"; reason: {NASTY}" in text
    assert text.count("* balances") == 1


def test_a_file_is_written_where_it_is_wanted(books: UUID, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    assert exported(books, output=str(path)) == ""
    assert path.read_text(encoding="utf-8") == exported(books)


@pytest.mark.parametrize(
    ("option", "value"),
    [("organization", "acme"), ("as-of", "2026-01-01"), ("as-of", "2026-01-01T00:00:00"), ("format", "pdf")],
)
def test_options_are_strict(option: str, value: str) -> None:
    with pytest.raises(CommandError):
        call_command("export_journal", f"--{option}", value, stdout=io.StringIO())


def test_the_day_is_the_one_in_utc(books: UUID) -> None:
    assert f"\n{datetime.now(UTC).date()} * " in exported(books)
