"""One organization's gate in plain arithmetic, moved on by what the record says: no code of the product.

Amounts are units of 10^-8. The moves check themselves what may be recorded: a grant never passes a limit, nothing
expires too early, a hold ends once. A move returns what must follow it in the record: thresholds that fire, and what
they lead to. What must be said to a call stands in `plainjudging`.
"""

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.concurrency.gate.plaincalls import Call, Subject, read_call, text
from tests.concurrency.gate.plainjudging import Standing, told
from tests.concurrency.gate.plainrules import (
    STOPPING,
    STRIKES,
    THRESHOLD,
    Budget,
    Limit,
    Past,
    Place,
    Policy,
    Run,
)  # fmt: skip
from tests.concurrency.gate.plainruns import remember

MARKED = (STRIKES, THRESHOLD)
EXHAUSTED = ("budget_exhausted", "run_ceiling_reached")
Expected = tuple[Any, ...]
"""What an event of the record must say: its type, then what is told of it."""


@dataclass
class Hold:
    """A granted call: what it holds where, by the letter of what is counted."""

    amount: int
    expires: datetime
    places: list[tuple[Place, str]]
    asked: dict[str, int]
    status: str = "active"


@dataclass
class Organization(Standing):
    """An organization that the record moves."""

    holds: dict[str, Hold] = field(default_factory=dict)
    lapsing: list[tuple[datetime, str]] = field(default_factory=list)
    strikes: Counter[str] = field(default_factory=Counter)

    def has_lapsed(self, at: datetime) -> bool:
        """Whether a hold stands whose time is over."""
        while self.lapsing:
            expires, name = self.lapsing[0]
            hold = self.holds[name]
            if hold.status == "active" and hold.expires == expires:
                return expires <= at
            heapq.heappop(self.lapsing)
        return False

    def told(self, subject: Subject, at: datetime) -> dict[str, Any]:
        """What a grant says of the layers and the credit, after it."""
        shown = []
        for budget, target in self.layers(subject):
            held, spent = budget.used(self.counters, target, at)
            left = max(0, budget.most - spent - held)
            shown.append((budget.id, *map(budget.shown, (budget.limit, spent, held, left))))
        if self.line is not None:
            return {"budgets": shown, "credit": ("0", "0")}
        return {"budgets": shown, "credit": (text(self.credit - self.held - self.debt), text(self.held))}

    def move(self, kind: str, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        """Take an event in; returns what must follow it."""
        room, _, verb = kind.partition(".")
        moved = getattr(self, f"_{room}_{verb}", None)
        if moved is not None:
            return moved(stream, data, at) or []
        assert room in ("account", "organization", "incident", "approval"), kind
        return []

    def _organization_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.line = data["credit_limit"] if data["funding"] == "postpaid" else None

    def _team_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.names[stream] = data["key"]

    _agent_created = _workflow_created = _team_created

    def _api_key_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.keys[stream[-8:]] = stream

    def _budget_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.budgets[stream] = Budget.read(stream, data)

    def _budget_changed(self, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        """What it has counted goes on; armed anew, what is reached by now fires at once."""
        known = self.budgets[stream].arming
        budget = self.budgets[stream] = Budget.read(stream, data)
        if budget.arming == known:
            return []
        targets = [
            target for rule, target in self.counters.cells if rule == stream and target[:1] not in MARKED
        ]
        standing = [(target, budget.counted(self.counters, target, at)) for target in targets]
        return self._fired([(budget, target, max(windows)) for target, windows in standing if windows], at)

    def _budget_archived(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        del self.budgets[stream]  # what it holds is still freed

    def _rate_limit_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.limits[stream] = self.rates[stream] = Limit(stream, data)

    _rate_limit_changed = _rate_limit_created

    def _rate_limit_archived(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        del self.limits[stream]

    def _run_policy_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.policies[stream] = Policy(stream, data)

    _run_policy_changed = _run_policy_created

    def _run_policy_archived(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        del self.policies[stream]

    def _switch_set(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        place = _switched(data)
        assert place not in self.switches, f"{stream} was set where another stands"
        self.switches[place] = stream, data

    def _switch_lifted(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        assert self.switches.pop(_switched(data))[0] == stream

    def _approval_approved(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        cell = self.counters.cell(self.counters.numbers[data["counter"]])
        assert cell.armed == data["armed"], "a decision on what was asked under another arming"
        cell.approved = max(cell.approved, data["rank"])

    def _budget_counter_opened(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        start = datetime.fromisoformat(data["start"])
        assert data["number"] not in self.counters.numbers
        place = data["budget"], data["target"], start
        assert not self.counters.is_open(place), "a window was opened twice"
        self.counters.open(place, data["number"])

    def _run_started(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        parent = self.run_keys.get(data.get("parent", ""))
        self.run_keys[stream] = data["key"]
        root = self.run_keys[data["root"]]
        began = self.runs[root].began if root in self.runs else at
        self.runs[data["key"]] = Run(data["key"], root, parent, data.get("depth", 0), began)

    def _grant_granted(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        (made,) = data["ledger"]["granted"]
        repaid = min(self.debt, made["amount"])
        self.debt -= repaid
        self.credit += made["amount"] - repaid

    def subject(self, data: dict[str, Any]) -> Subject:
        """Whom a granted call was counted for."""
        run = data.get("run")
        return {
            "agent": data["agent"], "team": data.get("team"), "workflow": data.get("workflow"),
            "user": data.get("user"), "run": None if run is None else self.run_keys[run],
        }  # fmt: skip

    def call(self, data: dict[str, Any]) -> Call:
        """The call that was granted."""
        action = data["action"]
        call = read_call(action["kind"], self.subject(data), action.get("model"))
        told_of = (data["held"], action.get("step"), action.get("attempt"), action.get("fingerprint"))
        assert told_of == (call.charge, call.step, call.attempt, call.fingerprint), data
        return call

    def _reservation_reserved(self, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        call = self.placed(self.call(data))
        judged = self.judge(call, at)
        assert not judged.failing, f"{stream} was granted at {at} against {told(judged.failing)}"
        layers = [((budget.id, target, budget.start(at)), budget.letter) for budget, target in judged.layers]
        places = layers + [(meter.place(at), meter.letter) for meter in judged.meters]
        noted = [self.counters.numbers[number] for number in data["counters"]]
        assert noted == [place for place, _ in places], stream
        assert data.get("measures", "c" * len(places)) == "".join(letter for _, letter in places)
        for place, letter in layers:
            self.counters.cell(place).held += call.asks(letter)
        moved = [meter.take(self.counters, call, at) for meter in judged.meters]
        assert data.get("arrivals", []) == [moves for moves in moved if moves is not None], stream
        self.held += call.charge
        asked = {letter: call.asks(letter) for _, letter in places}
        hold = self.holds[stream] = Hold(call.charge, at + timedelta(seconds=data["ttl"]), places, asked)
        heapq.heappush(self.lapsing, (hold.expires, stream))
        run = self.run_of(call)
        expected = self._fired([(budget, target, budget.start(at)) for budget, target in judged.layers], at)
        if run is not None:
            remember(self.past(run), call, at)
            if call.step is not None and call.attempt is not None and call.attempt > 1:
                assert data.get("tried", call.attempt) == self.past(run).tried[call.step][0]
            expected += [("incident.opened", "loop", action) for action in judged.run.news]
            if judged.run.news:
                expected.append(("run_mark.set", run.key, judged.run.level))
        return expected

    def _fired(self, layers: list[tuple[Budget, str, datetime]], at: datetime) -> list[Expected]:
        """Every level that is reached and has not fired; the marks are set."""
        expected: list[Expected] = []
        for budget, target, start in layers:
            used = sum(budget.used(self.counters, target, at))
            fired, _, refused = budget.marks(self.counters, target, at)
            for rank, one in enumerate(budget.levels, 1):
                if rank <= fired or used < one.level or (refused and rank == budget.block):
                    continue
                cell = self.counters.cell((budget.id, target, start))
                cell.mark(budget.arming)
                cell.fired = rank
                expected += self._crossing(budget, target, start, rank, used)
        return expected

    def _crossing(self, budget: Budget, target: str, start: datetime, rank: int, used: int) -> list[Expected]:
        action = budget.levels[rank - 1].action
        place = (budget.id, target, start)
        expected: list[Expected] = [("threshold.crossed", place, budget.arming, rank, action, used)]
        if action == "require_approval":
            expected.append(("approval.requested", place, budget.arming, rank))
        if action == "pause":
            stopped = (budget.scope, target)
            if budget.window == "run" and budget.scope != "run":
                stopped = ("run", target.partition("/")[2])
            if stopped not in self.switches:
                self.switches[stopped] = ("", {})  # the event that must follow says it
                expected.append(("switch.set", stopped, "threshold"))
        if action in STOPPING:
            trigger = "run_ceiling" if budget.scope == "run" else "budget_threshold"
            expected.append(("incident.opened", trigger, action))
        return expected

    def _threshold_crossed(self, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        """One that nobody's hold has crossed: a call was refused by the level that blocks, or by a ceiling."""
        place = self.counters.numbers[data["counter"]]
        cell = self.counters.cell(place)
        if place[0] in self.policies:
            assert not (cell.armed == data["armed"] and cell.refused), "a ceiling's incident was opened twice"
            cell.mark(data["armed"])
            cell.refused = True
            return [("incident.opened", "run_ceiling", "block")]
        budget = self.budgets[place[0]]
        fired, _, refused = budget.marks(self.counters, place[1], at)
        assert (data["rank"], data["action"]) == (budget.block, "block"), data
        assert not refused and fired < budget.block, f"{stream} tells of a level that has fired"
        assert data["armed"] == budget.arming and data["used"] == sum(
            budget.used(self.counters, place[1], at)
        )
        cell.mark(budget.arming)
        cell.refused = True
        return [("incident.opened", "run_ceiling" if budget.scope == "run" else "budget_threshold", "block")]

    def _strike_counted(self, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        rule, target, start = self.counters.numbers[data["counter"]]
        self.strikes[rule] += 1
        limit = self.limits[rule]
        self.counters.cell((rule, target, start)).spent += 1
        if not limit.struck(self.counters, target, at):
            return []
        struck = (limit.data["scope"], target.removeprefix(STRIKES))
        if limit.data["per"] is not None:
            struck = (limit.data["per"], target.partition("/")[2])
        expected: list[Expected] = []
        if struck not in self.switches:
            self.switches[struck] = ("", {})
            expected.append(("switch.set", struck, "escalation"))
        return [*expected, ("incident.opened", "rate_escalation", "pause")]

    def _run_mark_set(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        """A refused call's: what its run has done for the first time. A run need not be started by then."""
        past = self.pasts.setdefault(data["run_key"], Past())
        past.level = max(past.level & 63, data["level"] & 63) + ((past.level | data["level"]) & 192)
        if "step" in data:
            assert data["step"] not in past.stopped, "a step's incident was opened twice"
            past.stopped.add(data["step"])

    def _reservation_extended(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        hold = self.holds[stream]
        assert hold.status == "active" and at < hold.expires, stream
        hold.expires = datetime.fromisoformat(data["expires_at"])
        heapq.heappush(self.lapsing, (hold.expires, stream))

    def _reservation_committed(self, stream: str, data: dict[str, Any], at: datetime) -> list[Expected]:
        hold, charge = self.holds[stream], data["charge"]
        late = hold.status == "expired"
        assert hold.status in ("active", "expired") and late == data.get("late", False), stream
        if not late:
            assert at < hold.expires, f"{stream} was committed at {at}, after its time, as if it still held"
            self._free(hold)
        tokens, read = data.get("tokens", 0), data.get("input", 0)
        used = {
            "c": charge, "k": charge, "t": tokens, "i": read, "o": tokens - read, "x": data.get("calls", 0),
        }  # fmt: skip
        for place, letter in hold.places:
            self.counters.cell(place).spent += used.get(letter, 0)
        hold.status = "committed"
        self._burn(hold, charge, late=late)
        if not late and all(used.get(letter, 0) <= hold.asked[letter] for _, letter in hold.places):
            return []
        layers = [
            (self.budgets[rule], target, start) for (rule, target, start), _ in hold.places
            if rule in self.budgets and target[:1] not in MARKED
        ]  # fmt: skip
        return self._fired([one for one in layers if not one[0].is_over(one[2], at)], at)

    def _burn(self, hold: Hold, charge: int, *, late: bool) -> None:
        if self.line is not None:
            self.owed += charge
            return
        reserved = 0 if late else min(hold.amount, charge)
        self.credit -= reserved
        burnt = min(charge - reserved, max(0, self.credit - self.held - self.debt))
        self.credit -= burnt
        self.debt += charge - reserved - burnt

    def _reservation_released(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        hold = self.holds[stream]
        assert hold.status == "active" and at < hold.expires, stream
        self._free(hold)
        hold.status = "released"

    def _reservation_expired(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        hold = self.holds[stream]
        assert hold.status == "active" and at >= hold.expires, stream
        self._free(hold)
        hold.status = "expired"

    def _free(self, hold: Hold) -> None:
        self.held -= hold.amount
        for place, letter in hold.places:
            if letter not in "qsg":
                self.counters.cell(place).held -= hold.asked[letter]

    def follow(self, expected: Expected, kind: str, stream: str, data: dict[str, Any], at: datetime) -> None:
        """Take in what an event leads to: it must be what follows."""
        assert expected == (kind, *self.said(kind, data)), (expected, kind, data)
        self.take_up(kind, stream, data, at)

    def take_up(self, kind: str, stream: str, data: dict[str, Any], at: datetime) -> None:
        """Take in what was expected."""
        if kind == "switch.set":
            self.switches[_switched(data)] = stream, data
        if kind == "run_mark.set":
            self.move(kind, stream, data, at)

    def assert_told(
        self, told_layers: list[dict[str, Any]], call: Call, known: int, at: datetime, *, is_run_known: bool
    ) -> None:
        """What a refused call says is used up has told so, once, by the level that blocks; where nothing was counted by
        then (`known`: the last counter before the transaction) there is nobody to tell. A run that was started by the
        same transaction may have been another root's when the call was refused.
        """
        subject, _ = self.counted_for(call)
        if told_layers[0]["code"] not in EXHAUSTED:
            return
        for layer in told_layers:
            budget = self.budgets.get(layer.get("budget_id", ""))
            if budget is None or layer["code"] not in EXHAUSTED or budget.block is None:
                continue
            if budget.window == "run" and not is_run_known:
                continue
            target = budget.target_of(subject)
            assert target is not None
            windows = [(budget.id, target, start) for start in budget.counted(self.counters, target, at)]
            if any(self.counters.opened[place] <= known for place in windows):
                fired, _, refused = budget.marks(self.counters, target, at)
                assert refused or fired >= budget.block, (budget, layer)

    def said(self, kind: str, data: dict[str, Any]) -> tuple[Any, ...]:
        """What an event tells of what led to it."""
        if kind == "threshold.crossed":
            place = self.counters.numbers[data["counter"]]
            return place, data["armed"], data["rank"], data["action"], data["used"]
        if kind == "approval.requested":
            return self.counters.numbers[data["counter"]], data["armed"], data["rank"]
        if kind == "switch.set":
            return _switched(data), data["cause"]
        if kind == "run_mark.set":
            return data["run_key"], data["level"]
        return data["trigger"], data["action"]


def _switched(data: dict[str, Any]) -> tuple[str, str]:
    return data["scope"], data["target_id"] or data["target_label"] or ""
