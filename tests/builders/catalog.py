"""Plans and what else is sold, made by the operations and through the API."""

from copy import deepcopy
from typing import Any

from billing.operations.coupons import NewCoupon, create_coupon
from billing.operations.plans import create_plan, draft_version, publish_version
from billing.operations.sellers import change_legal_entity, create_legal_entity
from billing.rules.catalog import PlanVersion
from billing.rules.couponterms import CouponRow, parse_terms
from billing.rules.plans import PlanTerms, parse_plan
from billing.rules.sellers import EntityTerms, LegalEntity
from orgs import PLATFORM_ID
from tests.builders.metering import ensure_meter
from tests.builders.orgs import AUTHOR, events_of, unique, write

FLAT: dict[str, Any] = {
    "key": "base",
    "name": "Base fee",
    "kind": "recurring",
    "prices": {"USD": {"model": "flat", "amount": "49"}},
}
DEFINITION: dict[str, Any] = {
    "name": "Advanced",
    "interval": {"unit": "month", "count": 1},
    "currencies": ["USD"],
    "charges": [FLAT],
    "credits": [{"amounts": {"USD": "20"}}],
    "features": {"max_agents": 10, "sso": True},
}


def definition(**given: Any) -> dict[str, Any]:
    """A plan's document, with other members where given."""
    return {**deepcopy(DEFINITION), **given}


def make_draft(key: str | None = None, **given: Any) -> PlanVersion:
    """A plan with its first draft."""
    terms = parse_plan(definition(**given))
    return write(lambda cur: create_plan(cur, key=key or unique("plan"), terms=terms, author=AUTHOR)).version


def publish(plan: str, number: int, terms: PlanTerms) -> PlanVersion:
    """Put a version on sale; meters that it names and nobody made are made."""
    for charge in terms.charges:
        if charge.meter:
            ensure_meter(charge.meter, charge.group_by)
    return write(lambda cur: publish_version(cur, plan=plan, number=number, author=AUTHOR)).version


def make_plan(key: str | None = None, **given: Any) -> PlanVersion:
    """A plan with a published version."""
    draft = make_draft(key, **given)
    return publish(draft.plan_key, 1, draft.terms)


def make_version(key: str, **given: Any) -> PlanVersion:
    """The next version of a plan, published."""
    terms = parse_plan(definition(**given))
    draft = write(lambda cur: draft_version(cur, plan=key, terms=terms, author=AUTHOR)).version
    return publish(key, draft.number, terms)


def catalog_events() -> list[tuple[Any, ...]]:
    """The platform's events but for those of its keys, which tests make as they go."""
    return [row for row in events_of(PLATFORM_ID) if not row[0].startswith("api_key.")]


def make_coupon(code: str | None = None, **given: Any) -> CouponRow:
    """A coupon of 20 % once, with other terms where given; `redeem_by` and `max_redemptions` when given."""
    rest = {name: given.pop(name) for name in ("redeem_by", "max_redemptions") if name in given}
    terms = parse_terms(given or {"percent": "20"})
    new = NewCoupon(code or unique("coupon"), "Welcome", terms, **rest)
    return write(lambda cur: create_coupon(cur, new, author=AUTHOR))


def make_entity(key: str | None = None, *, is_default: bool = False, **given: Any) -> LegalEntity:
    """A legal entity in Germany, with other terms where given; the default one when asked for."""
    terms = EntityTerms(**{"name": "Counterfoil GmbH", "country": "DE", "currency": "EUR", **given})
    name = key or unique("entity")
    made = write(lambda cur: create_legal_entity(cur, key=name, terms=terms, author=AUTHOR))
    if is_default and not made.is_default:
        made = write(
            lambda cur: change_legal_entity(cur, entity=name, changes={}, is_default=True, author=AUTHOR)
        )
    return made
