"""The draw-down report of a contract: its windows with what was drawn, and when the running one will be used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from billing.queries.contracts import find_contract, windows_of
from billing.queries.contractuse import left_of, use_of
from billing.rules.contracts.drawdown import RATES, Forecast, WindowDraw, draw_of, forecast
from billing.rules.contracts.row import OPEN, SETTLED, Contract, Window, midnight
from common.localtime import local_time
from events.store import Cursor

_NOW: Final = "SELECT clock_timestamp() + clock_offset FROM organizations WHERE id = %s"
_DAILY: Final = """
SELECT (hour AT TIME ZONE %(zone)s)::date, sum(charge)::bigint FROM usage_hourly
WHERE organization = %(organization)s AND hour >= %(since)s AND hour < %(until)s GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class DrawDown:
    """The report at a moment. `forecast`: of what can be drawn now; None before a whole day of use, or without a
    window that runs."""

    contract: Contract
    at: datetime
    windows: list[WindowDraw]
    forecast: Forecast | None


def draw_down(cur: Cursor, *, organization: UUID, contract: UUID) -> DrawDown:
    """Return the draw-down of a contract, at the organization's clock. Raises NotFound."""
    row = find_contract(cur, organization=organization, contract=contract)
    found = cur.execute(_NOW, (organization,)).fetchone()
    assert found is not None
    now: datetime = found[0]
    windows = windows_of(cur, organization=organization, contract=contract)
    unsettled = [window for window in windows if window.status != SETTLED]
    left = left_of(cur, organization=organization, windows=unsettled)
    over = {window.id: _over(cur, row, window) for window in unsettled if window.status == OPEN}
    draws = draw_of(windows, left, over=over, now=now)
    return DrawDown(row, now, draws, _forecast(cur, row, draws, now))


def _over(cur: Cursor, row: Contract, window: Window) -> int:
    if window.start >= window.end:
        return 0
    return use_of(cur, organization=row.organization, start=window.start, end=window.end, unit="calls").line


def _forecast(cur: Cursor, row: Contract, draws: list[WindowDraw], now: datetime) -> Forecast | None:
    running = [each for each in draws if each.state == "running" and each.window.grants]
    if not running:
        return None
    today = local_time(now, zone=row.zone).date()
    first = max(
        local_time(row.starts_at, zone=row.zone).date(), date.fromordinal(today.toordinal() - RATES[-1])
    )
    values = {
        "zone": row.zone,
        "organization": row.organization,
        "since": midnight(first, row.zone),
        "until": midnight(today, row.zone),
    }
    daily = {first: 0} if first < today else {}
    daily |= {day: int(charge) for day, charge in cur.execute(_DAILY, values).fetchall()}
    remaining = sum(
        each.remaining for each in draws if each.window.grants_end > now and each.window.start <= now
    )
    return forecast(daily, today=today, remaining=remaining, now=now, window_end=running[-1].window.end)
