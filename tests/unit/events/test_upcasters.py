"""Older events are read in today's schema."""

import pytest

from events import upcasters


@pytest.fixture(autouse=True)
def _own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upcasters, "_steps", {})


class TestAnOlderEvent:
    def test_is_lifted_step_by_step_to_the_newest_schema(self) -> None:
        upcasters.register("thing.made", 1, lambda data: {**data, "colour": "grey"})
        upcasters.register("thing.made", 2, lambda data: {"color": data["colour"]})

        assert upcasters.lifted("thing.made", 1, {"colour": "red"}) == (3, {"color": "grey"})
        assert upcasters.lifted("thing.made", 2, {"colour": "red"}) == (3, {"color": "red"})
        assert upcasters.lifted("thing.made", 3, {"color": "red"}) == (3, {"color": "red"})

    def test_of_another_type_stays_as_it_is(self) -> None:
        upcasters.register("thing.made", 1, lambda data: {})

        assert upcasters.lifted("thing.sold", 1, {"n": 1}) == (1, {"n": 1})

    def test_has_one_step_from_each_schema(self) -> None:
        upcasters.register("thing.made", 1, lambda data: data)

        with pytest.raises(ValueError, match="schema 1"):
            upcasters.register("thing.made", 1, lambda data: data)
