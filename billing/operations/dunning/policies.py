"""Making, changing and archiving dunning policies; a case keeps the document that it was opened with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing.queries.dunning_policies import (
    claimed_by,
    find_policy,
    key_is_taken,
    unknown_contracts,
    unknown_plans,
)
from billing.rules.dunning.policy import Policy, PolicyRow, write_policy
from common.errors import InvalidField, InvalidTransition, NameConflict
from common.ids import new_id
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact, time_text

STREAM: Final = "dunning_policy"


@dataclass(frozen=True, slots=True)
class NewPolicy:
    """What a new policy is to be: for customers of these plans (keys) and contracts, or `is_default` for all others."""

    key: str
    name: str
    policy: Policy
    plans: tuple[str, ...] = ()
    contracts: tuple[UUID, ...] = ()
    is_default: bool = False


def create_policy(cur: Cursor, new: NewPolicy, *, author: Author) -> PolicyRow:
    """This function will make a dunning policy; cases that open from now on go by it.

    Raises NameConflict (the key, or a plan, contract or default that another policy is for) and InvalidField (a plan or
    contract that there is not).
    """
    locked = lock_organization(cur, PLATFORM_ID)
    if key_is_taken(cur, new.key):
        raise NameConflict("There is a dunning policy with this key.", pointer="/key")
    row = PolicyRow(
        id=new_id(),
        organization=PLATFORM_ID,
        key=new.key,
        name=new.name,
        plans=new.plans,
        contracts=new.contracts,
        is_default=new.is_default,
        number=1,
        policy=new.policy,
        version=1,
        created_at=locked.now,
    )
    _require_free(cur, row)
    record(cur, [_fact(row, "created", locked.now)], author=author)
    return row


def change_policy(cur: Cursor, *, policy: str, changes: Mapping[str, Any], author: Author) -> PolicyRow:
    """This function will give a policy another name, other plans, contracts or `is_default`, or another document
    (`policy`), which is a new version; the former stays, and open cases keep theirs.

    Changes that change nothing record nothing. Raises NotFound, InvalidTransition (archived), NameConflict and
    InvalidField.
    """
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_policy(cur, policy, lock=True)
    if found.archived_at is not None:
        raise InvalidTransition("The dunning policy is archived.")
    changed = replace(found, **changes)
    if changed == found:
        return found
    number = found.number + (changed.policy != found.policy)
    changed = replace(changed, number=number, version=found.version + 1)
    _require_free(cur, changed)
    record(cur, [_fact(changed, "changed", locked.now)], author=author)
    return changed


def archive_policy(cur: Cursor, *, policy: str, author: Author) -> PolicyRow:
    """This function will end a policy: no case opens with it any more, open ones keep it. Raises NotFound."""
    locked = lock_organization(cur, PLATFORM_ID)
    found = find_policy(cur, policy, lock=True)
    if found.archived_at is not None:
        return found
    ended = replace(found, archived_at=locked.now, version=found.version + 1)
    record(cur, [_fact(ended, "archived", locked.now)], author=author)
    return ended


def _require_free(cur: Cursor, row: PolicyRow) -> None:
    if plans := unknown_plans(cur, row.plans):
        raise InvalidField(f"There is no plan {plans[0]!r}.", pointer="/plans")
    if contracts := unknown_contracts(cur, row.contracts):
        raise InvalidField(f"There is no contract {contracts[0]}.", pointer="/contracts")
    if (other := claimed_by(cur, row)) is not None:
        raise NameConflict(f"The dunning policy {other!r} is for one of these already.")


def _fact(row: PolicyRow, verb: str, at: datetime) -> Fact:
    data = {
        "key": row.key,
        "name": row.name,
        "plans": list(row.plans),
        "contracts": [str(each) for each in row.contracts],
        "is_default": row.is_default,
        "number": row.number,
        "document": write_policy(row.policy),
        "made_at": time_text(at),
        "created_at": time_text(row.created_at),
        "archived_at": time_text(row.archived_at),
    }
    return Fact(row.organization, STREAM, row.id, row.version, verb, data, at)
