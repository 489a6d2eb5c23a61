"""Sending a command just as it is stored, and looking for what it may have done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import stripe

from billing.rules.payments.commands import Command, params_hash
from billing.rules.payments.outcomes import Busy, Outcome, Refused, Succeeded, Unknown, Wrong
from billing.stripe_gateway.client import client, options
from billing.stripe_gateway.errors import (
    NotAtProcessor,
    ProcessorRejected,
    ProcessorUnavailable,
    meaning_of,
    turns_all_away,
)
from billing.stripe_gateway.lists import list_raw
from billing.stripe_gateway.mapping import Unreadable, plain, view_of
from billing.stripe_gateway.reads import customer

SKEW: Final = timedelta(minutes=10)
"""Between our clock and theirs, when objects are looked for by when they were made."""
_VERBS: Final = frozenset(
    {"create", "update", "cancel", "confirm", "capture", "attach", "detach", "delete", "close", "reverse"}
)


@dataclass(frozen=True, slots=True)
class Looking:
    """Where what a `create` made is found: the list's method of `client.v1`, the parameters of the command by which to
    narrow, and whether the list knows when its objects were made. A command with a target lists what belongs to it."""

    call: Callable[[Any], Any]
    by: tuple[str, ...] = ()
    is_dated: bool = True


_LISTS: Final[dict[str, Looking]] = {
    "customers": Looking(lambda api: api.customers.list),
    "payment_intents": Looking(lambda api: api.payment_intents.list, ("customer",)),
    "refunds": Looking(lambda api: api.refunds.list, ("payment_intent", "charge")),
    "setup_intents": Looking(lambda api: api.setup_intents.list, ("customer",)),
    "transfers": Looking(lambda api: api.transfers.list, ("destination", "transfer_group")),
    "payouts": Looking(lambda api: api.payouts.list),
    "accounts": Looking(lambda api: api.accounts.list),
    "transfers.reversals": Looking(lambda api: api.transfers.reversals.list, is_dated=False),
}
_EXPANDED: Final = {"payment_intents": ["data.latest_charge.balance_transaction"]}


def register_look_up(resource: str, looking: Looking) -> None:
    """Say where what a `create` of this resource made is found; a new kind of command needs it."""
    _LISTS[resource] = looking


def send(command: Command) -> Outcome:
    """This function will call the processor with exactly the command's parameters, key, version and account, and say
    how that ended. It never raises for what the processor answers.

    Raises CallInTransaction, NotConfigured and ValueError for a command that was tampered with.
    """
    if params_hash(command.params) != command.params_hash:
        raise ValueError(f"the parameters of command {command.id} are not those that were stored")
    call = _call_of(command)
    try:
        found = call()
    except stripe.StripeError as error:
        return _failed(command, error)
    return _done(found)


def look_up(command: Command) -> Outcome | None:
    """This function will look for what a command made, by the command's id in its metadata; None: it is not there.

    A verb on an object that exists is not looked for: repeating it does nothing twice. Raises as reading does.
    """
    looking = _LISTS.get(command.resource)
    if command.verb != "create":
        return send(command)
    if looking is None:
        return Wrong(f"Nobody knows where to look for {command.resource}.", "no_look_up")
    for values in _candidates(command, looking):
        if (values.get("metadata") or {}).get("command") == str(command.id):
            return _adopted(values)
    return None


def _failed(command: Command, error: stripe.StripeError) -> Outcome:
    """A payment that is turned away for what turns every payment away is not its customer's failure: a person looks."""
    meant = meaning_of(error)
    is_payment = (command.resource, command.verb) == ("payment_intents", "create")
    if not isinstance(meant, Refused) or not is_payment or not turns_all_away(error):
        return meant
    if meant.code == "resource_missing" and getattr(error, "param", None) == "customer":
        try:
            if customer(str(command.params["customer"])).deleted:
                return meant  # this one alone, and here that is not known yet
        except (NotAtProcessor, ProcessorRejected, Unreadable):
            pass  # the key is of another account
        except ProcessorUnavailable as unavailable:
            return Busy(unavailable.retry_after, "unavailable")
    return Wrong(meant.message, meant.code, meant.request_id)


def _adopted(values: Mapping[str, Any]) -> Outcome:
    """A payment that was declined is an object, too: it waits for a method, and was refused."""
    try:
        view = view_of(values)
    except Unreadable as error:
        return Wrong(str(error), "unreadable")
    failure = getattr(view, "failure", None)
    if values.get("object") == "payment_intent" and values.get("status") == "requires_payment_method":
        code, decline = (failure.code, failure.decline_code) if failure else ("card_declined", None)
        return Refused(
            code, decline, failure.message if failure else "", stored=True, object_id=values["id"], view=view
        )
    return Succeeded(str(values["id"]), view, replayed=True)


def _candidates(command: Command, looking: Looking) -> Iterator[dict[str, Any]]:
    params: dict[str, Any] = {name: command.params[name] for name in looking.by if name in command.params}
    since: datetime = (command.first_sent_at or command.requested_at) - SKEW
    if looking.is_dated:
        params["created"] = {"gte": int(since.timestamp())}
    if command.resource in _EXPANDED:
        params["expand"] = _EXPANDED[command.resource]
    if command.target is None:
        return list_raw(looking.call, params, command.account)
    return list_raw(lambda api: partial(looking.call(api), command.target), params, command.account)


def _call_of(command: Command) -> Callable[[], Any]:
    if command.verb not in _VERBS:
        raise ValueError(f"{command.verb} is no verb of the processor")
    service: Any = client().v1
    for name in command.resource.split("."):
        service = getattr(service, name)
    method = getattr(service, command.verb)
    given = options(account=command.account, key=command.key, version=command.api_version)
    target = () if command.target is None else (command.target,)
    return lambda: method(*target, dict(command.params) or None, given)


def _done(found: Any) -> Outcome:
    """An answer that nobody can read is no reason to do it again: it names what was done."""
    response = getattr(found, "last_response", None)
    request_id = getattr(response, "request_id", None)
    try:
        values = plain(found)
        identifier = values["id"]
        view = view_of(values)
    except Unreadable as error:
        return Wrong(str(error), "unreadable", request_id)
    except (LookupError, TypeError, ValueError) as error:
        return Unknown(f"No object came back: {type(error).__name__}", request_id=request_id)
    headers = {name.lower(): value for name, value in (getattr(response, "headers", None) or {}).items()}
    replayed = headers.get("idempotent-replayed", "").lower() == "true"
    return Succeeded(str(identifier), view, request_id, replayed)
