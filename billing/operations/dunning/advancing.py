"""Doing what is due with a case, step by step and each at its own date, until nothing is (S92, S95)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from billing.operations.dunning.collection import ask, attempt
from billing.operations.dunning.recording import Turn, mark_subscriptions
from billing.operations.dunning.settling import close_if_settled
from billing.operations.dunning.trouble import AUTHOR
from billing.operations.invoices.paying import write_off
from billing.operations.subscriptions.ending import Cancellation, cancel_subscription
from billing.queries.dunning import Overdue, find_open_case, overdue_balances, overdue_of
from billing.queries.dunning_policies import policy_for
from billing.queries.subscriptions import subscriptions_of
from billing.rules.dunning import machine
from billing.rules.dunning.case import Case
from billing.rules.dunning.machine import TIMER, Action, next_action
from billing.rules.dunning.policy import Policy
from billing.rules.dunning.states import CANCELED, WRITTEN_OFF
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization

LATE: Final = timedelta(days=1)
BY_POLICY: Final = "dunning: what the policy says of unpaid invoices"
Frozen = tuple[UUID | None, int, Policy]
Called = tuple[list[Overdue], tuple[str, ...]]
"""What comes into a case, and the currencies of its campaigns."""


def advance_customer(
    cur: Cursor, *, organization: UUID, author: Author = AUTHOR, trigger: str = TIMER
) -> bool:
    """This function will do whatever is due in a customer's dunning by its own clock, and return whether that was
    something.

    The first overdue invoice opens the case, by overdue balance that which reaches a threshold; later ones join it. A
    case that waits for nothing is closed. Then every step that is due is done in order, late ones as those of their own
    dates: a retry is asked for and the steps behind it wait for its outcome. Repeated, or beside a webhook, it finds
    nothing. Raises NotFound.
    """
    locked = lock_organization(cur, organization)
    case = find_open_case(cur, organization)
    turn = Turn(cur, locked, case, author, trigger)
    take_in(turn, case)
    if not turn.has_case:
        return False
    if not close_if_settled(turn):
        advance(turn)
    return case is None or turn.case.version != case.version


def take_in(turn: Turn, case: Case | None) -> None:
    """Open a case for what is overdue and in none, or let it join the open one: everything, or by overdue balance what
    is of a currency at its threshold."""
    found = overdue_of(turn.cur, turn.locked.id, turn.locked.now)
    if not found:
        return
    now, trigger = turn.locked.now, turn.trigger
    if case is not None:
        new, reached = _called(turn, case.policy, found)
        if not new:
            return
        ids = tuple(each.id for each in new)
        turn.take(machine.joined(case, ids, now=now, trigger=trigger, reached=reached))
    else:
        chosen = _chosen(turn, found)
        if chosen is None:
            return
        policy, (new, reached) = chosen
        ids = tuple(each.id for each in new)
        turn.take(
            machine.opened(
                identifier=new_id(),
                organization=turn.locked.id,
                policy=policy,
                zone=turn.locked.time_zone,
                anchor_at=_anchor(new[-1] if policy[2].is_by_balance else new[0], turn),
                invoices=ids,
                now=now,
                trigger=trigger,
                reached=reached,
            )
        )
    mark_subscriptions(turn, ids)


def _chosen(turn: Turn, found: list[Overdue]) -> tuple[Frozen, Called] | None:
    """The first policy of an overdue invoice that opens a case, the longest due first, and what comes into that; None:
    nothing is at its threshold."""
    for each in found:
        policy = policy_for(turn.cur, organization=turn.locked.id, invoice=each.id)
        called = _called(turn, policy[2], found)
        if each in called[0]:
            return policy, called
    return None


def _called(turn: Turn, policy: Policy, found: list[Overdue]) -> Called:
    """What of this comes into a case of a policy: all, or what is of a currency that is at its threshold."""
    if not policy.is_by_balance:
        return found, ()
    reached = policy.reached(overdue_balances(turn.cur, turn.locked.id, turn.locked.now))
    return [each for each in found if each.currency in reached], reached


def _anchor(first: Overdue, turn: Turn) -> datetime:
    """Day 0. A customer that is found long after its time has all its days before it: nobody races through them in a
    day. Of one that the timer came to a little late, the days are those of its due date."""
    is_late = turn.locked.now - first.due_at >= LATE
    return turn.locked.now if first.was_settled or is_late else first.due_at


def advance(turn: Turn) -> None:
    """Do every step that is due, and tell the gate what the case means after them. What escalates waits while none of
    what is unpaid could be asked for: that is not its customer's fault, and there is a finding, or an outage."""
    with turn.gathered():
        while (action := next_action(turn.case, turn.locked.now)) is not None:
            if action.kind == "move" and all(found.is_held for found in turn.unpaid()):
                break
            _do(turn, action)
    turn.publish()


def _do(turn: Turn, action: Action) -> None:
    now, trigger = turn.locked.now, turn.trigger
    if action.kind == "retry":
        ask(turn, action)
    elif action.kind == "attempt":
        attempt(turn, action)
    elif action.kind == "move" and action.target is not None:
        move(turn, action.target, action=action)
    elif action.kind == "notify":
        turn.take(machine.reminded(turn.case, action, now=now, trigger=trigger))
    elif action.kind == "stop_waiting":
        turn.take(machine.waited(turn.case, action, now=now, trigger=trigger))
        if turn.case.wants_retry:
            ask(turn, None)
    elif action.kind == "end_exemption":
        turn.take(machine.exemption_ended(turn.case, now=now, trigger=trigger))
    else:
        turn.take(machine.skipped(turn.case, action, now=now, trigger=trigger))


def move(turn: Turn, target: str, *, action: Action | None = None, reason: str | None = None) -> None:
    """Move the case, and do what that means for subscriptions and invoices. Raises InvalidTransition."""
    due = None if action is None else action.due_at
    turn.take(
        machine.moved(turn.case, target, now=turn.locked.now, trigger=turn.trigger, due_at=due, reason=reason)
    )
    if target in (CANCELED, WRITTEN_OFF):
        turn.forget()
    if target == CANCELED:
        _cancel(turn, reason)
    elif target == WRITTEN_OFF:
        _write_off(turn, reason)


def _cancel(turn: Turn, reason: str | None) -> None:
    """End the customer's subscriptions now; what is unused is not credited, for it was not paid."""
    if turn.locked.status != "active":
        return
    wanted = Cancellation(when="now", reason=reason or BY_POLICY)
    for row in subscriptions_of(turn.cur, organization=turn.locked.id):
        cancel_subscription(turn.cur, turn.locked.id, row.id, wanted, author=turn.author)


def _write_off(turn: Turn, reason: str | None) -> None:
    for found in turn.unpaid():
        if found.status == "open" and found.is_ours:
            _give_up(turn, found.id, reason or BY_POLICY)


def _give_up(turn: Turn, invoice: UUID, reason: str) -> None:
    write_off(turn.cur, organization=turn.locked.id, invoice=invoice, reason=reason, author=turn.author)
