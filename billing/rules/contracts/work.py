"""The steps that every decision on a contract is put together from: windows open, change and close."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.rules.amounts import amount_of
from billing.rules.charges.explaining import step_json
from billing.rules.charges.formula import step
from billing.rules.contracts.decision import NOTHING_LEFT, Decision, Granted, Known, Left, Owed, Taking
from billing.rules.contracts.row import (
    ROLLED,
    SETTLED,
    SETTLES_AFTER,
    Contract,
    Version,
    Window,
)
from billing.rules.contracts.terms import Commitment
from billing.rules.contracts.windows import (
    amount_of_pieces,
    cut_pieces,
    days_used_until,
    piece_steps,
    plan_window,
    with_piece,
)
from billing.rules.items import NewItem
from billing.rules.rounding import document_step, round_to_document
from common.ids import new_id
from common.localtime import local_time


class Work:
    """A contract on its way through one decision at `at`, with what that makes so far."""

    def __init__(self, row: Contract, known: Known, at: datetime) -> None:
        self.row = row
        self.known = known
        self.at = at
        self.items: list[NewItem] = []
        self.grants: list[Granted] = []
        self.takings: list[Taking] = []
        self.passed: list[str] = []
        self._debt = known.debt
        self._left = dict(known.left)
        self._windows: dict[UUID, Window] = {}
        self._owed = dict(known.owed)

    @property
    def commitment(self) -> Commitment:
        """How the commitment works now."""
        made = self.row.terms.commitment
        assert made is not None
        return made

    def change(self, **changes: Any) -> None:
        """Go on with another row."""
        self.row = replace(self.row, **changes)

    def put(self, window: Window) -> None:
        """Go on with a window as it is now; a settled one leaves the row."""
        kept = [each for each in self.row.windows if each.id != window.id]
        if window.status != SETTLED:
            kept.append(window)
        self.change(windows=tuple(sorted(kept, key=lambda each: each.number)))
        self._windows[window.id] = window

    def left(self, grant: UUID) -> Left:
        """What a grant has left by now."""
        return self._left.get(grant, NOTHING_LEFT)

    def owed(self, item: UUID, amount: int) -> Owed:
        """How an item over an amount stands by now: whole, unless something is known of it."""
        return self._owed.get(item, Owed(amount))

    def credit(self, kind: str, description: str, item: UUID, amount: int, **given: Any) -> int:
        """Owe so much of an item back, at most what is left of it; return how much it is. One that is on no invoice yet
        stands on the same as its credit."""
        found = self.owed(item, amount)
        part = min(amount, found.left)
        if part > 0:
            self._owed[item] = replace(found, taken=found.taken + part)
            due_at = self.at if found.due_at is None else min(found.due_at, self.at)
            self.owe(kind, description, -part, credits=item, due_at=due_at, **given)
        return part

    def decided(self, verb: str, *, version: Version | None = None) -> Decision:
        """Return what the decision comes to, as the row's next version."""
        return Decision(
            row=replace(self.row, version=self.row.version + 1),
            verb=verb,
            at=self.at,
            items=tuple(self.items),
            windows=tuple(sorted(self._windows.values(), key=lambda each: each.number)),
            grants=tuple(self.grants),
            takings=tuple(self.takings),
            version=version,
            passed=tuple(self.passed),
        )

    def owe(self, kind: str, description: str, amount: int, **given: Any) -> NewItem:
        """Make the customer owe an amount of the contract."""
        item = NewItem(
            **{
                "kind": kind,
                "description": f"{self.row.terms.name}: {description}",
                "currency": self.row.currency,
                "amount": amount,
                "due_at": self.at,
                "contract": self.row.id,
                "discountable": False,
                **given,
            }
        )
        self.items.append(item)
        return item

    def take(
        self,
        window: Window,
        reason: str,
        taken: Iterable[tuple[UUID, int]],
        *,
        income: int,
        rounded: int = 0,
        ends: bool = False,
    ) -> None:
        """Take unused credit out of a window's grants."""
        parts = tuple((grant, amount) for grant, amount in taken if amount)
        for grant, amount in parts:
            left = self._left[grant]
            self._left[grant] = Left(left.remaining - amount, left.held)
        ended = tuple(grant for grant, _ in window.grants) if ends else ()
        held = sum(self.left(grant).held for grant in ended)
        if parts or income or rounded or ended:
            key = f"contract:{window.id}:{self.row.version + 1}:{len(self.takings)}"
            words = f"{self.row.terms.name}: {reason}"
            self.takings.append(Taking(key, words, parts, income, rounded, held, ended))

    def free_of(self, window: Window) -> list[tuple[UUID, int]]:
        """What each of a window's grants has free."""
        return [(grant, self.left(grant).free) for grant, _ in window.grants]


def label(work: Work, start: datetime, end: datetime) -> str:
    """Return a period as people read it, by days of the customer's zone."""
    first, last = (local_time(moment, zone=work.row.zone).date() for moment in (start, end))
    return f"{first} to {last}"


def service_of(window: Window) -> dict[str, Any]:
    """Return what an item for a window is for; a window that was cut as it began has no duration."""
    has_duration = window.start < window.end
    return {"service_start": window.start, "service_end": window.end} if has_duration else {}


def open_window(work: Work) -> None:
    """Open the next window: what is committed is granted, and in advance invoiced."""
    plan = plan_window(work.row.terms, work.row.zone, work.at)
    if plan is None:
        work.change(next_window_at=None)
        return
    number = work.row.window_count + 1
    pieces = (plan.piece,)
    window = Window(
        id=new_id(),
        number=number,
        start=plan.start,
        end=plan.end,
        grants_end=_grants_end(work, plan.end),
        settle_at=plan.end + SETTLES_AFTER,
        pieces=pieces,
        amount=amount_of_pieces(pieces, currency=work.row.currency),
    )
    following = None if plan.end >= work.row.ends_at else plan.end
    work.change(window_count=number, next_window_at=following)
    work.put(fund(work, window))
    work.passed.append("window_opened")


def fund(work: Work, window: Window) -> Window:
    """Bring what is granted and invoiced for a window to what is committed in it; return it as it is then."""
    kind = work.commitment.kind
    if kind == "minimum":
        return window
    if kind == "prepaid":
        window = _invoice(work, window)
    missing = window.amount - (window.granted - window.parked - window.closed)
    return _grant(work, window, missing, is_owed=kind == "postpaid") if missing > 0 else window


def _invoice(work: Work, window: Window) -> Window:
    """The difference to what was invoiced before is owed, or credited: never more than what is unused."""
    used = window.granted - window.parked - window.closed
    step_units = document_step(work.row.currency)
    wanted = max(window.amount, -(-used // step_units) * step_units)
    owed = wanted - window.billed
    if owed < 0:
        return credit(work, window, -owed, "unused commitment")
    if owed == 0:
        return window
    words = "commitment" if not window.items else "more commitment"
    item = work.owe(
        "commitment",
        f"{words} {label(work, window.start, window.end)}",
        owed,
        **service_of(window),
        steps=piece_steps(window.pieces),
        recognition="straight",
        included=owed,
    )
    return replace(window, items=(*window.items, (item.id, owed)))


def credit(work: Work, window: Window, amount: int, words: str) -> Window:
    """Credit so much of what was invoiced in advance, the newest first; what a credit note gave back is not owed back
    again."""
    left, owed_back, items = amount, 0, list(window.items)
    for place in range(len(items) - 1, -1, -1):
        name, billed = items[place]
        part = min(left, billed)
        if part > 0:
            back = min(part, work.owed(name, billed).left)
            owed_back += work.credit(
                "commitment",
                f"{words} {label(work, window.start, window.end)}",
                name,
                back,
                **service_of(window),
                recognition="at_once",
                included=back,
                steps=[_credit_step(billed, back)],
            )
            items[place] = (name, billed - part)
            left -= part
    return replace(window, items=tuple(items), credited=window.credited + owed_back)


def _credit_step(billed: int, part: int) -> dict[str, Any]:
    made = step(
        "credit", "-{unused} of {billed}", -amount_of(part), unused=amount_of(part), billed=amount_of(billed)
    )
    return step_json(made)


def _grant(work: Work, window: Window, amount: int, *, is_owed: bool) -> Window:
    made = Granted(
        grant=new_id(),
        amount=amount,
        is_owed=is_owed,
        effective_at=max(window.start, work.at),
        expires_at=window.grants_end,
    )
    work.grants.append(made)
    repaid = min(work._debt, amount)
    work._debt -= repaid
    work._left[made.grant] = Left(amount - repaid)
    window = replace(window, grants=(*window.grants, (made.grant, amount)))
    return _bill_repaid(work, window, repaid) if repaid and is_owed else window


def _bill_repaid(work: Work, window: Window, repaid: int) -> Window:
    """What the commitment repaid of older debt at once is used, and on no receipt: it is owed by itself."""
    before, after = window.repaid, window.repaid + repaid
    billed = round_to_document(after, currency=work.row.currency)
    owed = billed - window.repaid_billed
    if owed:
        work.owe(
            "commitment",
            "earlier use that the commitment pays for",
            owed,
            recognition="at_once",
            included=owed,
            steps=[
                step_json(
                    step("repaid", "{repaid} of debt", amount_of(after - before), repaid=amount_of(repaid))
                )
            ],
        )
    return replace(window, repaid=after, repaid_billed=billed)


def park(work: Work, window: Window) -> Window:
    """Take back whatever a window's grants have free: it goes to deferred revenue until it is granted anew, credited or
    settled."""
    free = work.free_of(window)
    amount = sum(part for _, part in free)
    work.take(window, "credit taken back", free, income=0)
    return replace(window, parked=window.parked + amount)


def amend_window(work: Work, window: Window) -> None:
    """Bring a window that runs or rolls over to the version that holds from now on."""
    if window.end <= work.at:
        _move_rolled(work, window)
        return
    plan = plan_window(work.row.terms, work.row.zone, work.at)
    assert plan is not None  # an amendment's term goes on beyond its first day
    pieces = with_piece(window.pieces, plan.piece)
    moved = replace(
        window,
        pieces=pieces,
        end=plan.end,
        grants_end=_grants_end(work, plan.end),
        settle_at=plan.end + SETTLES_AFTER,
        amount=amount_of_pieces(pieces, currency=work.row.currency),
    )
    work.change(next_window_at=None if plan.end >= work.row.ends_at else plan.end)
    if moved.amount != window.amount or moved.grants_end != window.grants_end:
        moved = fund(work, park(work, moved))
    work.put(moved)


def _move_rolled(work: Work, window: Window) -> None:
    """What rolls over is good until the end of the term, wherever that is now."""
    grants_end = _grants_end(work, window.end)
    if grants_end == window.grants_end:
        return
    settle_at = grants_end + SETTLES_AFTER if window.status == ROLLED else window.settle_at
    moved = park(work, replace(window, grants_end=grants_end, settle_at=settle_at))
    free = moved.parked - window.parked
    if free:
        moved = _grant(work, moved, free, is_owed=work.commitment.kind == "postpaid")
    work.put(moved)


def cut_window(work: Work, window: Window, mode: str) -> None:
    """End a window now: nothing is drawn from it from here on. `mode` says what is still committed: all of it (full),
    the part by days (prorated), or nothing beyond what was used (waive). One that is over waits for its settlement."""
    settle_at = work.at + SETTLES_AFTER
    if window.end <= work.at:
        if window.grants_end > work.at:
            work.put(replace(park(work, window), grants_end=work.at, settle_at=settle_at))
        return
    pieces = cut_pieces(window.pieces, days_used_until(work.at, work.row.zone))
    committed = {
        "full": window.amount,
        "prorated": amount_of_pieces(pieces, currency=work.row.currency),
        "waive": 0,
    }[mode]
    work.put(
        replace(
            park(work, window),
            end=work.at,
            grants_end=work.at,
            settle_at=settle_at,
            pieces=pieces if mode == "prorated" else window.pieces,
            amount=committed,
        )
    )


def _grants_end(work: Work, end: datetime) -> datetime:
    """What rolls over stays until the term ends."""
    return max(end, work.row.ends_at) if work.commitment.rollover else end
