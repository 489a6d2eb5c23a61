"""Drafting an invoice: what is owed by a boundary becomes lines, once (B1).

Use is cut off under the customer's lock, summed without it (what a cut holds never changes, and summing a million
records would keep the gate waiting), and the draft is written under the lock again, if nobody was faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from billing.operations.invoices.discounting import coupons_for, nets_of
from billing.operations.invoices.owing import owed_of_items
from billing.operations.invoices.rating import billed_again, charge_metered, waiting_for
from billing.operations.invoices.taxing import TaxAnswers
from billing.projections.invoices import billing_stream
from billing.queries.committeduse import window_lines
from billing.queries.contracts import find_contract
from billing.queries.cuts import take_cut
from billing.queries.items import Item, open_items
from billing.queries.plans import find_version
from billing.queries.progressive import period_statement
from billing.queries.standing import Range, Standing, standing_of, written_range
from billing.rules.assembling import Document, Owed, assemble_apart
from billing.rules.consolidating import carries_use, parted
from billing.rules.contracts.lines import CommittedUse, committed_line, noted_line
from billing.rules.cuts import Cut
from billing.rules.cycles import cycle_end
from billing.rules.invoices import DRAFT, Invoice, fact, line_data, with_document
from billing.rules.meteredlines import METERED, RatedUse
from billing.rules.parties import Buyer
from billing.rules.progressive import THRESHOLD, used_units
from billing.rules.usagelines import UsageSum, usage_line
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact, time_text
from orgs.rules.rows import LockedOrganization


@dataclass(frozen=True, slots=True)
class Boundary:
    """What an invoice is drafted for. `cuts`: whether the gate's use up to then is on it; `ends_cycle`: whether it ends
    the cycle; `ends_period`: whether it ends a period of progressive billing, which is the cycle or a part of it.
    `standing` is where the customer's billing stood when it was found, `cut` what was known then."""

    at: datetime
    cause: str
    currency: str
    cuts: bool
    ends_cycle: bool
    standing: Standing
    ranges: tuple[Range, ...] = ()
    cut: Cut | None = None
    ends_period: bool = False


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft before it is written."""

    invoice: Invoice
    document: Document

    @property
    def taken(self) -> list[list[Any]]:
        """The items that it takes, each with its line."""
        return [[str(line.owed.item), line.number] for line in self.document.lines if line.owed.item]

    @property
    def metered_taken(self) -> list[list[Any]]:
        """The metered periods that it is the first to bill, each with its line."""
        return [
            [line.owed.detail["period"], line.number]
            for line in self.document.lines
            if line.owed.kind == METERED and not line.owed.detail["late"]
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read for a boundary without any lock: use of the gate by line, metered use as it is rated, how all of it
    is taxed, and what was drawn from postpaid commitments."""

    sums: Sequence[UsageSum]
    rated: Sequence[RatedUse]
    answers: TaxAnswers
    committed: Sequence[CommittedUse] = ()


def with_cut(cur: Cursor, boundary: Boundary) -> Boundary:
    """This function will return the boundary with a cut, and with the ranges of use that its invoice bills: what was
    given back, and what came since the last cut. The caller holds the customer's lock."""
    standing = boundary.standing
    until = boundary.at if standing.cut is None else max(boundary.at, standing.cut.until)
    cut = take_cut(cur, until)
    ranges = (*standing.open_ranges, (standing.cut, cut)) if boundary.cuts else ()
    return replace(boundary, ranges=ranges, cut=cut)


def draft(
    cur: Cursor,
    locked: LockedOrganization,
    boundary: Boundary,
    seen: Seen,
    *,
    author: Author,
) -> list[Invoice]:
    """This function will move a customer's billing over a boundary and write the drafts that it makes: one, or where
    the customer wants them apart one for each subscription and contract, and one for the rest. None when nothing is
    owed: then use that credit paid for stays without an invoice.

    `seen` is what was read for the boundary without the lock. The caller holds the lock and has seen that the standing
    is still the boundary's. Raises AmountOutOfRange, and what charging metered use raises.
    """
    found = prepare(cur, locked, boundary, seen, author=author)
    facts = [_advanced(locked, boundary, found, seen.answers.buyer.cycle_anchor)]
    facts += [_drafted(one, locked.now) for one in found]
    record(cur, facts, author=author)
    return [one.invoice for one in found]


def prepare(
    cur: Cursor,
    locked: LockedOrganization,
    boundary: Boundary,
    seen: Seen,
    *,
    author: Author,
) -> list[Drafted]:
    """This function will charge metered use and return the drafts of a boundary, which it does not write: the preview's
    and the invoices'.

    A tax code that was not asked about, or whose tax nobody knows, leaves the draft without tax: its finalization asks.
    """
    items = open_items(cur, locked.id, boundary.at)
    again = billed_again(cur, locked.id)
    waiting = waiting_for(cur, seen.rated, again, locked.currency)
    charge = partial(charge_metered, cur, organization=locked.id, currency=locked.currency, author=author)
    metered = [*again, *charge(rated=[one for one in seen.rated if one not in waiting])]
    metered += _committed(cur, locked, seen)
    if waiting:
        owed = owed_lines(cur, items, metered, seen.sums, boundary)
        nets = nets_of(cur, organization=locked.id, owed=owed, currency=locked.currency, at=boundary.at)
        metered += charge(rated=waiting, nets=nets)
    owed = owed_lines(cur, items, metered, seen.sums, boundary)
    parts = parted(owed, consolidation=seen.answers.buyer.consolidation)
    owed = [one for part in parts for one in part]
    coupons, codes = coupons_for(
        cur, organization=locked.id, owed=owed, currency=locked.currency, at=boundary.at
    )
    documents = assemble_apart(parts, currency=locked.currency, taxing=seen.answers.patient, coupons=coupons)
    blanks = [_blank(cur, locked, boundary, seen.answers, part) for part in parts]
    drafts = [
        Drafted(with_document(blank, document, codes, together=blanks[0].id), document)
        for blank, document in zip(blanks, documents, strict=True)
    ]
    return _stated(cur, boundary, drafts)


def _stated(cur: Cursor, boundary: Boundary, drafts: list[Drafted]) -> list[Drafted]:
    """The drafts; that which bills the rest of a period's use, or the first, states what was billed before."""
    if not drafts or not boundary.ends_period or not boundary.standing.progress.is_on:
        return drafts
    place = next((number for number, one in enumerate(drafts) if one.invoice.usage), 0)
    last = drafts[place].invoice
    stated = period_statement(cur, organization=last.organization, start=last.period_start, net=last.net)
    drafts[place] = replace(drafts[place], invoice=replace(last, progressive=stated))
    return drafts


def _committed(cur: Cursor, locked: LockedOrganization, seen: Seen) -> list[Owed]:
    """What was drawn from commitments and not billed; what comes back of it comes back once. Where the settlement
    lifts the window to its commitment it makes that good itself."""
    lines = []
    for use in seen.committed:
        line = committed_line(use, currency=locked.currency)
        if line is None:
            continue
        lines.append(line)
        noted = _noted(cur, locked.id, use, line) if line.exact < 0 else None
        lines += [] if noted is None else [noted]
    return lines


def _noted(cur: Cursor, organization: UUID, use: CommittedUse, line: Owed) -> Owed | None:
    commitment = find_contract(cur, organization=organization, contract=use.contract).terms.commitment
    if commitment is not None and commitment.true_up:
        return None
    billed = window_lines(cur, organization=organization, contract=use.contract, window=use.window)
    return noted_line(line, paid=sum(one.left for one in billed))


def owed_lines(
    cur: Cursor,
    items: Sequence[Item],
    metered: Sequence[Owed],
    sums: Sequence[UsageSum],
    boundary: Boundary,
) -> list[Owed]:
    """Return what is owed: fees, metered charges, then use of the gate. Nothing when there is neither fee nor metered
    charge, and no use that is still to pay."""
    if not items and not metered and not any(found.postpaid for found in sums):
        return []
    start = boundary.standing.cycle_start
    used = [usage_line(found, start=start, end=boundary.at) for found in sums]
    return [*owed_of_items(cur, items), *metered, *used]


def _blank(
    cur: Cursor, locked: LockedOrganization, boundary: Boundary, answers: TaxAnswers, part: Sequence[Owed]
) -> Invoice:
    seller, buyer = answers.seller, _with_plans_pace(cur, answers.buyer, part)
    billed = boundary.ranges if carries_use(part, consolidation=buyer.consolidation) else ()
    ranges = [written_range(each) for each in billed]
    return Invoice(
        id=new_id(),
        organization=locked.id,
        status=DRAFT,
        cause=boundary.cause,
        currency=locked.currency,
        legal_entity=seller.id,
        series=None,
        year=None,
        counter=None,
        number=None,
        seller=dict(seller.data),
        customer=dict(buyer.data),
        purchase_order=buyer.purchase_order,
        dated_at=boundary.at,
        period_start=min(boundary.standing.cycle_start, boundary.at),
        period_end=boundary.at,
        net_days=buyer.net_days,
        finalize_at=boundary.at + buyer.grace,
        due_at=None,
        subtotal=0,
        discount=0,
        net=0,
        tax=0,
        total=0,
        discounts=(),
        taxes=(),
        usage=ranges or None,
        paid=0,
        credited=0,
        written_off=0,
        entry=None,
        created_at=locked.now,
        finalized_at=None,
        sent_at=None,
        paid_at=None,
        voided_at=None,
        uncollectible_at=None,
        error=None,
        version=1,
    )


def _with_plans_pace(cur: Cursor, buyer: Buyer, owed: Sequence[Owed]) -> Buyer:
    """What a plan says of grace and days to pay holds before the customer's profile; of several, the longest."""
    versions = sorted({one.plan_version for one in owed if one.plan_version is not None})
    terms = [find_version(cur, version).terms for version in versions]
    hours = [timedelta(hours=one.grace_hours) for one in terms if one.grace_hours is not None]
    days = [one.net_days for one in terms if one.net_days is not None]
    return replace(buyer, grace=max(hours, default=buyer.grace), net_days=max(days, default=buyer.net_days))


def _drafted(found: Drafted, now: datetime) -> Fact:
    return fact(
        found.invoice,
        "drafted",
        at=now,
        lines=[line_data(line) for line in found.document.lines],
        taken=found.taken,
        metered_taken=found.metered_taken,
    )


def _advanced(
    locked: LockedOrganization, boundary: Boundary, drafts: Sequence[Drafted], anchor: datetime | None
) -> Fact:
    """Where the customer's billing stands after the boundary."""
    standing = boundary.standing
    next_at, start, progress = standing.next_at, standing.cycle_start, standing.progress
    if boundary.cause == THRESHOLD:
        lines = [line.owed for one in drafts for line in one.document.lines]
        progress = progress.invoiced(used_units((line.kind, line.exact) for line in lines))
    if boundary.ends_period:
        start, progress = boundary.at, progress.restarted(boundary.at)
    if boundary.ends_cycle:
        next_at = cycle_end(boundary.at, zone=locked.time_zone, anchor=anchor)
    cut = boundary.ranges[-1][1] if boundary.ranges else standing.cut
    ranges = () if boundary.ranges else standing.open_ranges
    return standing_fact(
        locked,
        Standing(next_at, start, cut, ranges, progress, standing.version + 1),
        "advanced",
    )


def standing_fact(locked: LockedOrganization, standing: Standing, verb: str) -> Fact:
    """Return the fact of where a customer's billing stands now."""
    data = {
        "next_at": time_text(standing.next_at),
        "cycle_start": time_text(standing.cycle_start),
        "cut": None if standing.cut is None else standing.cut.written(),
        "open_ranges": [written_range(each) for each in standing.open_ranges],
        "threshold": standing.threshold,
        "progressive": standing.progress.written(),
    }
    return Fact(
        locked.id, "billing_cycle", billing_stream(locked.id), standing.version, verb, data, locked.now
    )


def locked_standing(cur: Cursor, organization: UUID) -> tuple[LockedOrganization, Standing]:
    """This function will lock a customer and return it with where its billing stands. Raises NotFound."""
    locked = lock_organization(cur, organization)
    return locked, standing_of(cur, organization)
