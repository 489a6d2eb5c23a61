"""The books against themselves: everything that `verify_ledger` proves, and every projection made again from the last
checkpoint on (E1). What does not hold is a finding each; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import sha256

from common.transactions import run_in_transaction
from events.rebuilding.run import rebuild
from events.verifying.run import verify
from webhooks.operations.reconciling.noting import end_difference, note_open
from webhooks.queries.reconciling.runs import Run, open_not_met
from webhooks.rules.reconciling.differences import BOOKS, Difference, Tally


def verify_books(run: Run) -> Tally:
    """This function will verify seals, rows and references, and run all registered checks (L, S, B, M, W, R, D, P)."""
    report = verify()
    tally = Tally(compared=sum(report.counts.values()))
    found = [
        _difference("books", f"{one.table}:{one.key or _digest(one.detail)}", str(one)) for one in report.findings
    ]  # fmt: skip
    _note(run, "books", found, tally)
    return tally


def compare_projections(run: Run) -> Tally:
    """This function will make every projection again and compare it with the live one. Raises TooLongTransaction."""
    outcome = rebuild(from_checkpoint=True)
    tally = Tally(compared=sum(outcome.tables.values()))
    found = [
        _difference("projection", f"{one.table}:{one.key}:{one.column}", str(one))
        for one in outcome.differences
    ]
    _note(run, "projection", found, tally)
    return tally


def _difference(kind: str, subject: str, text: str) -> Difference:
    return Difference(kind, BOOKS, f"{kind}:{subject}"[:200], {"what": text[:1_000]})


def _note(run: Run, kind: str, found: Iterable[Difference], tally: Tally) -> None:
    """All of it was looked at: what is not found again is gone."""
    for each in found:
        run_in_transaction(partial(note_open, run=run.id, found=each))
        tally.open += 1
    for row in run_in_transaction(lambda cur: open_not_met(cur, run.id)):
        if row.kind == kind:
            run_in_transaction(partial(end_difference, row=row, reason="It holds again."))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]
