"""A record's cost and charge, split over its tools to the last unit."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spend.rules.shares import Share, tool_shares

AMOUNTS = st.integers(0, 10**15)
PRICES = st.integers(0, 10**12).map(lambda pico: f"{pico // 10**12}.{pico % 10**12:012d}")
LINES = st.lists(
    st.tuples(st.sampled_from(["input", "output", "tool:a", "tool:b"]), st.just("1"), PRICES, st.just("USD"))
)


class TestARecordWithoutTools:
    def test_belongs_to_its_own_tool_or_to_none(self) -> None:
        assert tool_shares(None, cost=5, charge=7, tool="search") == {"search": Share(1, 5, 7)}
        assert tool_shares({"lines": [["input", "1", "0.1", "USD"]]}, cost=5, charge=7, tool=None) == {
            "": Share(1, 5, 7)
        }


class TestARecordWithTools:
    def test_gives_each_tool_its_lines_and_the_rest_to_the_model(self) -> None:
        detail = {
            "lines": [["input", "100", "0.03", "USD"], ["tool:search", "2", "0.02", "USD"]],
            "tools": {"search": 2},
        }
        shares = tool_shares(detail, cost=5_000_000, charge=5_000_000, tool=None)
        assert shares == {"search": Share(2, 2_000_000, 2_000_000), "": Share(0, 3_000_000, 3_000_000)}

    def test_weighs_charges_by_own_prices_and_markup(self) -> None:
        detail = {
            "lines": [["input", "1", "1", "USD"], ["tool:a", "1", "1", "USD"]],
            "own_lines": [["tool:a", "1", "3", "USD"]],
            "markup_ppm": 1_000_000,
            "tools": {"a": 1},
        }
        shares = tool_shares(detail, cost=200, charge=500, tool=None)
        assert shares == {"a": Share(1, 100, 300), "": Share(0, 100, 200)}

    def test_counts_free_tools_too(self) -> None:
        assert tool_shares({"tools": {"a": 3}}, cost=0, charge=0, tool=None) == {"a": Share(3, 0, 0)}

    @given(LINES, AMOUNTS, AMOUNTS, st.integers(0, 10**6), st.sampled_from([None, "a", "c"]))
    def test_never_loses_a_unit(self, lines: Any, cost: int, charge: int, ppm: int, tool: str | None) -> None:
        detail = {"lines": lines, "markup_ppm": ppm, "tools": {"a": 1, "b": 2}}
        shares = tool_shares(detail, cost=cost, charge=charge, tool=tool)
        assert (sum(s.cost for s in shares.values()), sum(s.charge for s in shares.values())) == (
            cost,
            charge,
        )
