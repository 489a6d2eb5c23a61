"""What is remembered is bounded, believed only while it may be so, and not kept where it did not do."""

from datetime import UTC, datetime

import pytest

from spend.operations.gate import memory
from spend.operations.gate.memory import CROWDED, PATIENCE, Memory, Remembered
from spend.rules.state import Books, Counter, LiveAccount, OrganizationState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def remembered(name: str = "a", *, rows: int = 1, seq: int = 0, read_at: float = 0.0) -> Remembered:
    state = OrganizationState(name, NOW, "USD", "active", Books(LiveAccount("credit"), None, []))
    for number in range(1, rows + 1):
        counter = Counter(number, "budget", str(number), NOW, None)
        state.counters["budget", str(number), NOW] = state.counters_by_number[number] = counter
    return Remembered(state, (1, 1), seq, None, True, read_at)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.time, "monotonic", lambda: 100.0)


class TestWhatIsRemembered:
    def test_is_taken_once(self) -> None:
        known = Memory()
        known.keep("a", remembered(read_at=100.0))
        assert known.take("a") is not None
        assert known.take("a") is None

    def test_is_not_believed_for_ever(self) -> None:
        known = Memory()
        known.keep("new", remembered(read_at=100.0 - memory.MAX_SECONDS))
        known.keep("old", remembered(read_at=99.9 - memory.MAX_SECONDS))
        assert set(known.take_all(["new", "old", "unknown"])) == {"new"}
        assert len(known) == 0

    def test_is_bounded_in_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "MAX_ROWS", 25)
        known = Memory()
        for name in "abcd":
            known.keep(name, remembered(rows=10, read_at=100.0))
        assert [known.find(name) is not None for name in "abcd"] == [False, False, True, True]
        known.keep("c", remembered(rows=1, read_at=100.0))
        known.keep("e", remembered(rows=10, read_at=100.0))
        assert [known.find(name) is not None for name in "cde"] == [True, True, True]

    def test_is_bounded_for_each_and_the_older_rows_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "MAX_OF_ONE", 9)
        known, made = Memory(), remembered(rows=10, read_at=100.0)
        known.keep("a", made)
        assert [counter.number for counter in made.state.counters.values()] == [6, 7, 8, 9, 10]
        assert set(made.state.counters_by_number) == {6, 7, 8, 9, 10}


class TestWhoIsNotTrusted:
    def test_is_not_remembered_for_a_while(self) -> None:
        known = Memory()
        known.distrust(["a"])
        assert known.is_trusted("b")
        assert [known.is_trusted("a") for _ in range(PATIENCE + 1)] == [False] * PATIENCE + [True]


class TestWhoeverWritesAlone:
    def test_needs_no_look_at_the_events(self) -> None:
        known = Memory()
        known.heard(before=7, after=10, events=3)  # what was before that nobody knows
        known.heard(before=10, after=12, events=2)
        assert known.last_if_alone([remembered(seq=10), remembered(seq=12)]) == 12
        assert known.last_if_alone([remembered(seq=9)]) is None

    @pytest.mark.parametrize(("before", "after", "events"), [(11, 13, 2), (10, 14, 3), (None, 13, 3)])
    def test_is_not_alone_when_others_had_a_number(self, before: int | None, after: int, events: int) -> None:
        known = Memory()
        known.heard(before=7, after=10, events=3)
        known.heard(before=before, after=after, events=events)
        assert known.last_if_alone([remembered(seq=10)]) is None
        assert known.last_if_alone([remembered(seq=after)]) == after

    def test_looks_for_a_while_after_that_was_wrong(self) -> None:
        known = Memory()
        known.heard(before=7, after=10, events=3)
        known.was_wrong(["a"], last=10)
        assert known.is_trusted("a")
        found = [known.last_if_alone([remembered(seq=10)]) for _ in range(CROWDED + 1)]
        assert found == [None] * CROWDED + [10]

    def test_knows_nothing_after_a_lost_connection(self) -> None:
        known = Memory()
        known.heard(before=7, after=10, events=3)
        known.keep("a", remembered(seq=10, read_at=100.0))
        known.forget_all()
        assert known.find("a") is None
        known.heard(before=10, after=12, events=2)
        assert known.last_if_alone([remembered(seq=10)]) is None
