"""The ledger and the gate as plain arithmetic: lists and integers, no clock, no database, no code of the product.

Amounts in units of 10^-8, times in half hours since the start; a lifetime is an odd number of half hours and the clock
moves by whole hours, so that the seconds that a test takes never decide.
"""

from dataclasses import dataclass, field

HOUR, DAY = 2, 48
RANKS = {"run": 0, "user": 1, "agent": 2, "organization": 6, "credit": 99}
KINDS = {"promotional": 1, "paid": 2}


@dataclass
class Grant:
    """Credit that is left and what work in flight holds of it."""

    kind: str
    priority: int
    remaining: int
    expires: int | None
    number: int
    held: int = 0
    broken: bool = False

    def is_live(self, now: int) -> bool:
        """Whether it can be spent."""
        return self.expires is None or now < self.expires


@dataclass
class Budget:
    """A limit for everything of one scope, and what each of its windows holds and has spent."""

    scope: str
    window: str
    limit: int
    counters: dict[tuple[str, int], list[int]] = field(default_factory=dict)

    def place(self, subject: dict[str, str], at: int) -> tuple[str, int] | None:
        """The target and window that a call counts for."""
        target = "" if self.scope == "organization" else subject.get(self.scope)
        if target is None:
            return None
        return target, {"hour": at // HOUR, "day": at // DAY}.get(self.window, 0)


@dataclass
class Reservation:
    """What a granted call holds and where it took it from."""

    amount: int
    created: int
    expires: int
    layers: list[tuple[Budget, tuple[str, int]]]
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
        self.reservations: list[Reservation] = []

    @property
    def posted(self) -> int:
        """What the credit account says."""
        return sum(grant.remaining for grant in self.grants) - self.debt

    def grant(self, amount: int, kind: str, priority: int, lifetime: int | None) -> None:
        """Credit repays debt first."""
        repaid = min(self.debt, amount)
        self.debt -= repaid
        until = None if lifetime is None else self.now + lifetime
        self.grants.append(Grant(kind, priority, amount - repaid, until, len(self.grants)))

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

    def reserve(self, amount: int, subject: dict[str, str], lifetime: int) -> str:
        """The code of a refusal, or "" when it is granted."""
        self.reclaim()
        layers = self._layers(subject, self.now)
        failing = [self._refusal(budget, key, amount) for budget, key in layers]
        free = sum(grant.remaining - grant.held for grant in self._live()) - self.debt
        if amount > max(0, free):
            idle = sum(grant.remaining for grant in self._live()) - self.debt
            failing.append(
                (409, RANKS["credit"], "budget_busy")
                if idle >= amount
                else (402, RANKS["credit"], "credit_exhausted")
            )
        refusals = sorted(item for item in failing if item is not None)
        if refusals:
            return refusals[0][2]
        receipt = self._take(amount)
        for grant, part in receipt:
            grant.held += part
        for budget, key in layers:
            budget.counters.setdefault(key, [0, 0])[0] += amount
        self.reservations.append(Reservation(amount, self.now, self.now + lifetime, layers, receipt))
        return ""

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
            for budget, key in reservation.layers:
                budget.counters[key][0] -= reservation.amount
        self._burn(receipt, charge)
        for budget, key in reservation.layers:
            budget.counters[key][1] += charge
        reservation.status = "committed"
        return ""

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
        """Usage after the fact is always booked."""
        self.reclaim()
        for budget, key in self._layers(subject, self.now - ago):
            budget.counters.setdefault(key, [0, 0])[1] += charge
        self._burn([], charge)

    def _layers(self, subject: dict[str, str], at: int) -> list[tuple[Budget, tuple[str, int]]]:
        found = []
        for budget in self.budgets:
            key = budget.place(subject, at + self.offset)
            if key is not None:
                found.append((budget, key))
        return found

    def _refusal(self, budget: Budget, key: tuple[str, int], amount: int) -> tuple[int, int, str] | None:
        held, spent = budget.counters.get(key, (0, 0))
        if spent + held + amount <= budget.limit:
            return None
        rank = RANKS[budget.scope]
        if amount > budget.limit:
            return 402, rank, "too_large"
        if spent + amount > budget.limit:
            return 402, rank, "run_ceiling_reached" if budget.scope == "run" else "budget_exhausted"
        return 409, rank, "budget_busy"

    def _live(self) -> list[Grant]:
        live = [grant for grant in self.grants if grant.is_live(self.now)]
        return sorted(
            live,
            key=lambda grant: (
                grant.priority, KINDS[grant.kind], grant.expires is None, grant.expires or 0, grant.number,
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
            charge -= used
            returned[grant.number] = part - used
        for grant, part in self._take(charge):
            grant.remaining -= part
            charge -= part
        self.debt += charge
        self._break(receipt, returned)

    def _free(self, reservation: Reservation, status: str) -> None:
        for grant, part in reservation.receipt:
            grant.held -= part
        for budget, key in reservation.layers:
            budget.counters[key][0] -= reservation.amount
        self._break(reservation.receipt, {grant.number: part for grant, part in reservation.receipt})
        reservation.status = status

    def _break(self, receipt: list[tuple[Grant, int]], returned: dict[int, int]) -> None:
        """What comes back to credit whose expiry was posted is gone, too."""
        for grant, _ in receipt:
            if grant.broken:
                grant.remaining -= returned[grant.number]
