"""The act on paying, on the real clock: a card, credit, an invoice that is paid, one that is not, and the way back."""

from __future__ import annotations

from typing import Any

from sandbox.story.amounts import units
from sandbox.story.calls import Done, Refused, Work
from sandbox.story.cast import ANALYST
from sandbox.story.payer import DESK, Payer, wait
from sandbox.story.play import Play

GOOD_CARD, FAILING_CARD = "pm_card_visa", "pm_card_chargeCustomerFail"
TOP_UP, FEE_TOTAL, LATE = "50.00", "23.80", "14.28"
WORTH = "0.25"
COPIES = 2
NOTICES = (
    "top_up.succeeded", "payment.succeeded", "payment.failed", "dunning.past_due", "dunning.throttled",
    "dunning.suspended", "dunning.closed",
)  # fmt: skip


def subscribe(payer: Payer) -> None:
    """Buy a plan: its first fee is due at once, and the billing run makes its invoice meanwhile."""
    payer.api.make("/v1/subscriptions", {"plan": DESK})


def top_up(play: Play, payer: Payer) -> None:
    """A card, and credit; Stripe tells everything twice."""
    payer.add_card(GOOD_CARD)
    shown = payer.methods()[0]
    payer.control("deliveries", rules=[{"duplicate": COPIES - 1}])
    bought = payer.api.make("/v1/top-ups", {"amount": TOP_UP, "currency": "USD"})
    wait("its money", lambda: _is(payer, bought["id"], "succeeded"))
    payer.control("drain", seconds=10)
    told = [one for one in _deliveries(payer) if one["type"] == "payment_intent.succeeded"]
    payer.control("deliveries", rules=[])
    play.transcript.say(
        f"{payer.name} leaves a card ({shown['brand']} …{shown['last4']}) and buys {TOP_UP} USD of credit by it."
    )
    play.checks.equal("W1", "Stripe told of the payment twice, and it is credit once",
                      expected=(True, units(TOP_UP)), found=(len(told) >= COPIES, _credit(payer)),
                      shown=f"{len(told)} deliveries, {TOP_UP} USD")  # fmt: skip


def collected(play: Play, payer: Payer) -> None:
    """The plan's first invoice is charged by itself."""
    paid = payer.invoice(payer.draft(set()), "paid")
    play.checks.equal("S79", "the plan's invoice was charged to the card when it opened",
                      expected=(units(FEE_TOTAL), 0), found=(units(paid["total"]), units(paid["due"])),
                      shown=f"{paid['number']}, {FEE_TOTAL} USD with tax")  # fmt: skip


def falls_behind(play: Play, payer: Payer) -> str:
    """The next invoice is declined, and so is the retry: throttled, then suspended. Returns the invoice."""
    known = {one["id"] for one in payer.invoices()}
    card = payer.add_card(FAILING_CARD)
    payer.api.post(f"/v1/payment-methods/{card}/default", None).expect(200)
    item = {
        "organization": payer.organization,
        "description": "Onboarding",
        "amount": "12.00",
        "currency": "USD",
    }
    payer.platform.make("/v1/invoice-items", {**item, "due_at": _now(payer)})
    invoice = payer.draft(known)
    case = wait("a suspension", lambda: _case(payer, "suspended"))
    happened = case["timeline"]
    columns = ("what happened", "by", "the customer was told")
    play.transcript.say("")
    play.transcript.table(columns, [_row(one) for one in happened], numbers=3)
    refused = payer.caller.make(_work(), step=1)
    assert isinstance(refused, Refused)
    play.transcript.say("")
    play.transcript.stopped(f"{refused.answer.status} {refused.answer.code}: {payer.name} owes {LATE} USD")
    play.checks.equal("S92", "declined twice: past due, throttled, suspended, each once and in this order",
                      expected=["opened", "grace", "suspended"],
                      found=[name for name in map(_name, happened) if name in ("opened", "grace", "suspended")],
                      shown="by a policy of one day; the house's own takes three weeks")  # fmt: skip
    play.checks.equal("S92", "credit stays and no call passes", expected=(403, "suspended", units(TOP_UP)),
                      found=(refused.answer.status, refused.answer.code, _credit(payer)))  # fmt: skip
    return invoice


def recovers(play: Play, payer: Payer, invoice: str) -> None:
    """Another card is asked at once, and the gate is open with the payment."""
    payer.add_card(GOOD_CARD)
    payer.invoice(invoice, "paid")
    done = payer.caller.make(_work(), step=2)
    shown = done.charged if isinstance(done, Done) else done.answer.body
    play.checks.equal("S91", "a new card was asked at once, and the first call after the payment passes",
                      expected=units(WORTH), found=shown)  # fmt: skip
    wait("the last webhook", lambda: set(NOTICES) <= set(payer.receiver.types()))
    play.checks.equal("S113", "its receiver heard of all of it, every signature right",
                      expected=(0, set()), found=(payer.receiver.refused, set(NOTICES) - set(payer.receiver.types())),
                      shown=f"{len(payer.receiver.told)} webhooks, the last {payer.receiver.types()[-1]}")  # fmt: skip


def _work() -> Work:
    return Work(ANALYST, "filings", tool="pdf.read", amount=WORTH)


def _credit(payer: Payer) -> int:
    return units(payer.api.get("/v1/balance")["posted"])


def _now(payer: Payer) -> str:
    found: str = payer.api.get(f"/v1/organizations/{payer.organization}/clock")["now"]
    return found


def _is(payer: Payer, payment: str, status: str) -> bool:
    return bool(payer.api.get(f"/v1/payments/{payment}")["status"] == status)


def _case(payer: Payer, state: str) -> dict[str, Any] | None:
    found = payer.case()
    return found if found.get("state") == state else None


def _deliveries(payer: Payer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = payer.stripe.get("/_sim/deliveries").raise_for_status().json()["data"]
    return found


def _name(happened: dict[str, Any]) -> str:
    return str(happened["event"])


def _row(happened: dict[str, Any]) -> tuple[str, str, str]:
    return (
        _name(happened).replace("_", " "),
        happened["trigger"],
        (happened.get("notice") or "").replace("_", " "),
    )
