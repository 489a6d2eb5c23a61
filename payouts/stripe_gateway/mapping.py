"""From Connect's objects to plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from billing import stripe_gateway
from billing.rules.payments.minor import currency_of, from_minor
from billing.rules.payments.views import AccountView, TransferView
from billing.stripe_gateway.mapping import moment

Values = Mapping[str, Any]


def register_all() -> None:
    """This function will add the readers of accounts and transfers. Where commands of theirs are looked for is known
    below already."""
    stripe_gateway.register_view("account", account_view)
    stripe_gateway.register_view("transfer", transfer_view)


def account_view(values: Values) -> AccountView:
    """Return a connected account. Its external account is the default one of its currency; None: there is none that
    money can be sent to (an `errored` one is of no use until it is replaced)."""
    wanted = values.get("requirements") or {}
    return AccountView(
        id=values["id"],
        country=values["country"],
        currency=currency_of(values["default_currency"]),
        payouts_enabled=bool(values["payouts_enabled"]),
        charges_enabled=bool(values["charges_enabled"]),
        transfers_active=(values.get("capabilities") or {}).get("transfers") == "active",
        details_submitted=bool(values["details_submitted"]),
        currently_due=tuple(wanted.get("currently_due") or ()),
        past_due=tuple(wanted.get("past_due") or ()),
        disabled_reason=wanted.get("disabled_reason"),
        external_account=_destination(values),
        metadata={str(key): str(value) for key, value in (values.get("metadata") or {}).items()},
    )


def transfer_view(values: Values) -> TransferView:
    """Return a transfer, with its latest reversals: the processor shows ten."""
    currency = currency_of(values["currency"])
    balance, destination = values.get("balance_transaction"), values["destination"]
    return TransferView(
        id=values["id"],
        amount=from_minor(values["amount"], currency=currency),
        reversed=from_minor(values.get("amount_reversed", 0), currency=currency),
        currency=currency,
        destination=destination["id"] if isinstance(destination, Mapping) else destination,
        created=moment(values["created"]),
        group=values.get("transfer_group"),
        balance=balance["id"] if isinstance(balance, Mapping) else balance,
        reversals=reversals_of((values.get("reversals") or {}).get("data") or (), currency=currency),
        metadata={str(key): str(value) for key, value in (values.get("metadata") or {}).items()},
    )


def reversals_of(reversals: Iterable[Values], *, currency: str) -> dict[str, int]:
    """Return what each reversal of a transfer brought back, in units by its id."""
    return {str(one["id"]): from_minor(one["amount"], currency=currency) for one in reversals}


def _destination(values: Values) -> str | None:
    known = (values.get("external_accounts") or {}).get("data") or ()
    usable = [one for one in known if one.get("status") != "errored"]
    for one in usable:
        if one.get("default_for_currency") and one.get("currency") == values["default_currency"]:
            return str(one["id"])
    return None
