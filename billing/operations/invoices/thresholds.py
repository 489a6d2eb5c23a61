"""Progressive billing: an invoice before the cycle ends, once enough of it is unbilled."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from billing.operations.invoices.drafting import locked_standing, standing_fact
from common.errors import InvalidAmount
from events.store import Cursor
from orgs.operations.facts import Author, record


def set_threshold(cur: Cursor, *, organization: UUID, threshold: int | None, author: Author) -> None:
    """This function will set from how many units of unbilled use on an invoice is made at once; None: never.

    The same again changes nothing. Raises NotFound, and InvalidAmount for zero.
    """
    if threshold is not None and threshold <= 0:
        raise InvalidAmount(pointer="/threshold")
    locked, standing = locked_standing(cur, organization)
    if standing.threshold == threshold:
        return
    changed = replace(standing, threshold=threshold, version=standing.version + 1)
    record(cur, [standing_fact(locked, changed, "threshold_set")], author=author)
