"""What an invoice item may say, and how it stands in an event."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from billing.rules.items import NewItem, items_event_data

DUE = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
CENT = 1_000_000


def item(**given: Any) -> NewItem:
    values: dict[str, Any] = {
        "kind": "recurring", "description": "Advanced", "currency": "USD", "amount": 4_900 * CENT, "due_at": DUE,
    }  # fmt: skip
    return NewItem(**{**values, **given})


class TestItems:
    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"kind": "gift"}, "no such kind"),
            ({"recognition": "never"}, "no such recognition"),
            ({"description": " "}, "no description"),
            ({"amount": CENT // 2}, "whole units of the currency"),
            ({"amount": 1.0}, "whole units of the currency"),
            ({"currency": "JPY", "amount": 50 * CENT}, "whole units of the currency"),
            ({"amount": 2**63}, "out of range"),
            ({"service_start": DUE}, "both ends"),
            ({"service_start": DUE, "service_end": DUE}, "ends after it starts"),
            ({"recognition": "straight"}, "straight over no period"),
            ({"included": -1}, "included credit is below zero"),
        ],
    )
    def test_one_that_contradicts_itself_is_not_made(self, given: dict[str, Any], reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            item(**given)

    def test_a_credit_and_a_currency_without_decimals_are_made(self) -> None:
        assert item(amount=-CENT).amount == -CENT
        assert item(currency="JPY", amount=100 * CENT).currency == "JPY"
        assert item(currency="KWD", amount=CENT // 10).amount == 100_000

    def test_each_has_an_id_of_its_own_and_stands_whole_in_the_event(self) -> None:
        first = item(quantity=Fraction(5, 31), service_start=DUE, service_end=END, recognition="straight")
        data, other = items_event_data([first, item()])
        assert data["item"] == str(first.id) != other["item"]
        assert (data["quantity"], data["service_end"], data["due_at"]) == (
            "5/31", "2026-04-01T00:00:00Z", "2026-03-01T00:00:00Z",
        )  # fmt: skip
        assert (other["quantity"], other["service_start"], other["credits"]) == (None, None, None)
