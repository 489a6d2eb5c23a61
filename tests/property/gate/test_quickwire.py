"""The quick way and the exact way from bytes to commands: the quick one gives the same or leaves it to the other."""

import json
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ProblemError
from common.strictjson import parse_object
from orgs.queries.authentication import Known
from orgs.rules.permissions import Principal
from spend.api import gate, quickwire
from spend.api.admitted import Admitted
from spend.api.calls import Call
from spend.api.gate import Many, Single
from spend.rules.normalise.reading import COUNT_FIELDS
from tests.builders.sizes import some

RESERVATION = UUID("0198c5a2-0000-7000-8000-000000000001")
PRINCIPAL = Principal(UUID(int=1), UUID(int=2), False, frozenset({"spend:write"}))
ADMITTED = Admitted(Known(PRINCIPAL, b"hash", 1, None))
SINGLES: dict[str, Single] = {
    endpoint.name: endpoint
    for endpoint in [*gate.SHARED.values(), *gate.VERBS.values()]
    if isinstance(endpoint, Single)
}
BATCHES: dict[str, Many] = {
    endpoint.name: endpoint for endpoint in gate.OWN.values() if isinstance(endpoint, Many)
}


class Asked:
    """What a call looks at of its request."""

    path = "/v1/reservations"

    def __init__(self, key: str | None) -> None:
        self._key = key

    def header(self, name: str) -> str | None:
        return self._key


def quick(endpoint: Single | Many, raw: bytes, key: str | None) -> Any:
    call = Call(Asked(key), ADMITTED)  # type: ignore[arg-type]
    if isinstance(endpoint, Single):
        return quickwire.quick(endpoint.quick, raw, call, RESERVATION)
    return quickwire.quick(endpoint.quick, raw, call)


def exact(endpoint: Single | Many, raw: bytes, key: str | None) -> Any:
    """What the exact way makes of it; the refusal when there is one, for a batch whichever item's."""
    call = Call(Asked(key), ADMITTED)  # type: ignore[arg-type]
    try:
        body = parse_object(raw)
        if isinstance(endpoint, Single):
            return endpoint.read(call, body, RESERVATION)
        refused: dict[int, ProblemError] = {}
        commands = gate._read_items(call, body, endpoint, refused)
        return refused[min(refused)] if refused else commands
    except ProblemError as error:
        return error


# Bodies: each field mostly right, now and then null, absent, of another type or out of range.

ODD = [
    None, True, 0, -1, 1.0, 1.5, 10**12 + 1, 10**19, "", " ", "  x", "x ", "a\x7fb", "a\nb", "a\x00b", "caf\u00e9",
    "\u202e", "cafe\u0301", "\ud800", '"', "\\", "x" * 101, "x" * 201, "x" * 501, [], {}, {"a": 1},
    [1], "0", "-1", "1e2", "usd",
]  # fmt: skip
NAMES = ["bot", "research-bot", "a b", "0198c5a2-0000-7000-8000-000000000001", "x" * 100, "~/.", "*"]
AMOUNTS = [
    "1",
    "0.05",
    "0",
    "0.00000001",
    "92233720368.54775807",
    "92233720368.54775808",
    "01",
    "1.",
    "1.123456789",
]
TIMES = [
    "2026-01-01T00:00:00Z",
    "2026-01-01t10:00:00.123456789+02:00",
    "2026-01-01T00:00:00",
    "2026-02-29T00:00:00Z",
]
COUNTS = [0, 1, 900, 10**12]


def mostly(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[st.sampled_from(values)] * 6, st.sampled_from(ODD))


def body(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that mostly has what it must have, and sometimes a field too many."""
    whole = st.fixed_dictionaries(required, optional=optional)
    extra = st.one_of(
        *[st.just({})] * 8, st.dictionaries(st.sampled_from(["colour", "status", "id"]), st.just(1))
    )
    return st.builds(lambda own, more: {**own, **more}, whole, extra)


def or_odd(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[strategy] * 8, st.sampled_from(ODD))


NAME, AMOUNT, COUNT = mostly(NAMES), mostly(AMOUNTS), mostly(COUNTS)
TOOLS = or_odd(
    st.dictionaries(st.sampled_from(["web_search", "a/b~", "x" * 200, "x" * 201, ""]), COUNT, max_size=3)
)
SUBJECT = or_odd(
    body(
        {"agent": NAME},
        dict.fromkeys(("team", "workflow", "run", "parent_run", "connection", "user", "parent_task"), NAME)
        | {name: mostly([0, 7, 10**6, 10**6 + 1]) for name in ("step", "attempt", "hop")},
    )
)
ACTION = or_odd(body({}, dict.fromkeys(("kind", "provider", "model", "tool", "fingerprint"), NAME)))
ESTIMATE = or_odd(
    body(
        {},
        dict.fromkeys(("input_tokens", "max_output_tokens", "credits", "risk_points"), COUNT)
        | {"tool_calls": TOOLS, "amount": AMOUNT},
    )
)
USED = or_odd(
    body(
        {},
        dict.fromkeys(COUNT_FIELDS, COUNT)
        | {"tool_calls": TOOLS, "components": st.just([{"component": "image", "quantity": "3"}])},
    )
)
ACTUAL = {
    "usage": USED, "amount": AMOUNT, "latency_ms": mostly([0, 812, 2**31 - 1, 2**31]), "response_id": NAME,
    "credits": COUNT, "risk_points": COUNT, "reason": NAME, "provider_usage": st.just({"input_tokens": 1, "x": 0.5}),
}  # fmt: skip
OUTCOME = mostly(["completed", "failed", "blocked", "done"])
CURRENCY = mostly(["USD", "EUR", "JPY", "XXX"])
TTL = mostly([1, 60, 86_400, 86_401])
RESERVE = {
    "action": ACTION, "estimate": ESTIMATE, "currency": CURRENCY, "ttl_seconds": TTL,
    "mode": mostly(["enforce", "dry_run", "observe"]),
}  # fmt: skip
FACT = (
    {"source": NAME, "id": NAME, "subject": SUBJECT, "occurred_at": mostly(TIMES)},
    {
        **ACTUAL,
        "action": ACTION,
        "outcome": OUTCOME,
        "currency": CURRENCY,
        "reservation": mostly([str(RESERVATION)]),
    },
)
ITEM_KEY = mostly(["k-1", "x" * 255, "x" * 256, "'; --"])
BODIES: dict[str, st.SearchStrategy[Any]] = {
    "reserve": body({"subject": SUBJECT}, RESERVE),
    "commit": body({"outcome": OUTCOME}, ACTUAL),
    "release": body({}, {"reason": NAME, "amount": AMOUNT}),
    "extend": body({}, {"ttl_seconds": TTL}),
    "usage": body(*FACT),
}
ITEMS: dict[str, st.SearchStrategy[Any]] = {
    "reserve_batch": body({"subject": SUBJECT}, {**RESERVE, "idempotency_key": ITEM_KEY}),
    "commit_batch": body(
        {"outcome": OUTCOME, "id": mostly([str(RESERVATION)])}, {**ACTUAL, "idempotency_key": ITEM_KEY}
    ),
    "usage_batch": body(*FACT),
}


def written(value: Any, chance: random.Random, *, wild: bool) -> str:
    """JSON of a value; wild: keys twice, in any order, escapes where none are due, numbers in other forms, spaces."""
    space = (lambda: chance.choice(["", "", "", " ", "\n", "\t", "  "])) if wild else (lambda: "")
    if isinstance(value, dict):
        pairs = list(value.items())
        chance.shuffle(pairs)
        if wild and pairs and chance.random() < 0.1:
            pairs.append((pairs[0][0], chance.choice([pairs[0][1], 1, "x"])))
        inner = ",".join(
            f"{space()}{_text(key, chance, wild)}{space()}:{space()}{written(member, chance, wild=wild)}{space()}"
            for key, member in pairs
        )
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(space() + written(item, chance, wild=wild) + space() for item in value) + "]"
    if type(value) is int and wild and chance.random() < 0.1:
        return chance.choice([f"{value}.0", f"{value}e0", f"-{value}", f"0{value}", str(value)])
    return _text(value, chance, wild) if isinstance(value, str) else json.dumps(value)


def _text(text: str, chance: random.Random, wild: bool) -> str:
    plain = json.dumps(text, ensure_ascii=chance.random() < 0.5)
    if wild and len(text) > 1 and text.isalnum() and text.isascii() and chance.random() < 0.1:
        return f'"\\u{ord(text[0]):04x}{text[1:]}"'
    return plain


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def assert_agree(endpoint: Single | Many, raw: bytes, key: str | None) -> None:
    found = quick(endpoint, raw, key)
    if found is not None:
        assert found == exact(endpoint, raw, key)


KEYS = st.sampled_from([None, "", "k-1", "x" * 256, "caf\u00e9"])
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("wild", [False, True], ids=["plain", "wild"])
@settings(max_examples=some(200), deadline=None)
@given(data=st.data(), key=KEYS, seed=SEEDS)
def test_one_command_is_the_same_on_both_ways(
    name: str, wild: bool, data: st.DataObject, key: str | None, seed: int
) -> None:
    value = data.draw(BODIES[name])
    assert_agree(SINGLES[name], encoded(written(value, random.Random(seed), wild=wild)), key)


@pytest.mark.parametrize("name", ITEMS)
@pytest.mark.parametrize("wild", [False, True], ids=["plain", "wild"])
@settings(max_examples=some(200), deadline=None)
@given(data=st.data(), seed=SEEDS)
def test_a_batch_is_the_same_on_both_ways(name: str, wild: bool, data: st.DataObject, seed: int) -> None:
    items = data.draw(st.lists(ITEMS[name], max_size=3))
    raw = encoded(written({"items": items}, random.Random(seed), wild=wild))
    assert_agree(BATCHES[name], raw, None)


@settings(max_examples=some(250), deadline=None)
@given(raw=st.binary(max_size=60), name=st.sampled_from(sorted(SINGLES)))
def test_any_bytes_are_the_same_on_both_ways(raw: bytes, name: str) -> None:
    assert_agree(SINGLES[name], raw, "k-1")
    assert_agree(SINGLES[name], b'{"ttl_seconds":' + raw + b"}", "k-1")


FACT_BODY = {
    "source": "export",
    "id": "i-1",
    "subject": {"agent": "bot"},
    "occurred_at": TIMES[0],
    "amount": "1",
}
ORDINARY: dict[str, dict[str, Any]] = {
    "reserve": {
        "subject": {"agent": "bot", "workflow": "weekly", "run": "run-81", "parent_run": None, "step": 12},
        "action": {"kind": "llm.chat", "provider": "anthropic", "model": "claude-sonnet-4-5", "tool": None},
        "estimate": {"input_tokens": 1800, "max_output_tokens": 900, "tool_calls": {"web_search": 3}},
        "currency": "USD", "ttl_seconds": 60, "mode": "enforce",
    },
    "commit": {
        "outcome": "completed", "latency_ms": 812, "response_id": "r-1",
        "usage": {"input_tokens": 1650, "cache_read_input_tokens": 0, "output_tokens": 512},
    },
    "release": {"reason": "not needed", "amount": "1.5"},
    "extend": {"ttl_seconds": 60},
    "usage": FACT_BODY,
    "reserve_batch": {"items": [{"subject": {"agent": "bot"}, "idempotency_key": "k-1"}] * 3},
    "commit_batch": {
        "items": [{"id": str(RESERVATION), "outcome": "completed", "amount": "1", "idempotency_key": "k-1"}] * 3
    },
    "usage_batch": {"items": [FACT_BODY] * 3},
}  # fmt: skip
FORMS: dict[str, Callable[[Any], str]] = {
    "compact": lambda value: json.dumps(value, separators=(",", ":")),
    "with spaces": json.dumps,
    "over many lines": lambda value: json.dumps(value, indent=2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_body_takes_the_quick_way(name: str, form: str) -> None:
    endpoint = SINGLES.get(name) or BATCHES[name]
    raw = FORMS[form](ORDINARY[name]).encode()
    found = quick(endpoint, raw, "k-1")
    assert found is not None
    assert found == exact(endpoint, raw, "k-1")


COUNTS_OF_CACHE = {"input_tokens": 10, "cache_creation_input_tokens": 1, "cache_creation_1h_input_tokens": 2}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("reserve", {"subject": {"agent": "   "}}),
        ("reserve", {"subject": {"agent": "a\nb"}}),
        ("reserve", {"subject": {"agent": "a\x7fb"}}),
        ("reserve", {"subject": {"agent": "caf\u00e9\u202e"}}),
        ("reserve", {"estimate": {}}),
        ("reserve", {"currency": "XXX"}),
        ("reserve", {"ttl_seconds": 0}),
        ("commit", {"usage": {"input_tokens": 1, "cache_read_input_tokens": 2}}),
        ("commit", {"usage": COUNTS_OF_CACHE}),
        ("commit", {"usage": {"output_tokens": 1, "reasoning_output_tokens": 2}}),
        ("usage", {"reservation": ""}),
        ("usage", {"occurred_at": "2026-01-01T00:00:00"}),
    ],
)
def test_what_is_refused_is_left_to_the_exact_way(name: str, change: dict[str, Any]) -> None:
    raw = json.dumps({**ORDINARY[name], **change}).encode()
    assert quick(SINGLES[name], raw, "k-1") is None
    assert isinstance(exact(SINGLES[name], raw, "k-1"), ProblemError)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"outcome":"completed"}',
        b'{"outcome":"completed","amount":"1","amount":"1"}',
        b'{"outcome":"completed","amount":"1","credits":-0}',
        b'{"outcome":"completed","amount":"1","credits":1.0}',
        b'\xef\xbb\xbf{"outcome":"completed","amount":"1"}',
        b'{"outcome":"completed","amount":"1"} x',
    ],
)
def test_a_commit_that_is_refused_is_left_to_the_exact_way(raw: bytes) -> None:
    assert quick(SINGLES["commit"], raw, "k-1") is None
    assert isinstance(exact(SINGLES["commit"], raw, "k-1"), ProblemError)


def test_a_batch_over_its_limit_is_left_to_the_exact_way() -> None:
    item = ORDINARY["reserve_batch"]["items"][0]
    for count, is_quick in ((500, True), (501, False), (0, False)):
        raw = json.dumps({"items": [item] * count}).encode()
        assert (quick(BATCHES["reserve_batch"], raw, None) is not None) is is_quick
