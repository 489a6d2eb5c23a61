"""Cuts as plain values: what one holds, and which may follow it."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.rules.cuts import Cut, CutsOutOfOrder, Snapshot, check_chain

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BEFORE = NOW - timedelta(seconds=1)


def cut(snapshot: str, *, epoch: int = 1, until: datetime = NOW) -> Cut:
    return Cut(epoch, snapshot, until, NOW)


class TestASnapshot:
    @pytest.mark.parametrize("text", ["5:5:", "5:9:5,7", "1:2:1"])
    def test_is_written_as_it_was_read(self, text: str) -> None:
        assert str(Snapshot.parse(text)) == text

    @pytest.mark.parametrize(
        "text", ["", "5", "0:5:", "9:5:", "5:9:7,5", "5:9:5,5", "5:9:9", "5:9:4", "a:b:"]
    )
    def test_is_nothing_else(self, text: str) -> None:
        with pytest.raises(ValueError):
            Snapshot.parse(text)

    def test_sees_what_ended_before_it(self) -> None:
        seen = [tx for tx in range(1, 12) if Snapshot.parse("5:9:5,7").sees(tx)]
        assert seen == [1, 2, 3, 4, 6, 8]

    @pytest.mark.parametrize(
        ("text", "own", "expected"),
        [
            ("5:9:5,7", 6, "5:9:5,6,7"),
            ("5:9:5,7", 3, "3:9:3,5,7"),
            ("5:9:5", 9, "5:9:5"),
            ("5:9:5", 5, "5:9:5"),
        ],
    )
    def test_can_be_made_blind_to_one(self, text: str, own: int, expected: str) -> None:
        blind = Snapshot.parse(text).without(own)
        assert str(blind) == expected
        assert not blind.sees(own)

    @pytest.mark.parametrize(
        ("later", "earlier", "includes"),
        [
            ("5:9:5", "5:9:5,7", True),
            ("5:9:5,7", "5:9:5", False),
            ("5:8:5", "5:9:5", False),
            ("9:9:", "5:9:5", True),
            ("5:12:5,10", "5:9:5", True),
            ("3:12:3", "5:9:5", False),
        ],
    )
    def test_includes_another_whose_transactions_it_all_sees(
        self, later: str, earlier: str, includes: bool
    ) -> None:
        assert Snapshot.parse(later).includes(Snapshot.parse(earlier)) is includes


class TestACut:
    @pytest.mark.parametrize(
        ("epoch", "tx", "occurred_at", "held"),
        [
            (1, 4, BEFORE, True),
            (1, 5, BEFORE, False),
            (1, 9, BEFORE, False),
            (1, 4, NOW, False),
            (0, 900, BEFORE, True),
            (0, 900, NOW, False),
            (2, 1, BEFORE, False),
        ],
    )
    def test_holds_what_was_committed_and_occurred_before_its_end(
        self, epoch: int, tx: int, occurred_at: datetime, held: bool
    ) -> None:
        assert cut("5:9:5").holds(epoch=epoch, tx=tx, occurred_at=occurred_at) is held

    def test_is_kept_in_an_event_and_read_again(self) -> None:
        kept = cut("5:9:5,7", epoch=3)
        assert Cut.read(kept.written()) == kept

    def test_can_be_asked_about_an_earlier_period(self) -> None:
        earlier = cut("5:9:5").at(BEFORE)
        assert (earlier.snapshot, earlier.until) == ("5:9:5", BEFORE)

    @pytest.mark.parametrize(
        ("later", "follows"),
        [
            (cut("5:9:5"), True),
            (cut("9:9:", until=NOW + timedelta(days=1)), True),
            (cut("9:9:", until=BEFORE), False),
            (cut("4:9:4"), False),
            (cut("1:1:", epoch=2), True),
            (cut("9:9:", epoch=0), False),
        ],
    )
    def test_is_followed_by_one_that_holds_all_of_it(self, later: Cut, follows: bool) -> None:
        assert later.follows(cut("5:9:5")) is follows
        if follows:
            check_chain(later, cut("5:9:5"))
        else:
            with pytest.raises(CutsOutOfOrder):
                check_chain(later, cut("5:9:5"))

    def test_may_be_the_first(self) -> None:
        check_chain(cut("5:9:5"), None)
