"""One call of an agent from reservation to commit, and the client's own account of what was committed."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.story.amounts import units
from sandbox.story.api import Answer, Api
from sandbox.story.cast import Agent, ModelCall

THINKING_SECONDS = 0.02  # how long a provider takes in the story
TTL_SECONDS = 60
MAX_WAITS = 60
DENIALS = (402, 403, 409, 429)


@dataclass(frozen=True, slots=True)
class Work:
    """What an agent wants to do: under which run (below which root run), for which tool's sake, asking what."""

    agent: Agent
    run: str
    tool: str | None = None
    call: ModelCall | None = None  # of a model; None: a tool call at a stated amount
    amount: str | None = None
    parent: str | None = None
    fingerprint: str | None = None

    @property
    def root(self) -> str:
        """The run that has the ceiling."""
        return self.parent or self.run

    def reservation(self, *, step: int) -> dict[str, Any]:
        """Return the body of POST /v1/reservations."""
        agent = self.agent
        subject = {"agent": agent.key, "workflow": agent.workflow, "run": self.run, "step": step}
        if self.parent:
            subject["parent_run"] = self.parent
        action: dict[str, Any] = {"kind": "llm.chat" if self.call else "tool.call"}
        if self.tool:
            action["tool"] = self.tool
        if self.fingerprint:
            action["fingerprint"] = self.fingerprint
        if self.call:
            subject["connection"] = agent.connection
            action |= {"provider": agent.provider, "model": agent.model}
            estimate: dict[str, Any] = {
                "input_tokens": self.call.input_tokens,
                "max_output_tokens": self.call.max_output_tokens,
            }
        else:
            estimate = {"amount": self.amount}
        return {
            "subject": subject, "action": action, "estimate": estimate, "currency": "USD", "ttl_seconds": TTL_SECONDS
        }  # fmt: skip

    def outcome(self) -> dict[str, Any]:
        """Return the body of POST /v1/reservations/{id}/commit."""
        if self.call is None:
            return {"outcome": "completed", "amount": self.amount, "latency_ms": 20}
        return {"outcome": "completed", "provider_usage": self.call.provider_usage, "latency_ms": 20}


@dataclass(frozen=True, slots=True)
class Done:
    """A call that was made: what was held for it and what it was charged, in units."""

    work: Work
    reserve: Answer
    commit: Answer
    held: int
    charged: int
    overage: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that was not made, and why."""

    work: Work
    answer: Answer

    @property
    def binding(self) -> Mapping[str, Any]:
        """The layer that refused."""
        found: Mapping[str, Any] = self.answer.body["binding"]
        return found


@dataclass(slots=True)
class Account:
    """What the client knows from its own answers. Shared by the threads of all agents."""

    done: list[Done] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    waits: int = 0
    peaks: dict[tuple[str, str | None], tuple[int, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sums(self, key: Callable[[Done], str | None]) -> dict[str | None, int]:
        """Return what was charged, in units, by whatever the key says of a call."""
        found: dict[str | None, int] = defaultdict(int)
        for done in self.done:
            found[key(done)] += done.charged
        return dict(found)

    @property
    def charged(self) -> int:
        """All that was charged, in units."""
        return sum(done.charged for done in self.done)

    def see_layers(self, answer: Answer) -> None:
        """Remember the highest spent + held that an answer showed of each layer, with its limit."""
        with self.lock:
            for layer in answer.body["budgets"]:
                name = (layer["scope"], layer["target"])
                used = units(layer["spent"]) + units(layer["held"])
                if used >= self.peaks.get(name, (0, 0))[0]:
                    self.peaks[name] = (used, units(layer["limit"]))


class Caller:
    """Makes calls for agents, one after the other or from several threads."""

    def __init__(self, *, api: Api, account: Account) -> None:
        self.api = api
        self.account = account

    def make(self, work: Work, *, step: int) -> Done | Refused:
        """Reserve, do the work, commit. Waits where only money that others hold is in the way (409)."""
        reserve = self._reserve(work, step)
        if reserve.status not in DENIALS:
            reserve.expect(201)
        if reserve.status != 201:
            refused = Refused(work, reserve)
            with self.account.lock:
                self.account.refused.append(refused)
            return refused
        time.sleep(THINKING_SECONDS)
        done = self._commit(work, reserve)
        with self.account.lock:
            self.account.done.append(done)
        return done

    def _reserve(self, work: Work, step: int) -> Answer:
        body, key = work.reservation(step=step), self.api.keys.next("reserve")
        for _ in range(MAX_WAITS):
            answer = self.api.post("/v1/reservations", body, key=key)
            if answer.status == 201:
                self.account.see_layers(answer)
            if answer.code != "budget_busy":
                return answer
            with self.account.lock:
                self.account.waits += 1
            time.sleep(answer.body.get("retry_after", 1))
        return answer

    def _commit(self, work: Work, reserve: Answer) -> Done:
        path = f"/v1/reservations/{reserve.body['id']}/commit"
        commit = self.api.post(path, work.outcome(), key=self.api.keys.next("commit"))
        body = commit.expect(200)
        held, charged, overage = (
            units(text) for text in (reserve.body["held"], body["charged"], body["overage"])
        )
        return Done(work, reserve, commit, held, charged, overage)
