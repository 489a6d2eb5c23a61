"""Events of plans, coupons, sellers, tax rates, billing profiles to rows: the last definition of each stream wins."""

from typing import Final

from orgs.defining import DefinedTable

_LIFE: Final = {"created_at": "timestamptz", "archived_at": "timestamptz"}
PLANS: Final = DefinedTable(
    "plan",
    "plans",
    {
        "key": "text",
        "name": "text",
        "status": "text",
        "latest": "integer",
        "draft_id": "uuid",
        "published_id": "uuid",
        **_LIFE,
    },
)
PLAN_VERSIONS: Final = DefinedTable(
    "plan_version",
    "plan_versions",
    {
        "plan_id": "uuid",
        "plan_key": "text",
        "number": "integer",
        "definition": "jsonb",
        "status": "text",
        "published_at": "timestamptz",
        **_LIFE,
    },
)
COUPONS: Final = DefinedTable(
    "coupon",
    "coupons",
    {
        "code": "text",
        "code_folded": "text",
        "name": "text",
        "terms": "jsonb",
        "redeem_by": "timestamptz",
        "max_redemptions": "integer",
        **_LIFE,
    },
)
COUPON_REDEMPTIONS: Final = DefinedTable(
    "coupon_redemption",
    "coupon_redemptions",
    {
        "coupon_id": "uuid",
        "code": "text",
        "subscription_id": "uuid",
        "terms": "jsonb",
        "status": "text",
        "redeemed_at": "timestamptz",
        "ended_at": "timestamptz",
    },
)
LEGAL_ENTITIES: Final = DefinedTable(
    "legal_entity",
    "legal_entities",
    {
        "key": "text",
        "name": "text",
        "country": "text",
        "address": "jsonb",
        "vat_ids": "jsonb",
        "tax_area": "text",
        "number_pattern": "text",
        "invoice_series": "text",
        "credit_note_series": "text",
        "currency": "text",
        "is_default": "boolean",
        **_LIFE,
    },
)
BILLING_PROFILES: Final = DefinedTable(
    "billing_profile",
    "billing_profiles",
    {
        "legal_entity_id": "uuid",
        "net_days": "integer",
        "grace_hours": "integer",
        "purchase_order": "text",
        "cycle_anchor": "timestamp",
        "consolidation": "text",
        "language": "text",
        "country": "text",
        "vat_id": "text",
        "vat_answer": "text",
        "vat_checked_at": "timestamptz",
        "exemption_code": "text",
        "contact_version": "integer",
        "collection": "text",
        "created_at": "timestamptz",
    },
)

TAX_RATES: Final = DefinedTable(
    "tax_rate",
    "tax_rates",
    {
        "country": "text",
        "tax_code": "text",
        "ppm": "integer",
        "valid_from": "date",
        "valid_to": "date",
        "source": "text",
        "created_at": "timestamptz",
    },
)


def register_all() -> None:
    """This function will register the projectors of the catalog's tables."""
    tables = (
        PLANS, PLAN_VERSIONS, COUPONS, COUPON_REDEMPTIONS, LEGAL_ENTITIES, BILLING_PROFILES, TAX_RATES,
    )  # fmt: skip
    for table in tables:
        table.register("billing")
