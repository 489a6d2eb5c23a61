"""The processor's balance beside the books: every balance transaction read once, each explained by an object of ours or
placed in the platform's books, so that `processor_clearing` over all organizations is what the processor holds.

What nobody knows is in suspense with a finding until finance says whose it is (S87).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from billing import stripe_gateway
from billing.queries.mirroring import find_invoice
from billing.queries.paymentintegrity import KINDS as PAYMENT_KINDS
from billing.queries.payments import has_effect
from billing.rules.payments.views import BalanceView
from billing.stripe_gateway import mirrored
from billing.stripe_gateway.lists import pages
from common.clock import wall_now
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import record
from orgs.operations.locks import lock_organization
from webhooks.operations.reconciling.accounts import platform_ledger
from webhooks.operations.reconciling.noting import AUTHOR, effects_finding, end_difference, note_open
from webhooks.operations.reconciling.returns import apply_returns
from webhooks.queries.reconciling import rows as reading
from webhooks.queries.reconciling.runs import DifferenceRow, Run, open_difference, open_not_met
from webhooks.rules.reconciling import items as rules
from webhooks.rules.reconciling.differences import AMOUNT, CATEGORY, DOUBLE, FOREIGN, Difference, Tally
from webhooks.rules.reconciling.periods import OVERLAP

ENTRY: Final = "processor_item"
EXPLAINED_KINDS: Final = (
    *PAYMENT_KINDS, "payment", "processor_payout", "mirrored_invoice", ENTRY,
)  # fmt: skip
"""Entries on processor_clearing that something at the processor stands behind."""
_BATCH: Final = 100
_YOUNG: Final = timedelta(seconds=90)
"""Rows that may have been made between the reading of the balance and of its rows."""
_TRIES: Final = 3
_READ: Final = """
INSERT INTO processor_balance_rows (id, amount, fee, net, currency, type, category, source, created, run)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::timestamptz[], %s::uuid[]) ON CONFLICT (id) DO NOTHING
"""
_CLOSE: Final = """
INSERT INTO processor_balances AS b (currency, closing, rows_net, run, read_at)
VALUES (%s, %s, %s, %s, clock_timestamp())
ON CONFLICT (currency) DO UPDATE SET closing = EXCLUDED.closing, rows_net = EXCLUDED.rows_net, run = EXCLUDED.run,
    read_at = EXCLUDED.read_at
"""
_OPENING: Final = "SELECT currency, closing FROM processor_balances WHERE run <> %s"

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "ch": stripe_gateway.charge,
    "py": stripe_gateway.charge,
    "re": stripe_gateway.refund,
    "pyr": stripe_gateway.refund,
    "dp": stripe_gateway.dispute,
    "du": stripe_gateway.dispute,
}
"""By what an id begins with: how the source of a balance transaction is read."""

Explainer = Callable[[Cursor, Sequence[str]], Iterable[str]]
_explainers: Final[list[Explainer]] = []


def register_explainer(explainer: Explainer) -> None:
    """This function will have `explainer(cur, sources)` asked which sources of balance transactions (transfers,
    reversals) are in the books of another app; payouts does it, and names the kinds of its entries."""
    _explainers.append(explainer)


def register_entry_kinds(*kinds: str) -> None:
    """This function will take entries of these kinds on processor_clearing for explained; payouts does it."""
    _entry_kinds.extend(kinds)


_entry_kinds: Final[list[str]] = list(EXPLAINED_KINDS)


def read_rows(run: Run) -> Tally:
    """This function will read the balance transactions that were not read yet, and some days before them again."""
    tally = Tally()
    newest = run_in_transaction(reading.newest_row)
    start = None if newest is None else newest - OVERLAP
    for page in pages(stripe_gateway.list_balance_transactions(created_from=start)):
        run_in_transaction(partial(_store, run=run.id, page=page))
    for currency, count, net in run_in_transaction(lambda cur: reading.rows_of_run(cur, run.id)):
        tally.compared += count
        tally.add(currency, net)
    return tally


def place_rows(run: Run) -> Tally:
    """This function will book what no object of ours explains, take back what is explained by now, and keep a finding
    for everything that stands in suspense."""
    tally, after = Tally(), ""
    while True:
        found = run_in_transaction(
            partial(reading.unplaced, run=run.id, since=run.since, until=run.until, after=after, limit=_BATCH)
        )
        if not found:
            break
        after = found[-1].id
        known = run_in_transaction(partial(_explained, found=found))
        for view in found:
            if view.source not in known:
                _place(view)
    apply_returns()
    for item in run_in_transaction(_explained_items):
        run_in_transaction(partial(_release, item=item))
    for item in run_in_transaction(reading.charges_in_suspense):
        tally.repaired += _explain_by_invoice(item)
    placed, released = run_in_transaction(lambda cur: reading.placed_since(cur, run.started_at))
    tally.compared, tally.repaired = placed, tally.repaired + released
    _note_suspense(run, tally)
    return tally


def compare_sums(run: Run) -> Tally:
    """This function will compare what the balance transactions of each payment sum to with what the books have."""
    tally = Tally()
    tally.compared = run_in_transaction(lambda cur: reading.rows_between(cur, run.since, run.until))
    for each in run_in_transaction(
        lambda cur: reading.sums_that_differ(cur, since=run.since, until=run.until)
    ):
        if run_in_transaction(partial(_note_sum, run=run.id, found=each)):
            tally.open += 1
    return tally


def roll_forward(run: Run) -> Tally:
    """This function will prove that the rows are the whole balance, and the balance that of the books: opening plus
    what moved is closing, for each currency, each entry on processor_clearing has something at the processor behind
    it, and nothing is held twice."""
    tally = Tally()
    for attempt in range(_TRIES):
        closing = stripe_gateway.balances()
        read_rows(run)
        wrong = run_in_transaction(partial(_gaps, closing=closing))
        surplus = run_in_transaction(partial(_surplus, run=run))
        if not (wrong or surplus) or attempt == _TRIES - 1:
            break
    for currency, gap in wrong.items():
        detail = {"not_in_rows": gap, "closing": closing.get(currency, 0)}
        found = Difference("balance", AMOUNT, f"balance:{currency}", detail, None, gap, currency)
        run_in_transaction(partial(note_open, run=run.id, found=found))
        tally.open += 1
    for currency, amount in surplus.items():
        run_in_transaction(partial(_note_surplus, run=run.id, currency=currency, amount=amount))
        tally.open += 1
    entries = run_in_transaction(lambda cur: reading.unexplained_entries(cur, _entry_kinds))
    for organization, entry, kind, currency, amount in entries:
        found = Difference(
            "entry", FOREIGN, f"entry:{entry}", {"entry": str(entry), "entry_kind": kind}, organization, -amount,
            currency, {"step": "reverse the entry: nothing moved at the processor"},
        )  # fmt: skip
        run_in_transaction(partial(note_open, run=run.id, found=found))
        tally.open += 1
    run_in_transaction(partial(_close, run=run, closing=closing, is_proved=not wrong))
    tally.compared = len(closing)
    for currency, amount in closing.items():
        tally.add(currency, amount)
    return tally


def compare_payout_items(run: Run) -> Tally:
    """This function will compare what each automatic payout whose items are complete consists of with its amount.

    Manual and instant payouts cannot be itemised: they are part of the roll-forward.
    """
    tally = Tally()
    for page in pages(stripe_gateway.list_payouts(created_from=run.since, created_to=run.until)):
        for view in page:
            if view.automatic and view.reconciliation == "completed":
                tally.compared += 1
                tally.open += _compare_items(run, view.id)
    return tally


def recheck(run: Run, row: DifferenceRow) -> None:
    """This function will look at an open difference of the balance again, and end it when it is gone."""
    if row.kind == "payout_items" and _items_difference(row.subject.partition(":")[2]) is not None:
        return
    if row.kind == "sum":
        sums = run_in_transaction(lambda cur: reading.sum_of_payment(cur, UUID(row.detail["payment"])))
        if sums is not None and sums[1] != sums[2]:
            return
    run_in_transaction(lambda cur: end_difference(cur, row, reason="It does not differ any more."))


def _store(cur: Cursor, *, run: UUID, page: Sequence[BalanceView]) -> None:
    columns = [
        [view.id for view in page], [view.amount for view in page], [view.fee for view in page],
        [view.net for view in page], [view.currency for view in page], [view.type for view in page],
        [view.reporting_category for view in page], [view.source for view in page],
        [view.created for view in page], [run] * len(page),
    ]  # fmt: skip
    cur.execute(_READ, columns)


def _explained(cur: Cursor, found: Sequence[BalanceView]) -> set[str]:
    return _known_elsewhere(cur, [view.source for view in found if view.source is not None])


def _known_elsewhere(cur: Cursor, sources: Sequence[str]) -> set[str]:
    return {name for each in _explainers for name in each(cur, sources)}


def _explained_items(cur: Cursor) -> list[rules.Item]:
    """What was placed before its object was known here, or another app knew it."""
    waiting = reading.items_with_sources(cur)
    known = _known_elsewhere(cur, [source for _, source in waiting])
    return reading.explained_items(cur) + [item for item, source in waiting if source in known]


def _place(view: BalanceView) -> None:
    """Say what it is about, outside transactions, then book it."""
    subject, payment = _about(view)
    invoice = None
    if view.reporting_category == "charge" and payment is not None:
        invoice = mirrored.invoice_of_payment(payment)
    run_in_transaction(partial(_book, view=view, subject=subject, invoice=invoice))


def _about(view: BalanceView) -> tuple[str, str | None]:
    """The subject of a balance transaction, and its payment: one thing, whatever moved about it."""
    source = view.source or ""
    reader: Callable[[str], Any] | None = _READERS.get(source.partition("_")[0])
    if reader is None:
        return f"balance_transaction:{view.id}", None
    try:
        found = reader(source)
    except (stripe_gateway.NotAtProcessor, stripe_gateway.Unreadable):
        return f"balance_transaction:{view.id}", None
    payment = getattr(found, "payment", None)
    charge = getattr(found, "charge", None) or found.id
    return (f"payment_intent:{payment}" if payment else f"charge:{charge}"), payment


def _book(cur: Cursor, *, view: BalanceView, subject: str, invoice: str | None) -> None:
    now = lock_organization(cur, PLATFORM_ID).now
    if reading.is_booked(cur, view.id):
        return
    known = None if invoice is None else find_invoice(cur, invoice)
    is_mirrored = known is not None and known.grant is not None and has_effect(cur, subject)
    item = rules.new_item(view, subject=subject, booked_to=rules.MIRRORED if is_mirrored else None, now=now)
    if item.status == rules.SUSPENSE and reading.is_marked_foreign(cur, subject):
        reason = "What it is about was marked as foreign."
        item = rules.as_foreign(item, at=now, reason=reason)
    ledger = platform_ledger(
        cur,
        rules.postings(item),
        currency=item.currency,
        kind=ENTRY,
        key=f"balance_transaction:{view.id}",
        source=f"processor_item:{item.id}",
        reason=f"{view.reporting_category} of the processor",
        author=AUTHOR,
    )
    record(cur, [rules.fact(item, "booked", at=now, ledger=ledger)], author=AUTHOR)


def _release(cur: Cursor, *, item: rules.Item) -> None:
    now = lock_organization(cur, PLATFORM_ID).now
    item = reading.find_item(cur, item.id)
    if item.status not in rules.UNEXPLAINED and not rules.is_fee_alone(item):
        return
    done = rules.released(item, at=now, reason="Its object is known by now.")
    ledger = platform_ledger(
        cur,
        rules.reversed_postings(item),
        currency=item.currency,
        kind=ENTRY,
        key=f"balance_transaction:{item.balance_transaction}:released",
        source=f"processor_item:{item.id}",
        reason="It is in the books of its object",
        author=AUTHOR,
    )
    record(cur, [rules.fact(done, "released", at=now, ledger=ledger)], author=AUTHOR)


def _explain_by_invoice(item: rules.Item) -> bool:
    """Whether an invoice that lives at the processor explains a charge by now: its credit was given meanwhile."""
    invoice = mirrored.invoice_of_payment(item.subject.partition(":")[2])
    return invoice is not None and run_in_transaction(partial(_mirror, item=item, invoice=invoice))


def _mirror(cur: Cursor, *, item: rules.Item, invoice: str) -> bool:
    now = lock_organization(cur, PLATFORM_ID).now
    item, known = reading.find_item(cur, item.id), find_invoice(cur, invoice)
    if item.status != rules.SUSPENSE or known is None or known.grant is None:
        return False
    if not has_effect(cur, item.subject):  # its invoice does not count this payment
        return False
    ledger = platform_ledger(
        cur,
        {"suspense": -item.amount, "processor_clearing": item.amount},
        currency=item.currency,
        kind=ENTRY,
        key=f"balance_transaction:{item.balance_transaction}:mirrored",
        source=f"processor_item:{item.id}",
        reason="Its invoice has given its credit",
        author=AUTHOR,
    )
    record(cur, [rules.fact(rules.as_mirrored(item), "released", at=now, ledger=ledger)], author=AUTHOR)
    return True


def _note_suspense(run: Run, tally: Tally) -> None:
    met = set()
    for each in run_in_transaction(reading.in_suspense):
        if each.amount:
            met.add(each.subject)
            run_in_transaction(partial(_note_one, run=run.id, found=each))
            tally.open += 1
    for row in run_in_transaction(lambda cur: open_not_met(cur, run.id)):
        if row.kind == "suspense" and row.subject not in met:
            run_in_transaction(
                partial(end_difference, row=row, reason="Nothing of it is in suspense any more.")
            )


def _note_one(cur: Cursor, *, run: UUID, found: reading.InSuspense) -> None:
    kind = effects_finding(cur, found.subject)
    name = {"payment_double": DOUBLE, "payment_mismatch": AMOUNT}.get(kind or "", FOREIGN)
    if any(category not in rules.SALES for category in found.categories):
        name = CATEGORY
    detail = {
        "in_suspense": found.amount, "balance_transactions": list(found.rows),
        "categories": list(found.categories), "since": found.since.isoformat(),
    }  # fmt: skip
    proposed = {"step": "assign it, or mark it as foreign", "entry": {"suspense": -found.amount}}
    difference = Difference(
        "suspense", name, found.subject, detail, None, found.amount, found.currency, proposed
    )
    note_open(cur, run, difference)


def _note_sum(cur: Cursor, *, run: UUID, found: reading.Sum) -> bool:
    """Whether it is one: what an object's own difference explains is not told twice."""
    subject = f"payment_intent:{found.intent}"
    known = cur.execute(
        "SELECT 1 FROM reconciliation_differences WHERE ended_at IS NULL AND kind <> 'sum'"
        " AND (subject = %(subject)s OR detail->>'payment' = %(payment)s)",
        {"subject": subject, "payment": str(found.payment)},
    ).fetchone()
    if known is not None:
        return False
    change = found.theirs - found.ours
    detail = {"payment": str(found.payment), "ours": found.ours, "theirs": found.theirs}
    note_open(
        cur,
        run,
        Difference("sum", AMOUNT, f"sum:{found.payment}", detail, found.organization, change, found.currency),
    )
    return True


def _gaps(cur: Cursor, closing: dict[str, int]) -> dict[str, int]:
    """By currency, what the balance is more than its rows; rows that came while both were read are no gap."""
    net, now = reading.net_of_rows(cur), wall_now(cur)
    wrong = {}
    for currency in sorted({*net, *closing}):
        said, rest = closing.get(currency, 0), net.get(currency, 0)
        prefixes = [rest]
        for young in reading.young_nets(cur, currency, since=now - _YOUNG):
            rest -= young
            prefixes.append(rest)
        if said not in prefixes:
            wrong[currency] = said - prefixes[0]
    return wrong


def _surplus(cur: Cursor, *, run: Run) -> dict[str, int]:
    """By currency, what the books hold above the rows and what is told apart."""
    known = _known_elsewhere(cur, reading.young_sources(cur, run.since))
    return reading.surplus(cur, kinds=_entry_kinds, since=run.since, known=known)


def _note_surplus(cur: Cursor, *, run: UUID, currency: str, amount: int) -> None:
    """That a person has accepted it holds for its amount alone: another one is told anew."""
    proposed = {
        "step": "find what stands in suspense's items and in its object's books, too; reverse one of both"
    }
    found = Difference(
        "held", AMOUNT, f"held:{currency}", {"held_too_much": amount}, None, -amount, currency, proposed
    )
    known = open_difference(cur, subject=found.subject, name=found.name)
    if known is not None and known.amount != found.amount:
        end_difference(cur, known, reason="It is another amount now.")
    note_open(cur, run, found)


def _close(cur: Cursor, *, run: Run, closing: dict[str, int], is_proved: bool) -> None:
    """The opening of the next run. Where the balance is not proved, the last one that was stays."""
    opening = dict(cur.execute(_OPENING, (run.id,)).fetchall())
    net, books = reading.net_of_rows(cur), reading.held_by_books(cur)
    told = {
        currency: {
            "opening": opening.get(currency, 0),
            "moved": said - opening.get(currency, 0),
            "closing": said,
            "rows": net.get(currency, 0),
            "books": books.get(currency, 0),
        }
        for currency, said in closing.items()
    }
    cur.execute("UPDATE reconciliations SET balances = %s::jsonb WHERE id = %s", (json.dumps(told), run.id))
    if is_proved:
        for currency, said in closing.items():
            cur.execute(_CLOSE, (currency, said, net.get(currency, 0), run.id))


def _compare_items(run: Run, payout: str) -> int:
    found = _items_difference(payout)
    if found is None:
        return 0
    run_in_transaction(lambda cur: note_open(cur, run.id, found))
    return 1


def _items_difference(payout: str) -> Difference | None:
    try:
        view = stripe_gateway.payout(payout)
        rows = [
            row for page in pages(stripe_gateway.list_balance_transactions(payout=payout)) for row in page
        ]
    except stripe_gateway.NotAtProcessor:
        return None
    net = sum(row.net for row in rows if row.source != payout)
    if net == view.amount:
        return None
    detail = {"payout": payout, "amount": view.amount, "items": net}
    return Difference(
        "payout_items", AMOUNT, f"payout_items:{payout}", detail, None, net - view.amount, view.currency
    )
