"""Buying credit: once because somebody asks, or whenever credit falls below a threshold (docs/top-ups.md)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from billing.operations.payments.charging import NoPaymentMethod, request_charge
from billing.operations.payments.stopping import write_stopped
from billing.queries.payments import find_payment
from billing.queries.topups import bought_since, find_auto_top_up, is_top_up_under_way, organizations_low
from billing.rules.payments.row import AUTOMATIC, TOP_UP, Payment
from billing.rules.payments.topups import (
    ACTIVE,
    AutoTopUp,
    Situation,
    auto_top_up_stream,
    checked,
    ended,
    fact,
    month_start,
    started,
    why_not,
    why_not_any_more,
)
from common.errors import CurrencyMismatch, ProblemError
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.books import Books, grants_of, lock_books
from ledger.rules.grants import available
from orgs.operations.facts import Author, record
from orgs.rules.organizations import require_customer
from spend.queries.standings import find_standing

AUTHOR: Final = Author("system:billing.auto_top_up")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewAutoTopUp:
    """The rule as it is to be: units; `monthly_cap` None: any."""

    enabled: bool
    threshold: int
    amount: int
    currency: str
    cool_off_seconds: int
    monthly_cap: int | None


def request_top_up(cur: Cursor, *, organization: UUID, amount: int, currency: str, author: Author) -> Payment:
    """This function will have credit (units) bought by the customer's own payment method and return the payment.

    The credit is granted when the money came, once (S07). Raises NotFound, OrganizationClosed, CurrencyMismatch,
    InvalidAmount (finer than the currency), NoPaymentMethod, FinerThanProcessor.
    """
    books = lock_books(cur, organization)
    require_customer(books.organization)
    if currency != books.currency:
        raise CurrencyMismatch(f"The organization's currency is {books.currency}.", pointer="/currency")
    payment = request_charge(
        cur, books, purpose=TOP_UP, invoice=None, amount=amount, cause="manual", author=author
    )
    return find_payment(cur, organization=organization, payment=payment)


def set_auto_top_up(cur: Cursor, *, organization: UUID, new: NewAutoTopUp, author: Author) -> AutoTopUp:
    """This function will set when credit is bought automatically. Saying it anew lets a stopped rule go on.

    Raises NotFound, OrganizationClosed, CurrencyMismatch, InvalidAmount, FinerThanProcessor and InvalidField.
    """
    books = lock_books(cur, organization)
    require_customer(books.organization)
    known = find_auto_top_up(cur, organization)
    base = known or AutoTopUp(
        id=auto_top_up_stream(organization),
        organization=organization,
        enabled=new.enabled,
        threshold=new.threshold,
        amount=new.amount,
        currency=new.currency,
        cool_off_seconds=new.cool_off_seconds,
        monthly_cap=new.monthly_cap,
    )
    wanted = replace(
        base,
        enabled=new.enabled,
        threshold=new.threshold,
        amount=new.amount,
        currency=new.currency,
        cool_off_seconds=new.cool_off_seconds,
        monthly_cap=new.monthly_cap,
        status=ACTIVE,
        failures=0,
        stopped_reason=None,
    )
    if known is not None and wanted == known:
        return known
    after = replace(checked(wanted, currency=books.currency), version=base.version + 1)
    record(cur, [fact(after, "set", at=books.now)], author=author)
    return after


def check_auto_top_up(cur: Cursor, *, organization: UUID, author: Author = AUTHOR) -> UUID | None:
    """This function will buy credit if the organization's rule says so now, and return the payment's id.

    Judged under the lock: one at a time, cool-off and the month's cap hold exactly, however many check at once. Without
    a method that could be charged it counts as a failure, and the third in a row stops the rule. Raises NotFound.
    """
    books = lock_books(cur, organization)
    rule = find_auto_top_up(cur, organization)
    if rule is None or books.organization.status != "active":
        return None
    if why_not(rule, _situation(cur, books)) is not None:
        return None
    try:
        payment = request_charge(
            cur, books, purpose=TOP_UP, invoice=None, amount=rule.amount, cause=AUTOMATIC, author=author
        )
    except NoPaymentMethod as refusal:
        _failed(cur, books, rule, refusal, author)
        return None
    record(cur, [fact(started(rule, payment, now=books.now), "started", at=books.now)], author=author)
    return payment


def reason_not_to_buy(cur: Cursor, payment: Payment) -> str | None:
    """This function will say why credit that was asked for is not wanted any more, before it is sent, which may be much
    later: its organization is not active, or the rule would not ask for it now. Raises NotFound."""
    books = lock_books(cur, payment.organization)
    if books.organization.status != "active":
        return f"The organization is {books.organization.status}."
    if payment.cause != AUTOMATIC:
        return None
    rule = find_auto_top_up(cur, payment.organization)
    if rule is None:
        return "There is no rule."
    reason = why_not_any_more(rule, _situation(cur, books), amount=payment.amount)
    return None if reason is None else f"The rule asks for none: {reason}."


def _failed(cur: Cursor, books: Books, rule: AutoTopUp, refusal: ProblemError, author: Author) -> None:
    """The cool-off holds for tries that could not even begin, too."""
    after = ended(replace(rule, last_at=books.now), paid=False, reason=refusal.code)
    assert after is not None
    verb = "failed" if after.status == rule.status else "stopped"
    record(cur, [fact(after, verb, at=books.now)], author=author)
    if verb == "stopped":
        write_stopped(cur, after, at=books.now)


def _situation(cur: Cursor, books: Books) -> Situation:
    organization = books.organization
    standing, _ = find_standing(cur, organization.id)
    since = month_start(books.now, organization.time_zone)
    return Situation(
        available=available(grants_of(cur, books), books.debt, books.now),
        bought=bought_since(cur, organization.id, since),
        is_under_way=is_top_up_under_way(cur, organization.id),
        is_suspended=standing is not None and standing.shuts,
        now=books.now,
    )


def top_up_due() -> int:
    """This function will check every organization whose credit is below its threshold, and return how many top-ups it
    asked for. One that cannot be checked now is checked again by the next run."""
    done = 0
    for organization in run_in_transaction(organizations_low):
        try:
            asked = run_in_transaction(partial(check_auto_top_up, organization=organization))
        except ProblemError as error:
            logger.warning(
                "auto_top_up.failed", extra={"organization": str(organization), "code": error.code}
            )
            continue
        done += asked is not None
    return done
