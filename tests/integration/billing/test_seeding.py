"""The plans that an installation may begin with: four, published, and never made twice."""

import io

from django.core.management import call_command

from billing.operations.seeding import seed_plans, seed_seller
from billing.queries.plans import find_plan, version_on_sale
from billing.queries.sellers import default_legal_entity
from tests.builders.catalog import catalog_events
from tests.builders.orgs import AUTHOR, platform, write


def said() -> str:
    output = io.StringIO()
    call_command("seed_plans", stdout=output)
    return output.getvalue()


def test_are_made_once_and_cost_what_they_should(private_database: str) -> None:
    assert said() == "Made: free, individual, advanced, enterprise.\n"
    before = catalog_events()
    assert said() == "All of them are there.\n"
    assert write(lambda cur: seed_plans(cur, author=AUTHOR)) == []
    assert catalog_events() == before
    who = platform()
    totals = {
        key: who.post(f"/v1/plans/{key}/price-preview", {"currency": "USD"}).json()["total"]
        for key in ("free", "individual", "advanced", "enterprise")
    }
    assert totals == {"free": "0.00", "individual": "9.00", "advanced": "49.00", "enterprise": "1999.00"}


def test_include_less_credit_than_they_cost_but_for_the_free_one(private_database: str) -> None:
    write(lambda cur: seed_plans(cur, author=AUTHOR))
    for key, credit in (("free", 1), ("individual", 5), ("advanced", 30), ("enterprise", 1000)):
        version = write(lambda cur, key=key: version_on_sale(cur, find_plan(cur, key)))
        assert version is not None
        assert [each.amounts for each in version.terms.credits] == [{"USD": credit * 10**8}]


def test_come_with_a_seller_only_where_there_is_none(private_database: str) -> None:
    assert write(lambda cur: seed_seller(cur, author=AUTHOR)) is True
    entity = write(default_legal_entity)
    assert entity is not None
    assert (entity.key, entity.terms.currency) == ("demo", "USD")
    assert write(lambda cur: seed_seller(cur, author=AUTHOR)) is False
