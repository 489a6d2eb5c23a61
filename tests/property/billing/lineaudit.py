"""Where every usage record and every quantity went, worked out anew from the rows alone: no code of the product.

A record is in an invoice's range when its transaction is seen by the later cut and not by the earlier one; what a line
says must be what its records come to. Quantities of meters are added up from their events as each line's cut saw them.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any
from uuid import UUID

from tests.builders.books import rows

UNIT = 10**8
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Use:
    """A usage record: what it cost and who paid."""

    id: UUID
    tx: int
    epoch: int
    at: datetime
    charge: int
    kind: str | None
    group: tuple[str | None, ...]
    funding: list[list[Any]]
    external: str | None

    @property
    def postpaid(self) -> int:
        """What is to pay of it."""
        return sum(int(part[2]) for part in self.funding if part[0] == "postpaid")


def uses(organization: UUID) -> list[Use]:
    """All records, in the order of their ids."""
    found = rows(
        "SELECT id, tx::text, epoch, occurred_at, charge, kind, provider, model, tool, funding::text, external_id"
        " FROM usage_records WHERE organization = %s ORDER BY id",
        organization,
    )
    return [
        Use(row[0], int(row[1]), row[2], row[3], row[4], row[5], row[5:9], json.loads(row[9]), row[10])
        for row in found
    ]


def in_cut(cut: dict[str, Any] | None, *, tx: int, epoch: int, at: datetime) -> bool:
    """Whether a cut holds what was written by a transaction and tells of a moment."""
    if cut is None or at >= datetime.fromisoformat(cut["until"]):
        return False
    first, last, running = cut["snapshot"].split(":")
    seen = tx < int(first) or (tx < int(last) and str(tx) not in running.split(","))
    return bool(epoch < cut["epoch"] or (epoch == cut["epoch"] and seen))


def wrong_records(organization: UUID) -> Iterator[str]:
    """Yield what is wrong with the records (B1, B5, S9): on two lines or, postpaid and cut off, on none; lines that are
    not the sum of their records."""
    records = uses(organization)
    lines: Counter[UUID] = Counter()
    for line in _lines(organization, "usage"):
        of_line = _records_of(line, records)
        lines.update(use.id for use in of_line)
        yield from _compare(line, of_line)
    metered = {f"{line['detail']['charge_id']}": line for line in _lines(organization, "metered")}
    for use in records:
        if use.kind == "metered":
            lines[use.id] += str(use.external) in metered
            line = metered.get(str(use.external))
            if line is None or (line["charge"], line["exact"]) != (use.charge, use.postpaid):
                yield f"metered record {use.id} of {use.external} is on no line that says the same: {line}"
        if sum(int(part[2]) for part in use.funding) != use.charge:
            yield f"S9: record {use.id}"
        if lines[use.id] > 1:
            yield f"B1: record {use.id} is on {lines[use.id]} lines"
    cut = None if _given_back(organization) else _standing_cut(organization)
    for use in records:
        if use.postpaid and not lines[use.id] and in_cut(cut, tx=use.tx, epoch=use.epoch, at=use.at):
            yield f"B5: record {use.id} of {use.at} is on no line"


def places(organization: UUID) -> dict[UUID, set[tuple[UUID, int]]]:
    """Which lines of living invoices each record is on, or charged."""
    records = uses(organization)
    found: dict[UUID, set[tuple[UUID, int]]] = {use.id: set() for use in records}
    for line in _lines(organization, "usage"):
        for use in _records_of(line, records):
            found[use.id].add((line["invoice"], line["n"]))
    charged = {str(use.external): use.id for use in records if use.kind == "metered"}
    for line in _lines(organization, "metered"):
        if line["detail"]["charge_id"] in charged:
            found[charged[line["detail"]["charge_id"]]].add((line["invoice"], line["n"]))
    return found


def wrong_quantities(organization: UUID, *, price: str, included: str) -> Iterator[str]:
    """Yield the windows of metered use that were not billed what their events come to, as the lines' last cuts saw it.

    The parts of a split period are one count: its free units are the share of a period that the parts are, with what
    was still to come of it. Each line is rounded by itself.
    """
    events = rows(
        "SELECT occurred_at, tx::text, epoch, sign, data->>'units' FROM meter_events WHERE organization = %s",
        organization,
    )
    billed: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in _lines(organization, "metered"):
        billed[line["detail"]["period"]].append(line)
    for window, parts in _windows(organization).items():
        if any(part.id not in billed for part in parts):
            continue  # an invoice of its was voided, and its lines wait
        reached = accumulate(part.share for part in parts)
        share = min(
            max(so_far + part.ahead for so_far, part in zip(reached, parts, strict=True)), Fraction(1)
        )
        total, lines = Decimal(0), 0
        amount = Decimal(0)
        for part in parts:
            cut = max(billed[part.id], key=lambda line: line["detail"]["cut"]["taken_at"])["detail"]["cut"]
            total += sum(
                Decimal(units) * sign
                for at, tx, epoch, sign, units in events
                if part.start <= at < part.end and in_cut(cut, tx=int(tx), epoch=epoch, at=at)
            )
            lines += len(billed[part.id])
            amount += sum(Decimal(line["charge"] or -_back(line)) / UNIT for line in billed[part.id])
        due = max(Fraction(total) - Fraction(included) * share, Fraction(0)) * Fraction(price)
        if abs(Fraction(amount) - due) > Fraction(CENT) / 2 * lines:
            yield f"window {window}: {total} with {share} of the free units is {float(due)}, billed {amount}"


def _records_of(line: dict[str, Any], records: list[Use]) -> list[Use]:
    """The records that a line over use is about."""
    before, after = line["ranges"][line["detail"]["range"]]
    group = line["detail"]["group"]
    wanted = (group["kind"], group["provider"], group["model"], group["tool"])
    found = []
    for use in records:
        where = {"tx": use.tx, "epoch": use.epoch, "at": use.at}
        late = before is not None and use.at < datetime.fromisoformat(before["until"])
        if (
            use.kind != "metered"
            and use.group == wanted
            and late == group["late"]
            and in_cut(after, **where)
            and not in_cut(before, **where)
        ):
            found.append(use)
    return found


def _back(line: dict[str, Any]) -> int:
    """What a line took back, whoever had paid for it."""
    return sum(int(units) for _, _, units in line["detail"].get("back", ()))


@dataclass(frozen=True)
class Part:
    """A metered period: a part of the window in which its use is counted, and how much of a period it is."""

    id: str
    start: datetime
    end: datetime
    share: Fraction
    ahead: Fraction


def _windows(organization: UUID) -> dict[tuple[Any, ...], list[Part]]:
    """The parts of each window in the order of time."""
    found: defaultdict[tuple[Any, ...], list[Part]] = defaultdict(list)
    for row in rows(
        'SELECT meter, "interval", window_start, window_end, id, start_at, end_at, share, ahead FROM metered_periods'
        " WHERE organization = %s ORDER BY start_at",
        organization,
    ):
        found[row[:4]].append(Part(str(row[4]), row[5], row[6], Fraction(row[7]), Fraction(row[8])))
    return dict(found)


def lines_of(organization: UUID) -> tuple[int, int]:
    """How many lines over use, and over meters, there are to judge."""
    return len(_lines(organization, "usage")), len(_lines(organization, "metered"))


def gaps(entity: UUID) -> list[tuple[Any, ...]]:
    """The series of a legal entity whose numbers do not go from one to their count (B2)."""
    found = rows(
        "SELECT series, year, counter FROM invoices WHERE legal_entity = %s AND counter IS NOT NULL", entity
    )
    series: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for name, year, counter in found:
        series[name, year].append(counter)
    return [
        (key, sorted(counters))
        for key, counters in series.items()
        if sorted(counters) != [*range(1, len(counters) + 1)]
    ]


def _compare(line: dict[str, Any], of_line: list[Use]) -> Iterator[str]:
    told = line["detail"]
    says = (line["charge"], line["exact"], told["records"], told["digest"])
    are = (
        sum(use.charge for use in of_line),
        sum(use.postpaid for use in of_line),
        len(of_line),
        _digest(of_line),
    )
    if says != are:
        yield f"line {line['invoice']}/{line['n']} says {says}, its records are {are}"


def _digest(of_line: list[Use]) -> str:
    """Over the sums of the first two lanes of seven bytes of each record's hash."""
    hashes = [hashlib.sha256(use.id.bytes + use.charge.to_bytes(8, "big")).digest() for use in of_line]
    lanes = [sum(int.from_bytes(one[7 * k : 7 * k + 7], "big") for one in hashes) for k in range(2)]
    return hashlib.sha256(",".join(map(str, lanes)).encode()).hexdigest()


def _lines(organization: UUID, kind: str) -> list[dict[str, Any]]:
    """The lines of living invoices."""
    found = rows(
        "SELECT l.invoice_id, l.n, l.charge, l.amount - l.remainder, l.detail::text, i.usage::text, l.service_start,"
        " l.service_end FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id"
        " WHERE l.organization = %s AND l.kind = %s AND i.status <> 'void' ORDER BY l.invoice_id, l.n",
        organization,
        kind,
    )
    names = ("invoice", "n", "charge", "exact", "detail", "ranges", "start", "end")
    return [
        {
            **dict(zip(names, row, strict=True)),
            "detail": json.loads(row[4]),
            "ranges": json.loads(row[5] or "[]"),
        }
        for row in found
    ]


def _standing_cut(organization: UUID) -> dict[str, Any] | None:
    ((cut,),) = rows("SELECT cut::text FROM billing_customers WHERE organization = %s", organization)
    found: dict[str, Any] | None = json.loads(cut) if cut else None
    return found


def _given_back(organization: UUID) -> bool:
    """Whether a void invoice's use waits for the next one."""
    ((ranges,),) = rows(
        "SELECT open_ranges::text FROM billing_customers WHERE organization = %s", organization
    )
    return bool(json.loads(ranges))
