"""Everything at once: organizations with random limits, and clients that reserve, commit, release, extend and wait."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from spend.operations.budgets.archive import archive_budget
from spend.operations.prices.publish import publish_tool_price
from spend.rules.budgetfacts import Budget
from spend.rules.budgets import Threshold
from spend.rules.limits import RateLimit
from spend.rules.runpolicies import RunPolicy
from tests.builders.crowd import Client, Reply
from tests.builders.gate import Customer, make_customer, make_model, reserve_body, units
from tests.builders.orgs import AUTHOR, make_agent, make_key, make_team, make_workflow, unique, write
from tests.concurrency.gate.history import Told
from tests.concurrency.gate.plaincalls import Call, text
from tests.concurrency.gate.rules import change_rules, some_limits, some_policies, some_thresholds

AGENTS = {"bot": "research", "crawler": "sales", "writer": "research", "loner": None}
CENT = 10**6
_TRIES, _PAUSE = 100, 0.1
STEP = 5
USUAL = (Threshold("notify", 80), Threshold("block", 100))
LIMITS = {
    "organization": 4_000,
    "team": 2_500,
    "agent": 2_000,
    "workflow": 3_000,
    "user": 1_500,
    "run": 1_000,
    "credit": 12_000,
}
"""In cents, for an organization that is neither tight nor loose there."""
STRICT = (Threshold("block", 70), Threshold("block", 100))
OUTPUT, INPUT = 5_000, 50_000
"""Tokens that cost a step each, at the prices of `make_model`; so does a call of a tool."""


@dataclass(frozen=True)
class Market:
    """What can be bought: two models and two tools of the price book."""

    models: tuple[str, str]
    tools: tuple[str, str]


def make_market() -> Market:
    """Prices that nobody else uses."""
    tools = (unique("tool"), unique("tool"))
    for tool in tools:
        write(
            lambda cur, name=tool: publish_tool_price(
                cur, actor="system:test", pattern=name, amount="0.05", currency="USD"
            )
        )
    return Market((make_model(), make_model()), tools)


@dataclass
class Party:
    """An organization, what the clients were told of it, and how often. `credit` None: it pays afterwards. `keys` are
    secrets with the ends of their ids.
    """

    customer: Customer
    credit: str | None
    tightness: dict[str, float]
    market: Market
    is_ruled: bool = False
    escalating: set[str] = field(default_factory=set)
    keys: list[tuple[str, str]] = field(default_factory=list)
    limits: list[RateLimit] = field(default_factory=list)
    policies: list[RunPolicy] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    denials: list[Told] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


SOURCES = ("allowance", "commitment", "credit")
ONE_SOURCE = {"agent": ("credit",), "user": ("commitment",), "run": ("allowance",)}
"""Where there is one source alone, it pays: whatever chance brings, each of them is seen."""


def make_party(tight: str, chance: random.Random, market: Market, *, ruled: bool = False) -> Party:
    """An organization with two teams, agents of each and of none, two workflows and random limits on every layer, of
    which one kind is tight; some have rate limits and policies of runs, too. `ruled`: several of each, and a ladder of
    thresholds on every budget.
    """
    tightness = {scope: 0.25 if scope == tight else chance.choice((1, 4)) for scope in LIMITS}
    prepaid = chance.random() < 0.75 or tight in ONE_SOURCE
    credit = text(_around("credit", tightness, chance))
    given = {} if prepaid else {"funding": "postpaid", "credit_limit": int(float(credit) * 10**8)}
    customer = make_customer("0", agents=(), **given)
    if prepaid:
        some_grants(customer, credit, chance, sources=ONE_SOURCE.get(tight, SOURCES))
    for team in ("research", "sales"):
        make_team(customer.id, team, team.title())
    for agent, team in AGENTS.items():
        make_agent(customer.id, agent, agent.title(), team=team)
    for workflow in ("weekly", "daily"):
        make_workflow(customer.id, workflow, workflow.title())
    party = Party(customer, credit if prepaid else None, tightness, market)
    for _ in range(2):
        issued = make_key(customer.id, "spend:write", "spend:read")
        party.keys.append((issued.secret, str(issued.key.id)[-8:]))
    party.is_ruled = ruled
    many = 5 if ruled else chance.choice((1, 2, 4))
    party.limits = some_limits(customer, chance, many=many, loose=chance.choice((1, 1, 4)))
    party.escalating = {str(limit.id) for limit in party.limits if limit.escalate_denials}
    party.policies = some_policies(customer, chance, many=3 if ruled else chance.choice((0, 1, 2)))
    for scope, window in (
        ("organization", "day"), ("organization", "rolling"), ("team", "hour"), ("agent", "day"),
        ("agent", "rolling"), ("agent", "run"), ("workflow", "lifetime"), ("user", "rolling"), ("run", "run"),
    ):  # fmt: skip
        party.budgets.append(_budget(party, scope, window, chance))
    party.budgets.append(_budget(party, "agent", "lifetime", chance, target=chance.choice(list(AGENTS))))
    return party


def some_grants(
    customer: Customer, amount: str, chance: random.Random, *, sources: tuple[str, ...] = SOURCES
) -> None:
    """So much in grants of any of these sources, of any kind and priority."""
    left = units(amount)
    for last in (False, False, True):
        part = left if last else left * chance.randrange(0, 50) // 100
        left -= part
        if part:
            kind = chance.choice(("paid", "promotional", "included", "committed"))
            priority, source = chance.randrange(2), chance.choice(sources)
            customer.grant(text(part), kind=kind, source=source, priority=priority)


def _around(scope: str, tightness: dict[str, float], chance: random.Random, *, times: float = 1) -> int:
    """A limit in whole steps, so that sums often meet it exactly."""
    cents = LIMITS[scope] * tightness[scope] * times * chance.uniform(0.3, 1.7)
    return max(1, int(cents / STEP)) * STEP * CENT


def _budget(party: Party, scope: str, window: str, chance: random.Random, **given: Any) -> Budget:
    if window == "rolling":
        given["rolling_seconds"] = chance.choice((2, 5, 60))
    overdraft = text(chance.choice((0, 0, 0, 150)) * CENT)
    limit = text(_around(scope, party.tightness, chance))
    market = party.market
    rates = [] if "target" in given else _rates(party, scope)
    ladder = some_thresholds(chance, model=market.models[0], tool=market.tools[0], limits=rates)
    thresholds = ladder if party.is_ruled else chance.choice((USUAL, STRICT, ladder))
    return party.customer.budget(
        limit, scope=scope, window=window, overdraft=overdraft, thresholds=thresholds, **given
    )


def _rates(party: Party, scope: str) -> list[RateLimit]:
    """The rate limits that a throttle of a budget of this scope may slow down."""
    return [one for one in party.limits if one.scope == scope and _is_for_all(one)]


def _is_for_all(limit: RateLimit) -> bool:
    return limit.target_id is None and limit.target_label is None and limit.per is None


def disturb(party: Party, chance: random.Random) -> None:
    """One change from another process: a limit up or down, more credit, a budget that comes or goes."""
    customer, kind = party.customer, chance.random()
    if kind < 0.2:
        change_rules(customer, party.limits, party.policies, chance)
    elif kind < 0.7:
        budget = chance.choice(party.budgets)
        times: float = 1
        if budget.window_kind in ("day", "lifetime", "hour"):  # what is never given back must come again
            times = chance.choice((0.8, 1.5, 3)) * (1 + party.counts["201"] / 60)
        limit = _around(budget.scope, party.tightness, chance, times=times)
        customer.change_budget(budget, limit=text(limit))
    elif kind < 0.9 and party.credit is not None:
        some_grants(customer, text(_around("credit", party.tightness, chance, times=0.2)), chance)
    elif len(party.budgets) < 14:
        party.budgets.append(_budget(party, chance.choice(("agent", "user", "workflow")), "rolling", chance))
    else:
        gone = party.budgets.pop()
        write(lambda cur: archive_budget(cur, customer.id, gone.id, author=AUTHOR))


class Worker:
    """One client: attempts until all are made, and what it does with what it is granted."""

    def __init__(self, url: str, party: Party, chance: random.Random) -> None:
        self.party, self.chance = party, chance
        secret, self.key = chance.choice(party.keys)
        self.client = Client(url, secret)
        self.held: list[tuple[str, int]] = []

    def attempt(self, many: int) -> None:
        """So many reservations, in a batch if it is more than one."""
        bodies = [self._body() for _ in range(many)]
        sent = datetime.now(UTC)
        if many == 1:
            key = unique()
            replies = [self._known("/v1/reservations", bodies[0], key)]
            if self.chance.random() < 0.03 and replies[0][0] == 201:
                status, again = self._known("/v1/reservations", bodies[0], key)
                assert (status, again["id"]) == (201, replies[0][1]["id"])
        else:
            replies = self._known_of([{**body, "idempotency_key": unique()} for body in bodies])
        heard = datetime.now(UTC)
        with self.party.lock:
            for status, body in replies:
                self._note(status, body, sent, heard)

    def ask_too_much(self) -> None:
        """One reservation that no layer can hold, so that each layer is sure to refuse once."""
        subject = {"agent": "bot", "workflow": "weekly", "user": "u0", "run": "too-much"}
        call = Call(subject, 10**14, key=self.key)
        body = reserve_body("1000000", subject=subject, ttl_seconds=1, action={"kind": call.kind()})
        sent = datetime.now(UTC)
        status, answer = self._known("/v1/reservations", body, unique())
        heard = datetime.now(UTC)
        with self.party.lock:
            self._note(status, answer, sent, heard)

    def settle(self) -> None:
        """Do something with what is held: commit less, as much or more, release, extend, or let it run out."""
        while len(self.held) > self.chance.choice((0, 1, 3)):
            name, amount = self.held.pop(self.chance.randrange(len(self.held)))
            path, kind = f"/v1/reservations/{name}", self.chance.random()
            if kind < 0.45:
                self._commit(path, self._some(amount))
            elif kind < 0.6:
                self._commit(path, amount + self._some(amount))
            elif kind < 0.82:
                self._settled(f"{path}/release", {"reason": "not needed"})
            elif kind < 0.92:
                self._settled(f"{path}/extend", {"ttl_seconds": self.chance.choice((1, 2, 3))})
            # else it runs out

    def _some(self, amount: int) -> int:
        return self.chance.randrange(0, amount // (STEP * CENT) + 1) * STEP * CENT

    def _commit(self, path: str, amount: int) -> None:
        body: dict[str, Any] = {"outcome": "completed"}
        tools = {tool: 1 for tool in self.party.market.tools if self.chance.random() < 0.2}
        if amount:
            body["amount"] = text(amount)
        if tools or not amount:
            body["usage"] = {"tool_calls": tools} if tools else {}
        self._settled(f"{path}/commit", body)

    def _settled(self, path: str, body: dict[str, Any]) -> None:
        """Also after its time: then it is late, freed already, or extended no more."""
        status, answer = self._known(path, body, unique())
        assert status == 200 or answer["code"] == "reservation_finalized", answer
        with self.party.lock:
            self.party.counts[path.rpartition("/")[2]] += 1

    def _body(self) -> dict[str, Any]:
        chance = self.chance
        if chance.random() < 0.2:  # often the same, so that denials are equal
            call = Call({}, 5 * STEP * CENT, key=self.key)
            return reserve_body(text(call.charge), ttl_seconds=1, action={"kind": call.kind()})
        subject: dict[str, Any] = {"agent": chance.choice(list(AGENTS))}
        if chance.random() < 0.7:
            subject["workflow"] = chance.choice(("weekly", "daily"))
        if chance.random() < 0.7:
            subject["user"] = f"u{chance.randrange(6)}"
        if chance.random() < 0.8:
            subject |= self._place_in_a_run()
        steps = chance.choice((chance.randrange(1, 8), 2, 5, chance.randrange(8, 120)))
        action: dict[str, Any] = {"fingerprint": f"f{chance.randrange(4)}"} if chance.random() < 0.2 else {}
        estimate, tokens, calls = {"amount": text(STEP * steps * CENT)}, (0, 0), 0
        if chance.random() < 0.3:
            action |= {"provider": "acme", "model": chance.choice(self.party.market.models)}
            tokens = (INPUT * chance.randrange(3), OUTPUT * chance.randrange(1, 4))
            estimate |= {"input_tokens": tokens[0], "max_output_tokens": tokens[1]}
        tool = None
        if chance.random() < 0.2:
            tool, calls = chance.choice(self.party.market.tools), chance.randrange(1, 3)
            estimate |= {"tool_calls": {tool: calls}}
        charge = (steps + tokens[0] // INPUT + tokens[1] // OUTPUT + calls) * STEP * CENT
        call = Call(
            {}, charge, *tokens, calls, subject.get("step"), subject.get("attempt"), action.get("fingerprint"),
            self.key, subject.get("parent_run"), None, tool,
        )  # fmt: skip
        action["kind"] = call.kind()
        ttl = chance.choice((1, 1, 2, 5))
        return reserve_body(None, subject=subject, estimate=estimate, action=action, ttl_seconds=ttl)

    def _place_in_a_run(self) -> dict[str, Any]:
        chance, names = self.chance, [f"run-{int(time.monotonic() / 3)}-{number}" for number in range(4)]
        place: dict[str, Any] = {"run": chance.choice(names)}
        if chance.random() < 0.15:
            place["parent_run"] = chance.choice(names)
        if chance.random() < 0.25:
            place |= {"step": chance.randrange(1, 4), "attempt": chance.choice((1, 1, 2, 2, 3, 4, 6))}
        return place

    def _known(self, path: str, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]]:
        """The decision: on a busy machine the gate may not come to one in its time, says so, and is asked again."""
        for _ in range(_TRIES):
            reply: Reply = self.client.post(path, body, key=key)
            if reply.status != 503:
                break
            time.sleep(_PAUSE)
        return reply.status, reply.json()

    def _known_of(self, items: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
        """The decisions of a batch, in any order."""
        known: list[tuple[int, dict[str, Any]]] = []
        for _ in range(_TRIES):
            status, answer = self._known("/v1/reservations/batch", {"items": items}, None)
            assert status == 200, answer
            results = [(result["status"], result["body"]) for result in answer["results"]]
            known += [result for result in results if result[0] != 503]
            items = [item for item, result in zip(items, results, strict=True) if result[0] == 503]
            if not items:
                break
            time.sleep(_PAUSE)
        return known

    def _note(self, status: int, body: dict[str, Any], sent: datetime, heard: datetime) -> None:
        party = self.party
        party.counts[str(status)] += 1
        if status == 201:
            party.grants[body["id"]] = body
            self.held.append((body["id"], _units(body["held"])))
            return
        assert "binding" in body, body
        party.denials.append(Told(sent, heard, body))


def _units(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 10**8 + int(rest.ljust(8, "0"))
