"""Usage records of months that were retired: what is kept of them in sums, and whether that is what the files say."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final
from uuid import UUID

import pyarrow.parquet as parquet

from events.retired import Summary, register_summary, retired_files
from events.store import Cursor
from spend.rules.violations import Violation

_HOURLY: Final = """
INSERT INTO retired_usage_hourly (month, organization, hour, team_id, agent_id, workflow_id, connection_id, provider,
    model, outcome, calls, input_tokens, cache_read_input_tokens, output_tokens, tool_calls, cost, charge, max_charge)
SELECT %(month)s, organization, date_trunc('hour', occurred_at, 'UTC'), team_id, agent_id, workflow_id, connection_id,
    provider, model, outcome, count(*), sum(input_tokens), sum(cache_read_input_tokens), sum(output_tokens),
    sum(tool_calls), sum(cost), sum(charge), max(charge)
FROM {partition} GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
_RUNS: Final = """
INSERT INTO retired_usage_runs (month, organization, run_id, calls, cost, charge, tokens, tool_calls)
SELECT %(month)s, organization, run_id, count(*), sum(cost), sum(charge), sum(input_tokens + output_tokens),
    sum(tool_calls)
FROM {partition} WHERE run_id IS NOT NULL GROUP BY organization, run_id
"""
_COMMITS: Final = """
INSERT INTO retired_usage_commits (month, organization, commits, charge)
SELECT %(month)s, organization, count(*), sum(charge) FROM {partition}
WHERE reservation_id IS NOT NULL AND source IS NULL GROUP BY organization
"""
_SUMS: Final = """
SELECT organization, sum(calls)::bigint, sum(cost)::bigint, sum(charge)::bigint FROM retired_usage_hourly
WHERE month = %s GROUP BY organization
"""
_RUN_SUMS: Final = """
SELECT organization, sum(calls)::bigint, sum(cost)::bigint, sum(charge)::bigint FROM retired_usage_runs
WHERE month = %s GROUP BY organization
"""
_COMMIT_SUMS: Final = """
SELECT organization, commits, 0::bigint, charge::bigint FROM retired_usage_commits WHERE month = %s
"""
_READ: Final = ("organization", "run_id", "reservation_id", "source", "cost", "charge")
_NOTHING: Final = (0, 0, 0)

Sums = dict[UUID, tuple[int, int, int]]  # calls, cost, charge by organization


def register_summaries() -> None:
    """This function will have these sums written when a month of usage records is retired."""
    register_summary(Summary("usage_records", (_HOURLY, _RUNS, _COMMITS)))


def sums_unlike_files(cur: Cursor) -> Iterator[Violation]:
    """Yield every organization whose sums of a retired month are not those of the month's file (S7).

    The file's rows are proved by their seals; the sums stand where a superuser could change them.
    """
    for month, file in retired_files(cur, "usage_records"):
        if not file.exists():
            continue  # its rows are reported as removed
        in_file = _sums_of(file)
        for told, statement, expected in zip(
            ("by hour", "by run", "of commits"), (_SUMS, _RUN_SUMS, _COMMIT_SUMS), in_file, strict=True
        ):
            yield from _unlike(cur, month, told, statement, expected)


def _unlike(cur: Cursor, month: date, told: str, statement: str, expected: Sums) -> Iterator[Violation]:
    kept: Sums = {row[0]: (row[1], row[2], row[3]) for row in cur.execute(statement, (month,)).fetchall()}
    for organization in sorted(kept.keys() | expected.keys()):
        sums, in_file = kept.get(organization, _NOTHING), expected.get(organization, _NOTHING)
        if sums != in_file:
            subject = f"retired usage of {month:%Y-%m} {told}"
            detail = f"calls, cost and charge are {sums}, those in its file {in_file}"
            yield Violation("S7", organization, subject, detail)


def _sums_of(file: Path) -> tuple[Sums, Sums, Sums]:
    """All records, those with a run, and those that a commit left (their charge alone)."""
    everything: Sums = {}
    runs: Sums = {}
    commits: Sums = {}
    for batch in parquet.ParquetFile(file).iter_batches(columns=list(_READ)):
        for row in zip(*(batch.column(name).to_pylist() for name in _READ), strict=True):
            raw, run, reservation, source, cost, charge = row
            organization = UUID(bytes=raw)
            _add(everything, organization, cost, charge)
            if run is not None:
                _add(runs, organization, cost, charge)
            if reservation is not None and source is None:
                _add(commits, organization, 0, charge)
    return everything, runs, commits


def _add(sums: Sums, organization: UUID, cost: int, charge: int) -> None:
    known = sums.get(organization, _NOTHING)
    sums[organization] = (known[0] + 1, known[1] + cost, known[2] + charge)
