"""What the control API has decided about a customer's next payments."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.stripe.world import Body, Call

OUTCOMES = ("decline", "authenticate", "asynchronous", "asynchronous_failure", "fee_later")


@dataclass(frozen=True)
class Decision:
    """How the next payment goes; the default leaves it to the card."""

    decline: tuple[str, str] | None = None
    authenticate: bool = False
    asynchronous: str = ""
    fee_later: bool = False


def decide_payments(call: Call, customer: str, decided: Body) -> None:
    """Remember how the customer's next `times` payments go ("*": whoever's)."""
    known = call.world.store.value(f"decisions:{customer}", [])
    call.world.store.keep(f"decisions:{customer}", known + [decided] * int(decided.get("times", 1)))


def next_payment(call: Call, customer: str | None) -> Decision:
    """Take the next decision about the customer."""
    for name in (customer, "*"):
        known = call.world.store.value(f"decisions:{name}", []) if name else []
        if known:
            call.world.store.keep(f"decisions:{name}", known[1:])
            return _decision(known[0])
    return Decision()


def _decision(decided: Body) -> Decision:
    outcome = decided["payment"]
    if outcome == "decline":
        return Decision(decline=(decided.get("code", "card_declined"),
                                 decided.get("decline_code", "generic_decline")))  # fmt: skip
    if outcome.startswith("asynchronous"):
        return Decision(asynchronous="fails" if outcome.endswith("failure") else "succeeds")
    return Decision(authenticate=outcome == "authenticate", fee_later=outcome == "fee_later")
