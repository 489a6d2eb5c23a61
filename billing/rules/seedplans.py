"""The four plans that an installation may begin with: Free 0, Individual 9, Advanced 49, Enterprise 1,999 USD a month.

Their features are explained in docs/plans.md. Each is an ordinary plan: whoever sells something else archives them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

_MONTH: Final = {"unit": "month", "count": 1}


def _plan(
    name: str, fee: str, credit: str, features: dict[str, Any], *seats: dict[str, Any], **given: Any
) -> dict[str, Any]:
    base = {
        "key": "base",
        "name": f"{name} plan",
        "kind": "recurring",
        "prices": {"USD": {"model": "flat", "amount": fee}},
    }
    return {
        "name": name,
        "interval": _MONTH,
        "currencies": ["USD"],
        "charges": [base, *seats],
        "credits": [{"amounts": {"USD": credit}, "every": _MONTH, "source": "allowance"}],
        "features": features,
        **given,
    }


def _seats(included: str, price: str) -> dict[str, Any]:
    return {
        "key": "seats",
        "name": "Seats",
        "kind": "licensed",
        "included": included,
        "prices": {"USD": {"model": "per_unit", "unit_price": price}},
    }


SEED_PLANS: Final[Mapping[str, dict[str, Any]]] = MappingProxyType(
    {
        "free": _plan(
            "Free",
            "0",
            "1",
            {"max_agents": 2, "max_members": 1, "history_days": 7, "sso": False, "support": "community"},
        ),
        "individual": _plan(
            "Individual",
            "9",
            "5",
            {"max_agents": 5, "max_members": 1, "history_days": 30, "sso": False, "support": "mail"},
            trial_days=14,
        ),
        "advanced": _plan(
            "Advanced",
            "49",
            "30",
            {"max_agents": 25, "max_members": 10, "history_days": 90, "sso": False, "support": "mail"},
            _seats("3", "9"),
            trial_days=14,
        ),
        "enterprise": _plan(
            "Enterprise",
            "1999",
            "1000",
            {"max_agents": None, "max_members": None, "history_days": 400, "sso": True, "support": "phone"},
            _seats("25", "29"),
            net_days=30,
            grace_hours=24,
        ),
    }
)
