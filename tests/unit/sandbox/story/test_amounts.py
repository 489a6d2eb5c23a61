"""The story's own money: text to integers and back, without floats."""

import pytest

from sandbox.story.amounts import money, plain, units


class TestUnits:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0", 0),
            ("2", 200_000_000),
            ("0.00000001", 1),
            ("1.97718", 197_718_000),
            ("-0.5", -50_000_000),
            ("92233720368.54775807", 2**63 - 1),
        ],
    )
    def test_are_exact(self, text: str, expected: int) -> None:
        assert units(text) == expected

    @pytest.mark.parametrize("text", ["", "1e3", "0.000000001", "NaN", "1,0", "+1", " 1", "--1", ".5"])
    def test_of_anything_else_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            units(text)


class TestMoney:
    def test_shows_every_decimal(self) -> None:
        assert money(197_718_000) == "1.97718000"
        assert money(-1) == "-0.00000001"
        assert money(123_456_789_000_000_00) == "123,456,789.00000000"

    def test_of_requests_shows_two_decimals_at_least(self) -> None:
        assert [plain(amount) for amount in (0, 200_000_000, 1_594_500, -950_000_000)] == [
            "0.00", "2.00", "0.015945", "-9.50",
        ]  # fmt: skip
