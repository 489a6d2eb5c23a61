"""Worked examples of progressive billing (section 7, M12 to M16), in minor units of USD: through thresholds, tokens at
their price, the billing run and the invoices as the customer reads them."""

from typing import Any

import pytest

from tests.builders.progressive import March, cents, progressive, stated

M12: dict[str, Any] = {"thresholds": ["200", "500"]}
M16: dict[str, Any] = {"thresholds": ["2", "5", "7"], "recurring_threshold": "10"}


@pytest.mark.parametrize(("case", "end"), [("M12", (43_100, 20_000, 23_100))])
def test_a_threshold_invoices_and_the_end_credits_it(case: str, end: tuple[int, int, int]) -> None:
    march = March(progressive(**M12))
    march.go_to(5.5)
    assert march.use(1_000_000) == 20_000
    march.go_to(15.5)
    assert march.use(1_000_000) is None
    last = march.end()
    assert (stated(last), cents(last["total"]), cents(last["due"])) == (end, end[2], end[2])
    march.made.assert_sound()


@pytest.mark.parametrize(("case", "end"), [("M15", (21_700, 20_000, 1_700))])
def test_an_upgrade_ends_the_period_early(case: str, end: tuple[int, int, int]) -> None:
    """Convention per_day: 17 of 31 days were the old plan's, the day of the change is the new one's."""
    march = March(progressive(**M12))
    march.go_to(15.5)
    assert march.use(1_000_000) == 20_000
    march.go_to(17.5)
    march.upgrade()
    last = march.made.invoices()[-1]
    assert (stated(last), cents(last["total"]), last["cause"]) == (end, end[2], "items")
    march.made.assert_sound()


@pytest.mark.parametrize(
    ("case", "invoices", "end"),
    [("M16", [220, None, 440, 220, 2200, 2200], {"credit": 5_280, "due": 3_100})],
)
def test_recurring_thresholds_count_on_from_the_last_fixed_one(
    case: str, invoices: list[int | None], end: dict[str, Any]
) -> None:
    march = March(progressive(**M16))
    march.go_to(2.5)
    uses = [11_000] * 4 + [110_000] * 2
    assert [march.use(tokens) for tokens in uses] == invoices
    last = march.end()
    assert stated(last) == (end["due"] + end["credit"], end["credit"], end["due"])
    assert cents(last["total"]) == end["due"]
    march.made.assert_sound()
