"""How a contract's document is described in the API's schema."""

from typing import Any, Final

from billing.api.plan_schema import CHARGE_DEFINITION, INTERVAL, NAME
from billing.rules.contracts.pricing import MAX_PER, MAX_PRICES, TOOL_UNITS
from billing.rules.contracts.terms import (
    ALIGNMENTS,
    KINDS,
    MAX_FEES,
    MAX_NET_DAYS,
    MAX_REFERENCE,
    MAX_SEGMENTS,
    TIMINGS,
    UNITS,
    WINDOWS,
)
from billing.rules.plans import MAX_FEATURE, MAX_FEATURES, MAX_NAMES
from common.api.serializers import AMOUNT_PATTERN, FINE_PATTERN
from spend.api.price_serializers import COMPONENTS

JsonObject = dict[str, Any]
DAY: Final = {"type": "string", "format": "date"}


def _closed(properties: JsonObject, required: list[str], description: str) -> JsonObject:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _word(options: Any, description: str) -> JsonObject:
    return {"type": "string", "enum": list(options), "description": description}


def _text(pattern: str, description: str) -> JsonObject:
    return {"type": "string", "pattern": pattern, "description": description}


_COMMITMENT: Final = _closed(
    {
        "kind": _word(
            KINDS,
            "prepaid: invoiced when its window begins; postpaid: invoiced as it is used, and what is missing at "
            "the end; minimum: only a floor under what is billed.",
        ),
        "window": _word(WINDOWS, "Over which it is compared with use."),
        "alignment": _word(
            ALIGNMENTS, "Windows begin with the term, or with the calendar. Default anniversary."
        ),
        "true_up": {
            "type": "boolean",
            "description": "Whether a postpaid window is lifted to it. Default true.",
        },
        "rollover": {
            "type": "boolean",
            "description": "What is left stays for the next window. Default false.",
        },
        "rollover_cap": _text(AMOUNT_PATTERN, "The most that rolls over."),
        "overage": _closed(
            {
                "factor": _text(FINE_PATTERN, "What exceeds it costs its price times this. Default 1."),
                "rate": _text(FINE_PATTERN, "Or so much for each unit."),
                "unit": _word(UNITS, "What a rate counts. Default tokens."),
            },
            [],
            "A factor or a rate.",
        ),
    },
    ["kind", "window"],
    "Committed spend.",
)
_PRICE: Final = _closed(
    {
        "provider": NAME,
        "model": NAME,
        "components": COMPONENTS,
        "tool": NAME,
        "amount": _text(FINE_PATTERN, "Of a tool, for `per` units."),
        "unit": _word(TOOL_UNITS, "Default call."),
        "per": {"type": "integer", "minimum": 1, "maximum": MAX_PER, "description": "Default 1."},
        "markup_percent": _text(FINE_PATTERN, "On the book's prices that have none of their own."),
        "plan": {**NAME, "description": "Key of a plan, of which a charge has another price."},
        "charge": {**NAME, "description": "Key of the charge."},
        "price": {
            **CHARGE_DEFINITION,
            "description": "Instead of the plan's, for periods that begin while it holds.",
        },
        "included": _text(
            FINE_PATTERN, "Units of a period that are not billed. Default: as the plan has it."
        ),
        "from": {**DAY, "description": "Default: the start of the term."},
        "to": {**DAY, "description": "The first day that it does not hold. Default: the end of the term."},
    },
    [],
    "The price of a model (provider, model, components), of a tool (tool, amount), of a plan's charge (plan, charge, "
    "price), or a markup.",
)
_FEE: Final = _closed(
    {
        "key": NAME,
        "name": NAME,
        "amount": _text(AMOUNT_PATTERN, "For a whole interval."),
        "interval": INTERVAL,
        "timing": _word(TIMINGS, "Default advance."),
        "discountable": {"type": "boolean", "description": "Whether coupons lower it. Default false."},
        "tax_code": {**NAME, "description": "Default standard."},
    },
    ["key", "name", "amount", "interval"],
    "A fixed fee.",
)
DEFINITION: Final = _closed(
    {
        "name": NAME,
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "The organization's own."},
        "purchase_order": {"type": ["string", "null"], "maxLength": MAX_REFERENCE},
        "net_days": {"type": "integer", "minimum": 0, "maximum": MAX_NET_DAYS, "description": "Default 30."},
        "term": _closed(
            {"start": DAY, "end": DAY}, ["start", "end"], "[start, end) in days of the customer."
        ),
        "commitment": {"anyOf": [_COMMITMENT, {"type": "null"}]},
        "ramp": {
            "type": "array",
            "maxItems": MAX_SEGMENTS,
            "description": "From each day on so much is committed for each window, or for the segment.",
            "items": _closed(
                {"from": DAY, "amount": _text(AMOUNT_PATTERN, "At the currency's precision.")},
                ["from", "amount"],
                "A segment.",
            ),
        },
        "prices": {"type": "array", "maxItems": MAX_PRICES, "items": _PRICE},
        "fees": {"type": "array", "maxItems": MAX_FEES, "items": _FEE},
        "features": {
            "type": "object",
            "maxProperties": MAX_FEATURES,
            "description": "What the customer is entitled to, whatever plans give; null: without limit.",
            "additionalProperties": {
                "anyOf": [
                    {"type": "boolean"},
                    {"type": "integer", "minimum": 0, "maximum": MAX_FEATURE},
                    NAME,
                    {"type": "array", "items": NAME, "maxItems": MAX_NAMES},
                    {"type": "null"},
                ]
            },
        },
    },
    ["name", "currency", "term"],
    "What a contract says.",
)
