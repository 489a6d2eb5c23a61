"""What finance does with a case: putting off, exempting, moving it along the table, letting it be (S94)."""

from __future__ import annotations

from uuid import UUID

from billing.operations.dunning.advancing import advance, move
from billing.operations.dunning.recording import Turn, mark_all_recovered
from billing.operations.dunning.settling import close_if_settled
from billing.operations.dunning.trouble import end_trouble
from billing.queries.dunning import find_case
from billing.rules.dunning import machine
from billing.rules.dunning.case import Case
from billing.rules.dunning.machine import FINANCE
from billing.rules.dunning.states import CLOSED, TARGETS, WRITTEN_OFF, require_transition
from common.errors import InvalidField
from events.store import Cursor
from ledger.rules.adjustments import require_reason
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization


def extend_case(
    cur: Cursor, *, organization: UUID, case: UUID, days: int, reason: str, author: Author
) -> Case:
    """This function will put off every further step of a case by so many days; what holds now stays.

    Raises NotFound, InvalidField (no reason; more days from now than the policy allows) and InvalidTransition.
    """
    text = require_reason(reason)
    turn = _turn(cur, organization, case, author)
    turn.take(machine.extended(turn.case, days, text, now=turn.locked.now))
    return turn.case


def exempt_case(
    cur: Cursor, *, organization: UUID, case: UUID, days: int, reason: str, author: Author
) -> Case:
    """This function will hold nothing against a customer for so many days: the gate is open, no step is taken; after
    them the case means again what it meant, and its further steps come so much later.

    Raises NotFound, InvalidField (no reason; more days than the policy allows) and InvalidTransition.
    """
    text = require_reason(reason)
    turn = _turn(cur, organization, case, author)
    turn.take(machine.exempted(turn.case, days, text, now=turn.locked.now))
    turn.publish()
    return turn.case


def end_exemption(cur: Cursor, *, organization: UUID, case: UUID, reason: str, author: Author) -> Case:
    """This function will end an exemption before its time. Raises NotFound, InvalidField without a reason, and
    InvalidTransition where none runs."""
    text = require_reason(reason)
    turn = _turn(cur, organization, case, author)
    turn.take(machine.exemption_ended(turn.case, now=turn.locked.now, trigger=FINANCE, reason=text))
    advance(turn)
    return turn.case


def move_case(cur: Cursor, *, organization: UUID, case: UUID, to: str, reason: str, author: Author) -> Case:
    """This function will move a case along the table by hand: to grace, suspended, canceled (its subscriptions end),
    written_off (what is unpaid becomes a loss), or closed (the customer is let be, whatever it owes).

    An invoice of a case that finance closed opens no other. Raises NotFound, InvalidField without a reason, and
    InvalidTransition for what is not in the table.
    """
    text = require_reason(reason)
    if to not in TARGETS:
        raise InvalidField(f"A case is moved to one of {', '.join(TARGETS)}.", pointer="/to")
    turn = _turn(cur, organization, case, author)
    require_transition(turn.case.state, to)
    move(turn, to, reason=text)
    if to == CLOSED:
        turn.publish()
        mark_all_recovered(turn)
        end_trouble(cur, organization=organization)
    elif to != WRITTEN_OFF and close_if_settled(turn):
        return turn.case
    else:
        advance(turn)
    return turn.case


def _turn(cur: Cursor, organization: UUID, case: UUID, author: Author) -> Turn:
    locked = lock_organization(cur, organization)
    return Turn(cur, locked, find_case(cur, organization=organization, case=case), author, FINANCE)
