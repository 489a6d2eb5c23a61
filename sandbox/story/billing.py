"""The act in which a customer subscribes, its agents use up what it has, and it changes to a larger plan."""

from sandbox.story import customer as stage
from sandbox.story.amounts import plain, units
from sandbox.story.calls import Done, Refused, Work
from sandbox.story.cast import ANALYST
from sandbox.story.customer import Customer
from sandbox.story.figures import (
    ADVANCED_ALLOWANCE,
    ADVANCED_FEE,
    AFTER_GRACE,
    ALLOWANCES,
    CREDIT,
    PAGES_READ,
    SCALE_ALLOWANCE,
    SCALE_FEE,
    UNUSED,
    amounts,
    counted,
    document,
    moment,
    on_the_line,
    tax_on,
    tell,
)
from sandbox.story.play import Play

FIRST_CALLS, LATER_CALLS = 12, 10
SOURCES = ("allowance", "credit", "postpaid")


def subscribe(play: Play, customer: Customer) -> str:
    """The customer subscribes from the first of the next month; the first fee is on an invoice at once. Returns the
    subscription's id."""
    play.transcript.say(
        f"[bold]{customer.name}[/bold] has {stage.CREDIT} USD of credit, and may owe {stage.LINE}. It is a sandbox: "
        "its\nclock goes on when the story says so, by [cyan]POST /v1/simulations[/cyan].\n"
    )
    start = customer.starts_at.isoformat()
    body = {"plan": stage.ADVANCED, "trial_days": 0, "start_at": start}
    subscription: str = customer.api.make("/v1/subscriptions", body)["id"]
    customer.api.make("/v1/subscriptions", {"plan": stage.READING, "start_at": start})
    happened = customer.pass_until(customer.starts_at + AFTER_GRACE)
    tell(play, happened)
    found = customer.api.get(f"/v1/subscriptions/{subscription}")
    play.checks.equal("S71", "the subscription to Advanced started by itself, for the whole month",
                      expected=("active", customer.starts_at, customer.ends_at),
                      found=(found["status"], *(moment(found[name]) for name in ("period_start", "period_end"))),
                      shown=f"{customer.starts_at:%d %B} to {customer.ends_at:%d %B %Y}")  # fmt: skip
    invoice = customer.invoices()[-1]
    tax = tax_on(ADVANCED_FEE)
    play.checks.equal("S76", "its fee is invoiced in advance, with its tax, an hour after the draft",
                      expected=("open", ADVANCED_FEE, tax, ADVANCED_FEE + tax), found=document(invoice),
                      shown=f"{invoice['number']}: {invoice['total']}")  # fmt: skip
    return subscription


def burn(play: Play, customer: Customer) -> None:
    """The agents' calls are paid by the allowance, then by credit, then they go to the line."""
    made = _calls(play, customer, "q1", FIRST_CALLS)
    play.transcript.say(
        f"\n{len(made)} calls of {ANALYST.key} ({ANALYST.model}) at {plain(made[0].charged)}. Who paid, by "
        "[cyan]GET /v1/reports/funding[/cyan]:"
    )
    _paid_in_order(play, customer, allowance=ADVANCED_ALLOWANCE)
    line = customer.api.get("/v1/funding")["line"]
    expected = on_the_line(customer, allowance=ADVANCED_ALLOWANCE)
    play.checks.equal("B5", "what is owed on the line is the rest", expected=expected, found=units(line["owed"]),
                      shown=f"{line['owed']} of {line['limit']}")  # fmt: skip


def meter(play: Play, customer: Customer) -> None:
    """A quantity that never passed the gate is told once, however often it is sent."""
    event = {
        "source": "reader", "id": play.stage.api.keys.next("pages"), "type": stage.EVENT_TYPE,
        "occurred_at": customer.now().isoformat(), "data": {stage.PAGES: PAGES_READ},
    }  # fmt: skip
    first = customer.api.post("/v1/events", event)
    first.expect(201)
    again = customer.api.post("/v1/events", event)
    other = customer.api.post("/v1/events", event | {"data": {stage.PAGES: PAGES_READ + 1}})
    play.transcript.say(
        f"\n[cyan]POST /v1/events[/cyan]: {PAGES_READ:,} pages were read, and it is said twice."
    )
    play.checks.equal("S73", "said again it is the same event; saying something else of it is refused",
                      expected=(first.raw, True, (422, "event_id_reused")),
                      found=(again.raw, again.is_replay, (other.status, other.code)))  # fmt: skip
    play.checks.equal("S73", "the meter counts it once", expected=PAGES_READ, found=counted(customer))


def upgrade(play: Play, customer: Customer, subscription: str) -> None:
    """In the middle of the month it changes to a larger plan, after it was told what that costs."""
    customer.pass_until(customer.starts_at + (customer.ends_at - customer.starts_at) / 2)
    path, body = f"/v1/subscriptions/{subscription}", {"plan": stage.SCALE}
    before = customer.api.get(path)
    preview = customer.api.post(f"{path}/change/preview", body).expect(200)
    expected = {"proration_credit": -UNUSED, "proration_charge": SCALE_FEE // 2}
    play.transcript.say(
        f"\nIn the middle of the month it looks at plan Scale, {stage.SCALE_FEE} USD with {stage.SCALE_ALLOWANCE} of "
        "allowance. [cyan]POST …/change/preview[/cyan]:\n"
    )
    rows = [(item["description"], plain(units(item["amount"]))) for item in preview["items"]]
    play.transcript.table(
        ("line of the next invoice", "amount"), [*rows, ("together", plain(units(preview["total"])))], numbers=1,
        total=True,
    )  # fmt: skip
    play.transcript.say("")
    play.checks.equal("S72", "half of 49 less the burnt allowance of 30 comes back; half of the new fee is due",
                      expected=expected, found=amounts(preview["items"]))  # fmt: skip
    play.checks.equal("S80", "the preview changed nothing", expected=before, found=customer.api.get(path))
    customer.api.post(f"{path}/change", body).expect(200)
    done = customer.api.get(f"{path}/history")["data"][0]
    play.checks.equal("S80", "the upgrade did what its preview said",
                      expected=("subscription.changed", expected),
                      found=(done["type"], amounts(done["items"])))  # fmt: skip
    granted = customer.api.get("/v1/funding")["sources"][0]["available"]
    play.checks.equal("S72", "and brought half of the new allowance", expected=SCALE_ALLOWANCE // 2,
                      found=units(granted), shown=f"{granted} USD")  # fmt: skip
    made = _calls(play, customer, "q2", LATER_CALLS)
    play.transcript.say(f"\n{len(made)} more calls in the second half of the month:")
    _paid_in_order(play, customer, allowance=ALLOWANCES)


def _calls(play: Play, customer: Customer, run: str, count: int) -> list[Done]:
    made = []
    for step in range(count):
        result = customer.caller.make(Work(ANALYST, run, call=ANALYST.call(step)), step=step)
        if isinstance(result, Refused):
            found = f"{result.answer.status} {result.answer.raw.decode()}"
            play.checks.true("S75", "a call that the line covers is allowed", holds=False, found=found)
        assert isinstance(result, Done)
        made.append(result)
    return made


def _paid_in_order(play: Play, customer: Customer, *, allowance: int) -> None:
    """Whatever was granted until now is used up before the next source is touched."""
    report = customer.api.get("/v1/reports/funding")
    found = {row["source"]: units(row["charge"]) for row in report["data"] if units(row["charge"])}
    charged = customer.account.charged
    expected = {
        "allowance": allowance,
        "credit": CREDIT,
        "postpaid": on_the_line(customer, allowance=allowance),
    }
    names = {"allowance": "the plan's allowance", "credit": "credit", "postpaid": "the line: on the invoice"}
    rows = [(names[source], plain(found.get(source, 0))) for source in SOURCES]
    rows.append(("together", plain(units(report["total"]))))
    play.transcript.table(("paid by", "USD"), rows, numbers=1, total=True)
    play.transcript.say("")
    play.checks.equal("S75", "allowance first, then credit, then the line; together what the agents committed",
                      expected=(expected, charged), found=(found, units(report["total"])))  # fmt: skip
