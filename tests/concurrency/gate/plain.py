"""One organization's gate in plain arithmetic, moved on by what the record says: no code of the product.

Amounts are units of 10^-8. `refusal` says what must be answered at this moment; the moves check themselves what may be
recorded: a grant never passes a limit, nothing expires too early, a hold ends once.
"""

import heapq
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORDER = ("run", "user", "agent", "workflow", "connection", "team", "organization")
CREDIT = 99
CURRENCY = "USD"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def text(units: int) -> str:
    """An amount as the API writes it."""
    whole, rest = divmod(abs(units), 10**8)
    written = f"{whole}.{rest:08d}".rstrip("0").rstrip(".")
    return f"-{written}" if units < 0 else written


def time_text(moment: datetime | None) -> str | None:
    """A time as the API writes it."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


@dataclass
class Budget:
    """A limit as its last event has it, and what each target's windows hold and have spent."""

    id: str
    scope: str
    target: str | None
    window: str
    rolling: int
    limit: int
    overdraft: int
    blocks: list[int]
    sums: dict[str, dict[datetime, list[int]]] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """What spent and held together may be."""
        return min(self.limit + self.overdraft, *self.blocks, 2**63)

    def place(self, subject: dict[str, str | None]) -> str | None:
        """For whom a call counts here; None when it does not."""
        target = "" if self.scope == "organization" else subject.get(self.scope)
        if target is None or (self.target is not None and self.target != target):
            return None
        if self.window != "run" or self.scope == "run":
            return target
        run = subject.get("run")
        return None if run is None else f"{target.replace('%', '%25').replace('/', '%2F')}/{run}"

    def bucket(self) -> timedelta:
        """How long the parts are that a rolling window moves by."""
        return timedelta(seconds=max(1, self.rolling // 60))

    def start(self, at: datetime) -> datetime:
        """The window of a moment."""
        if self.window == "rolling":
            return EPOCH + (at - EPOCH) // self.bucket() * self.bucket()
        if self.window == "hour":
            return at.replace(minute=0, second=0, microsecond=0)
        if self.window == "day":
            return at.replace(hour=0, minute=0, second=0, microsecond=0)
        assert self.window in ("run", "lifetime")
        return EPOCH

    def counted(self, target: str, at: datetime) -> dict[datetime, list[int]]:
        """The windows that count at a moment."""
        windows = self.sums.get(target, {})
        if self.window != "rolling":
            now = self.start(at)
            return {now: windows[now]} if now in windows else {}
        first = self.start(at - timedelta(seconds=self.rolling))
        return {start: sums for start, sums in windows.items() if start >= first}

    def used(self, target: str, at: datetime) -> tuple[int, int]:
        """Held and spent at a moment."""
        counted = self.counted(target, at).values()
        return sum(held for held, _ in counted), sum(spent for _, spent in counted)

    def resets(self, target: str, at: datetime) -> datetime | None:
        """When what counts now no longer does."""
        if self.window in ("hour", "day"):
            return self.start(at) + (HOUR if self.window == "hour" else DAY)
        if self.window != "rolling":
            return None
        full = [start + self.bucket() for start, sums in self.counted(target, at).items() if any(sums)]
        return min(full, default=at) + timedelta(seconds=self.rolling)


@dataclass
class Hold:
    """A granted call."""

    amount: int
    expires: datetime
    places: list[tuple[Budget, str, datetime]]
    status: str = "active"


@dataclass
class Organization:
    """Everything that its calls are judged by. `names` are those of agents, teams and workflows by id."""

    names: dict[str, str] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    numbers: dict[int, tuple[str, str, datetime]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    lapsing: list[tuple[datetime, str]] = field(default_factory=list)
    line: int | None = None
    credit: int = 0
    debt: int = 0
    held: int = 0
    owed: int = 0

    @property
    def funds(self) -> tuple[int, int]:
        """What could be held now, and what could be without the holds."""
        if self.line is not None:
            return max(0, self.line - self.owed - self.held), max(0, self.line - self.owed)
        return max(0, self.credit - self.held - self.debt), max(0, self.credit - self.debt)

    def layers(self, subject: dict[str, str | None]) -> list[tuple[Budget, str]]:
        """Every budget that counts a call, narrow to wide, the older first."""
        found = [(budget, budget.place(subject)) for budget in self.budgets.values()]
        counting = [(budget, target) for budget, target in found if target is not None]
        return sorted(counting, key=lambda layer: (ORDER.index(layer[0].scope), layer[0].id))

    def refusal(self, subject: dict[str, str | None], amount: int, at: datetime) -> dict[str, Any] | None:
        """What a call must be answered now: None (granted), or code, binding and also_failing, as the API says it."""
        failing: list[tuple[int, int, str, dict[str, Any]]] = []
        for budget, target in self.layers(subject):
            held, spent = budget.used(target, at)
            if spent + held + amount <= budget.most:
                continue
            if amount > budget.limit + budget.overdraft:
                code = "too_large"
            elif spent + amount > budget.most:
                code = "run_ceiling_reached" if budget.scope == "run" else "budget_exhausted"
            else:
                code = "budget_busy"
            figures = {
                "scope": budget.scope,
                "target": self.label(budget, subject),
                "budget_id": budget.id,
                "limit": text(budget.limit),
                "spent": text(spent),
                "held": text(held),
                "remaining": text(max(0, budget.most - spent - held)),
                "resets_at": time_text(budget.resets(target, at)),
                "requested": text(amount),
                "unit": CURRENCY,
            }
            failing.append((409 if code == "budget_busy" else 402, ORDER.index(budget.scope), code, figures))
        funded, idle = self.funds
        if amount > funded:
            busy = idle >= amount
            figures = {
                "scope": "credit",
                "target": None,
                "limit": text(self.credit - self.debt if self.line is None else self.line - self.owed),
                "spent": text(self.debt),
                "held": text(self.held),
                "requested": text(amount),
                "remaining": text(funded),
                "resets_at": None,
                "unit": CURRENCY,
            }
            code = "budget_busy" if busy else "credit_exhausted"
            failing.append((409 if busy else 402, CREDIT, code, figures))
        if not failing:
            return None
        (_, _, code, binding), *also = sorted(failing, key=lambda item: item[:3])
        return {
            "code": code,
            "binding": binding,
            "also_failing": [{"code": other, **figures} for _, _, other, figures in also],
        }

    def label(self, budget: Budget, subject: dict[str, str | None]) -> str | None:
        """Whose budget it is, for people."""
        target = subject.get(budget.scope)
        return None if target is None else self.names.get(target, target)

    def has_lapsed(self, at: datetime) -> bool:
        """Whether a hold stands whose time is over."""
        while self.lapsing:
            expires, name = self.lapsing[0]
            hold = self.holds[name]
            if hold.status == "active" and hold.expires == expires:
                return expires <= at
            heapq.heappop(self.lapsing)
        return False

    def told(self, subject: dict[str, str | None], at: datetime) -> dict[str, Any]:
        """What a grant says of the layers and the credit, after it."""
        shown = []
        for budget, target in self.layers(subject):
            held, spent = budget.used(target, at)
            shown.append(
                (
                    budget.id,
                    text(budget.limit),
                    text(spent),
                    text(held),
                    text(max(0, budget.most - spent - held)),
                )
            )
        if self.line is not None:
            return {"budgets": shown, "credit": ("0", "0")}
        return {"budgets": shown, "credit": (text(self.credit - self.held - self.debt), text(self.held))}

    def move(self, kind: str, stream: str, data: dict[str, Any], at: datetime) -> None:
        """Take an event in."""
        room, _, verb = kind.partition(".")
        moved = getattr(self, f"_{room}_{verb}", None)
        if moved is not None:
            moved(stream, data, at)
        else:
            assert room in ("account", "api_key", "organization"), kind

    def _organization_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.line = data["credit_limit"] if data["funding"] == "postpaid" else None

    def _team_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.names[stream] = data["key"]

    _agent_created = _workflow_created = _team_created

    def _budget_created(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        known = self.budgets.get(stream)
        self.budgets[stream] = Budget(
            stream, data["scope"], data["target_id"] or data["target_label"], data["window_kind"],
            data["rolling_seconds"] or 0, data["amount_limit"], data["overdraft"],
            [
                step["amount"] if step.get("amount") is not None else data["amount_limit"] * step["percent"] // 100
                for step in data["thresholds"] if step["action"] == "block" and step.get("percent") != 100
            ],
            known.sums if known else {},
        )  # fmt: skip

    _budget_changed = _budget_created  # what it has counted goes on

    def _budget_archived(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        del self.budgets[stream]  # what it holds is still freed

    def _budget_counter_opened(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        start = datetime.fromisoformat(data["start"])
        assert data["number"] not in self.numbers
        self.numbers[data["number"]] = data["budget"], data["target"], start

    def _run_started(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        self.runs[stream] = data["key"]

    def _grant_granted(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        (made,) = data["ledger"]["granted"]
        repaid = min(self.debt, made["amount"])
        self.debt -= repaid
        self.credit += made["amount"] - repaid

    def subject(self, data: dict[str, Any]) -> dict[str, str | None]:
        """Whom a granted call was counted for."""
        run = data.get("run")
        return {
            "agent": data["agent"], "team": data.get("team"), "workflow": data.get("workflow"),
            "user": data.get("user"), "run": None if run is None else self.runs[run],
        }  # fmt: skip

    def _reservation_reserved(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        subject, amount = self.subject(data), data["held"]
        refused = self.refusal(subject, amount, at)
        assert refused is None, f"{stream} was granted at {at} against {refused}"
        places = [(budget, target, budget.start(at)) for budget, target in self.layers(subject)]
        noted = [self.numbers[number] for number in data["counters"]]
        assert noted == [(budget.id, target, start) for budget, target, start in places], stream
        for budget, target, start in places:
            budget.sums.setdefault(target, {}).setdefault(start, [0, 0])[0] += amount
        self.held += amount
        hold = self.holds[stream] = Hold(amount, at + timedelta(seconds=data["ttl"]), places)
        heapq.heappush(self.lapsing, (hold.expires, stream))

    def _reservation_extended(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        hold = self.holds[stream]
        assert hold.status == "active" and at < hold.expires, stream
        hold.expires = datetime.fromisoformat(data["expires_at"])
        heapq.heappush(self.lapsing, (hold.expires, stream))

    def _reservation_committed(self, stream: str, data: dict[str, Any], at: datetime) -> None:
        hold, charge = self.holds[stream], data["charge"]
        late = hold.status == "expired"
        assert hold.status in ("active", "expired") and late == data.get("late", False), stream
        if not late:
            assert at < hold.expires, f"{stream} was committed at {at}, after its time, as if it still held"
            self._free(hold)
        for budget, target, start in hold.places:
            budget.sums[target][start][1] += charge
        hold.status = "committed"
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
        for budget, target, start in hold.places:
            budget.sums[target][start][0] -= hold.amount


def signature(refusal: dict[str, Any]) -> str:
    """A refusal with all its figures, to be compared; what is nothing may be left out."""
    layers = [{**refusal["binding"], "code": refusal["code"]}, *refusal["also_failing"]]
    told = [{name: value for name, value in layer.items() if value is not None} for layer in layers]
    return json.dumps(told, sort_keys=True, separators=(",", ":"))
