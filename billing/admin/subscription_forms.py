"""Forms by which the staff starts subscriptions and changes them; the seller is bound by no trial and no mode."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms

from billing.admin.operated import OperatedForm, area, document, listed
from billing.operations.subscriptions.changing import PlanChange, change_subscription, preview_change
from billing.operations.subscriptions.starting import NewStart, start_subscription
from billing.rules.plans import CHANGES, MAX_TRIAL_DAYS
from billing.rules.subscriptions.bodies import quantities
from common import fields
from common.errors import InvalidField
from common.money import format_amount
from common.transactions import run_in_transaction
from events.store import Cursor
from orgs.operations.facts import Author

NO_ADD_ONS = "-"


def exact(found: dict[str, Any], pointer: str) -> dict[str, Fraction]:
    """Return quantities by charge. Raises InvalidField and InvalidText."""
    return {key: Fraction(held) for key, held in quantities(found, pointer=pointer).items()}


def read_add_ons(text: str, *, pointer: str) -> list[str]:
    """Return the add-ons that are named, or none for a hyphen. Raises InvalidField and InvalidText."""
    return [] if text.strip() == NO_ADD_ONS else listed(fields.key)(text, pointer=pointer)


class SubscriptionForm(OperatedForm):
    """What a customer subscribes to."""

    organization = forms.UUIDField(help_text="The customer, by its id")
    plan = forms.CharField(max_length=100, help_text="Key or id of a plan on sale")
    quantities = area(
        rows=2, required=False, help_text='Of licensed charges: {"seats": 5}; empty: what is included'
    )
    add_ons = forms.CharField(required=False, help_text="Keys, with commas between")
    coupons = forms.CharField(required=False, help_text="Codes, with commas between")
    start_at = forms.CharField(required=False, help_text="2027-01-01T00:00:00Z, in the future; empty: now")
    anchor = forms.CharField(required=False, help_text="A moment that a period begins at")
    trial_days = forms.IntegerField(required=False, help_text="Empty: as the plan has it, once per plan")
    ends_at = forms.CharField(required=False, help_text="When it expires by itself")
    READ: ClassVar = {
        "plan": fields.text,
        "quantities": document(exact),
        "add_ons": read_add_ons,
        "coupons": listed(fields.text),
        "start_at": fields.instant,
        "anchor": fields.instant,
        "trial_days": partial(fields.integer, minimum=0, maximum=MAX_TRIAL_DAYS),
        "ends_at": fields.instant,
    }

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Start it."""
        said = dict(self.said)
        organization = said.pop("organization")
        return start_subscription(cur, organization, NewStart(**said), author=author).row.id


class SubscriptionChangeForm(OperatedForm):
    """What of a subscription changes, how, and when; what is left empty stays."""

    plan = forms.CharField(
        required=False, max_length=100, help_text="Change to this plan on sale (key or id); empty: as it is"
    )
    quantities = area(rows=2, required=False, help_text='Change to {"seats": 5}; empty: as they are')
    add_ons = forms.CharField(
        required=False, help_text="All add-ons to have then, with commas between; -: none; empty: as they are"
    )
    mode = forms.ChoiceField(
        required=False,
        choices=[(word, word) for word in ("", *CHANGES)],
        help_text="How; empty: as the plan has it for upgrades and downgrades",
    )
    at = forms.CharField(
        required=False, help_text="When, such as 2027-01-01T00:00:00Z; empty: as the mode has it"
    )
    shown = forms.CharField(required=False, widget=forms.HiddenInput)
    READ: ClassVar = {
        "plan": fields.text,
        "quantities": document(exact),
        "add_ons": read_add_ons,
        "at": fields.instant,
    }

    def known(self, row: Any) -> dict[str, Any]:
        """Nothing changes unless it is said."""
        return {"plan": "", "quantities": "", "add_ons": ""}

    def judge(self) -> None:
        """Refuse a change of nothing; of another, show first what it credits, charges and grants now."""
        if not {"plan", "quantities", "add_ons"} & self.said.keys():
            raise InvalidField("Name a plan, quantities or add-ons.", pointer="/plan")
        self.show_first(self.asked, lambda: run_in_transaction(self._previewed))

    @property
    def asked(self) -> dict[str, Any]:
        """What is said of the change."""
        return {name: value for name, value in self.said.items() if name != "shown"}

    def _previewed(self, cur: Cursor) -> list[str]:
        row = self.instance
        _, made = preview_change(cur, row.organization, row.id, PlanChange(**self.asked))
        if made is None:
            return ["There is nothing to change."]
        told = [f"{item.description}: {format_amount(item.amount)} {item.currency}" for item in made.items]
        told += [f"credit granted: {format_amount(one.amount)}" for one in made.grants]
        told += [f"credit taken back: {format_amount(one.amount)}" for one in made.clawbacks]
        return [made.verb.replace("_", " "), *told]

    def operate(self, cur: Cursor, row: Any, author: Author) -> UUID:
        """Change it, or let the change wait."""
        wanted = PlanChange(**self.asked)
        return change_subscription(cur, row.organization, row.id, wanted, author=author)[0].id
