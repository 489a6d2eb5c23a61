"""The checks of the story fail loudly, and know how many calls a limit lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.story.checks import Checks, InvariantBroken, expected_grants


class TestACheck:
    def test_that_holds_is_said_with_its_invariant(self) -> None:
        said: list[tuple[str, str]] = []
        checks = Checks(say=lambda invariant, text: said.append((invariant, text)))
        checks.equal("L3", "the balance is right", expected=5, found=5, shown="5")
        checks.at_most("S1", "the limit was kept", limit=5, found=5)
        assert said == [("L3", "the balance is right  5"), ("S1", "the limit was kept")]
        assert checks.count == 2

    def test_that_does_not_hold_names_the_invariant_and_what_was_found(self) -> None:
        checks = Checks(say=lambda invariant, text: None)
        with pytest.raises(
            InvariantBroken, match=r"Invariant L3 does not hold: .*Expected 5, found 6"
        ) as caught:
            checks.equal("L3", "the balance is right", expected=5, found=6)
        assert caught.value.invariant == "L3"

    def test_of_a_limit_fails_one_unit_above_it(self) -> None:
        checks = Checks(say=lambda invariant, text: None)
        with pytest.raises(InvariantBroken):
            checks.at_most("S1", "the limit was kept", limit=5, found=6)


class TestExpectedGrants:
    def test_of_the_storys_loop_are_124(self) -> None:
        assert expected_grants(limit=200_000_000, spent=0, held_each=3_300_000, charged_each=1_594_500) == 124

    def test_equality_with_the_limit_passes(self) -> None:
        assert expected_grants(limit=10, spent=0, held_each=5, charged_each=5) == 2
        assert expected_grants(limit=10, spent=6, held_each=5, charged_each=5) == 0

    @given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 40), st.data())
    def test_are_those_of_calls_made_one_after_the_other(
        self, limit: int, spent: int, charged: int, data: st.DataObject
    ) -> None:
        held = data.draw(st.integers(charged, 60))
        made, used = 0, spent
        while used + held <= limit:
            made, used = made + 1, used + charged
        assert expected_grants(limit=limit, spent=spent, held_each=held, charged_each=charged) == made
