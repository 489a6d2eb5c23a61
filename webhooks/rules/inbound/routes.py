"""Which object an event of Stripe speaks of, by its type: that object is fetched, the event's own copy is not applied.

A charge belongs to its PaymentIntent and an invoice's payment to its invoice, so that all events of one payment are
work on one object, done by one worker at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

Step = tuple[str, str]
"""A field of the event's object that may hold an id, and what kind of object that id is of."""

OBJECTS: Final[Mapping[str, tuple[tuple[Step, ...], tuple[str, ...]]]] = {
    "payment_intent": (
        (("id", "payment"),),
        ("created", "processing", "requires_action", "amount_capturable_updated", "partially_funded", "succeeded",
         "payment_failed", "canceled"),
    ),
    "charge": (
        (("payment_intent", "payment"), ("id", "charge")),
        ("pending", "succeeded", "failed", "captured", "updated", "expired"),
    ),
    "charge.refund": ((("id", "refund"),), ("updated",)),
    "refund": ((("id", "refund"),), ("created", "updated", "failed")),
    "charge.dispute": (
        (("id", "dispute"),),
        ("created", "updated", "funds_withdrawn", "funds_reinstated", "closed"),
    ),
    "radar.early_fraud_warning": ((("id", "warning"),), ("created", "updated")),
    "setup_intent": (
        (("id", "setup"),),
        ("created", "requires_action", "succeeded", "setup_failed", "canceled"),
    ),
    "payment_method": ((("id", "method"),), ("attached", "detached", "updated", "automatically_updated")),
    "customer": ((("id", "customer"),), ("created", "updated", "deleted")),
    "payout": (
        (("id", "payout"),),
        ("created", "updated", "paid", "failed", "canceled", "reconciliation_completed"),
    ),
    "transfer": ((("id", "transfer"),), ("created", "updated", "reversed")),
    "account": ((("id", "account"),), ("updated",)),
    "capability": ((("account", "account"),), ("updated",)),
    "account.external_account": ((("account", "account"),), ("created", "updated", "deleted")),
    "customer.subscription": (
        (("id", "subscription"),),
        ("created", "updated", "deleted", "paused", "resumed", "trial_will_end", "pending_update_applied",
         "pending_update_expired"),
    ),
    "invoice": (
        (("id", "invoice"),),
        ("created", "finalized", "finalization_failed", "updated", "paid", "payment_succeeded", "payment_failed",
         "payment_action_required", "voided", "marked_uncollectible", "overdue", "overpaid", "sent"),
    ),
    "invoice_payment": ((("invoice", "invoice"),), ("paid",)),
}  # fmt: skip

# What a charge's refunds are can only be asked of the charge.
ROUTES: Final[Mapping[str, tuple[Step, ...]]] = {
    **{f"{name}.{verb}": steps for name, (steps, verbs) in OBJECTS.items() for verb in verbs},
    "charge.refunded": (("id", "charge_refunds"),),
    "account.application.deauthorized": (("account", "account"),),
}
"""Every type that means something to us. An unknown one is stored and ignored."""

THIN_PREFIX: Final = "v1."
GROUP_SIZE: Final = 20
"""How many types the list of events can be asked for at once."""


def route_of(event_type: str) -> tuple[Step, ...] | None:
    """Return where an event's object is found; None for a type that means nothing to us."""
    return ROUTES.get(event_type.removeprefix(THIN_PREFIX))


def subject_of(steps: tuple[Step, ...], found: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return kind and id of the object that is to be fetched; None where the event's object does not say."""
    for name, kind in steps:
        value = found.get(name)
        if isinstance(value, Mapping):  # an expanded object
            value = value.get("id")
        if isinstance(value, str) and is_reference(value):
            return kind, value
    return None


def is_reference(value: str) -> bool:
    """Whether a text can be an id of Stripe's: short, and of letters, digits and underscores."""
    return 0 < len(value) <= 255 and value.isascii() and value.replace("_", "").replace("-", "").isalnum()


def type_groups(kinds: Collection[str] | None = None) -> list[tuple[str, ...]]:
    """Return all types in groups as the list of events takes them; with `kinds` those of such objects alone."""
    known = sorted(
        name for name, steps in ROUTES.items() if kinds is None or any(kind in kinds for _, kind in steps)
    )
    return [tuple(known[start : start + GROUP_SIZE]) for start in range(0, len(known), GROUP_SIZE)]
