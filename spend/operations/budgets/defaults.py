"""Setting default policies (S44)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.operations.locks import lock_organization
from orgs.rules.facts import Fact
from orgs.rules.organizations import require_customer
from orgs.rules.permissions import PolicyLevel
from orgs.rules.rows import LockedOrganization
from spend.operations.budgets.create import Permit
from spend.queries.budgets import default_budgets
from spend.rules.budgetfacts import archived, changed, created
from spend.rules.defaults import Settled, settle


def set_default_policies(
    cur: Cursor,
    organization: UUID,
    wanted: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    author: Author,
    permit: Permit | None = None,
) -> None:
    """This function will make the budgets without a target of each named scope (agent, workflow, run) those stated.

    One that counts the same in the same window is changed and keeps its counters, a new one is made, one that is not
    stated any more is archived; each is an event with old and new values. The gate's next decision obeys them all, or
    none when one is refused. The same again changes nothing. `permit` as in `create_budget`.
    Raises InvalidField, InvalidAmount, InvalidThresholds, NotAvailableYet, CurrencyMismatch, AmountOutOfRange and
    OrganizationClosed.
    """
    locked = lock_organization(cur, organization)
    require_customer(locked)
    if permit is not None:
        permit(PolicyLevel())
    live = default_budgets(cur, organization=organization, scopes=tuple(wanted))
    facts: list[Fact | None] = []
    for scope, stated in wanted.items():
        of_scope = [budget for budget in live if budget.scope == scope]
        settled = settle(scope, stated, of_scope, currency=locked.currency, time_zone=locked.time_zone)
        facts += _facts(locked, settled)
    record(cur, facts, author=author)


def _facts(locked: LockedOrganization, settled: Settled) -> list[Fact | None]:
    made = [
        created(
            terms,
            identifier=new_id(),
            organization=locked.id,
            target_id=None,
            target_label=None,
            time_zone=terms.time_zone or locked.time_zone,
            at=locked.now,
        )
        for terms in settled.made
    ]
    changes = [changed(budget, values, at=locked.now) for budget, values in settled.changes]
    ended = [archived(budget, at=locked.now) for budget in settled.ended]
    return [fact for _, fact in (*ended, *changes, *made)]
