"""From what the machine says to stored events, the customer's letters, and what the gate obeys: in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from billing.operations.subscriptions.ending import mark_past_due, mark_recovered
from billing.queries.dunning import Unpaid, unpaid_of
from billing.queries.subscriptions import subscriptions_of
from billing.rules.dunning.case import Case, consequence_of
from billing.rules.dunning.machine import Turned
from billing.rules.dunning.states import WRITTEN_OFF
from billing.rules.subscriptions.states import ACTIVE, PAST_DUE
from common.ids import new_id
from events.store import Cursor
from orgs.operations.facts import Author, record
from orgs.rules.facts import Fact
from orgs.rules.rows import LockedOrganization
from spend.operations.standing import publish_standing

_NOTICE: Final = """
INSERT INTO dunning_notices (id, organization, case_id, notice, state, made_at, status, attempts, next_try_at)
VALUES (%s, %s, %s, %s, %s, %s, 'waiting', 0, clock_timestamp()) ON CONFLICT (case_id, notice) DO NOTHING
"""
_WAKE: Final = """
UPDATE dunning_notices SET next_try_at = clock_timestamp() WHERE case_id = %s AND status = 'waiting' AND attempts = 0
"""
_NAMED: Final = """
SELECT DISTINCT subscription FROM invoice_lines WHERE invoice_id = ANY(%s) AND subscription IS NOT NULL
"""


class Turn:
    """A case under its organization's lock, and who moves it. `case` is what it is after the last fact."""

    def __init__(
        self, cur: Cursor, locked: LockedOrganization, case: Case | None, author: Author, trigger: str
    ) -> None:
        self.cur, self.locked, self.author, self.trigger = cur, locked, author, trigger
        self._case = case
        self._facts: list[Fact] = []
        self._is_gathering = False
        self._unpaid: tuple[Any, list[Unpaid]] | None = None

    @property
    def has_case(self) -> bool:
        """Whether there is one."""
        return self._case is not None

    @property
    def case(self) -> Case:
        """The case. Only once there is one."""
        assert self._case is not None
        return self._case

    def take(self, turned: Turned) -> Case:
        """Record one fact, and the letter that it brings. Raises InvalidTransition for what the table does not have."""
        case, made = turned
        if self._case is not None and case.state != self._case.state:
            guard(self._case.state, case.state)
        self._facts.append(made)
        self._case = case
        if not self._is_gathering:
            self.write()
        return case

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """A block whose facts are stored in one write at its end; `write` does so before, where something else is about
        to write or to read the case."""
        self._is_gathering = True
        yield
        self._is_gathering = False
        self.write()

    def write(self) -> None:
        """Store the facts that are not stored yet, and the letters that they bring."""
        made, self._facts = self._facts, []
        record(self.cur, made, author=self.author)
        for fact in made:
            if fact.verb == "exemption_ended":  # what was put off meanwhile is so again
                self.cur.execute(_WAKE, (fact.stream_id,))
            notice = fact.data.get("notice")
            if notice is not None:
                given = (
                    new_id(),
                    fact.organization,
                    fact.stream_id,
                    notice,
                    fact.data["state"],
                    self.locked.now,
                )
                self.cur.execute(_NOTICE, given)

    def unpaid(self) -> list[Unpaid]:
        """What the case waits for; read once, until `forget`."""
        asked = (self.case.invoices, self.case.state == WRITTEN_OFF)
        if self._unpaid is None or self._unpaid[0] != asked:
            self._unpaid = (asked, unpaid_of(self.cur, self.case))
        return self._unpaid[1]

    def forget(self) -> None:
        """Invoices are about to change: what is unpaid is read anew."""
        self.write()
        self._unpaid = None

    def publish(self) -> None:
        """Tell the gate what the case means now; it obeys at its next decision."""
        found = consequence_of(self.case)
        publish_standing(
            self.cur,
            organization=self.locked.id,
            standing=found.standing,
            per_minute=found.per_minute,
            case=self.case.id,
            spends_credit=found.spends_credit,
            author=self.author,
        )


def guard(state: str, target: str) -> None:
    """Refuse what the model's own guard rail does not allow. Raises InvalidTransition."""
    # Models can be imported once Django is set up; operations are imported before that, too.
    from billing.operations.dunning.guarding import pass_guard

    pass_guard(state, target)


def mark_subscriptions(turn: Turn, invoices: tuple[UUID, ...]) -> None:
    """Note at the subscriptions of these invoices that they are overdue; they go on."""
    named = {row[0] for row in turn.cur.execute(_NAMED, (list(invoices),)).fetchall()}
    if not named or turn.locked.status != "active":
        return
    for row in subscriptions_of(turn.cur, organization=turn.locked.id):
        if row.id in named and row.status == ACTIVE:
            mark_past_due(turn.cur, turn.locked.id, row.id, author=turn.author)


def mark_all_recovered(turn: Turn) -> None:
    """Note at every subscription that nothing is overdue any more. What was canceled stays so."""
    if turn.locked.status != "active":
        return
    for row in subscriptions_of(turn.cur, organization=turn.locked.id):
        if row.status == PAST_DUE:
            mark_recovered(turn.cur, turn.locked.id, row.id, author=turn.author)
