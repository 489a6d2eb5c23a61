"""Contracts in the hand: documents, and a contract that goes through its decisions without a database.

`Agreement` keeps the ledger's side of it in a plain model: grants that usage draws from, and what the entries and the
invoice's lines come to on each account.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.rules.contracts import deciding
from billing.rules.contracts.decision import Decision, Known, Left, Units, WindowUse
from billing.rules.contracts.row import Contract, Window
from billing.rules.contracts.terms import ContractTerms, parse_contract
from billing.rules.items import NewItem
from billing.rules.rounding import round_to_document
from common.ids import new_id

CENT = 1_000_000
DOLLAR = 100 * CENT
ORGANIZATION = UUID(int=1)


def day(text: str) -> datetime:
    """Midnight of a day in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def commitment(kind: str = "postpaid", window: str = "month", **given: Any) -> dict[str, Any]:
    """A commitment of this kind."""
    return {"kind": kind, "window": window, **given}


def document(
    *amounts: str, start: str = "2026-01-01", end: str = "2027-01-01", **given: Any
) -> dict[str, Any]:
    """A contract over a year that commits the first amount from its start on, and the others from the days before
    them, such as ("100", "2026-07-01", "200")."""
    ramp = [{"from": start, "amount": amounts[0]}] if amounts else []
    for place in range(1, len(amounts), 2):
        ramp.append({"from": amounts[place], "amount": amounts[place + 1]})
    made = {"name": "Acme", "currency": "USD", "term": {"start": start, "end": end}}
    if amounts:
        made |= {"commitment": commitment(), "ramp": ramp}
    return {**made, **given}


def terms(*amounts: str, **given: Any) -> ContractTerms:
    """The terms of such a document."""
    return parse_contract(document(*amounts, **given))


class Agreement:
    """One contract that goes through decisions; what they made is kept, and `use` draws from it as the gate does."""

    def __init__(self, made: ContractTerms, *, at: datetime | None = None, zone: str = "UTC") -> None:
        self.left: dict[UUID, Left] = {}
        self.spans: dict[UUID, tuple[datetime, datetime]] = {}
        self.drawn: Counter[UUID] = Counter()
        self.line: list[tuple[datetime, int]] = []
        self.decisions: list[Decision] = []
        self.windows: dict[UUID, Window] = {}
        self.books: Counter[str] = Counter()
        self.row: Contract
        start = at or datetime.combine(made.start, datetime.min.time(), UTC)
        self.take(deciding.draft(new_id(), ORGANIZATION, made, zone=zone, at=start))
        self.take(deciding.activate(self.row, (), at=start))

    @property
    def items(self) -> list[NewItem]:
        """All items, in the order in which they were made."""
        return [item for decision in self.decisions for item in decision.items]

    def take(self, decision: Decision | None) -> None:
        """Go on from a decision, and post what it says."""
        if decision is None:
            return
        self.row = decision.row
        self.decisions.append(decision)
        self.windows |= {window.id: window for window in decision.windows}
        for one in decision.takings:
            for grant, amount in one.taken:
                self._lower(grant, amount)
            broken = one.income - one.held
            back = one.amount - broken - one.rounded
            self._post(customer_credit=-one.amount, breakage=broken, rounding=one.rounded, deferred=back)
        for made in decision.grants:
            self.left[made.grant] = Left(made.amount)
            self.spans[made.grant] = (made.effective_at, made.expires_at)
            self._post(customer_credit=made.amount, deferred=-made.amount)
        for item in decision.items:
            is_deferred = item.recognition == "straight" or item.included > 0
            self.books["deferred" if is_deferred else "revenue"] += item.amount
            self.books["receivable"] -= item.amount

    def use(self, at: datetime, amount: int) -> None:
        """Use so much at a moment: the commitment pays first, then the line."""
        missing = amount
        live = [grant for grant, (start, end) in self.spans.items() if start <= at < end]
        for grant in sorted(live, key=lambda grant: (self.spans[grant][1], self.spans[grant][0], grant)):
            part = min(missing, self.left[grant].free)
            self._lower(grant, part)
            self.drawn[grant] += part
            self._post(customer_credit=-part, revenue=part)
            missing -= part
        if missing:
            self.line.append((at, missing))

    def until(self, at: datetime) -> None:
        """Pass every boundary up to and at an instant."""
        while self.row.next_at is not None and self.row.next_at <= at:
            self.take(deciding.decide_boundary(self.row, self.known()))

    def known(self) -> Known:
        """What decisions know."""
        use = {window.id: self._use(window) for window in self.row.windows}
        return Known(self.left, use)

    def amend(self, made: ContractTerms, effective_on: str, *, at: datetime) -> None:
        """Make the next version."""
        effective = deciding.effective_day(self.row, datetime.fromisoformat(effective_on).date(), at=at)
        self.take(deciding.amend(self.row, made, effective, (), at=at))

    def terminate(self, mode: str, *, at: datetime) -> None:
        """End it now."""
        self.take(deciding.terminate(self.row, self.known(), (), mode=mode, reason="", at=at))

    def bill_use(self) -> int:
        """Invoice what was drawn of a postpaid commitment, one running sum for each window, and what is on the line;
        return what that comes to in units."""
        total = 0
        kind = self.row.terms.commitment
        if kind is not None and kind.kind == "postpaid":
            for window in self.windows.values():
                drawn = sum(self.drawn[grant] for grant, _ in window.grants)
                billed = round_to_document(drawn, currency="USD")
                self._post(receivable=-billed, deferred=billed)
                total += billed
        for window in self.windows.values():
            total += round_to_document(self._use(window).line, currency="USD")
        return total

    def of(self, kind: str) -> int:
        """What items of a kind come to, in units."""
        return sum(item.amount for item in self.items if item.kind == kind)

    def _use(self, window: Window) -> WindowUse:
        line = sum(amount for at, amount in self.line if window.start <= at < window.end)
        return WindowUse(line=line, exceeding=(Units("model", 0, line),) if line else ())  # type: ignore[arg-type]

    def _lower(self, grant: UUID, amount: int) -> None:
        left = self.left[grant]
        self.left[grant] = Left(left.remaining - amount, left.held)

    def _post(self, **lines: int) -> None:
        assert sum(lines.values()) == 0, lines
        self.books.update(lines)


def months(start: str, count: int) -> Iterable[tuple[datetime, datetime]]:
    """The first instants of so many months, and of those after them."""
    first = day(start)
    for number in range(count):
        month = first.month - 1 + number
        after = month + 1
        yield (
            first.replace(year=first.year + month // 12, month=month % 12 + 1),
            first.replace(year=first.year + after // 12, month=after % 12 + 1),
        )


LATER = timedelta(days=4)
"""Longer than a window waits for its settlement."""
