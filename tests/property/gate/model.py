"""The ledger and the gate as plain arithmetic: lists and integers, no clock, no database, no code of the product.

Amounts in units of 10^-8, times in half hours since the start; a lifetime is an odd number of half hours and the clock
moves by whole hours, so that the seconds that a test takes never decide.
"""

from collections import Counter
from dataclasses import dataclass, replace

from tests.property.gate.rulemodel import (
    DAY,
    HOUR,
    RANKS,
    STOPPING,
    Approval,
    Budget,
    Call,
    Cell,
    Key,
    Limit,
    Past,
    Place,
    Policy,
    Rule,
)

KINDS = {"included": 0, "promotional": 1, "paid": 2, "committed": 2}
SOURCES = ("allowance", "commitment", "credit")
CLASSES = {
    "paused": 0, "blocked": 0, "loop_detected": 0, "approval_required": 0, "attempts_exceeded": 0, "rate_limited": 1,
    "backoff_required": 1, "budget_busy": 3,
}  # fmt: skip
EXHAUSTED = ("budget_exhausted", "run_ceiling_reached")
Failure = tuple[int, int, str]
"""Class, rank of the scope, code."""
Layer = tuple[Budget, Key]
Held = tuple[Rule, Key, str, str]
"""What a call is counted by: rule, window, real or shadow gate, letter."""


@dataclass
class Grant:
    """Credit that is left and what work in flight holds of it."""

    kind: str
    priority: int
    remaining: int
    expires: int | None
    number: int
    source: str = "credit"
    held: int = 0
    broken: bool = False

    def is_live(self, now: int) -> bool:
        """Whether it can be spent."""
        return self.expires is None or now < self.expires


@dataclass
class Reservation:
    """What a granted call holds and where it took it from."""

    amount: int
    created: int
    expires: int
    layers: list[Held]
    receipt: list[tuple[Grant, int]]
    status: str = "active"


class Model:
    """One organization."""

    def __init__(self, offset: int) -> None:
        self.now = 0
        self.offset = offset  # half hours from midnight to the start
        self.debt = 0
        self.grants: list[Grant] = []
        self.budgets: list[Budget] = []
        self.limits: list[Limit] = []
        self.policy: Policy | None = None
        self.pasts: dict[str, Past] = {}
        self.switches: dict[Place, str] = {}
        self.approvals: list[Approval] = []
        self.happened: Counter[str] = Counter()
        self.observed: list[str] = []
        self.shadowed: str | None = None
        self.reservations: list[Reservation] = []
        self.paid: Counter[str] = Counter()

    @property
    def posted(self) -> int:
        """What the credit account says."""
        return sum(grant.remaining for grant in self.grants) - self.debt

    def grant(
        self, amount: int, kind: str, priority: int, lifetime: int | None, source: str = "credit"
    ) -> None:
        """Credit repays debt first."""
        repaid = min(self.debt, amount)
        self.debt -= repaid
        until = None if lifetime is None else self.now + lifetime
        self.grants.append(Grant(kind, priority, amount - repaid, until, len(self.grants), source))

    def expire_grants(self) -> None:
        """What is not held of expired credit is gone."""
        for grant in self.grants:
            if not grant.is_live(self.now) and not grant.broken:
                grant.broken, grant.remaining = True, grant.held

    def reclaim(self) -> None:
        """Every call of the gate frees first what has run out."""
        for reservation in self.reservations:
            if reservation.status == "active" and reservation.expires <= self.now:
                self._free(reservation, "expired")

    def reserve(self, call: Call, *, dry: bool = False) -> str:
        """The code of a refusal, or "" when it is granted; `observed` is then what the shadow gate would refuse."""
        self.reclaim()
        past = self.pasts.get(call.run or "") or Past()
        call = replace(call, is_retry=(call.attempt or 1) > 1 and call.step in past.tried)
        amount, self.observed = call.amount, []
        layers = self._layers(call.subject, self.now, "enforce")
        failing, news = self._rules(call, layers, "enforce")
        if not failing or failing[0][0]:
            failing += self._money(call, layers)
        if failing:
            code = min(failing)[2]
            if not dry:
                self._refused(call, code, layers, news)
            return code
        counted, seen = self._observe(call)
        if dry:
            return ""
        receipt = self._take(amount)
        for grant, part in receipt:
            grant.held += part
        held: list[Held] = [(budget, key, "enforce", "c") for budget, key in layers]
        held += [(limit, key, "enforce", limit.letter) for limit, key in self._limits(call, "enforce")]
        held += [
            (budget, key, "enforce", "c") for budget, key in self._layers(call.subject, self.now, "observe")
        ]
        held += counted
        for rule, key, mode, letter in held:
            self._count(rule, key, mode, letter, call)
        self.reservations.append(Reservation(amount, self.now, self.now + call.lifetime, held, receipt))
        self._remember(call)
        self._fire(layers, "enforce")
        self._tell(call, news)
        if self.shadowed is None:
            self._fire(seen, "observe")
        elif self.shadowed in EXHAUSTED:
            self._refuse_by_levels(seen, call, "observe")
        return ""

    def _money(self, call: Call, layers: list[Layer]) -> list[Failure]:
        failing = []
        for budget, key in layers:
            code = budget.refusal(budget.look(key, "enforce"), call.amount)
            if code is not None:
                failing.append((CLASSES.get(code, 2), RANKS[budget.scope], code))
        free = sum(grant.remaining - grant.held for grant in self._live()) - self.debt
        if call.amount > max(0, free):
            idle = sum(grant.remaining for grant in self._live()) - self.debt
            code = "budget_busy" if idle >= call.amount else "credit_exhausted"
            failing.append((CLASSES.get(code, 2), RANKS["credit"], code))
        return failing

    def _rules(self, call: Call, layers: list[Layer], mode: str) -> tuple[list[Failure], list[str]]:
        """What the rules of the real or the shadow gate refuse, and what a loop begins to do; 403 first."""
        failing: list[Failure] = []
        for scope in ("run", "user", "agent", "organization"):
            target = "" if scope == "organization" else call.subject.get(scope)
            kind = self.switches.get((mode, scope, target or ""))
            if target is not None and kind is not None:
                code = {"pause": "paused", "stop": "loop_detected"}[kind]
                failing.append((0, RANKS[scope], code))
        for budget, key in layers:
            if budget.waits(budget.look(key, mode)):
                failing.append((0, RANKS[budget.scope], "approval_required"))
        news = self._run(call, failing) if mode == "enforce" else []
        for limit, key in self._limits(call, mode):
            if limit.refuses(key, mode, call, self.now):
                ceiling = limit.scope == "run"
                code = "run_ceiling_reached" if ceiling else "rate_limited"
                failing.append((2 if ceiling else 1, RANKS[limit.scope], code))
        return sorted(failing), news

    def _run(self, call: Call, failing: list[Failure]) -> list[str]:
        news: list[str] = []
        if self.policy is None or call.run is None:
            return news
        policy, past = self.policy, self.pasts.get(call.run) or Past()
        if call.step is not None and call.attempt is not None:
            tried, attempt = past.tried.get(call.step), call.attempt
            if call.attempt > 1:
                attempt = past.counted(call.step, call.attempt)
            if attempt > policy.attempts:
                failing.append((0, 0, "attempts_exceeded"))
                news += ["attempts"] if call.step not in past.stopped else []
            elif tried is not None and call.attempt > 1:
                pause = min(policy.longest, policy.first * 2 ** (attempt - 2))
                if tried[1] + pause > self.now:
                    failing.append((1, 0, "backoff_required"))
        if call.fingerprint is not None:
            same = past.trace[-(policy.window - 1) :].count(call.fingerprint)
            for place, (repeats, action) in enumerate(policy.levels, 1):
                if same + 1 >= repeats and place > past.acted:
                    news.append(action)
                    failing += [(0, 0, "loop_detected")] if action in ("pause", "stop") else []
        return news

    def _limits(self, call: Call, mode: str) -> list[tuple[Limit, Key]]:
        """The limits in this mode that count a call."""
        rules = [limit for limit in self.limits if limit.mode == mode]
        if mode == "enforce" and self.policy is not None:
            rules.append(self.policy.steps)
        found = [(limit, limit.key(call.subject, self.now + self.offset)) for limit in rules]
        return [(limit, key) for limit, key in found if key is not None and call.asks(limit.letter)]

    def _observe(self, call: Call) -> tuple[list[Held], list[Layer]]:
        """What the shadow gate counts: nothing of a call that one observed rule would refuse."""
        layers = self._layers(call.subject, self.now, "observe")
        failing, _ = self._rules(call, layers, "observe")
        if not failing or failing[0][0]:
            for budget, key in layers:
                code = budget.refusal(budget.look(key, "observe"), call.amount)
                if code is not None:
                    failing.append((CLASSES.get(code, 2), RANKS[budget.scope], code))
        self.observed = sorted(code for _, _, code in failing)
        self.shadowed = min(failing)[2] if failing else None
        if failing:
            return [], layers
        counted: list[Held] = [(budget, key, "observe", "c") for budget, key in layers]
        limits = self._limits(call, "observe")
        return [*counted, *((limit, key, "observe", limit.letter) for limit, key in limits)], layers

    def _count(self, rule: Rule, key: Key, mode: str, letter: str, call: Call) -> None:
        cell = rule.counters(mode).setdefault(key, Cell())
        if isinstance(rule, Limit) and rule.burst:
            cell.spent = max(cell.spent, self.now) + 1
        elif letter in "qs":
            cell.spent += call.asks(letter)
        else:
            cell.held += call.asks(letter)

    def _remember(self, call: Call) -> None:
        if call.run is None:
            return
        past = self.pasts.setdefault(call.run, Past())
        if call.step is not None and call.attempt is not None:
            past.tried[call.step] = (past.counted(call.step, call.attempt), self.now)
        if call.fingerprint is not None:
            past.trace.append(call.fingerprint)

    def _fire(self, layers: list[Layer], mode: str) -> None:
        """Every level that is reached and has not fired in its window fires."""
        for budget, key in layers:
            cell = budget.counters(mode)[key]
            fired, _, refused = cell.marks(budget.arming)
            used = cell.held + cell.spent
            for rank, (level, action) in enumerate(budget.levels, 1):
                if rank <= fired or used < level or (refused and rank == budget.block):
                    continue
                cell.mark(budget.arming)
                cell.fired = rank
                self._act(budget, key, rank, action, mode)

    def _act(self, budget: Budget, key: Key, rank: int, action: str, mode: str) -> None:
        self.happened[f"crossed {mode} {action}"] += 1
        if action == "require_approval" and mode == "enforce":
            self.approvals.append(Approval(budget, key, budget.arming, rank))
        if action == "pause":
            self.switches.setdefault((mode, budget.scope, key[0]), "pause")
        if action in STOPPING:
            trigger = "run_ceiling" if budget.scope == "run" else "budget_threshold"
            self.happened[f"incident {mode} {trigger} {action}"] += 1

    def _refused(self, call: Call, code: str, layers: list[Layer], news: list[str]) -> None:
        """A refusal tells of the level that refused, and of a run; limits that escalate count it."""
        if code in EXHAUSTED:
            self._refuse_by_levels(layers, call, "enforce")
        self._tell(call, news)
        for limit, key in self._limits(call, "enforce"):
            if not limit.refuses(key, "enforce", call, self.now):
                continue
            if limit.scope == "run":
                self._tell_ceiling(limit, key)
            elif limit.strikes and CLASSES.get(code) == 1:
                self._strike(limit, key[0])

    def _refuse_by_levels(self, layers: list[Layer], call: Call, mode: str) -> None:
        for budget, key in layers:
            cell = budget.counters(mode).get(key)
            if cell is None or budget.refusal(cell, call.amount) not in EXHAUSTED:
                continue
            fired, _, refused = cell.marks(budget.arming)
            if budget.block and not refused and fired < budget.block:
                cell.mark(budget.arming)
                cell.refused = True
                self._act(budget, key, budget.block, "block", mode)

    def change(self, budget: Budget, limit: int) -> None:
        """Another limit arms the budget anew: what is reached by now fires at once."""
        if limit == budget.limit:
            return
        budget.limit, budget.arming = limit, budget.arming + 1
        self._fire_standing(budget)

    def change_mode(self, budget: Budget, mode: str) -> None:
        """What is enforced from now on fires what is reached by now."""
        was, budget.mode = budget.mode, mode
        if mode == "enforce" != was:
            self._fire_standing(budget)

    def _fire_standing(self, budget: Budget) -> None:
        cells, at = budget.counters(budget.mode), self.now + self.offset
        now = {"hour": at // HOUR, "day": at // DAY}.get(budget.window, 0)
        self._fire([(budget, key) for key in cells if key[1] == now], budget.mode)

    def _tell_ceiling(self, limit: Limit, key: Key) -> None:
        cell = limit.cells.get(key)
        if cell is not None and not cell.refused:
            cell.armed, cell.refused = 1, True
            self.happened["crossed enforce block"] += 1
            self.happened["incident enforce run_ceiling block"] += 1

    def _strike(self, limit: Limit, target: str) -> None:
        limit.struck[target, self.now] += 1
        if limit.struck[target, self.now] >= limit.strikes:
            self.switches.setdefault(("enforce", limit.scope, target), "pause")
            self.happened["incident enforce rate_escalation pause"] += 1

    def _tell(self, call: Call, news: list[str]) -> None:
        if not news or call.run is None or self.policy is None:
            return
        past = self.pasts.setdefault(call.run, Past())
        for action in news:
            if action == "attempts":
                assert call.step is not None
                past.stopped.add(call.step)
                self.happened["incident enforce attempts block"] += 1
                continue
            past.acted += 1
            self.happened[f"incident enforce loop {action}"] += 1
            if action in ("pause", "stop"):
                self.switches.setdefault(("enforce", "run", call.run), action)

    def approve(self) -> None:
        """A person approves everything that can still be approved."""
        for one in self.approvals:
            cell = one.budget.cells[one.key]
            if one.armed == one.budget.arming and not one.budget.is_over(one.key, self.now + self.offset):
                cell.approved = max(cell.approved, one.rank)
        self.approvals = [
            one for one in self.approvals
            if one.armed != one.budget.arming or one.budget.is_over(one.key, self.now + self.offset)
        ]  # fmt: skip

    def lift(self) -> None:
        """A person lifts every switch but those of stopped runs."""
        self.switches = {place: kind for place, kind in self.switches.items() if kind == "stop"}

    def commit(self, number: int, charge: int) -> str:
        """Book what was used; "" or the status that stands against it."""
        self.reclaim()
        reservation = self.reservations[number]
        if reservation.status in ("committed", "released"):
            return reservation.status
        receipt = []
        if reservation.status == "active":
            receipt = reservation.receipt
            for grant, part in receipt:
                grant.held -= part
            self._return(reservation)
        self._burn(receipt, charge)
        for rule, key, mode, letter in reservation.layers:
            if letter == "c":
                rule.counters(mode)[key].spent += charge
        if reservation.status == "expired" or charge > reservation.amount:
            self._fire_receipt(reservation)
        reservation.status = "committed"
        return ""

    def _fire_receipt(self, reservation: Reservation) -> None:
        """More than was held may reach levels, of the windows that still run."""
        at = self.now + self.offset
        for mode in ("enforce", "observe"):
            layers = [
                (rule, key) for rule, key, of, _ in reservation.layers
                if isinstance(rule, Budget) and (rule.mode, of) == (mode, mode) and not rule.is_over(key, at)
            ]  # fmt: skip
            self._fire(layers, mode)

    def _return(self, reservation: Reservation) -> None:
        for rule, key, mode, letter in reservation.layers:
            if letter == "c":
                rule.counters(mode)[key].held -= reservation.amount
            elif letter == "n":
                rule.counters(mode)[key].held -= 1

    def release(self, number: int) -> str:
        """Free the hold; the status that it has then, or "committed" when that stands against it."""
        self.reclaim()
        reservation = self.reservations[number]
        if reservation.status == "active":
            self._free(reservation, "released")
        return reservation.status

    def extend(self, number: int, lifetime: int) -> str:
        """Live longer; "" or what stands against it."""
        self.reclaim()
        reservation = self.reservations[number]
        if reservation.status != "active":
            return "reservation_finalized"
        if self.now + lifetime > reservation.created + DAY:
            return "ttl_limit"
        reservation.expires = max(reservation.expires, self.now + lifetime)
        return ""

    def use(self, charge: int, subject: dict[str, str], ago: int) -> None:
        """Usage after the fact is always booked, in the real and the shadow gate."""
        self.reclaim()
        at = self.now - ago
        enforced, observed = self._layers(subject, at, "enforce"), self._layers(subject, at, "observe")
        for layers, mode in ((enforced, "enforce"), (observed, "enforce"), (observed, "observe")):
            for budget, key in layers:
                budget.counters(mode).setdefault(key, Cell()).spent += charge
        self._burn([], charge)
        now = self.now + self.offset
        self._fire([one for one in enforced if not one[0].is_over(one[1], now)], "enforce")
        self._fire([one for one in observed if not one[0].is_over(one[1], now)], "observe")

    def _layers(self, subject: dict[str, str], at: int, mode: str) -> list[Layer]:
        """The budgets in this mode that count a call, narrow to wide."""
        found = []
        for budget in sorted(self.budgets, key=lambda one: RANKS[one.scope]):
            key = budget.key(subject, at + self.offset)
            if key is not None and budget.mode == mode:
                found.append((budget, key))
        return found

    def _live(self) -> list[Grant]:
        live = [grant for grant in self.grants if grant.is_live(self.now)]
        return sorted(
            live,
            key=lambda grant: (
                SOURCES.index(grant.source), grant.priority, KINDS[grant.kind], grant.expires is None,
                grant.expires or 0, grant.number,
            ),
        )  # fmt: skip

    def _take(self, amount: int) -> list[tuple[Grant, int]]:
        """Free credit in burn order, after what the debt keeps back."""
        owed, taken = self.debt, []
        for grant in self._live():
            free = grant.remaining - grant.held
            kept = min(owed, free)
            owed -= kept
            part = min(free - kept, amount)
            if part > 0:
                amount -= part
                taken.append((grant, part))
        return taken

    def _burn(self, receipt: list[tuple[Grant, int]], charge: int) -> None:
        returned = {}
        for grant, part in receipt:
            used = min(part, charge)
            grant.remaining -= used
            self.paid[grant.source] += used
            charge -= used
            returned[grant.number] = part - used
        for grant, part in self._take(charge):
            grant.remaining -= part
            self.paid[grant.source] += part
            charge -= part
        self.paid["debt"] += charge
        self.debt += charge
        self._break(receipt, returned)

    def _free(self, reservation: Reservation, status: str) -> None:
        for grant, part in reservation.receipt:
            grant.held -= part
        self._return(reservation)
        self._break(reservation.receipt, {grant.number: part for grant, part in reservation.receipt})
        reservation.status = status

    def _break(self, receipt: list[tuple[Grant, int]], returned: dict[int, int]) -> None:
        """What comes back to credit whose expiry was posted is gone, too."""
        for grant, _ in receipt:
            if grant.broken:
                grant.remaining -= returned[grant.number]
