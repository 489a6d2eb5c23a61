"""Cycles of every kind: any anchor, interval, zone and start, changes of the clock and lost days included."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from billing.rules.periods import INTERVAL_UNITS, Cycle, Interval

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Asia/Beirut", "Pacific/Apia", "America/St_Johns", "Africa/Cairo", "America/Havana", "America/Juneau",
)  # fmt: skip
INSTANTS = st.integers(1_293_840_000 - 400 * 86_400, 2_145_916_800).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)
_EARLIEST, _LATEST = (datetime.fromisoformat(text) for text in ("2009-01-01", "2035-12-31"))
# One number: the parts of a date are seven draws, and slow under load.
ANCHORS = st.integers(0, (_LATEST - _EARLIEST) // timedelta(microseconds=1)).map(
    lambda passed: _EARLIEST + timedelta(microseconds=passed)
)
INTERVALS = st.builds(Interval, st.sampled_from(INTERVAL_UNITS), st.integers(1, 5))


@st.composite
def cycles(draw: st.DrawFn, *, with_start: bool | None = None) -> Cycle:
    anchor = draw(ANCHORS)
    if draw(st.booleans()):
        anchor = anchor.replace(hour=0, minute=0, second=0, microsecond=0)
    started = draw(st.booleans()) if with_start is None else with_start
    return Cycle(
        anchor,
        draw(INTERVALS),
        draw(st.sampled_from(ZONES)),
        starts_at=draw(INSTANTS) if started else None,
    )


def inside(start: datetime, end: datetime) -> st.SearchStrategy[datetime]:
    """Instants of [start, end)."""
    whole = (end - start) // timedelta(microseconds=1)
    return st.integers(0, whole - 1).map(lambda passed: start + timedelta(microseconds=passed))
