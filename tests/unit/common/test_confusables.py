"""Names that look alike share a skeleton; names that do not, do not."""

import pytest

from common.confusables import skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("research-bot", "Research Bot"),
        ("paypal", "pаypаl"),
        ("paypal", "PayPaI"),
        ("paypal", "paypa1"),
        ("google", "g00gle"),
        ("modern", "modem"),
        ("acme", "ａｃｍｅ"),
        ("team_a", "team-a"),
        ("ﬁnance", "finance"),
    ],
)
def test_these_look_alike(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("agent-1-1", "agent-11"), ("Müller", "Muller"), ("bot-5", "bot-6"), ("a", "b")]
)
def test_these_do_not(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
