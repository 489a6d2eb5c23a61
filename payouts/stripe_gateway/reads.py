"""Connect's objects as they are now. Raises as `billing.stripe_gateway.reads` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from billing import stripe_gateway
from billing.rules.payments.views import AccountView, PayoutView, TransferView
from billing.stripe_gateway.client import client
from billing.stripe_gateway.errors import reading
from billing.stripe_gateway.lists import list_raw
from billing.stripe_gateway.mapping import plain
from billing.stripe_gateway.reads import fetch
from payouts.stripe_gateway.mapping import reversals_of, transfer_view


def account(identifier: str) -> AccountView:
    """Return a connected account with its bank accounts, asked for in its own name: one that has cut us off is
    refused."""
    return fetch(AccountView, "accounts", identifier, account=identifier)


def account_link(identifier: str, *, return_url: str, refresh_url: str) -> str:
    """Return an address under which the account's person answers what Stripe asks. It is good once and for minutes, and
    is never stored."""
    with reading():
        found = client().v1.account_links.create(
            {
                "account": identifier,
                "type": "account_onboarding",
                "return_url": return_url,
                "refresh_url": refresh_url,
            }
        )
    return str(plain(found)["url"])


def transfer(identifier: str) -> TransferView:
    """Return a transfer of the platform to a connected account, with all its reversals."""
    return _whole(fetch(TransferView, "transfers", identifier))


def partner_payout(identifier: str, *, account: str) -> PayoutView:
    """Return a payout on a connected account, with its balance transactions."""
    return stripe_gateway.payout(identifier, account=account)


def list_transfers(
    *,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    destination: str | None = None,
) -> Iterator[TransferView]:
    """This function will give the transfers made in [created_from, created_to) with all their reversals, newest first,
    while it is iterated."""
    window = {
        name: int(at.timestamp())
        for name, at in (("gte", created_from), ("lt", created_to))
        if at is not None
    }
    params = {"created": window or None, "destination": destination}
    for values in list_raw(lambda api: api.transfers.list, params, None):
        yield _whole(transfer_view(values))


def list_partner_payouts(
    account: str, *, created_from: datetime | None = None, created_to: datetime | None = None
) -> Iterator[PayoutView]:
    """This function will give the payouts of a connected account made in [created_from, created_to)."""
    return stripe_gateway.list_payouts(created_from=created_from, created_to=created_to, account=account)


def _whole(view: TransferView) -> TransferView:
    """The transfer with the reversals that its object does not show. One that was made meanwhile counts: what came back
    is always what the reversals say."""
    if sum(view.reversals.values()) == view.reversed:
        return view
    listed = list_raw(lambda api: partial(api.transfers.reversals.list, view.id), {}, None)
    found = reversals_of(listed, currency=view.currency)
    return replace(view, reversals=found, reversed=sum(found.values()))
