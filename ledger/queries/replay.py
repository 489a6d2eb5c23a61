"""The ledger's part of all events, replayed in plain Python, one organization after the other.

It shares no code with the projections but the reading of an event's short form: it judges each hold at the moment
it was placed, and what is left at the end is compared with the rows.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from events.store import Cursor
from ledger.queries.integrity import Violation
from ledger.rules.effects import expanded

_Finding = tuple[str, str, str]
_AT_ONCE: Final = 5_000
_ORGANIZATIONS: Final = """
SELECT id FROM organizations WHERE %(only)s::uuid[] IS NULL OR id = ANY(%(only)s::uuid[]) ORDER BY id
"""
_EVENTS: Final = """
SELECT seq, type, stream_id, occurred_at, CASE WHEN type IN ('account.opened', 'organization.changed')
    THEN data::text ELSE json_build_object('ledger', data->'ledger')::text END
FROM events WHERE organization = %s AND seq > %s
    AND (data->'ledger' IS NOT NULL OR type IN ('account.opened', 'organization.changed'))
ORDER BY seq LIMIT %s
"""
_ACCOUNTS: Final = """
SELECT id::text, posted, held, debt FROM accounts WHERE organization = %s AND live ORDER BY id
"""
_GRANTS: Final = "SELECT id::text, remaining, held FROM credit_grants WHERE organization = %s ORDER BY id"


@dataclass(slots=True)
class _Account:
    kind: str
    limit: int | None
    posted: int = 0
    held: int = 0
    debt: int = 0


@dataclass(slots=True)
class _Grant:
    account: str
    remaining: int
    begins: datetime
    ends: datetime | None
    held: int = 0

    def is_live(self, at: datetime) -> bool:
        return self.begins <= at and (self.ends is None or at < self.ends)


@dataclass(slots=True)
class _Books:
    """What the events of one organization have added up to so far."""

    accounts: dict[str, _Account] = field(default_factory=dict)
    grants: dict[str, _Grant] = field(default_factory=dict)
    open_holds: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    findings: list[_Finding] = field(default_factory=list)
    overruled: bool = False

    def apply(self, kind: str, stream: UUID, at: datetime, data: dict[str, Any]) -> None:
        if kind == "account.opened" and data["live"]:
            self.accounts[str(stream)] = _Account(data["kind"], data.get("credit_limit"))
        elif kind == "organization.changed" and "credit_limit" in data.get("changed", ()):
            self._set_limit(data["credit_limit"], is_own=True)
        elif "line" in (data.get("ledger") or ()):
            said = data["ledger"]["line"]
            self.overruled = said["line"] is not None
            self._set_limit(said["credit_limit"], is_own=False)
        part = expanded(
            event_type=kind, stream_id=stream, part=data.get("ledger") or {}, usage=data.get("usage")
        )
        # Holds that the event places were judged on the state before it; what it settles was freed by then.
        for hold in part.get("settled", ()):
            self._settle(hold)
        for hold in part.get("placed", ()):
            self._place(hold, at)
        self._move(part)

    def _set_limit(self, limit: int | None, *, is_own: bool) -> None:
        """A line that is closed or opened from above does not listen to its organization's own limit."""
        for account in self.accounts.values():
            if account.kind == "unbilled_receivable" and not (is_own and self.overruled):
                account.limit = limit

    def _place(self, hold: dict[str, Any], at: datetime) -> None:
        account = self.accounts[hold["account"]]
        room = self._room(hold["account"], account, at)
        if room is not None and hold["amount"] > room:
            self.findings.append(
                ("L6", f"hold {hold['hold']}", f"{hold['amount']} was held with room for {room}")
            )
        for name, amount in hold["grants"]:
            grant = self.grants[name]
            if amount > grant.remaining - grant.held or not grant.is_live(at):
                self.findings.append(("L6", f"hold {hold['hold']}", f"grant {name} had not {amount} to give"))
            grant.held += amount
        account.held += hold["amount"]
        if hold["hold"] in self.open_holds or hold["hold"] in self.ended:
            self.findings.append(("L5", f"hold {hold['hold']}", "it was placed twice"))
        self.open_holds[hold["hold"]] = hold["amount"]

    def _room(self, name: str, account: _Account, at: datetime) -> int | None:
        if account.kind == "customer_credit":
            live = (g for g in self.grants.values() if g.account == name and g.is_live(at))
            return sum(grant.remaining - grant.held for grant in live) - account.debt
        if account.limit is None:
            return None
        return account.posted - account.held + account.limit

    def _settle(self, hold: dict[str, Any]) -> None:
        name = hold["hold"]
        placed = self.open_holds.pop(name, None)
        if placed != hold["amount"]:
            problem = "it ended twice" if name in self.ended else f"{hold['amount']} was freed of {placed}"
            self.findings.append(("L5", f"hold {name}", problem))
        self.ended.add(name)
        self.accounts[hold["account"]].held -= hold["amount"]
        for grant, amount in hold["grants"]:
            self.grants[grant].held -= amount

    def _move(self, part: dict[str, Any]) -> None:
        for grant in part.get("granted", ()):
            self.grants[grant["id"]] = _Grant(
                grant["account"],
                grant["amount"] - grant.get("repaid", 0),
                _moment(grant["effective_at"]),
                _moment(grant["expires_at"]) if grant.get("expires_at") else None,
            )
        for name, amount in part.get("burned", ()):
            self.grants[name].remaining -= amount
        for name, amount in part.get("debt", ()):
            self.accounts[name].debt += amount
        for entry in part.get("entries", ()):
            for name, amount in entry["lines"]:
                if name in self.accounts:
                    self.accounts[name].posted += amount


def replayed_violations(cur: Cursor, organizations: Collection[UUID] | None = None) -> list[Violation]:
    """Return what the history shows to be wrong: a hold that did not end once (L5), one that was placed past the
    floor (L6), and figures of rows that are not what the events add up to (L3, L4, L7). Reads only.
    """
    only = None if organizations is None else list(organizations)
    cur.execute(_ORGANIZATIONS, {"only": only})
    return [found for (organization,) in cur.fetchall() for found in _replay_one(cur, organization)]


def _replay_one(cur: Cursor, organization: UUID) -> Iterator[Violation]:
    books, last = _Books(), 0
    while rows := cur.execute(_EVENTS, (organization, last, _AT_ONCE)).fetchall():
        for seq, kind, stream, at, data in rows:
            books.apply(kind, stream, at, json.loads(data))
            last = seq
    for invariant, thing, detail in (*books.findings, *_differences(cur, organization, books)):
        yield Violation(invariant, organization, thing, detail)


def _differences(cur: Cursor, organization: UUID, books: _Books) -> Iterator[_Finding]:
    accounts = {name: figures for name, *figures in cur.execute(_ACCOUNTS, (organization,)).fetchall()}
    for name, account in books.accounts.items():
        expected = [account.posted, account.held, account.debt]
        if accounts.get(name) != expected:
            detail = f"posted, held and debt are {accounts.get(name)}, its events say {expected}"
            yield "L3", f"account {name}", detail
    grants = {name: figures for name, *figures in cur.execute(_GRANTS, (organization,)).fetchall()}
    for name, grant in books.grants.items():
        expected = [grant.remaining, grant.held]
        if grants.get(name) != expected:
            yield (
                "L7",
                f"grant {name}",
                f"remaining and held are {grants.get(name)}, its events say {expected}",
            )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
