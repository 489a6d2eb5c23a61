"""Who listens to which organization, and what they are told: one look a second for all who listen to one.

The first look for a listener tells everything, every other one what is different since. Money is written as in all
answers. What happened (incidents, switches, thresholds) is told event by event, as in the event log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from common.api.sse import frame
from common.money import format_amount
from orgs.api.event_log import show_event
from spend.api.pace import show_rate
from spend.queries import live as queries
from spend.queries.live import AsyncCursor, Day, Figures, Head, Open, RunFigures
from spend.rules.pace import STILL

STALE: Final = timedelta(seconds=15)
"""Figures of an organization where nothing happens are looked at this often: grants end, reservations expire."""
_HOURS_KEPT: Final = timedelta(minutes=1)
_MONEY: Final = ("held", "charged", "cost")

Shown = dict[str, Any]


class Channel:
    """One organization as its listeners know it."""

    def __init__(self, organization: UUID) -> None:
        self.organization = organization
        self.position = -1
        self._figures: Figures | None = None
        self._seen = (-1, -1)
        self._earlier: tuple[datetime, datetime, Day] | None = None
        self._totals: Shown = {}
        self._rows: dict[str, dict[UUID, Shown]] = {"agents": {}, "runs": {}}

    async def look(self, cur: AsyncCursor, head: Head) -> bytes:
        """What is different since the last look, as a piece of the stream; empty when nothing is."""
        news, found = b"", None
        if 0 <= self.position < head.seq:
            news = await self._told(cur, self.position, head.seq)
        if self._is_due(head):
            found = await queries.figures(cur, head, today=await self._today(cur, head.now))
        # From here on nothing can fail: a look that broke off is made again, and tells everything.
        self.position = head.seq
        if found is not None:
            self._figures, self._seen = found, (head.seq, head.read)
            news += self._differences(found, head.currency)
        return news

    async def catch_up(self, cur: AsyncCursor, since: int) -> bytes:
        """What happened after an event's number, and everything as it stands, for whoever has just come."""
        if since >= self.position:
            return self._everything()
        return await self._told(cur, since, self.position) + self._everything()

    async def _told(self, cur: AsyncCursor, after: int, until: int) -> bytes:
        events, has_gap = await queries.told(cur, self.organization, after=after, until=until)
        gap = frame("gap", {"after": after, "before": events[0].seq}, after) if has_gap else b""
        return gap + b"".join(frame(event.stream_type, show_event(event), event.seq) for event in events)

    def _is_due(self, head: Head) -> bool:
        known = self._figures
        if known is None or self._seen != (head.seq, head.read):
            return True
        return known.rate != STILL or head.now - known.now >= STALE

    async def _today(self, cur: AsyncCursor, now: datetime) -> Day:
        """Usage since midnight: the running hour anew each time, the hours before it once a minute."""
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        known = self._earlier
        if known is None or known[0] != hour or now - known[1] >= _HOURS_KEPT:
            day = await queries.hours(cur, self.organization, hour.replace(hour=0), hour)
            known = self._earlier = (hour, now, day)
        # Facts may be dated a few minutes ahead.
        return known[2].plus(await queries.hours(cur, self.organization, hour, hour + timedelta(hours=1)))

    def _differences(self, found: Figures, currency: str) -> bytes:
        totals = _totals(found, currency)
        news = b""
        if _without_times(totals) != _without_times(self._totals):
            news = frame("totals", totals, self.position)
        self._totals = totals
        agents = {name: _agent(name, *row) for name, row in found.agents.items()}
        runs = {name: _run(row) for name, row in found.runs.items()}
        return news + self._changed("agents", agents) + self._changed("runs", runs)

    def _changed(self, kind: str, rows: dict[UUID, Shown]) -> bytes:
        """The rows that are different, and the ids of those that are no longer among them."""
        before = self._rows[kind]
        changed = [row for name, row in rows.items() if before.get(name) != row]
        left = [str(name) for name in before if name not in rows]
        self._rows[kind] = rows
        return frame(kind, {"data": changed, "left": left}, self.position) if changed or left else b""

    def _everything(self) -> bytes:
        pieces = [frame("totals", self._totals, self.position)] if self._totals else []
        for kind, rows in self._rows.items():
            pieces.append(frame(kind, {"data": list(rows.values()), "left": []}, self.position))
        return b"".join(pieces)


def _totals(found: Figures, currency: str) -> Shown:
    return {
        "at": _time(found.now),
        "seen_until": _time(found.seen_until),
        "currency": currency,
        "credit": {
            "posted": format_amount(found.posted),
            "held": format_amount(found.held),
            "available": format_amount(found.available),
        },
        **_open(found.open),
        "today": {
            "charge": format_amount(found.today.charge),
            "cost": format_amount(found.today.cost),
            "calls": found.today.calls,
            "tokens": found.today.tokens,
        },
        "burn_rate": show_rate(found.rate),
    }


def _agent(name: UUID, key: str, open_: Open, rate: Any) -> Shown:
    return {"id": str(name), "key": key, **_open(open_), "burn_rate": show_rate(rate)}


def _run(run: RunFigures) -> Shown:
    shown = asdict(run)
    rate = shown.pop("rate")
    money = {name: format_amount(shown[name]) for name in _MONEY}
    return {**shown, "id": str(run.id), **money, "burn_rate": show_rate(rate)}


def _open(found: Open) -> Shown:
    return {"held": format_amount(found.held), "open_reservations": found.count}


def _without_times(totals: Mapping[str, Any]) -> Shown:
    return {name: value for name, value in totals.items() if name not in ("at", "seen_until")}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
