"""Credit against a plain model of it: whatever happens in whatever order, both say the same to the last unit.

The model keeps a list of grants and open holds in Python and knows nothing of events, journal or rows. The clock is
a sandbox organization's, so that expiry is part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from common.errors import AmountExceedsAvailable
from events.store import Cursor
from ledger.operations.adjusting import NewAdjustment, propose_adjustment
from ledger.operations.grants import NewGrant, expire_grants, grant_credit
from ledger.operations.holding import place_hold, post_hold, void_hold
from ledger.operations.reversing import reverse_entry
from ledger.operations.taking_back import claw_back, refund_credit
from ledger.queries.balances import find_grants
from ledger.queries.statements import trial_balance
from orgs.operations.clock import advance_clock
from orgs.operations.locks import lock_organization
from tests.builders.ledger import credit, make_books, wrong
from tests.builders.orgs import AUTHOR, unique, write

_T = TypeVar("_T")
KINDS = ("included", "promotional", "paid")
SOURCES = ("allowance", "commitment", "credit")
AMOUNTS = st.integers(1, 1_000)


@dataclass
class ModelGrant:
    """A grant as the model keeps it."""

    id: UUID
    kind: str
    remaining: int
    created: datetime
    ends: datetime | None
    source: str = "credit"
    gift: int = 0
    held: int = 0
    swept: bool = False


@dataclass
class Model:
    """Credit as anybody would keep it by hand."""

    grants: list[ModelGrant] = field(default_factory=list)
    holds: dict[UUID, list[tuple[ModelGrant, int]]] = field(default_factory=dict)
    debt: int = 0
    breakage: int = 0
    given_back: int = 0

    def broken(self, grant: ModelGrant, amount: int) -> None:
        """What leaves a grant unused: what was paid for first, the gift at last."""
        for _ in range(amount):
            if grant.remaining > grant.gift:
                self.breakage += 1
            else:
                self.given_back += 1
            grant.remaining -= 1

    def live(self, now: datetime) -> list[ModelGrant]:
        alive = [grant for grant in self.grants if grant.ends is None or now < grant.ends]
        far = datetime.max.replace(tzinfo=now.tzinfo)
        return sorted(
            alive,
            key=lambda g: (SOURCES.index(g.source), KINDS.index(g.kind), g.ends or far, g.created, g.id),
        )

    def available(self, now: datetime) -> int:
        return sum(grant.remaining - grant.held for grant in self.live(now)) - self.debt

    @property
    def posted(self) -> int:
        return sum(grant.remaining for grant in self.grants) - self.debt

    @property
    def held(self) -> int:
        return sum(part for taken in self.holds.values() for _, part in taken)

    def give(self, made: ModelGrant) -> None:
        repaid = min(self.debt, made.remaining)
        self.debt -= repaid
        made.remaining -= repaid
        self.grants.append(made)

    def place(self, hold: UUID, amount: int, now: datetime) -> None:
        owed, taken = self.debt, []
        for grant in self.live(now):
            free = grant.remaining - grant.held
            kept = min(free, owed)
            owed -= kept
            part = min(free - kept, amount)
            if part:
                taken.append((grant, part))
                grant.held += part
                amount -= part
        assert amount == 0
        self.holds[hold] = taken

    def end(self, hold: UUID, used: int) -> None:
        for grant, part in self.holds.pop(hold):
            grant.held -= part
            burnt = min(part, used)
            used -= burnt
            grant.remaining -= burnt
            if grant.swept:
                self.broken(grant, part - burnt)
        assert used == 0

    def take(self, grants: list[ModelGrant], amount: int) -> list[tuple[ModelGrant, int]]:
        burnt = []
        for grant in grants:
            part = min(grant.remaining - grant.held, amount)
            if part:
                grant.remaining -= part
                amount -= part
                burnt.append((grant, part))
        self.debt += amount
        return burnt


class Credit(RuleBasedStateMachine):
    """Operations on one organization, each done on the books and in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.organization = make_books(sandbox=True)
        self.model = Model()
        self.clawbacks: list[tuple[UUID, int, list[tuple[ModelGrant, int]], int]] = []
        self.promotional = 0

    def now(self) -> datetime:
        return write(lambda cur: lock_organization(cur, self.organization).now)

    def do(self, operation: Callable[..., _T], **given: Any) -> _T:
        def run(cur: Cursor) -> _T:
            return operation(cur, organization=self.organization, author=AUTHOR, **given)

        return write(run)

    @initialize(amount=AMOUNTS)
    def begin(self, amount: int) -> None:
        self.grant(amount, "paid", None)

    @rule(
        amount=AMOUNTS,
        kind=st.sampled_from(KINDS),
        days=st.sampled_from((None, 1, 2)),
        source=st.sampled_from(SOURCES),
        gift=st.integers(0, 1_000),
    )
    def grant(self, amount: int, kind: str, days: int | None, source: str = "credit", gift: int = 0) -> None:
        """Of what a plan includes some is worth more than its fee: that is the gift."""
        lifetime = None if days is None else timedelta(days=days)
        gift = {"included": min(gift, amount), "promotional": amount if source != "credit" else 0}.get(
            kind, 0
        )
        contra = None
        if kind == "included":
            parts = (("deferred_revenue", amount - gift), ("promotional_expense", gift))
            contra = tuple(part for part in parts if part[1])
        new = NewGrant(
            self.organization,
            amount,
            "USD",
            kind=kind,
            reason="model",
            lifetime=lifetime,
            source=source,
            contra=contra,
        )
        made = write(lambda cur: grant_credit(cur, new, author=AUTHOR))
        row = write(lambda cur: find_grants(cur, organization=self.organization, grants=[made]))[0].grant
        self.model.give(ModelGrant(made, kind, amount, row.created_at, row.expires_at, source, gift))
        self.promotional += amount if kind == "promotional" else gift

    @rule(amount=AMOUNTS)
    def hold(self, amount: int) -> None:
        now = self.now()
        given = {"kind": "customer_credit", "amount": amount, "source": "model:1"}
        if amount > self.model.available(now):
            with pytest.raises(AmountExceedsAvailable):
                self.do(place_hold, **given)
        else:
            self.model.place(self.do(place_hold, **given), amount, now)

    @rule()
    def hold_everything(self) -> None:
        amount = self.model.available(self.now())
        if amount > 0:
            self.hold(amount)

    @rule(amount=AMOUNTS, data=st.data())
    def a_hold_outlives_its_grant(self, amount: int, data: st.DataObject) -> None:
        self.grant(amount, "included", 1)
        self.hold_everything()
        self.time_passes(1, True)
        if self.model.holds:
            self.end_a_hold(data)

    @precondition(lambda self: self.model.holds)
    @rule(data=st.data())
    def end_a_hold(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from(list(self.model.holds)))
        amount = sum(part for _, part in self.model.holds[hold])
        used = data.draw(st.integers(0, amount))
        if used == 0:
            self.do(void_hold, hold=hold)
        else:
            self.do(post_hold, hold=hold, amount=used, contra_kind="revenue", reason="")
        self.model.end(hold, used)

    @rule(amount=AMOUNTS)
    def claw_back(self, amount: int) -> None:
        now = self.now()
        entry = self.do(claw_back, amount=amount, key=unique("dispute"), reason="model")
        paid = [grant for grant in self.model.live(now) if (grant.kind, grant.source) == ("paid", "credit")]
        paid.sort(key=lambda grant: (grant.created, grant.id), reverse=True)
        before = self.model.debt
        burnt = self.model.take(paid, amount)
        self.clawbacks.append((entry, amount, burnt, self.model.debt - before))

    @precondition(lambda self: self.clawbacks)
    @rule()
    def win_the_last_dispute(self) -> None:
        """The rest of its own debt goes, its grants get back what they lost, and what is left is a new grant."""
        entry, amount, burnt, owed = self.clawbacks.pop()
        now = self.now()
        self.do(reverse_entry, entry=entry, reason="won")
        repaid = min(owed, self.model.debt)
        self.model.debt -= repaid
        rest = amount - repaid
        for grant, part in burnt:
            rest -= part
            if grant.swept or (grant.ends is not None and grant.ends <= now):
                self.model.breakage += part
            else:
                grant.remaining += part
        if rest:
            name = write(self._newest_grant)
            self.model.give(ModelGrant(name, "promotional", rest, now, None))

    def _newest_grant(self, cur: Cursor) -> UUID:
        row = cur.execute(
            "SELECT id, created_at FROM credit_grants WHERE organization = %s ORDER BY created_at DESC LIMIT 1",
            (self.organization,),
        ).fetchone()
        assert row is not None
        found: UUID = row[0]
        return found

    @rule(data=st.data(), amount=AMOUNTS)
    def refund(self, data: st.DataObject, amount: int) -> None:
        paid = [grant for grant in self.model.grants if (grant.kind, grant.source) == ("paid", "credit")]
        grant = data.draw(st.sampled_from(paid))
        now = self.now()
        free = 0 if grant.ends is not None and grant.ends <= now else grant.remaining - grant.held
        if amount > min(free, self.model.available(now)):
            with pytest.raises(AmountExceedsAvailable):
                self.do(refund_credit, grant=grant.id, amount=amount, reason="model")
        else:
            self.do(refund_credit, grant=grant.id, amount=amount, reason="model")
            grant.remaining -= amount

    @rule(amount=AMOUNTS)
    def adjust_down(self, amount: int) -> None:
        now = self.now()
        new = NewAdjustment(self.organization, -amount, "USD", "suspense", "model")
        bought = [grant for grant in self.model.live(now) if grant.source == "credit"]
        if amount > sum(grant.remaining - grant.held for grant in bought) - self.model.debt:
            with pytest.raises(AmountExceedsAvailable):
                write(lambda cur: propose_adjustment(cur, new, author=AUTHOR))
        else:
            write(lambda cur: propose_adjustment(cur, new, author=AUTHOR))
            self.model.take(bought, amount)

    @rule(days=st.integers(1, 2), swept=st.booleans())
    def time_passes(self, days: int, swept: bool) -> None:
        self.do(advance_clock, by=timedelta(days=days))
        if swept:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        now = self.now()
        self.do(expire_grants)
        for grant in self.model.grants:
            if grant.ends is not None and grant.ends <= now and not grant.swept and grant.remaining:
                self.model.broken(grant, grant.remaining - grant.held)
                grant.swept = True

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        found = credit(self.organization)
        assert (found.posted, found.held, found.debt) == (self.model.posted, self.model.held, self.model.debt)
        assert found.available == self.model.available(found.at)
        left = {row.grant.id: (row.grant.remaining, row.grant.held) for row in found.grants}
        assert left == {g.id: (g.remaining, g.held) for g in self.model.grants if g.remaining}

    def teardown(self) -> None:
        lines = write(lambda cur: trial_balance(cur, organization=self.organization))
        assert sum(line.balance for line in lines) == 0
        assert sum(line.balance for line in lines if line.kind == "breakage") == self.model.breakage
        given = sum(line.balance for line in lines if line.kind == "promotional_expense")
        assert given == self.model.given_back - self.promotional
        assert wrong(self.organization) == []


TestCredit = Credit.TestCase
TestCredit.settings = settings(
    max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
