"""Plans' documents at random: what is read and written back is the same, and no document breaks the reader."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.rules.plans import PlanTerms, parse_plan, write_plan
from billing.rules.plantexts import charge_texts, credit_texts
from billing.rules.previews import preview_period
from common.errors import ProblemError
from common.money import format_amount, format_price

CURRENCIES = ("USD", "EUR", "JPY")
cents = st.integers(0, 10**6).map(lambda units: format_amount(units * 10**8))
prices = st.integers(0, 10**15).map(format_price)
names = st.sampled_from(("Plan", "Größe", "x" * 100))


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A document that is right."""
    currencies = draw(st.lists(st.sampled_from(CURRENCIES), min_size=1, unique=True))
    kinds = draw(st.lists(st.sampled_from(("recurring", "licensed", "metered", "one_time")), max_size=5))
    unit = draw(st.sampled_from(("week", "month", "quarter", "year")))
    return {
        "name": draw(names),
        "interval": {"unit": unit, "count": draw(st.integers(1, 5))},
        "currencies": currencies,
        "charges": [draw(charges(f"charge-{n}", kind, currencies)) for n, kind in enumerate(kinds)],
        "credits": [{"amounts": dict.fromkeys(currencies, "5"), "rollover": draw(st.booleans())}],
        "features": draw(
            st.dictionaries(
                st.sampled_from(("max_agents", "sso", "support")),
                st.one_of(st.none(), st.booleans(), st.integers(0, 10**12), st.just("mail")),
            )
        ),
    }


@st.composite
def charges(draw: st.DrawFn, key: str, kind: str, currencies: list[str]) -> dict[str, Any]:
    """A charge that is right."""
    if kind in ("recurring", "one_time"):
        price = {name: {"model": "flat", "amount": draw(cents)} for name in currencies}
        return {"key": key, "name": "Fee", "kind": kind, "prices": price, "addon": draw(st.booleans())}
    tiers = [{"up_to": "10", "unit_price": draw(prices)}, {"up_to": None, "unit_price": draw(prices)}]
    price = {name: {"model": "graduated", "tiers": tiers} for name in currencies}
    rest = {"meter": "calls"} if kind == "metered" else {}
    included = draw(prices)
    return {"key": key, "name": "Use", "kind": kind, "prices": price, "included": included, **rest}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(plans())
def test_what_is_written_is_read_as_the_same_terms(document: dict[str, Any]) -> None:
    terms = parse_plan(document)
    written = write_plan(terms)
    assert parse_plan(written) == terms
    assert write_plan(parse_plan(written)) == written


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(plans())
def test_every_plan_can_be_shown_and_priced(document: dict[str, Any]) -> None:
    terms = parse_plan(document)
    assert len(charge_texts(terms)) == len(terms.charges) * len(terms.currencies)
    assert len(credit_texts(terms)) == len(terms.credits) * len(terms.currencies)
    for currency in terms.currencies:
        preview = preview_period(terms, {}, currency=currency, first=True)
        assert preview.total == sum(line.units for line in preview.lines) >= 0


words = st.sampled_from(("", "a", "USD", "1e3", "-1", "1.5", "flat", "a\u202eb", "/~", "x" * 200))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(plans(), st.data())
def test_nothing_but_a_problem_comes_of_a_broken_document(
    document: dict[str, Any], data: st.DataObject
) -> None:
    place: Any = document
    while isinstance(place, dict | list) and place and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key]:
            break
        place = place[key]
    if place:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[key] = data.draw(JSON)
    found = read(document)
    if isinstance(found, ProblemError):
        assert found.errors
        assert all(wrong.pointer.startswith("/") for wrong in found.errors)
    else:
        assert parse_plan(write_plan(found)) == found


def read(document: dict[str, Any]) -> PlanTerms | ProblemError:
    """What the reader makes of a document."""
    try:
        return parse_plan(document)
    except ProblemError as error:
        return error
