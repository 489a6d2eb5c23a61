"""How a plan's document is described in the API's schema."""

from typing import Any, Final

from billing.rules.charges.definition import FAMILIES
from billing.rules.periods import INTERVAL_UNITS
from billing.rules.plans import (
    CHANGES,
    FUNDINGS,
    KINDS,
    MAX_CHARGES,
    MAX_CREDITS,
    MAX_CURRENCIES,
    MAX_FEATURES,
    MAX_GRACE_HOURS,
    MAX_NAMES,
    MAX_NET_DAYS,
    MAX_PRIORITY,
    MAX_TRIAL_DAYS,
    PRORATIONS,
    SOURCES,
    TIMINGS,
)
from billing.rules.recognition import METHODS
from common.api.serializers import AMOUNT_PATTERN, FINE_PATTERN
from common.fields import MAX_NAME

JsonObject = dict[str, Any]


def _text(pattern: str, description: str) -> JsonObject:
    return {"type": "string", "pattern": pattern, "description": description}


def _word(options: Any, default: str, description: str = "") -> JsonObject:
    return {
        "type": "string",
        "enum": list(options),
        "description": " ".join(
            part for part in (description, f"Default {default}." if default else "") if part
        ),
    }


def _whole(maximum: int, default: int, minimum: int = 0) -> JsonObject:
    return {"type": "integer", "minimum": minimum, "maximum": maximum, "description": f"Default {default}."}


def _closed(properties: JsonObject, required: list[str], description: str = "") -> JsonObject:
    found: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return found | ({"description": description} if description else {})


NAME: Final = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
INTERVAL: Final = _closed(
    {"unit": _word(INTERVAL_UNITS, ""), "count": {"type": "integer", "minimum": 1, "maximum": 52}}, ["unit"]
)
_TIER: Final = _closed(
    {
        "up_to": {
            "type": ["string", "null"],
            "description": "The last unit of the tier; null in the last one.",
        },
        "unit_price": _text(FINE_PATTERN, "Of a unit in this tier."),
        "rate": _text(FINE_PATTERN, "Percent (graduated_percentage)."),
        "flat": _text(AMOUNT_PATTERN, "When the tier is entered."),
        "size": _text(FINE_PATTERN, "Units of a block (blocks)."),
        "price": _text(FINE_PATTERN, "Of a block."),
        "blocks": {"type": ["string", "null"], "description": "How many blocks the tier has."},
    },
    [],
)
_MODEL_PRICES: Final = _closed(
    {
        "models": {"type": "string", "description": "A model's name, a prefix with a * at its end, or *."},
        "per": _text(FINE_PATTERN, "For so many tokens. Default 1000000."),
        "components": {"type": "object", "additionalProperties": _text(FINE_PATTERN, "Of a component.")},
    },
    ["models", "components"],
)
CHARGE_DEFINITION: Final = _closed(
    {
        "model": _word(FAMILIES, "", "How the price is worked out; each model has fields of its own."),
        "amount": _text(AMOUNT_PATTERN, "flat: the fee of a period."),
        "unit_price": _text(FINE_PATTERN, "per_unit: of each `per` units."),
        "per": _text(FINE_PATTERN, "per_unit: default 1."),
        "tiers": {
            "type": "array",
            "items": _TIER,
            "description": "graduated, volume, blocks, graduated_percentage.",
        },
        "mode": _word(("all_tiers", "top_tier"), "all_tiers", "blocks."),
        "size": _text(FINE_PATTERN, "package: units of one."),
        "price": _text(AMOUNT_PATTERN, "package: of one, begun ones are whole."),
        "rate": _text(FINE_PATTERN, "percentage: percent of each event's amount; if metered, of the sum."),
        "fixed": _text(AMOUNT_PATTERN, "percentage: per event."),
        "event_minimum": _text(AMOUNT_PATTERN, "percentage: least per event."),
        "event_maximum": _text(AMOUNT_PATTERN, "percentage: most per event."),
        "free_volume": _text(AMOUNT_PATTERN, "percentage: the first so much of a period costs nothing."),
        "free_events": {"type": "integer", "minimum": 0, "description": "percentage."},
        "multiplier": _text(FINE_PATTERN, "dynamic: times the cost that came with the usage."),
        "prices": {
            "type": "array",
            "items": _MODEL_PRICES,
            "description": "tokens: per model and component.",
        },
        "usage_discount": _text(FINE_PATTERN, "Units that are taken off before everything else."),
        "flat_fee_at_zero": {
            "type": "boolean",
            "description": "Charge the first tier's flat fee without use.",
        },
        "discount_percent": _text(FINE_PATTERN, "Off the price, before coupons."),
        "minimum": _text(AMOUNT_PATTERN, "Least of a period."),
        "maximum": _text(AMOUNT_PATTERN, "Most of a period."),
    },
    ["model"],
)
_CHARGE: Final = _closed(
    {
        "key": NAME,
        "name": NAME,
        "kind": _word(KINDS, ""),
        "timing": _word(TIMINGS, "", "Default advance; of a metered charge arrears."),
        "addon": {"type": "boolean", "description": "Only for who chooses it. Default false."},
        "included": _text(FINE_PATTERN, "Units of a period that cost nothing (licensed, metered)."),
        "meter": {"type": ["string", "null"], "description": "Key of the meter (metered only)."},
        "group_by": {"type": "array", "items": {"type": "string"}, "description": "metered only."},
        "discountable": {"type": "boolean", "description": "Whether coupons lower it. Default true."},
        "tax_code": {"type": "string", "description": "Default standard."},
        "prices": {
            "type": "object",
            "description": "One for each of the plan's currencies.",
            "additionalProperties": CHARGE_DEFINITION,
        },
    },
    ["key", "name", "kind", "prices"],
)
_CREDIT: Final = _closed(
    {
        "amounts": {
            "type": "object",
            "description": "One for each of the plan's currencies.",
            "additionalProperties": _text(AMOUNT_PATTERN, "Credit each time."),
        },
        "every": {**INTERVAL, "description": "A whole number of these makes the plan's period, the default."},
        "source": _word(SOURCES, "allowance"),
        "rollover": {"type": "boolean", "description": "Whether what is left stays. Default false."},
        "priority": _whole(MAX_PRIORITY, 0, -MAX_PRIORITY),
    },
    ["amounts"],
)
FEATURES: Final = {
    "type": "object",
    "maxProperties": MAX_FEATURES,
    "description": "What a subscriber is entitled to; null: without limit.",
    "additionalProperties": {
        "type": ["boolean", "integer", "string", "array", "null"],
        "items": {"type": "string"},
        "maxItems": MAX_NAMES,
    },
    "examples": [{"max_agents": 10, "sso": True}],
}
PLAN_DEFINITION: Final = _closed(
    {
        "name": NAME,
        "interval": INTERVAL,
        "currencies": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_CURRENCIES,
            "items": {"type": "string", "pattern": "^[A-Z]{3}$"},
        },
        "trial_days": _whole(MAX_TRIAL_DAYS, 0),
        "proration": _word(PRORATIONS, "per_second"),
        "recognition": _word(METHODS, "per_second", "How a fee is revenue over its service."),
        "upgrade": _word(CHANGES, "prorate"),
        "downgrade": _word(CHANGES, "next_period"),
        "charges": {"type": "array", "maxItems": MAX_CHARGES, "items": _CHARGE},
        "credits": {"type": "array", "maxItems": MAX_CREDITS, "items": _CREDIT},
        "funding": _word(
            FUNDINGS,
            "organization",
            "What happens when the credit is used up: as the organization has it; the gate stops; the rest is "
            "invoiced, up to the credit limit.",
        ),
        "credit_limit": {
            "type": ["object", "null"],
            "description": "Only with credit_then_invoice: what an organization may owe that has no line of its own. "
            "One for each of the plan's currencies.",
            "additionalProperties": _text(AMOUNT_PATTERN, "The most that is used and on no invoice yet."),
        },
        "features": FEATURES,
        "credit_blocked_time": {
            "type": "boolean",
            "description": "Credit time in which service was blocked.",
        },
        "grace_hours": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": MAX_GRACE_HOURS,
            "description": "From draft to final invoice. Null: as the customer's billing profile says.",
        },
        "net_days": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": MAX_NET_DAYS,
            "description": "From invoice to due. Null: as the customer's billing profile says.",
        },
    },
    ["name", "interval", "currencies"],
    "What a version of a plan sells. Answers state everything, defaults included.",
)
QUANTITIES: Final = {
    "type": "object",
    "description": (
        "By charge: a quantity; for percentages also the amounts of the events, for token prices models, components "
        "and quantities."
    ),
    "additionalProperties": {
        "anyOf": [
            _text(FINE_PATTERN, "A quantity."),
            {"type": "array", "items": _text(FINE_PATTERN, "The amount of an event.")},
            {
                "type": "array",
                "items": _closed(
                    {
                        "model": {"type": "string"},
                        "component": {"type": "string"},
                        "quantity": _text(FINE_PATTERN, "Tokens."),
                    },
                    ["model", "component", "quantity"],
                ),
            },
        ]
    },
    "examples": [{"seats": "12", "api_calls": "250000"}],
}
_STEP: Final = _closed(
    {
        "name": {"type": "string"},
        "words": {"type": "string", "description": "The step with its numbers."},
        "values": {"type": "object", "additionalProperties": {"type": "string"}},
        "result": {"type": "string"},
    },
    ["name", "words", "values", "result"],
)
PRICED_LINE: Final = _closed(
    {
        "model": {"type": "string"},
        "quantity": {"type": "string"},
        "billable": {"type": "string"},
        "tiers": {
            "type": "array",
            "items": _closed(
                {
                    "number": {"type": "integer"},
                    "to": {"type": ["string", "null"]},
                    **{
                        name: {"type": "string"}
                        for name in ("from", "quantity", "unit_price", "flat", "amount")
                    },
                },
                ["number", "from", "to", "quantity", "unit_price", "flat", "amount"],
            ),
        },
        "steps": {"type": "array", "items": _STEP},
        "exact": {"type": "string"},
        "amount": {"type": "string"},
        "adjustments": {
            "type": "array",
            "items": _closed(
                {name: {"type": "string"} for name in ("kind", "exact", "amount")},
                ["kind", "exact", "amount"],
            ),
        },
        "net": {"type": "string"},
    },
    ["model", "quantity", "billable", "tiers", "steps", "exact", "amount", "adjustments", "net"],
    "How the amount comes about.",
)
