"""Organizations whose rows are held by others: side lanes, and what the rest of the lane feels."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from common.errors import GateUnavailable
from common.ids import new_id
from spend.operations.gate.apply import Commands
from spend.operations.gate.lanes import MAX_SIDE_LANES, Lanes
from spend.operations.gate.wire import Wire
from spend.rules.effects import Answer
from tests.builders.gate import make_customer
from tests.concurrency.gate.test_lanes import SlowGate, codes, reserve, reserve_of
from tests.invariants import assert_sound


@contextmanager
def held_row(organization: UUID) -> Iterator[psycopg.Connection[Any]]:
    """Another session's open transaction on the organization's row."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("SELECT 1 FROM organizations WHERE id = %s FOR NO KEY UPDATE", (organization,))
        yield connection
        connection.rollback()


class TestALockedRow:
    def test_stops_its_own_organization_only_and_not_for_longer_than_it_is_locked(self) -> None:
        blocked, others = make_customer(), [make_customer() for _ in range(4)]

        async def story() -> None:
            lanes = Lanes(count=1)
            with held_row(blocked.id) as holder:
                refused = asyncio.create_task(lanes.submit([reserve(blocked)]))
                began = time.monotonic()
                answers = await asyncio.gather(*(lanes.submit([reserve(other)]) for other in others))
                assert codes([answer for (answer,) in answers]) == {"granted": 4}
                assert time.monotonic() - began < 0.9
                with pytest.raises(GateUnavailable):
                    await refused
                began = time.monotonic()
                for _ in range(5):
                    await lanes.submit([reserve(others[0])])
                assert time.monotonic() - began < 0.9
                holder.rollback()
                (answer,) = await lanes.submit([reserve(blocked)])
                assert answer.error is None
            assert not lanes._side
            await lanes.close()

        asyncio.run(story())
        assert_sound(blocked.id, *(other.id for other in others))


class LockedGate(SlowGate):
    """Finds every row locked, after `go`."""

    async def apply(self, wire: Wire, commands: Commands) -> list[Answer]:
        self.together.append(len(commands))
        await self.go.wait()
        raise GateUnavailable(retry_after=1) from psycopg.errors.LockNotAvailable()


async def refusals(answers: list[asyncio.Task[list[Answer]]]) -> set[type[object]]:
    """What became of the calls; all must have been answered."""
    done, waiting = await asyncio.wait(answers, timeout=5)
    assert not waiting, f"{len(waiting)} calls are never answered"
    return {type(task.exception()) for task in done}


class TestManyCallsOfABlockedOrganization:
    def test_are_all_answered_when_they_do_not_fit_into_its_side_lane(self) -> None:
        async def story() -> None:
            lanes, organization = Lanes(count=1), new_id()
            lanes.gate = gate = LockedGate()
            lanes._lanes[0]._gate = gate

            def call(size: int) -> asyncio.Task[list[Answer]]:
                command = reserve_of(organization)
                return asyncio.ensure_future(lanes.submit([command] * size))

            first = call(1)
            await asyncio.sleep(0.2)
            waiting = [call(500) for _ in range(20)]
            await asyncio.sleep(0)
            gate.go.set()
            assert await refusals([first, *waiting]) == {GateUnavailable}
            await lanes.close()

        asyncio.run(story())


class TestSideLanes:
    def test_that_nobody_uses_any_more_make_room_for_the_next_blocked_organization(self) -> None:
        async def story() -> None:
            lanes = Lanes(count=1)
            lanes.gate = gate = LockedGate()
            lanes._lanes[0]._gate = gate
            gate.go.set()
            for _ in range(MAX_SIDE_LANES):
                with pytest.raises(GateUnavailable):
                    await lanes.submit([reserve_of(new_id())])
            await asyncio.sleep(0)
            tried = len(gate.together)
            with pytest.raises(GateUnavailable):
                await lanes.submit([reserve_of(new_id())])
            assert gate.together[tried:] == [1, 1]  # in the lane, then with patience
            assert len(lanes._side) == MAX_SIDE_LANES
            await lanes.close()

        asyncio.run(story())

    def test_that_come_into_being_while_the_lanes_close_are_waited_for(self) -> None:
        async def story() -> None:
            lanes = Lanes(count=1)
            lanes.gate = gate = LockedGate()
            lanes._lanes[0]._gate = gate
            call = asyncio.ensure_future(lanes.submit([reserve_of(new_id())]))
            await asyncio.sleep(0.2)
            closing = asyncio.ensure_future(lanes.close())
            await asyncio.sleep(0)
            gate.go.set()
            await closing
            assert not any(lane.is_busy for lane in lanes._side.values())
            assert await refusals([call]) == {GateUnavailable}

        asyncio.run(story())

    def test_is_found_among_many_without_deciding_each_alone(self) -> None:
        blocked, others = make_customer(), [make_customer() for _ in range(6)]

        async def story() -> None:
            lanes = Lanes(count=1)
            await lanes.submit([reserve(others[0])])
            sizes: list[int] = []
            once = lanes.gate._once

            async def counted(wire: Wire, commands: Commands) -> list[Answer]:
                sizes.append(len(commands))
                return await once(wire, commands)

            lanes.gate._once = counted  # type: ignore[method-assign]
            with held_row(blocked.id) as holder:
                first = asyncio.create_task(lanes.submit([reserve(others[0])]))
                await asyncio.sleep(0)
                stopped = asyncio.create_task(lanes.submit([reserve(blocked)]))
                free = await asyncio.gather(*(lanes.submit([reserve(one)]) for one in others[1:]))
                holder.rollback()
                answers = [await first, *free, await stopped]
            assert codes([answer for (answer,) in answers]) == {"granted": 7}
            # one alone, all together, then without the one whose row is locked, and that one on its side lane
            assert sorted(sizes) == [1, 1, 5, 6]
            await lanes.close()

        asyncio.run(story())
        assert_sound(blocked.id, *(other.id for other in others))
