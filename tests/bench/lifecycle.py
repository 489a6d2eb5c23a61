"""One lifecycle of a call: a reservation priced from the book, then a commit of what the call used."""

import itertools
import time
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from spend.rules.commands import Action, Actual, Commit, Estimate, RequestKey, Reserve, Subject
from spend.rules.rating import Usage
from tests.bench.population import MODEL, PROVIDER, Customer

CALLS_OF_A_RUN = 20
USERS = 50
ACTION = Action("llm.chat", PROVIDER, MODEL)
ESTIMATE = Estimate(input_tokens=1_800, max_output_tokens=900)
USAGE = Usage(input_tokens=1_730, cache_read_input_tokens=1_200, output_tokens=412)


def request_key(text: str) -> RequestKey:
    """An idempotency key with the digest that the border would compute."""
    return RequestKey(text, sha256(text.encode()).digest())


@dataclass(frozen=True)
class Call:
    """One call of a customer: its number there says which run and user it belongs to; `name` makes keys unique."""

    customer: Customer
    name: str
    number: int

    @classmethod
    def next(cls, customer: Customer, name: str) -> "Call":
        """The customer's next call: a run has twenty of them, and there are fifty users."""
        return cls(customer, name, next(customer.calls))

    def reserve(self, *, run: str | None = None) -> Reserve:
        """Ask for it, in the run that its number says or in that one."""
        place, step = divmod(self.number, CALLS_OF_A_RUN)
        label = run or f"run-{place}"
        subject = Subject("bot", workflow="report", run=label, user=f"user-{place % USERS}", step=step)
        key = request_key(f"reserve-{self.name}-{self.number}")
        return Reserve(self.customer.id, self.customer.caller, key, subject, ACTION, ESTIMATE, "USD")

    def commit(self, reservation: UUID) -> Commit:
        """Book what it used."""
        actual = Actual(usage=USAGE, latency_ms=1_840, response_id=f"msg_{self.number:024d}")
        key = request_key(f"commit-{self.name}-{self.number}")
        return Commit(self.customer.id, self.customer.caller, key, reservation, "completed", actual)


_NAMES = itertools.count()


def fresh_name() -> str:
    """A name that no other run of this database has used, for keys and runs."""
    return f"{time.time_ns() // 10**6:x}.{next(_NAMES)}"
