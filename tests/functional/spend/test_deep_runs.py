"""A chain of child runs as deep as a caller likes costs a reader neither an error nor the time of others."""

from typing import Any

from spend.api.representations import MAX_LEVELS
from tests.builders.gate import body_of, make_customer, reserve_body

DEPTH = 300


def test_a_deep_chain_is_shown_down_to_a_level_and_counted_whole() -> None:
    customer = make_customer()
    items = [
        {
            **reserve_body("0.01", subject={"run": f"run-{level}", "parent_run": f"run-{level - 1}"}),
            "idempotency_key": f"key-{level}",
        }
        for level in range(1, DEPTH)
    ]
    body_of(customer.api.post("/v1/reservations/batch", {"items": items}), 200)
    shown: dict[str, Any] = body_of(customer.api.get("/v1/runs/run-0"), 200)
    assert shown["total"]["held"] == "2.99"
    levels, below = 0, shown["children"]
    while below:
        [child] = below
        levels += 1
        assert child["key"] == f"run-{levels}"
        assert child["total"]["reservations"] == DEPTH - levels
        below = child["children"]
    assert levels == MAX_LEVELS
