"""Many earnings of many partners: the first by the gate, and copies of them with everything that the gate wrote.

One partner has half of all. Callers are sandboxes, so that time can pass; what partners earned is settled by the
operations, before the copies are made and after.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import psycopg

from billing.rules.payments.views import AccountView
from common.transactions import run_in_transaction
from events.store import Cursor
from ledger.operations.grants import NewGrant, grant_credit
from ledger.operations.organizations import NewOrganization, create_organization
from orgs.operations.api_keys import NewApiKey, create_api_key
from orgs.operations.clock import advance_clock
from orgs.operations.create import NewSubject, create_agent
from orgs.operations.facts import Author
from payouts.operations.listings import publish_listing
from payouts.operations.partners import enroll_partner, set_account
from payouts.rules.partners import Terms
from spend.rules.commands import Action, Actual, Caller, RecordUsage, Subject
from tests.bench.gate import submit_all
from tests.bench.lifecycle import fresh_name

AUTHOR: Final = Author("system:bench")
CALLERS: Final = 20
CHARGE: Final = 10**6
"""Units of a call: a cent, of which the partner gets 0.008."""
CREDIT: Final = 10**6 * 10**8
AT_ONCE: Final = 500
_ID: Final = "(lpad(to_hex(k + {offset}), 8, '0') || substr({of}, 9))::uuid"
_OFFSET: Final = 0x00100000  # of the first eight digits of an id: older than every real one
# What a copy must have of its own, and which rows there are to copy: those that usage after the fact writes.
_COPIED: Final = {
    "journal_entries": {
        "id": "id::text",
        "source": "substr(source, 14)",
        "idempotency_key": "idempotency_key || '.' || k",
    },
    "postings": {"entry_id": "entry_id::text"},
    "usage_records": {"id": "id::text", "external_id": "external_id || '.' || k"},
    "events": {"stream_id": "stream_id::text"},
}
_WHERE: Final = {
    "journal_entries": "source LIKE 'usage_record:%%'",
    "postings": "entry_id IN (SELECT id FROM journal_entries WHERE organization = ANY(%(callers)s)"
    " AND source LIKE 'usage_record:%%')",
    "events": "type = 'usage.recorded'",
}
_POSTED: Final = """
WITH posted AS (
    SELECT p.organization, sum(p.amount) AS amount FROM postings p JOIN accounts a ON a.id = p.account_id
    WHERE p.organization = ANY(%(callers)s) AND a.kind = 'customer_credit' GROUP BY 1
)
"""
_MOVED: Final = (
    f"{_POSTED} UPDATE credit_grants g SET remaining = p.amount FROM posted p WHERE g.organization = p.organization",
    f"{_POSTED} UPDATE accounts a SET posted = p.amount FROM posted p"
    " WHERE a.organization = p.organization AND a.kind = 'customer_credit'",
    "UPDATE earning_buckets SET volume = volume * %(times)s, gross = gross * %(times)s, share = share * %(times)s,"
    " calls = calls * %(times)s"
    " WHERE organization = ANY(%(callers)s)",
    "UPDATE earning_pairs SET earned = earned * %(times)s WHERE organization = ANY(%(callers)s)",
    "UPDATE earning_sources SET share = share * %(times)s WHERE organization = ANY(%(callers)s)",
    "UPDATE usage_hourly SET calls = calls * %(times)s, cost = cost * %(times)s, charge = charge * %(times)s"
    " WHERE organization = ANY(%(callers)s)",
    "UPDATE earning_used SET amount = amount * %(times)s WHERE organization = ANY(%(callers)s)",
)


@dataclass(frozen=True)
class Market:
    """Partners, the first of whom earns half of all, and callers with the keys of their agents."""

    partners: list[UUID]
    callers: dict[UUID, list[str]]
    keys: dict[UUID, str]

    def as_json(self) -> dict[str, Any]:
        """What another process needs to go on."""
        return {
            "partners": [str(one) for one in self.partners],
            "callers": {str(one): agents for one, agents in self.callers.items()},
            "keys": {str(one): key for one, key in self.keys.items()},
        }

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> "Market":
        """The same in that process."""
        callers = {UUID(one): agents for one, agents in found["callers"].items()}
        return cls(
            [UUID(one) for one in found["partners"]],
            callers,
            {UUID(one): key for one, key in found["keys"].items()},
        )

    def call(self, *, each: int, first: int = 0) -> None:
        """Have every agent of every partner called so often, and those of the first partner `first` times more in
        all; then let the holdback pass."""
        name, number = fresh_name(), 0
        for caller, agents in self.callers.items():
            wanted = [agent for agent in agents for _ in range(each)] + [agents[0]] * (first // CALLERS)
            for start in range(0, len(wanted), AT_ONCE):
                portion = wanted[start : start + AT_ONCE]
                commands = [
                    self._usage(caller, agent, f"{name}.{number + place}")
                    for place, agent in enumerate(portion)
                ]
                number += len(portion)
                refused = [answer.error for answer in submit_all(commands) if answer.error is not None]
                if refused:
                    raise refused[0]
            run_in_transaction(lambda cur, one=caller: pass_time(cur, one, timedelta(hours=2)))

    def _usage(self, caller: UUID, agent: str, identifier: str) -> RecordUsage:
        return RecordUsage(
            caller, Caller(self.keys[caller]), None, "bench", identifier, sha256(identifier.encode()).digest(),
            Subject(agent), Action("llm.chat"), "completed", Actual(amount=CHARGE), datetime.now(UTC),
        )  # fmt: skip


def make_market(accounts: list[AccountView]) -> Market:
    """Make a partner for each of these accounts at the processor, and callers whose agents are what they offer."""
    sellers = [run_in_transaction(lambda cur, view=view: _seller(cur, view)) for view in accounts]
    callers, keys = {}, {}
    for place in range(CALLERS):
        listings = [sellers[0][1], *(key for _, key in sellers[1 + place :: CALLERS])]
        caller, key = run_in_transaction(lambda cur: _caller(cur))
        for listing in listings:
            run_in_transaction(lambda cur, one=caller, key=listing: _agent(cur, one, key))
        callers[caller], keys[caller] = listings, key
    return Market([partner for partner, _ in sellers], callers, keys)


def multiply(connection: psycopg.Connection[Any], market: Market, *, copies: int) -> None:
    """Copy what the callers used that many times as the owner of the tables would restore it: with ids of their own,
    balances and sums of shares moved by what the copies add."""
    given = {"callers": list(market.callers), "copies": copies, "times": copies + 1}
    with connection.transaction():
        for table in _COPIED:
            connection.execute(_copy(connection, table).encode(), given)
        for statement in _MOVED:
            connection.execute(statement.encode(), given)
    connection.execute("VACUUM (ANALYZE)")


def pass_time(cur: Cursor, organization: UUID, by: timedelta) -> None:
    """Let time pass for an organization."""
    advance_clock(cur, organization=organization, by=by, author=AUTHOR)


def _copy(connection: psycopg.Connection[Any], table: str) -> str:
    found = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND column_name NOT IN ('seq', 'tx')",
        (table,),
    )
    columns = [row[0] for row in found]
    values = list(_values(table, columns))
    where = f"organization = ANY(%(callers)s) AND {_WHERE.get(table, 'true')}"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"
        f" FROM (SELECT * FROM {table} WHERE {where}) AS original CROSS JOIN generate_series(1, %(copies)s) AS k"
    )


def _values(table: str, columns: list[str]) -> Iterator[str]:
    for name in columns:
        own = _COPIED[table].get(name, name)
        if name == "source" and own != name:
            yield f"'usage_record:' || {_ID.format(of=own, offset=_OFFSET)}"
        elif own.endswith("::text"):
            yield _ID.format(of=own, offset=_OFFSET)
        else:
            yield own


def _seller(cur: Cursor, view: AccountView) -> tuple[UUID, str]:
    organization = create_organization(cur, NewOrganization("Partner", sandbox=True), author=AUTHOR)
    enroll_partner(
        cur, organization=organization, terms=Terms(minimum=CHARGE, holdback_days=0), author=AUTHOR
    )
    set_account(cur, organization=organization, view=view, author=AUTHOR)
    key = f"listing-{organization}"
    publish_listing(cur, organization=organization, key=key, name="Agent", author=AUTHOR)
    return organization, key


def _caller(cur: Cursor) -> tuple[UUID, str]:
    organization = create_organization(cur, NewOrganization("Caller", sandbox=True), author=AUTHOR)
    grant_credit(cur, NewGrant(organization, CREDIT, "USD", reason="bench"), author=AUTHOR)
    issued = create_api_key(cur, NewApiKey(organization, "bench", ("spend:write",)), author=AUTHOR)
    return organization, f"key:{issued.key.id}"


def _agent(cur: Cursor, caller: UUID, listing: str) -> None:
    new = NewSubject(caller, listing, "Agent")
    create_agent(cur, new, team=None, listing=listing, author=AUTHOR)
