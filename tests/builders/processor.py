"""Customers who pay at the simulator, and what a customer's books come to, whatever ids things have."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from common.transactions import run_in_transaction
from events.rebuilding.tables import rebuilt_tables
from events.store import Cursor
from tests.builders.books import balances, open_books, rows
from tests.builders.deliveries import now
from tests.builders.payments import asked
from tests.builders.signing import signed
from tests.builders.stripe import SECRET, Simulator

CENT = 10**6
_HOW_IT_CAME: Final = frozenset(
    {"version", "opened_by", "resolved_by", "notes", "actor", "epoch", "tx", "seq"}
)
_IDS: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(pi|ch|py|re|pyr|dp|du|txn|cus|pm|po|evt|issfr|in|sub)_\w+"
)
_TIMES: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Payer:
    """An organization whose payments are made at the simulator, with its customer there."""

    simulator: Simulator
    organization: UUID
    customer: str

    def ask(self, cents: int) -> UUID:
        """A top-up that is asked for, and not made yet."""
        return asked(self.organization, cents * CENT).payment

    def pay(self, cents: int, method: str = "pm_card_visa", *, payment: UUID | None = None) -> Any:
        """The PaymentIntent of a top-up, confirmed; declines are raised by the SDK."""
        named = payment or self.ask(cents)
        return self.simulator.sdk().v1.payment_intents.create(
            {
                "amount": cents,
                "currency": "usd",
                "customer": self.customer,
                "payment_method": method,
                "confirm": True,
                "off_session": True,
                "metadata": {"payment": str(named), "organization": str(self.organization)},
            }
        )


def payer(simulator: Simulator) -> Payer:
    """A customer with books."""
    organization = open_books()
    made = simulator.sdk().v1.customers.create({"metadata": {"organization": str(organization)}})
    return Payer(simulator, organization, made.id)


def listed(simulator: Simulator) -> list[bytes]:
    """The bodies of all events of the simulator, the oldest first."""
    pages = simulator.sdk().v1.events.list({"limit": 100}).auto_paging_iter()
    return [json.dumps(json.loads(str(event)), separators=(",", ":")).encode() for event in pages][::-1]


def header(body: bytes, secret: str = SECRET) -> str:
    """The header of a delivery now."""
    return signed(body, at=now(), secret=secret)


def state(organization: UUID) -> Any:
    """What a customer's money came to: balances, payments, refunds, disputes and effects without any id."""
    return {
        "balances": balances(organization),
        "payments": rows(
            "SELECT status, amount, received, refunded, disputed, credit_back, fee FROM payments"
            " WHERE organization = %s ORDER BY 1, 2, 3, 4, 5, 6, 7",
            organization,
        ),
        "refunds": rows("SELECT amount, status FROM refunds WHERE organization = %s ORDER BY 1, 2", organization),
        "disputes": rows(
            "SELECT amount, status, withdrawn, fee FROM disputes WHERE organization = %s ORDER BY 1, 2, 3", organization
        ),
        "effects": rows(
            "SELECT split_part(source, ':', 1), count(*) FROM effects WHERE organization = %s GROUP BY 1 ORDER BY 1",
            organization,
        ),
    }  # fmt: skip


def whole_state(organization: UUID) -> dict[str, list[str]]:
    """Every row of every projection and of the journal of a customer as text, whatever ids and times its things
    have and whoever brought them; of findings those that are open, for how often somebody looked is no state."""

    def read(cur: Cursor) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        cur.execute("SELECT id::text, kind FROM accounts WHERE organization = %s", (organization,))
        kinds = dict(cur.fetchall())
        for table in rebuilt_tables(cur):
            if table.organization is None:
                continue
            is_open = " AND status = 'open'" if table.name == "findings" else ""
            cur.execute(
                f"SELECT to_jsonb(t)::text FROM {table.name} t WHERE {table.organization} = %s{is_open}",
                (organization,),
            )
            found[table.name] = sorted(_nameless(json.loads(row[0]), kinds) for row in cur.fetchall())
        return {name: each for name, each in found.items() if each}

    return run_in_transaction(read)


def _nameless(row: dict[str, Any], accounts: dict[str, str]) -> str:
    kept = {name: value for name, value in row.items() if name not in _HOW_IT_CAME}
    if "account_id" in kept:
        kept["account_id"] = accounts[kept["account_id"]]
    return json.dumps(_plain(kept))


def _plain(value: Any) -> Any:
    """Without ids and times, and without the order that ids gave."""
    if isinstance(value, dict):
        return sorted([_plain(name), json.dumps(_plain(each))] for name, each in value.items())
    if isinstance(value, list):
        return sorted(json.dumps(_plain(each)) for each in value)
    return _TIMES.sub("time", _IDS.sub("id", value)) if isinstance(value, str) else value


def effects(organization: UUID) -> int:
    """How many effects a customer's payments had."""
    return int(rows("SELECT count(*) FROM effects WHERE organization = %s", organization)[0][0])
