"""Payouts to bank accounts, the platform's and a connected account's. Paid is not final: it may fail afterwards."""

from __future__ import annotations

from sandbox.stripe.listing import Filter, listed
from sandbox.stripe.money import available, move
from sandbox.stripe.parameters import paged
from sandbox.stripe.routes import route
from sandbox.stripe.world import Body, Call, merged_metadata, new_id, refuse

TRANSIT_SECONDS = 86_400
ARRIVAL_SECONDS = 2 * 86_400
FAILING = {"000111111116": "no_account", "000111111113": "account_closed"}
MESSAGES = {
    "no_account": "The bank account details on file are probably incorrect: no account could be found.",
    "account_closed": "The bank account has been closed.",
    "could_not_process": "The bank could not process this transfer.",
}


def blank_payout(call: Call, *, amount: int, currency: str, destination: str | None, automatic: bool) -> Body:
    """Return a payout that has just been asked for."""
    return {
        "id": new_id("po"), "object": "payout", "amount": amount, "application_fee": None,
        "application_fee_amount": None, "arrival_date": call.now + ARRIVAL_SECONDS, "automatic": automatic,
        "balance_transaction": None, "created": call.now, "currency": currency, "description": None,
        "destination": destination, "failure_balance_transaction": None, "failure_code": None,
        "failure_message": None, "livemode": False, "metadata": {}, "method": "standard", "original_payout": None,
        "payout_method": None, "reconciliation_status": "in_progress" if automatic else "not_applicable",
        "reversed_by": None, "source_type": "card", "statement_descriptor": None, "status": "pending",
        "trace_id": None, "type": "bank_account",
    }  # fmt: skip


def bank_of(call: Call, currency: str, wanted: str | None = None) -> Body | None:
    """Return the external account that a payout goes to; the platform has one that always works."""
    if not call.account:
        return None
    platform = call.on("")
    if wanted:
        bank = platform.get("bank_account", wanted, param="destination")
        if bank["account"] != call.account:
            raise refuse(
                f"No such external account: '{wanted}'", code="resource_missing", param="destination"
            )
        return bank
    known = platform.world.store.select(
        account="", kind="bank_account",
        where="AND json_extract(body, '$.account') = ? AND json_extract(body, '$.currency') = ? "
              "AND json_extract(body, '$.default_for_currency')", values=(call.account, currency),
    )  # fmt: skip
    if not known:
        raise refuse(
            f"Sorry, you don't have any external accounts in that currency ({currency}).",
            code="parameter_invalid",
        )
    return known[0]


@route(
    "POST",
    "/v1/payouts",
    "amount:int! currency:str! description:str destination:str metadata:map method:instant|standard "
    "source_type:bank_account|card|fpx statement_descriptor:str",
)
def create(call: Call) -> Body:
    given, currency = call.params, call.params["currency"].lower()
    if given["amount"] < 1:
        raise refuse(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    _check_account(call)
    bank = bank_of(call, currency, given.get("destination"))
    if given["amount"] > available(call, currency):
        raise refuse("You have insufficient funds in your Stripe account for this transfer.",
                     code="balance_insufficient", param="amount")  # fmt: skip
    payout = blank_payout(call, amount=given["amount"], currency=currency, automatic=False,
                          destination=bank["id"] if bank else None)  # fmt: skip
    payout |= {"description": given.get("description") or None, "method": given.get("method") or "standard",
               "metadata": merged_metadata({}, given.get("metadata")),
               "statement_descriptor": given.get("statement_descriptor") or None}  # fmt: skip
    return send_payout(call, payout)


def _check_account(call: Call) -> None:
    account = call.on("").find(call.account)
    if account and not account["payouts_enabled"]:
        raise refuse(
            "This account cannot currently make payouts; see its requirements.", code="payouts_not_allowed"
        )


def send_payout(call: Call, payout: Body) -> Body:
    """Take the amount from the balance and set the payout on its way."""
    moved = move(call, amount=-payout["amount"], currency=payout["currency"], type="payout", category="payout",
                 source=payout["id"], available_on=call.now, description="STRIPE PAYOUT",
                 _payout=payout["id"] if payout["automatic"] else None)  # fmt: skip
    payout["balance_transaction"] = moved["id"]
    call.add(payout, event="payout.created")
    call.world.later(call.now + TRANSIT_SECONDS, "payout_leaves", account=call.account, subject=payout["id"])
    call.world.later(payout["arrival_date"], "payout_arrives", account=call.account, subject=payout["id"])
    return payout


def payout_leaves(call: Call, id: str) -> None:
    """The payout is handed to the bank."""
    payout = call.get("payout", id)
    if payout["status"] == "pending":
        call.save({**payout, "status": "in_transit"}, "payout.updated")


def payout_arrives(call: Call, id: str) -> None:
    """The bank takes it, or not."""
    payout = call.get("payout", id)
    if payout["status"] not in ("pending", "in_transit"):
        return
    bank = call.on("").find(payout["destination"])
    code = FAILING.get(bank["_number"]) if bank else None
    if code:
        fail_payout(call, payout, code)
        return
    payout = call.save({**payout, "status": "paid"}, "payout.paid")
    if payout["automatic"]:
        call.save({**payout, "reconciliation_status": "completed"}, "payout.reconciliation_completed")


def fail_payout(call: Call, payout: Body, code: str = "could_not_process") -> Body:
    """The money comes back, also days after it was paid; the bank account is of no use until it is replaced."""
    if payout["status"] in ("failed", "canceled"):
        raise refuse(f"Payout {payout['id']} is {payout['status']}.")
    moved = _bring_back(call, payout, "payout_failure", "STRIPE PAYOUT FAILURE")
    platform = call.on("")
    bank = platform.find(payout["destination"])
    failed = call.save({**payout, "status": "failed", "failure_code": code, "failure_balance_transaction": moved["id"],
                        "failure_message": MESSAGES.get(code, MESSAGES["could_not_process"])},
                       "payout.failed")  # fmt: skip
    if bank:
        bank["status"] = "errored"
        platform.world.store.save(bank)
        call.emit("account.external_account.updated", bank)
    return failed


def _bring_back(call: Call, payout: Body, type: str, description: str) -> Body:
    return move(call, amount=payout["amount"], currency=payout["currency"], type=type, category="payout_reversal",
                source=payout["id"], description=description)  # fmt: skip


@route("GET", "/v1/payouts", paged("arrival_date:range created:range destination:str status:str"))
def index(call: Call) -> Body:
    given = call.params
    conditions = (
        Filter().between("created", given.get("created")).between("arrival_date", given.get("arrival_date"))
    )
    conditions.equal("destination", given.get("destination")).equal("status", given.get("status"))
    return listed(call, "payout", "/v1/payouts", conditions)


@route("GET", "/v1/payouts/{id}")
def retrieve(call: Call, id: str) -> Body:
    return call.get("payout", id)


@route("POST", "/v1/payouts/{id}", "metadata:map")
def update(call: Call, id: str) -> Body:
    payout = call.get("payout", id)
    metadata = merged_metadata(payout["metadata"], call.params.get("metadata"))
    return call.save({**payout, "metadata": metadata}, "payout.updated")


@route("POST", "/v1/payouts/{id}/cancel")
def cancel(call: Call, id: str) -> Body:
    return cancel_payout(call, call.get("payout", id))


def cancel_payout(call: Call, payout: Body) -> Body:
    """Take back a payout that has not left. Raises a refusal for others."""
    if payout["status"] != "pending":
        raise refuse("Payouts can only be canceled while they are pending.", code="payout_not_cancelable")
    moved = _bring_back(call, payout, "payout_cancel", "STRIPE PAYOUT CANCEL")
    return call.save(
        {**payout, "status": "canceled", "failure_balance_transaction": moved["id"]}, "payout.canceled"
    )


@route("POST", "/v1/payouts/{id}/reverse", "metadata:map")
def reverse(call: Call, id: str) -> Body:
    payout = call.get("payout", id)
    if payout["status"] != "paid" or _is_reversed(call, payout) or payout["original_payout"]:
        raise refuse(
            "Only a paid payout that is not reversed can be reversed.", code="payout_reversal_not_allowed"
        )
    back = blank_payout(call, amount=-payout["amount"], currency=payout["currency"],
                        destination=payout["destination"], automatic=False)  # fmt: skip
    back |= {"original_payout": id, "metadata": merged_metadata({}, call.params.get("metadata"))}
    back["balance_transaction"] = _bring_back(
        call, {**payout, "id": back["id"]}, "payout", "STRIPE PAYOUT REVERSAL"
    )["id"]
    call.add(back, event="payout.created")
    call.world.later(back["arrival_date"], "payout_arrives", account=call.account, subject=back["id"])
    call.save({**payout, "reversed_by": back["id"]}, "payout.updated")
    return back


def _is_reversed(call: Call, payout: Body) -> bool:
    """Whether what was to bring it back did, or still may."""
    back = call.find(payout["reversed_by"])
    return back is not None and back["status"] not in ("failed", "canceled")


def sweep(call: Call, currency: str) -> Body | None:
    """Pay out everything that is available, as the automatic schedule does; its rows can be listed by the payout."""
    rows = call.world.store.select(
        account=call.account, kind="balance_transaction",
        where="AND json_extract(body, '$.currency') = ? AND json_extract(body, '$.status') = 'available' "
              "AND json_extract(body, '$._payout') IS NULL", values=(currency,),
    )  # fmt: skip
    amount = sum(row["net"] for row in rows)
    if amount <= 0 or amount > available(call, currency):
        return None
    bank = bank_of(call, currency)
    payout = blank_payout(call, amount=amount, currency=currency, destination=bank["id"] if bank else None,
                          automatic=True)  # fmt: skip
    for row in rows:
        call.world.store.save({**row, "_payout": payout["id"]})
    return send_payout(call, payout)
