"""The whole proof: seals, rows, references, and the checks that the apps registered."""

import time
from collections.abc import Iterator
from functools import partial

import psycopg

from events.database import own_session
from events.integrity import Check, checks
from events.retired import RetiredRows
from events.store import Cursor
from events.verifying.chain import read_seals, verify_chain
from events.verifying.journal import posting_findings
from events.verifying.references import out_of_range_findings, reference_findings, unsealed_tail
from events.verifying.report import Finding, Report
from events.verifying.rows import verify_rows

_MOST_LOOKED_INTO = 200
_STUMBLES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, psycopg.Error)


def verify(*, database: str = "default") -> Report:
    """This function will recompute every seal, hash every sealed row anew, and look at everything that must hold
    between rows (L1, references, E2, and what the apps registered); it writes nothing.

    Works in statements of at most 50,000 rows. Facts after the last seal are counted as the tail, not verified
    against a seal.
    """
    started = time.monotonic()
    report = Report()
    with own_session(database, statement_seconds=600) as session, own_session(database) as other:
        cur = session.cursor()
        report.tail = unsealed_tail(cur)
        seals = verify_chain(read_seals(other.cursor()), report, session.info.dbname)
        verify_rows(cur, seals, report, RetiredRows(other.cursor()).holds)
        _name_postings(cur, report)
        for finding in _found_between_rows(cur):
            report.add(finding)
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _name_postings(cur: Cursor, report: Report) -> None:
    """An entry and its postings are sealed as one; the event says which of them is wrong."""
    wrong = [finding for finding in report.findings if _is_wrong_entry(finding)]
    for finding in wrong[:_MOST_LOOKED_INTO]:
        for posting in _violations(cur, "postings", partial(posting_findings, entry=finding.key)):
            report.add(posting)


def _is_wrong_entry(finding: Finding) -> bool:
    return finding.table == "journal_entries" and finding.problem in ("changed", "removed", "inserted")


def _found_between_rows(cur: Cursor) -> Iterator[Finding]:
    yield from _violations(cur, "seals", out_of_range_findings)
    yield from _violations(cur, "references", reference_findings)
    for name, check in checks():
        yield from _violations(cur, name, check)


def _violations(cur: Cursor, name: str, check: Check) -> Iterator[Finding]:
    """A check that stumbles over rows that were tampered with has found something, too."""
    try:
        for violation in check(cur):
            if isinstance(violation, Finding):
                yield violation
            else:
                yield Finding(name, "", "violated", str(violation))
    except _STUMBLES as error:
        yield Finding(name, "", "broken", f"the check could not go on: {type(error).__name__}: {error}")
