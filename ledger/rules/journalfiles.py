"""A journal as text for programs that are not ours: beancount and hledger. Pure.

Both write debits as positive and credits as negative amounts; here it is the other way round, so every sign is
turned. Amounts have all eight decimals, and each account's balance is asserted behind its last entry: beancount's
assertions carry an explicit tolerance of a tenth of one unit, hledger's are exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from common.money import UNITS_PER_MAJOR

TOLERANCE: Final = "0.000000001"
_CLASSES: Final = {
    "Assets": ("receivable", "unbilled_receivable", "cash", "processor_clearing"),
    "Liabilities": (
        "customer_credit", "deferred_revenue", "provider_payable", "partner_earned", "partner_payable",
        "payout_in_transit", "tax_payable",
    ),
    "Income": ("revenue", "platform_fee", "breakage"),
    "Expenses": (
        "promotional_expense", "processor_fees", "provider_cost", "bad_debt", "rounding", "fx",
    ),
    "Equity": ("intercompany_clearing", "suspense"),
}  # fmt: skip
CLASS_OF: Final = {kind: name for name, kinds in _CLASSES.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class ExportedAccount:
    """An account with the balance that the books state for it, in units (credit > 0)."""

    id: UUID
    organization: UUID
    kind: str
    currency: str
    counterparty: UUID | None
    balance: int


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """A journal entry; `lines` are (account id, units, currency), a credit is positive."""

    id: UUID
    organization: UUID
    kind: str
    source: str
    key: str
    actor: str
    reason: str
    reverses: UUID | None
    effective_at: datetime
    recorded_at: datetime
    lines: Sequence[tuple[UUID, int, str]]


class Writer(Protocol):
    """One format."""

    def head(self, title: str) -> Iterator[str]: ...

    def opening(self, account: ExportedAccount, day: date) -> Iterator[str]: ...

    def entry(self, entry: ExportedEntry, names: dict[UUID, str]) -> Iterator[str]: ...

    def closing(self, accounts: Sequence[ExportedAccount], day: date) -> Iterator[str]: ...


def account_name(account: ExportedAccount) -> str:
    """Return an account's name: its class, its organization, its kind and currency, and the counterparty's id."""
    parts = [
        CLASS_OF[account.kind],
        f"Org-{account.organization}",
        account.kind.replace("_", "-").capitalize(),
        account.currency,
    ]
    if account.counterparty is not None:
        parts.append(f"For-{account.counterparty}")
    return ":".join(parts)


def outside_amount(units: int) -> str:
    """Return an amount with its sign turned and all eight decimals."""
    whole, rest = divmod(abs(units), UNITS_PER_MAJOR)
    return f"{'-' if units > 0 else ''}{whole}.{rest:08d}"


def render(
    writer: Writer,
    accounts: Sequence[ExportedAccount],
    entries: Iterable[ExportedEntry],
    *,
    first_day: date,
    title: str,
) -> Iterator[str]:
    """Return the lines of a journal. `first_day` is no later than the day of any entry."""
    names = {account.id: account_name(account) for account in accounts}
    last_day = first_day
    yield from writer.head(title)
    for account in accounts:
        yield from writer.opening(account, first_day)
    for entry in entries:
        last_day = max(last_day, day_of(entry.effective_at))
        yield from writer.entry(entry, names)
    yield from writer.closing(accounts, last_day + timedelta(days=1))


def day_of(moment: datetime) -> date:
    """Return the day of a moment, in UTC."""
    return moment.astimezone(UTC).date()


class Beancount:
    """Plain-text accounting in beancount's syntax; `bean-check` proves it."""

    def head(self, title: str) -> Iterator[str]:
        """The title and the options of the file."""
        yield f'option "title" "{_quoted(title)}"'
        yield ""

    def opening(self, account: ExportedAccount, day: date) -> Iterator[str]:
        """The account exists and takes its currency only."""
        yield f"{day} open {account_name(account)} {account.currency}"
        yield f'  id: "{account.id}"'

    def entry(self, entry: ExportedEntry, names: dict[UUID, str]) -> Iterator[str]:
        """One transaction; what the format has no place for stands in its metadata."""
        yield ""
        yield f'{day_of(entry.effective_at)} * "{_quoted(entry.kind)}" "{_quoted(entry.reason)}"'
        for name, value in _facts(entry):
            yield f'  {name}: "{_quoted(value)}"'
        for account, units, currency in entry.lines:
            yield f"  {names[account]}  {outside_amount(units)} {currency}"

    def closing(self, accounts: Sequence[ExportedAccount], day: date) -> Iterator[str]:
        """Every balance, to a tenth of one unit."""
        yield ""
        for account in accounts:
            amount = f"{outside_amount(account.balance)} ~ {TOLERANCE} {account.currency}"
            yield f"{day} balance {account_name(account)}  {amount}"


class Hledger:
    """Plain-text accounting in hledger's syntax; `hledger check` proves it."""

    def head(self, title: str) -> Iterator[str]:
        """The title, and how numbers are written."""
        yield f"; {_one_line(title)}"
        yield "decimal-mark ."
        yield ""

    def opening(self, account: ExportedAccount, day: date) -> Iterator[str]:
        """The account is declared with its type."""
        yield f"account {account_name(account)}  ; type: {CLASS_OF[account.kind]}, id: {account.id}"

    def entry(self, entry: ExportedEntry, names: dict[UUID, str]) -> Iterator[str]:
        """One transaction; what the format has no place for stands in tags."""
        yield ""
        yield f"{day_of(entry.effective_at)} * ({entry.id}) {entry.kind}"
        for name, value in (("reason", entry.reason), *_facts(entry)[1:]):
            if value:
                yield f"    ; {name}: {_one_line(value)}"
        for account, units, currency in entry.lines:
            yield f"    {names[account]}  {outside_amount(units)} {currency}"

    def closing(self, accounts: Sequence[ExportedAccount], day: date) -> Iterator[str]:
        """A transaction that moves nothing and asserts every balance."""
        if not accounts:
            return
        yield ""
        yield f"{day} * balances"
        for account in accounts:
            amount = f"{outside_amount(account.balance)} {account.currency}"
            yield f"    {account_name(account)}  0.00000000 {account.currency} = {amount}"


WRITERS: Final[dict[str, Writer]] = {"beancount": Beancount(), "hledger": Hledger()}


def _facts(entry: ExportedEntry) -> list[tuple[str, str]]:
    facts = [
        ("id", str(entry.id)),
        ("source", entry.source),
        ("key", entry.key),
        ("actor", entry.actor),
        ("effective", entry.effective_at.astimezone(UTC).isoformat()),
        ("recorded", entry.recorded_at.astimezone(UTC).isoformat()),
    ]
    return facts if entry.reverses is None else [*facts, ("reverses", str(entry.reverses))]


def _quoted(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _one_line(text: str) -> str:
    return " ".join(text.split())
