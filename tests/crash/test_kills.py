"""kill -9 of every process in mid-load, and a wiped broker, on a private running copy."""

import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.kills import ROUNDS, kill_in_rounds
from tests.crash.load import Load
from tests.crash.proof import assert_kept, assert_sound_everywhere, seconds_until_done
from tests.crash.stack import Stack, make_tenants, running_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home: Path = tmp_path_factory.mktemp("crash") / "state"
    with running_stack(home) as running:
        yield running


def test_a_kill_of_any_process_loses_and_doubles_nothing(stack: Stack) -> None:
    seed = int(os.environ.get("SOAK_SEED") or secrets.randbits(32))
    print(f"seed {seed}")
    rounds = ROUNDS * int(os.environ.get("CRASH_ROUNDS", "1"))
    tenants = make_tenants(stack, 3)
    with Load(stack, tenants, clients=4) as load:
        killed = kill_in_rounds(stack, rounds, chance=random.Random(seed))
    assert len(killed) == sum(map(len, rounds))
    shown = assert_kept(stack, tenants, load.told)
    assert shown["acknowledged"] > 50
    assert_sound_everywhere(stack, tenants)


def test_a_wiped_broker_loses_no_work(stack: Stack) -> None:
    tenants = make_tenants(stack, 2)
    with Load(stack, tenants, clients=4, ttl_seconds=1) as load:
        for _ in range(5):
            stack.flush_broker()
            time.sleep(0.4)
    stack.flush_broker()
    assert load.told.accepted()
    assert seconds_until_done(stack, tenants, within=60) < 60
    assert_kept(stack, tenants, load.told)
