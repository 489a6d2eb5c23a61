"""Which keys and names look alike."""

import pytest

from orgs.rules.names import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "pаypal"),  # Cyrillic а
        ("Agent", "agent"),
        ("agent-1", "agent-l"),
        ("agent_1", "agent-1"),
        ("b0t", "bot"),
        ("ｂｏｔ", "bot"),  # full width
        ("modern", "modem"),
    ],
)
def test_these_look_alike(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("agent-1", "agent-11"),
        ("team-1-11", "team-11-1"),
        ("agent-1", "agent1"),
        ("agent-2", "agent-3"),
        ("\U0001f916", "\U0001f9be"),
        ("研究", "開発"),
    ],
)
def test_these_do_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_the_numbered_agents_of_a_large_fleet_stay_apart() -> None:
    keys = [f"agent-{team}-{number}" for team in range(30) for number in range(100)]
    assert len({folded(key) for key in keys}) == len(keys)


def test_hexadecimal_keys_stay_apart() -> None:
    keys = [f"{number * 2654435761 % 2**32:08x}" for number in range(20_000)]
    assert len({folded(key) for key in keys}) == len(set(keys))
