"""From an API key to the gate's caller, and again when the organization has changed since it was read."""

from typing import Final

from common.errors import Forbidden, InvalidCredentials
from events.store import Cursor
from orgs.queries.authentication import Known, find_by_hash
from orgs.rules.scopes import SPEND_WRITE
from spend.rules.commands import Caller

NEEDED_SCOPE: Final = SPEND_WRITE


def caller_of(known: Known | None) -> Caller:
    """This function will return whom the gate deals with, from what a key stands for (None: nobody).

    Raises InvalidCredentials, and Forbidden for a key without the scope.
    """
    if known is None:
        raise InvalidCredentials
    principal = known.principal
    if not principal.has_scope(NEEDED_SCOPE):
        raise Forbidden(f"This needs the scope {NEEDED_SCOPE}.")
    return Caller(
        actor=principal.actor,
        agent_ids=principal.agent_ids,
        connection_ids=principal.connection_ids,
        secret_hash=known.secret_hash,
        epoch=known.epoch,
    )


def current_caller(cur: Cursor, caller: Caller, *, epoch: int) -> Caller:
    """This function will return the caller as it is under the organization's locked `epoch`.

    The same one when nothing has changed since it was read; else the key is read again, in this transaction.
    Raises InvalidCredentials (revoked, expired, its member has left) and Forbidden.
    """
    if caller.secret_hash is None or caller.epoch == epoch:
        return caller
    return caller_of(find_by_hash(cur, caller.secret_hash))
