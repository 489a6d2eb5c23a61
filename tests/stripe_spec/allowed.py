"""What the specification of 2026-05 (dahlia) does not know of the pinned version (2026-10, endive), by name, each with
the type of the SDK that has it; and what it never says."""

PARAMETERS: dict[str, frozenset[str]] = {}
"""(path template) -> parameters that endive added."""

FIELDS: dict[str, frozenset[str]] = {
    "invoice": frozenset({"status_details"}),  # stripe.Invoice.status_details
    "subscription": frozenset({"status_details"}),  # stripe.Subscription.status_details
}
"""object -> fields that endive added."""

EVENTS = frozenset({"payment.created"})
"""Types of events that endpoints get with `*` and that the list of types for `enabled_events` has not."""
