"""What was agreed with an organization ends when it is closed: its subscriptions and contracts.

The metered periods and windows that end so are rated and settled by later billing runs, which go on for a closed
organization until nothing of it is due any more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from billing.operations.boundaries import advance
from billing.operations.contracts import advance as contracts
from billing.operations.contracts.publishing import end_prices
from billing.operations.contracts.recording import record_decision as record_contract
from billing.operations.subscriptions.recording import known_of, record_decision
from billing.queries.contracts import unended_contracts
from billing.queries.subscriptions import subscriptions_of
from billing.rules.contracts.deciding import close
from billing.rules.subscriptions.ending import decide_cancel_now
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.rules.rows import LockedOrganization

REASON: Final = "The organization was closed"


def end_agreements(cur: Cursor, locked: LockedOrganization, author: Author) -> None:
    """This function will end what was agreed with an organization that is about to be closed. The caller holds the
    lock, and the organization is still active. Raises what `advance` raises."""
    end_agreements_at(cur, locked, at=locked.now, author=author)


def end_agreements_at(cur: Cursor, locked: LockedOrganization, *, at: datetime, author: Author) -> None:
    """This function will pass what was due by `at`, cancel each subscription as of then, and end each contract.

    What was used until then is invoiced by the next billing runs. Nothing unused is credited, and the running window's
    commitment is owed in full unless another end was arranged: whoever wants it otherwise ends them before. Windows of
    contracts are settled three days later, as always. Repeated it finds nothing. Raises what `advance` raises.
    """
    advance(cur, locked, until=at, author=author)
    for row in subscriptions_of(cur, organization=locked.id):
        known = known_of(cur, locked, row, at=at)
        canceled = decide_cancel_now(row, known, at=at, reason=REASON)
        record_decision(cur, locked, canceled, before=row, author=author)
    for contract in unended_contracts(cur, organization=locked.id):
        prices = end_prices(cur, contract, None, now=locked.now, author=author)
        known_use = contracts.known_of(cur, locked, contract)
        ended = close(contract, known_use, prices, reason=REASON, at=at)
        record_contract(cur, locked, ended, before=contract, author=author)
