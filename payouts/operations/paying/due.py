"""What falls due of payouts: another try, the end of a hold, schedules, batches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Final
from uuid import UUID

from billing import stripe_gateway
from common.errors import ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from payouts.operations.attempting import attempted
from payouts.operations.paying.deciding import try_again
from payouts.operations.paying.machine import books_of, keep, proceed
from payouts.operations.paying.requesting import SCHEDULER, request_payout
from payouts.queries.partners import find_partner
from payouts.queries.payouts import find_payout, payouts_due
from payouts.queries.schedules import partners_scheduled
from payouts.rules.paying.judging import PayoutTooSoon, PayoutUnderWay
from payouts.rules.paying.row import BY_ITSELF, SCHEDULED, noted
from payouts.rules.paying.schedules import slot_of
from payouts.rules.paying.states import HELD

AUTHOR: Final = Author("system:payouts.advance")
AT_ONCE: Final = 500
_SLOT: Final = """
INSERT INTO payout_schedules (organization, slot, refusal) VALUES (%s, %s, %s)
ON CONFLICT (organization) DO UPDATE SET slot = EXCLUDED.slot, refusal = EXCLUDED.refusal
"""
_LAST_SLOT: Final = "SELECT slot FROM payout_schedules WHERE organization = %s"


def advance_due() -> int:
    """This function will try anew what waits for another try, and let go on what nothing holds any more; how many
    payouts those were. Each is a transaction of its own; what stands in one's way stops no other."""
    return _each(
        lambda cur, after: payouts_due(cur, after=after, limit=AT_ONCE),
        lambda cur, payout: advance_payout(cur, payout=payout),
    )


def advance_payout(cur: Cursor, *, payout: UUID) -> bool:
    """This function will do what is due of one payout, under its partner's lock; whether that was something."""
    books = books_of(cur, find_payout(cur, payout))
    found = find_payout(cur, payout)
    if found.next_at is None or found.next_at > books.now:
        return False
    if found.state == HELD and found.hold in BY_ITSELF:
        return proceed(cur, books, found, author=AUTHOR).version != found.version
    if try_again(cur, found, author=AUTHOR) is None:
        keep(cur, books, found, noted(found, next_at=None), author=AUTHOR)
    return True


def schedule_due() -> int:
    """This function will ask for the payouts of partners whose schedule says so, and return how many that were. A day
    of a schedule is asked for once; what is below the minimum stays for the next one."""
    if not stripe_gateway.is_configured():
        return 0
    return _each(
        lambda cur, after: partners_scheduled(cur, after=after, limit=AT_ONCE),
        lambda cur, organization: schedule_partner(cur, organization=organization),
    )


def schedule_partner(cur: Cursor, *, organization: UUID) -> bool:
    """This function will ask for a partner's payout if its schedule says so now; whether one was made."""
    locked = lock_organization(cur, organization)
    partner = find_partner(cur, organization)
    slot = None if partner is None else slot_of(partner.terms.schedule, locked.now, zone=locked.time_zone)
    asked = _asked(cur, organization)
    if slot is None or (asked is not None and slot <= asked):  # a clock set back makes no day due again
        return False
    refusal = None
    try:
        request_payout(cur, organization=organization, amount=None, cause=SCHEDULED, author=SCHEDULER)
    except (PayoutTooSoon, PayoutUnderWay):
        return False  # later on the same day
    except ProblemError as error:
        refusal = error.code
    cur.execute(_SLOT, (organization, slot, refusal))
    return refusal is None


def _asked(cur: Cursor, organization: UUID) -> date | None:
    row = cur.execute(_LAST_SLOT, (organization,)).fetchone()
    return None if row is None else row[0]


def _each(due: Callable[[Cursor, UUID | None], list[UUID]], operation: Callable[[Cursor, UUID], bool]) -> int:
    done, after = 0, None
    while found := run_in_transaction(partial(_call, due, after)):
        for each in found:
            done += attempted(partial(run_in_transaction, partial(_done, operation, each)), subject=each)
        after = found[-1]
    return done


def _call(due: Callable[[Cursor, UUID | None], list[UUID]], after: UUID | None, cur: Cursor) -> list[UUID]:
    return due(cur, after)


def _done(operation: Callable[[Cursor, UUID], bool], each: UUID, cur: Cursor) -> bool:
    return operation(cur, each)
