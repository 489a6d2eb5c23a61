"""What the specification of 2026-05 (dahlia) does not know of the pinned version (2026-10, endive), by name, each with
the type of the SDK that has it; and what it never says."""

_BANK = frozenset({"external_account"})

PARAMETERS: dict[str, frozenset[str]] = {
    # An object here, too: stripe.params.AccountCreateExternalAccountParams and its neighbours; the document knows text.
    "/v1/accounts": _BANK,
    "/v1/accounts/{account}": _BANK,
    "/v1/accounts/{account}/external_accounts": _BANK,
}
"""path template -> parameters that are not compared."""

FIELDS: dict[str, frozenset[str]] = {
    "invoice": frozenset({"status_details"}),  # stripe.Invoice.status_details
    "subscription": frozenset({"status_details"}),  # stripe.Subscription.status_details
}
"""object -> fields that endive added."""

EVENTS = frozenset({"payment.created"})
"""Types of events that endpoints get with `*` and that the list of types for `enabled_events` has not."""
