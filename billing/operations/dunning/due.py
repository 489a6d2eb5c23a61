"""The timer of dunning: it hands every customer whose time has come to the machine, and finds what nobody told it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing.operations.dunning.advancing import advance_customer
from billing.queries.dunning import organizations_due, organizations_settled
from common.transactions import run_in_transaction
from events.store import Cursor

logger = logging.getLogger(__name__)

AT_ONCE: Final = 1_000


def advance_due() -> int:
    """This function will do what is due in every customer's dunning, each in a transaction of its own, and return for
    how many that was something. What stands in one's way is reported, stops nobody else, and is due again."""
    done, after = 0, None
    while due := run_in_transaction(partial(organizations_due, after=after, limit=AT_ONCE)):
        done += sum(_attempted(each) for each in due)
        after = due[-1]
    return done


def close_settled() -> int:
    """This function will close cases whose invoices are settled although nobody said so, and return how many."""
    return sum(_attempted(each) for each in run_in_transaction(partial(organizations_settled, limit=AT_ONCE)))


def _attempted(organization: UUID) -> bool:
    operation: Callable[[Cursor], Any] = partial(advance_customer, organization=organization)
    try:
        return bool(run_in_transaction(operation, prepared=True))
    except Exception as error:
        logger.warning("dunning.failed", exc_info=error, extra={"organization": str(organization)})
        return False
