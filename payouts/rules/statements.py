"""A partner's statement of a month (S104): what it was owed, earned, lost and was paid. Pure; amounts in units.

closing = opening + earned - clawed back - paid out, and is the next opening. Beside it stands what can be withdrawn:
payable = payable_opening + received - taken back - paid out; what customers did not pay, or took back, makes the two
differ. Everything is a running sum less what
earlier statements said, so what is told late is on the next statement, and nothing is on two or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from billing.rules.addresses import address_lines
from billing.rules.profiles import Contact
from common.money import format_amount
from orgs.rules.facts import Fact, time_text

STREAM: Final = "partner_statement"


@dataclass(frozen=True, slots=True)
class Line:
    """What one listing earned of one customer, known by its reference. `gross`: its own part of the charges; the
    fee is the rest."""

    listing: str
    customer: str
    calls: int
    gross: int
    share: int


@dataclass(frozen=True, slots=True)
class Paid:
    """A payout that took money, or brought it back (below zero)."""

    payout: str
    day: str
    amount: int
    kind: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What of a customer's came past the holdback, and what of that was taken back as its payment was."""

    customer: str
    received: int
    taken_back: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's row. `document` is what PDF and CSV are made of, and never changes."""

    id: UUID
    organization: UUID
    month: date
    number: str
    counter: int
    currency: str
    opening: int
    earned: int
    clawed_back: int
    paid_out: int
    closing: int
    document: Mapping[str, Any]
    made_at: datetime
    version: int = 1


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def number_of(organization: UUID, counter: int) -> str:
    """Return a self-billing number: a series for each partner, without a gap (S104)."""
    return f"SB-{organization.hex[-8:].upper()}-{counter:04d}"


def less(lines: Sequence[Line], said: Mapping[tuple[str, str], Line]) -> list[Line]:
    """Return what of running sums no earlier statement said, without what is nothing."""
    rest = []
    for line in lines:
        before = said.get((line.listing, line.customer))
        if before is not None:
            line = replace(
                line,
                calls=line.calls - before.calls,
                gross=line.gross - before.gross,
                share=line.share - before.share,
            )
        if line.calls or line.gross or line.share:
            rest.append(line)
    return rest


def renamed(moved: Sequence[Moved], known: Mapping[str, str]) -> list[Moved]:
    """Return what was moved of each customer under its present reference, `known` by the one of before: events from
    before the change call it otherwise, and nobody is to see the two side by side."""
    sums: dict[str, Moved] = {}
    for one in moved:
        name = known.get(one.customer, one.customer)
        old = sums.get(name, Moved(name, 0, 0))
        sums[name] = Moved(name, old.received + one.received, old.taken_back + one.taken_back)
    return sorted(sums.values(), key=lambda one: one.customer)


def issuer_of(seller: Mapping[str, Any]) -> dict[str, Any]:
    """Return the party that issues a statement, by what is known of a legal entity, as the document keeps it."""
    return {
        "name": seller["name"],
        "country": seller.get("country"),
        "address": address_lines(seller.get("address") or {}),
        "vat_ids": sorted((seller.get("vat_ids") or {}).values()),
    }


def drawn_up(
    *,
    organization: UUID,
    name: str,
    issuer: Mapping[str, Any],
    supplier: Mapping[str, Any],
    month: date,
    counter: int,
    currency: str,
    opening: int,
    lines: Sequence[Line],
    lost: Sequence[tuple[str, int]],
    paid: Sequence[Paid],
    moved: Sequence[Moved],
    payable_opening: int,
    payable: int,
    in_transit: int,
    at: datetime,
) -> Statement:
    """Return the statement of a month. `issuer`: see `issuer_of`; `supplier`: the partner's country and VAT id, as
    far as they are known, without personal data; `lost`: clawed back by customer; `payable`, `in_transit`: what was in
    partner_payable and payout_in_transit in the end, `payable_opening` in the beginning."""
    earned, clawed = sum(line.share for line in lines), sum(amount for _, amount in lost)
    out = sum(one.amount for one in paid)
    closing = opening + earned - clawed - out
    number = number_of(organization, counter)
    document = {
        "number": number,
        "month": month.isoformat()[:7],
        "partner": str(organization),
        "name": name,
        "issuer": dict(issuer),
        "supplier": dict(supplier),
        "currency": currency,
        "made_at": time_text(at),
        "opening": opening,
        "gross": sum(line.gross for line in lines),
        "fees": sum(line.gross - line.share for line in lines),
        "earned": earned,
        "clawed_back": clawed,
        "paid_out": out,
        "closing": closing,
        "payable_opening": payable_opening,
        "received": sum(one.received for one in moved),
        "taken_back": sum(one.taken_back for one in moved),
        "payable": payable,
        "in_transit": in_transit,
        "lines": [_shown_line(line) for line in lines],
        "clawbacks": [{"customer": customer, "amount": amount} for customer, amount in lost],
        "payouts": [asdict(one) for one in paid],
        "collections": [asdict(one) for one in moved],
    }
    stream = uuid5(NAMESPACE_OID, f"{STREAM}:{organization}:{month}")
    return Statement(
        stream, organization, month, number, counter, currency, opening, earned, clawed, out, closing, document, at
    )  # fmt: skip


def _shown_line(line: Line) -> dict[str, Any]:
    return {
        "listing": line.listing,
        "customer": line.customer,
        "calls": line.calls,
        "gross": line.gross,
        "fee": line.gross - line.share,
        "share": line.share,
    }


def fact(row: Statement) -> Fact:
    """Return what happened: the statement was made."""
    data = {
        "month": row.month.isoformat(),
        "number": row.number,
        "counter": row.counter,
        "currency": row.currency,
        "opening": row.opening,
        "earned": row.earned,
        "clawed_back": row.clawed_back,
        "paid_out": row.paid_out,
        "closing": row.closing,
        "document": dict(row.document),
        "made_at": time_text(row.made_at),
    }
    return Fact(row.organization, STREAM, row.id, row.version, "made", data, row.made_at)


_AMOUNTS: Final = frozenset(
    {"opening", "gross", "fees", "earned", "clawed_back", "paid_out", "closing", "payable", "fee", "share", "amount",
     "payable_opening", "received", "taken_back", "in_transit"}
)  # fmt: skip


def shown(value: Any) -> Any:
    """Return a document with its amounts as decimal strings."""
    if isinstance(value, Mapping):
        return {name: format_amount(one) if name in _AMOUNTS else shown(one) for name, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, list) else value


def printed(document: Mapping[str, Any], addressee: Contact) -> dict[str, Any]:
    """Return a document as its PDF says it: with its parties, and with the day on which it was issued."""
    supplier = document.get("supplier") or {}
    vat_id, country = supplier.get("vat_id"), supplier.get("country")
    party = {
        "name": document["name"],
        "contact": addressee.name,
        "address": address_lines(addressee.address) or ([country] if country else []),
        "vat_ids": [vat_id] if vat_id else [],
    }
    issued = document["made_at"][:10]
    return {**shown(document), "issuer": document.get("issuer"), "supplier": party, "issued_on": issued}


CSV_HEAD: Final = (
    "part",
    "listing",
    "customer",
    "payout",
    "day",
    "calls",
    "gross",
    "fee",
    "amount",
    "currency",
)


def csv_rows(document: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Return a statement as rows under CSV_HEAD: opening, earnings, clawbacks, payouts, closing; amounts as they change
    what is owed, so the rows between sum to closing less opening. Then the same of what can be withdrawn, from
    payable_opening to payable."""
    currency = document["currency"]

    def text(units: int) -> str:
        return format_amount(units)

    rows: list[tuple[Any, ...]] = [
        ("opening", "", "", "", "", "", "", "", text(document["opening"]), currency)
    ]
    rows += [
        ("earned", one["listing"], one["customer"], "", "", one["calls"], text(one["gross"]), text(one["fee"]),
         text(one["share"]), currency)
        for one in document["lines"]
    ]  # fmt: skip
    rows += [
        ("clawed_back", "", one["customer"], "", "", "", "", "", text(-one["amount"]), currency)
        for one in document["clawbacks"]
    ]
    rows += [
        (one["kind"], "", "", one["payout"], one["day"], "", "", "", text(-one["amount"]), currency)
        for one in document["payouts"]
    ]
    rows.append(("closing", "", "", "", "", "", "", "", text(document["closing"]), currency))
    return rows + _payable_rows(document) if "collections" in document else rows


def _payable_rows(document: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    def row(part: str, units: int, customer: str = "") -> tuple[Any, ...]:
        return (part, "", customer, "", "", "", "", "", format_amount(units), document["currency"])

    rows = [row("payable_opening", document["payable_opening"])]
    for one in document["collections"]:
        rows += [row("received", one["received"], one["customer"])] if one["received"] else []
        rows += [row("taken_back", -one["taken_back"], one["customer"])] if one["taken_back"] else []
    return [*rows, row("paid_out", -document["paid_out"]), row("payable", document["payable"])]
