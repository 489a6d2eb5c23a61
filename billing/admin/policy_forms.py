"""The forms of dunning policies for the staff: what one does is shown before it is saved."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from billing.admin.operated import OperatedForm, area, document, listed
from billing.models import DunningPolicy
from billing.operations.dunning.policies import NewPolicy, change_policy, create_policy
from billing.rules.dunning.policy import Policy, parse_policy, write_policy
from billing.rules.dunning.timeline import timeline
from common import fields
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs import PLATFORM_ID
from orgs.operations.facts import Author
from spend.queries.budgets import business_now

EXAMPLE = {
    "steps": [{"day": 0, "action": "retry"}, {"day": 3, "action": "retry"}, {"day": 14, "action": "suspend"}]
}


class PolicyChangeForm(OperatedForm):
    """What of a policy changes; another document is its next version, and open cases keep theirs."""

    name = forms.CharField(max_length=100)
    policy = area(rows=20, initial=json.dumps(EXAMPLE, indent=2), help_text="As JSON: docs/dunning.md")
    plans = area(rows=3, required=False, help_text="Keys of the plans that it is for, one a line")
    contracts = area(rows=3, required=False, help_text="Ids of contracts; a contract's goes before a plan's")
    is_default = forms.BooleanField(required=False, help_text="For all others, in place of the house's own")
    shown = forms.CharField(required=False, widget=forms.HiddenInput)
    READ: ClassVar = {
        "name": fields.text,
        "policy": document(parse_policy),
        "plans": listed(fields.text),
        "contracts": listed(fields.uuid),
    }

    def known(self, row: DunningPolicy) -> dict[str, Any]:
        """As it is now."""
        return {
            "name": row.name,
            "policy": json.dumps(row.document, indent=2),
            "plans": "\n".join(row.plans),
            "contracts": "\n".join(row.contracts),
            "is_default": row.is_default,
        }

    def judge(self) -> None:
        """Show what another document would do before anything is saved."""
        policy: Policy = self.said["policy"]
        written = write_policy(policy)
        is_saved = (
            not self.instance._state.adding and write_policy(parse_policy(self.instance.document)) == written
        )
        if not is_saved:
            self.show_first(written, lambda: run_in_transaction(lambda cur: simulated(cur, policy)))

    @property
    def terms(self) -> dict[str, Any]:
        """What is said of the policy, as its operations take it."""
        lists = {name: tuple(self.said.get(name, ())) for name in ("plans", "contracts")}
        return {**{name: self.said[name] for name in ("name", "policy", "is_default")}, **lists}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Change it."""
        return change_policy(cur, policy=str(row.id), changes=self.terms, author=author).id


class PolicyForm(PolicyChangeForm):
    """A new policy."""

    key = forms.CharField(max_length=100, help_text="How it is named for ever")
    field_order = ("form_key", "shown", "key", "name", "policy", "plans", "contracts", "is_default")
    READ: ClassVar = {**PolicyChangeForm.READ, "key": fields.key}

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Make it."""
        return create_policy(cur, NewPolicy(key=self.said["key"], **self.terms), author=author).id


def simulated(cur: Cursor, policy: Policy) -> list[str]:
    """Return whatever a policy does, if every retry fails, for an invoice that falls due now, or balances at their
    thresholds: a line each."""
    told = ["For an invoice that falls due now, or balances at their thresholds:"]
    for moment in timeline(policy, due_at=business_now(cur, PLATFORM_ID), zone="UTC"):
        said = asdict(moment)
        at, day = said.pop("at"), said.pop("day")
        told.append(f"{at:%Y-%m-%d}, day {day}: {', '.join(str(each) for each in said.values() if each)}")
    return told
