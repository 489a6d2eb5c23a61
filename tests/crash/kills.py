"""Killing processes under load, round after round, each when everything is back."""

import random
import time
from collections.abc import Sequence

from tests.crash.stack import Stack

ROUNDS = (("web", "valkey"), ("app", "postgres", "worker"))
"""A kill of each process."""


def kill_in_rounds(stack: Stack, rounds: Sequence[Sequence[str]], *, chance: random.Random) -> list[str]:
    """Return what was killed, when everything serves again."""
    killed = []
    for names in rounds:
        time.sleep(chance.uniform(0.3, 0.9))  # some load on what has just come back
        for name in chance.sample(names, len(names)):
            killed.append(stack.kill(name, chance=chance))
            time.sleep(chance.uniform(0, 0.2))
        time.sleep(0.1)
        stack.wait(seconds=60)
    time.sleep(0.5)
    return killed
