"""A contract over three years with a ramp, from its draft to its end, as docs/contracts.md tells it (S77)."""

from datetime import date, timedelta

from billing.queries.contracts import contract_features, invoicing_terms
from tests.builders.books import balances
from tests.builders.contracts import (
    PATH,
    acted,
    drafted,
    figures,
    make_postpaid,
    owed,
    owner,
    receipts,
    run_contracts,
    use,
)
from tests.builders.gate import units
from tests.builders.orgs import write
from tests.builders.subscriptions import move_clock, now_of

WINDOW = ("committed", "drawn", "overage", "surcharge", "true_up")


def same_day(start: date, years: int) -> str:
    day = 28 if (start.month, start.day) == (2, 29) else start.day
    return str(start.replace(year=start.year + years, day=day))


def test_three_years_of_a_ramp() -> None:
    customer = make_postpaid()
    start = now_of(customer.id).date()
    ramp = [
        {"from": same_day(start, years), "amount": amount}
        for years, amount in enumerate(("120000", "180000", "240000"))
    ]
    made = acted(
        drafted(
            customer.id,
            name="Acme enterprise",
            purchase_order="PO-2041",
            net_days=45,
            term={"start": str(start), "end": same_day(start, 3)},
            commitment={"kind": "postpaid", "window": "segment", "overage": {"factor": "1.25"}},
            ramp=ramp,
            fees=[
                {"key": "support", "name": "Premium support", "amount": "6000", "interval": {"unit": "year"}}
            ],
            features={"sso": True, "max_agents": None},
        ),
        "activate",
    )
    assert owed(customer.id) == [("recurring", "6000.00")]

    # the first year stays below, the second goes beyond, the third meets it
    for amounts in (("50000", "45000.505"), ("100000", "95000"), ("240000",)):
        for amount in amounts:
            use(customer, amount)
        boundary = owner(customer.id).get(f"{PATH}/{made['id']}/drawdown").json()["windows"][-1]["end"]
        end = date.fromisoformat(boundary[:10])
        move_clock(customer.id, end - now_of(customer.id).date())
        run_contracts(customer.id)
    move_clock(customer.id, timedelta(days=4))
    run_contracts(customer.id)

    assert figures(customer.id, made, *WINDOW) == [
        ("120000", "95000.505", "0", "0", "24999.49"),
        ("180000", "180000", "15000", "3750", "0"),
        ("240000", "240000", "0", "0", "0"),
    ]
    assert [kind for kind, _ in owed(customer.id)].count("recurring") == 3
    assert ("true_up", "24999.49") in owed(customer.id)  # 120,000 less the rounded 95,000.51
    assert ("overage", "3750.00") in owed(customer.id)
    # no unit twice, none lost
    assert sum(receipts(customer.id).values()) == units("530000.505")
    assert receipts(customer.id)["postpaid"] == units("15000")
    shown = owner(customer.id).get(f"{PATH}/{made['id']}").json()
    assert (shown["status"], shown["next_at"], shown["purchase_order"]) == ("ended", None, "PO-2041")
    assert "customer_credit" not in balances(customer.id)


def test_what_invoices_and_entitlements_ask_of_it() -> None:
    customer = make_postpaid()
    now = now_of(customer.id)
    made = acted(drafted(customer.id, purchase_order="PO-1", net_days=60, features={"sso": True}), "activate")
    found = write(lambda cur: invoicing_terms(cur, organization=customer.id, at=now))
    assert found is not None
    assert (str(found.contract), found.purchase_order, found.net_days) == (made["id"], "PO-1", 60)
    (override,) = write(lambda cur: contract_features(cur, organization=customer.id, at=now))
    assert (override.feature, override.value, override.source) == ("sso", True, f"contract:{made['id']}@1")
    shown = owner(customer.id).get("/v1/entitlements").json()["features"]["sso"]
    assert shown == {"value": True, "source": override.source, "gate": False}
    acted(made, "terminate", {})
    later = now_of(customer.id)
    assert write(lambda cur: invoicing_terms(cur, organization=customer.id, at=later)) is None
    assert write(lambda cur: contract_features(cur, organization=customer.id, at=later)) == []
