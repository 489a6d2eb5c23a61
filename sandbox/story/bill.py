"""The act of the bill: the invoice at the end of the month, why it says what it says, the payment and a credit note."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sandbox.story.amounts import money, plain, units
from sandbox.story.customer import Customer
from sandbox.story.figures import (
    AFTER_GRACE,
    ALLOWANCES,
    PAGES_COST,
    SCALE_FEE,
    TAX_PERCENT,
    UNUSED,
    counted,
    document,
    on_the_line,
    tax_on,
    tell,
    whole,
)
from sandbox.story.play import Play

GOODWILL = units("10")
SUMS = (("net", "net"), (f"tax {TAX_PERCENT} %", "tax"), ("total", "total"))
SAID = ("number", "dated_at", "due_at", "seller", "customer", "net", "tax", "total", "taxes", "entry")


def invoice(play: Play, customer: Customer) -> dict[str, Any]:
    """The month ends: the invoice is what its preview said, and what the story works out. Returns it."""
    customer.pass_until(customer.ends_at - timedelta(hours=1))
    upcoming = customer.api.get("/v1/invoices/upcoming")
    tell(play, customer.pass_until(customer.ends_at))
    draft = customer.invoices()[-1]
    lines = customer.api.get(f"/v1/invoices/{draft['id']}/lines")["data"]
    rows = [
        (
            line["description"],
            plain(units(line["charge"])) if units(line["charge"]) else "",
            _funded(line),
            line["amount"],
        )
        for line in lines
    ]
    sums = [("", "", name, draft[key]) for name, key in SUMS]
    play.transcript.table(
        ("line", "use cost", "paid before by", "amount"), [*rows, *sums], numbers=1, total=True
    )
    play.transcript.say("")
    amounts = (-UNUSED, SCALE_FEE // 2, SCALE_FEE, PAGES_COST, on_the_line(customer, allowance=ALLOWANCES))
    net = sum(amounts)
    tax = tax_on(net)
    play.checks.equal("S75", "fees, pages and what neither allowance nor credit paid: worked out by the client",
                      expected=(sorted(amounts), ("draft", net, tax, net + tax)),
                      found=(sorted(units(line["amount"]) for line in lines), document(draft)))  # fmt: skip
    play.checks.equal("S80", "and what GET /v1/invoices/upcoming said an hour before, line by line",
                      expected=whole(upcoming, upcoming["lines"]), found=whole(draft, lines),
                      shown=f"{len(lines)} lines")  # fmt: skip
    customer.pass_until(customer.ends_at + AFTER_GRACE)
    final = customer.api.get(f"/v1/invoices/{draft['id']}")
    prefix = f"TEST-{customer.ends_at.year}-"
    took_it = draft["number"] is None and final["status"] == "open" and final["number"].startswith(prefix)
    play.checks.true("B2", "after an hour of grace it took a number of the sandboxes' series and its year",
                     holds=took_it, shown=final["number"])  # fmt: skip
    return final


def explain(play: Play, customer: Customer, final: Mapping[str, Any]) -> None:
    """A line is followed down to its usage records; the document is there to download."""
    address = f"/v1/invoices/{final['id']}"
    used, metered = (_line(customer, final, kind) for kind in ("usage", "metered"))
    answer = customer.api.get(f"{address}/lines/{used['number']}/explain")
    play.transcript.say(f"\n[cyan]GET …/lines/{used['number']}/explain[/cyan]: {used['description']}\n")
    rows = [
        (step["words"], f"{int(step['values']['quantity']):,}", plain(units(step["result"])))
        for step in answer["steps"]
    ]
    play.transcript.table(("step", "tokens", "USD"), rows, numbers=1)
    play.transcript.say("")
    recount = answer["recount"]
    play.checks.equal("S74", "its records were added up again by other code, and that agrees",
                      expected=(True, used["records"], units(used["charge"])),
                      found=(answer["agrees"], recount["records"], units(recount["rated"])))  # fmt: skip
    records = customer.api.rows(f"{address}/lines/{used['number']}/records.csv")
    made = {done.commit.body["usage_record"]: done.charged for done in customer.account.done}
    play.checks.equal("S74", "records.csv has each call of the agents once, at what it was charged",
                      expected=made, found={row["id"]: units(row["charge"]) for row in records},
                      shown=f"{len(records)} records, {money(sum(made.values()))}")  # fmt: skip
    priced = customer.api.get(f"{address}/lines/{metered['number']}/explain")
    play.transcript.say("\n" + "; ".join(step["words"] for step in priced["steps"]))
    play.checks.equal("S74", "the pages are those of the meter, less what is included, at their price",
                      expected=(counted(customer), PAGES_COST),
                      found=(int(metered["quantity"]), units(priced["steps"][-1]["result"])))  # fmt: skip
    pdf = customer.api.fetch(f"{address}/pdf")
    play.checks.true("S76", "the document is a PDF", holds=pdf.status == 200 and pdf.raw.startswith(b"%PDF-"),
                     shown=f"{len(pdf.raw):,} bytes")  # fmt: skip


def settle(play: Play, customer: Customer, final: Mapping[str, Any]) -> None:
    """It is paid, and a part of it is taken back by a credit note; the document stays as it is."""
    address, due = f"/v1/invoices/{final['id']}", final["due"]
    payment = {
        "amount": due, "currency": "USD", "method": "bank_transfer",
        "reference": play.stage.api.keys.next("wire"),
    }  # fmt: skip
    paid = customer.platform.post(f"{address}/pay", payment)
    again = customer.platform.send(paid.sent)
    play.transcript.say("\nFinance records the payment, and gives 10.00 and its tax back.")
    play.checks.equal("S76", "the payment settles the invoice, once, though it was sent twice",
                      expected=("paid", 0, units(due), paid.raw),
                      found=(paid.body["status"], units(paid.body["due"]), units(paid.body["paid"]),
                             again.raw))  # fmt: skip
    back = GOODWILL + tax_on(GOODWILL)
    note = customer.platform.make(f"{address}/credit-notes", {"amount": plain(back), "reason": "Goodwill"})
    parts = tuple(sum(units(line[name]) for line in note["lines"]) for name in ("net", "tax"))
    play.checks.equal("B4", "the credit note takes back net and tax of the lines, to the cent",
                      expected=(GOODWILL, back - GOODWILL, back), found=(*parts, units(note["total"])),
                      shown=f"{note['number']}: {note['total']}")  # fmt: skip
    credit = customer.api.get("/v1/funding")["sources"][2]["available"]
    play.checks.equal("B4", "what was paid already is credit now", expected=back, found=units(credit))
    more = customer.platform.post(f"{address}/credit-notes", {"amount": due, "reason": "Once more"})
    play.checks.equal("B4", "and not more than the invoice is ever taken back",
                      expected=(422, "credit_exceeds_invoice"), found=(more.status, more.code))  # fmt: skip
    now = customer.api.get(address)
    play.checks.equal("B3", "the invoice says what it said when it got its number",
                      expected=[final[name] for name in SAID], found=[now[name] for name in SAID])  # fmt: skip


def _line(customer: Customer, final: Mapping[str, Any], kind: str) -> dict[str, Any]:
    lines: list[dict[str, Any]] = customer.api.get(f"/v1/invoices/{final['id']}/lines")["data"]
    return next(line for line in lines if line["kind"] == kind)


def _funded(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{part['source']} {part['amount']}" for part in line["funded"])
