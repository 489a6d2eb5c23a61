"""Worked examples of currencies (section 14): how fine a document is, by ISO 4217 and by no locale, and what the
processor charges for it by a table of its own."""

import pytest

from tests.builders.billing import billed, item, owe
from tests.builders.gate import units
from tests.builders.orgs import unique
from tests.builders.paying import paying
from tests.builders.stripe import Simulator


@pytest.mark.parametrize(
    ("currency", "finest", "too_fine"),
    [("IQD", "1.234", "1.2345"), ("MGA", "1.23", "1.234")],
    ids=["Y1-IQD", "Y1-MGA"],
)
def test_a_document_has_the_decimals_of_its_currency(currency: str, finest: str, too_fine: str) -> None:
    made = billed(currency=currency)
    body = {"organization": str(made.id), "description": "Set-up", "amount": finest, "currency": currency}
    with made.still():
        refused = made.finance.post("/v1/invoice-items", {**body, "amount": too_fine}, key=unique())
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_amount")
    assert made.finance.post("/v1/invoice-items", body, key=unique()).status_code == 201
    made.pass_months()
    made.run()
    assert made.lines(made.only()["id"])[0]["amount"] == finest


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("MGA", "1500.00", 1_500), ("UGX", "36000", 3_600_000), ("ISK", "500", 50_000)],
    ids=["Y2-MGA", "Y2-UGX", "Y2-ISK"],
)
def test_an_amount_is_the_processors_only_at_the_processor(
    currency: str, amount: str, minor: int, stripe_simulator: Simulator
) -> None:
    made = paying(stripe_simulator, currency=currency)
    owe(made.id, item(currency=currency, amount=units(amount)))
    made.made.run()
    made.made.act(made.made.only()["id"], "finalize")
    made.send()
    invoice = made.made.only()
    assert (invoice["status"], invoice["paid"], made.charged()) == ("paid", amount, [minor])


@pytest.mark.parametrize(
    ("currency", "amount", "total", "rounding"),
    [
        ("BHD", "1.234", "1.230", "-0.004"),
        ("JOD", "1.234", "1.230", "-0.004"),
        ("KWD", "1.234", "1.230", "-0.004"),
        ("OMR", "1.234", "1.230", "-0.004"),
        ("TND", "1.234", "1.230", "-0.004"),
        ("EUR", "1.23", "1.23", None),
    ],
    ids=["Y4-BHD", "Y4-JOD", "Y4-KWD", "Y4-OMR", "Y4-TND", "two decimals"],
)
def test_a_line_brings_a_total_to_a_multiple_of_ten(
    currency: str, amount: str, total: str, rounding: str | None
) -> None:
    made = billed(currency=currency)
    owe(made.id, item(currency=currency, amount=units(amount)))
    made.run()
    invoice = made.only()
    added = [line["net"] for line in made.lines(invoice["id"]) if line["kind"] == "rounding"]
    assert (invoice["total"], added) == (total, [] if rounding is None else [rounding])
    made.assert_sound()
