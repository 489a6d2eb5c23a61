"""Publishing who shares in the calls of an organization's agents down to the gate (S98)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid5

from common.errors import InvalidField, InvalidTransition
from common.ids import new_id
from events.store import Cursor, Event, append
from ledger.rules.chart import LIVE
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from spend.queries.splits import earned_accounts, published_rules
from spend.rules.splits import WHOLE

STREAM: Final = "split_rule"
_KIND: Final = "partner_earned"


def publish_split_rules(
    cur: Cursor, *, organization: UUID, listing: UUID, rules: Sequence[Mapping[str, Any]], author: Author
) -> bool:
    """This function will say who shares in what an organization's agents of a listing are charged; whether that is new.

    Each rule is {"rule": id, "from": time, "fee_rate": millionths, "parties": [[partner, weight]]} and may have
    "minimum" and "fixed" (units), "promotional" (platform or none) and "withheld" (a weight that the platform keeps;
    with it there may be no parties); each is in effect from its time on by the organization's clock. The gate's next
    commit obeys, and no earlier one changes. The account of each partner's shares is opened with it. Raises NotFound,
    InvalidField and InvalidTransition (the platform).
    """
    for rule in rules:
        _check(rule)
    locked = lock_organization(cur, organization)
    if locked.is_platform:
        raise InvalidTransition("The platform calls no listings.")
    found, version = published_rules(cur, organization=organization, listing=listing)
    wanted = sorted((dict(rule) for rule in rules), key=lambda rule: rule["from"])
    if wanted == found:
        return False
    known = earned_accounts(cur, organization=organization, currency=locked.currency)
    parties = sorted({UUID(name) for rule in wanted for name, _ in rule["parties"]} - known.keys())
    events = [_account(organization, locked.currency, name, locked.now, author) for name in parties]
    stream = uuid5(NAMESPACE_OID, f"{STREAM}:{organization}:{listing}")
    data = {"listing_id": str(listing), "rules": wanted}
    events.append(
        Event(
            organization,
            STREAM,
            stream,
            version + 1,
            f"{STREAM}.published",
            data,
            locked.now,
            author.actor,
            idempotency_key=author.idempotency_key,
        )
    )
    append(cur, events)
    return True


def _account(organization: UUID, currency: str, partner: UUID, now: datetime, author: Author) -> Event:
    data = {
        "kind": _KIND,
        "currency": currency,
        "counterparty": str(partner),
        "live": _KIND in LIVE,
        "credit_limit": None,
    }
    return Event(organization, "account", new_id(), 1, "account.opened", data, now, author.actor)


def _check(rule: Mapping[str, Any]) -> None:
    parties = rule["parties"]
    weights = [*(weight for _, weight in parties), *([rule["withheld"]] if "withheld" in rule else [])]
    if not weights or not all(weight > 0 for weight in weights):
        raise InvalidField("A split has parties, each with a weight above zero.", pointer="/parties")
    if len({partner for partner, _ in parties}) != len(parties):
        raise InvalidField("Each partner stands in a split once.", pointer="/parties")
    if not 0 <= rule["fee_rate"] <= WHOLE:
        raise InvalidField("A rate is from 0 to 1.", pointer="/fee_rate")
    if rule.get("minimum", 0) < 0 or (rule.get("fixed") or 0) < 0:
        raise InvalidField("An amount is not below zero.", pointer="/minimum")
