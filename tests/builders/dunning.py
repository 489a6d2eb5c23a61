"""Customers in arrears: their cases, what their retries come to, and what the gate says to them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from billing.operations.dunning import notice
from billing.operations.dunning.advancing import advance_customer
from billing.operations.dunning.collection import Collector, register_collector
from billing.operations.dunning.policies import NewPolicy, archive_policy, create_policy
from billing.queries.dunning import find_open_case, history_of_case, list_cases
from billing.rules.dunning.case import Case
from billing.rules.dunning.policy import Policy, PolicyRow, Step
from billing.rules.payments.views import Failure
from events.store import Cursor
from orgs.operations.facts import Author
from orgs.operations.locks import lock_organization
from tests.builders.billing import Billed, with_invoice
from tests.builders.orgs import platform, unique, write
from tests.builders.simulated import move_to

DAY = timedelta(days=1)
AUTHOR = Author("system:test")
SOFT = Failure("card_declined", "insufficient_funds", "Too little money.")
HARD = Failure("card_declined", "lost_card", "The card is lost.")


class Asked:
    """A payment that is under way since then."""

    def __init__(self, created_at: datetime) -> None:
        self.created_at = created_at


class Processor:
    """What collects in place of a processor: it notes what is asked for and has it under way, until a test says what
    came of it. `has_method`: without one nothing can be asked for. `debits`: whose payments are bank debits, which stay
    under way until they fail, whatever is asked for meanwhile; everybody else's are made anew each time."""

    def __init__(self) -> None:
        self.asked: list[tuple[UUID, UUID]] = []
        self.has_method: dict[UUID, bool] = {}
        self.debits: set[UUID] = set()
        self.under_way: dict[UUID, Asked] = {}
        self.real: Collector | None = None

    def stands_in(self) -> None:
        """Collect for the customers of these tests; everybody else's is the real one's matter."""
        before = register_collector(self)
        if before is not self:
            self.real = before

    def __call__(self, cur: Cursor, *, organization: UUID, invoice: UUID, cause: str, author: Author) -> Any:
        """Note it."""
        if organization not in self.has_method and self.real is not None:
            given: Any = {"organization": organization, "invoice": invoice, "cause": cause, "author": author}
            return self.real(cur, **given)
        if not self.has_method.get(organization):
            return None
        if invoice in self.under_way and organization in self.debits:
            return self.under_way[invoice]
        self.asked.append((organization, invoice))
        self.under_way[invoice] = Asked(lock_organization(cur, organization).now)
        return self.under_way[invoice]

    def of(self, organization: UUID) -> int:
        """How often a customer's invoices were asked for."""
        return sum(1 for each, _ in self.asked if each == organization)


PROCESSOR = Processor()


class Dunned:
    """A customer with open invoices, and what happens to it."""

    def __init__(self, made: Billed, invoices: list[str], *, has_method: bool = True) -> None:
        PROCESSOR.stands_in()
        PROCESSOR.has_method[made.id] = has_method
        self.made, self.invoices = made, invoices

    @property
    def id(self) -> UUID:
        """The organization."""
        return self.made.id

    def case(self) -> Case:
        """Its open case."""
        found = write(lambda cur: find_open_case(cur, self.id))
        assert found is not None
        return found

    def cases(self) -> list[Case]:
        """All its cases, newest first."""
        return write(lambda cur: list_cases(cur, organization=self.id, limit=100))

    def state(self) -> str | None:
        """The state of its newest case."""
        found = self.cases()
        return found[0].state if found else None

    def due_at(self, place: int = 0) -> datetime:
        """When one of its invoices falls due."""
        text = self.made.reader.get(f"/v1/invoices/{self.invoices[place]}").json()["due_at"]
        return datetime.fromisoformat(text)

    def on(self, moment: datetime) -> None:
        """Move the clock there, and let the timer look."""
        move_to(self.id, moment)
        self.look()

    def on_day(self, day: int, *, fails: bool = True) -> None:
        """Go to just after a day's steps are due; what is asked for there fails."""
        self.on(self.case().anchor_at + DAY * day + timedelta(minutes=1))
        if fails:
            self.fail()

    def look(self) -> bool:
        """The timer looks."""
        return write(lambda cur: advance_customer(cur, organization=self.id))

    def fail(self, failure: Failure = SOFT) -> None:
        """Everything that is under way fails."""
        for invoice in self.case().pending:
            self.fail_one(invoice, failure)

    def fail_one(self, invoice: UUID | str, failure: Failure = SOFT) -> None:
        """A payment of an invoice fails."""
        PROCESSOR.under_way.pop(UUID(str(invoice)), None)
        write(
            lambda cur: notice.payment_failed(
                cur, organization=self.id, invoice=UUID(str(invoice)), failure=failure, author=AUTHOR
            )
        )

    def new_method(self) -> None:
        """The customer gives another card."""
        PROCESSOR.has_method[self.id] = True
        write(lambda cur: notice.method_changed(cur, organization=self.id, author=AUTHOR))

    def pay(self, place: int = 0) -> None:
        """Pay one of its invoices whole."""
        found = self.made.reader.get(f"/v1/invoices/{self.invoices[place]}").json()
        given_up = found["status"] == "uncollectible"
        answer = self.made.pay(found["id"], found["total"] if given_up else found["due"])
        assert answer.status_code == 200, answer.content

    def pay_all(self) -> None:
        """Pay everything."""
        for place in range(len(self.invoices)):
            self.pay(place)

    def call(self, amount: str = "0.01", **given: Any) -> tuple[int, str | None]:
        """Status and code of a call through the gate."""
        answer = self.made.customer.reserve(amount, **given)
        return answer.status_code, answer.json().get("code")

    def history(self) -> list[str]:
        """What happened to its newest case."""
        (found, *_) = self.cases()
        rows = write(lambda cur: history_of_case(cur, found, after=None, limit=500))
        return [row.type.removeprefix("dunning_case.") for row in rows]

    def timeline(self) -> list[dict[str, Any]]:
        """Its newest case's timeline as finance reads it."""
        path = f"/v1/dunning-cases/{self.cases()[0].id}"
        found: list[dict[str, Any]] = self.made.finance.get(path).json()["timeline"]
        return found

    def notices(self) -> list[str]:
        """What it was told, in the order of the stages."""
        statement = "SELECT notice FROM dunning_notices WHERE organization = %s ORDER BY made_at, id"
        return write(lambda cur: [row[0] for row in cur.execute(statement, (self.id,)).fetchall()])

    def finance(self, verb: str, **body: Any) -> Any:
        """The answer to POST /v1/dunning-cases/{id}/<verb> by finance."""
        case = self.cases()[0].id
        return platform().post(f"/v1/dunning-cases/{case}/{verb}", {"reason": "a test", **body}, key=unique())


def in_arrears(*amounts: str, has_method: bool = True, **given: Any) -> Dunned:
    """A customer with one overdue invoice and a case of today."""
    made, invoice = with_invoice(*(amounts or ("12.50",)), **given)
    found = Dunned(made, [invoice["id"]], has_method=has_method)
    found.on(found.due_at())
    return found


@contextmanager
def usual_policy(*steps: tuple[int, str], **given: Any) -> Iterator[PolicyRow]:
    """A block in which this is the policy of every case that opens; those keep it."""
    policy = Policy(tuple(Step(*step) for step in steps), **given)
    new = NewPolicy(f"usual-{secrets.token_hex(4)}", "Usual", policy, is_default=True)
    made = write(lambda cur: create_policy(cur, new, author=AUTHOR))
    try:
        yield made
    finally:
        write(lambda cur: archive_policy(cur, policy=made.key, author=AUTHOR))


def owing_again(dunned: Dunned, amount: str = "3.10") -> str:
    """Another invoice, a month later, which is not due yet; its id."""
    known = set(dunned.invoices)
    dunned.made.use(amount)
    dunned.made.pass_months()
    dunned.made.run()
    (new,) = [each["id"] for each in dunned.made.invoices() if each["id"] not in known]
    dunned.invoices.append(new)
    return str(new)
