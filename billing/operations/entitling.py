"""Publishing what the one resolver says down to the gate: with every change of it, and when time alone changes it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from billing.queries.entitlements import gate_entitlements, organizations_untold
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from orgs.rules.rows import LockedOrganization
from spend.operations.entitling import publish_entitlement
from spend.queries.entitled import organizations_to_look_at

AUTHOR: Final = Author("system:billing")
logger = logging.getLogger(__name__)


def publish_entitlements(
    cur: Cursor, locked: LockedOrganization, *, at: datetime | None = None, author: Author = AUTHOR
) -> bool:
    """This function will tell the gate, in the caller's transaction, what the locked organization is entitled to now,
    or at a later moment that is passed already; whether that is something new. Nothing new writes nothing. Raises
    NotFound."""
    now = locked.now if at is None else max(at, locked.now)
    wanted = gate_entitlements(cur, locked.id, now)
    return publish_entitlement(cur, organization=locked.id, wanted=wanted, author=author)


def entitle_customer(cur: Cursor, *, organization: UUID) -> bool:
    """This function will do so under the organization's lock. Raises NotFound."""
    return publish_entitlements(cur, lock_organization(cur, organization))


def entitle_due() -> int:
    """This function will look again at every customer of whom something begins or ends by now, each in a transaction of
    its own, and return for how many the gate was told something."""
    return sum(map(_attempted, run_in_transaction(organizations_to_look_at)))


def entitle_untold() -> int:
    """This function will do the same for customers of whom the gate was never told anything although there is something
    to tell: their subscriptions are from before it listened."""
    return sum(map(_attempted, run_in_transaction(organizations_untold)))


def _attempted(organization: UUID) -> bool:
    operation: Callable[[Cursor], bool] = partial(entitle_customer, organization=organization)
    try:
        return run_in_transaction(operation)
    except Exception as error:
        logger.warning("entitling.failed", exc_info=error, extra={"organization": str(organization)})
        return False
