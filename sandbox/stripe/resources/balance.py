"""What Stripe holds for an account, and every movement of it."""

from __future__ import annotations

from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.money import funds
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, refuse


def _amounts(call: Call, position: int) -> list[Body]:
    held = funds(call) or {"usd": (0, 0)}
    return [{"amount": held[name][position], "currency": name, "source_types": {"card": held[name][position]}}
            for name in held]  # fmt: skip


@route("GET", "/v1/balance")
def balance(call: Call) -> Body:
    held = {
        "object": "balance",
        "available": _amounts(call, 0),
        "livemode": False,
        "pending": _amounts(call, 1),
    }
    if not call.account:
        held["connect_reserved"] = [{"amount": 0, "currency": one["currency"]} for one in _amounts(call, 0)]
    return held


@route("GET", "/v1/balance_transactions",
       paged("created:range currency:str payout:str source:str type:str"))  # fmt: skip
def index(call: Call) -> Body:
    given = call.params
    conditions = Filter().between("created", given.get("created"))
    for name in ("currency", "source", "type"):
        conditions.equal(name, given.get(name))
    if given.get("payout"):
        payout = call.get("payout", given["payout"], param="payout")
        if not payout["automatic"]:
            raise refuse("Balance transaction history can only be filtered on automatic transfers, not manual.",
                         param="payout")  # fmt: skip
        conditions.equal("_payout", payout["id"])
    return listed(call, "balance_transaction", "/v1/balance_transactions", conditions)


@route("GET", "/v1/balance_transactions/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("balance_transaction", id)
