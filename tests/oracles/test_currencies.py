"""Worked examples of currencies (section 14): how fine a document is, by ISO 4217 and by no locale."""

import pytest

from tests.builders.billing import billed
from tests.builders.orgs import unique


@pytest.mark.parametrize(
    ("case", "currency", "finest", "too_fine"),
    [("Y1-IQD", "IQD", "1.234", "1.2345"), ("Y1-MGA", "MGA", "1.23", "1.234")],
)
def test_a_document_has_the_decimals_of_its_currency(
    case: str, currency: str, finest: str, too_fine: str
) -> None:
    made = billed(currency=currency)
    body = {"organization": str(made.id), "description": "Set-up", "amount": finest, "currency": currency}
    with made.still():
        refused = made.finance.post("/v1/invoice-items", {**body, "amount": too_fine}, key=unique())
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_amount")
    assert made.finance.post("/v1/invoice-items", body, key=unique()).status_code == 201
    made.pass_months()
    made.run()
    assert made.only()["total"] == finest
