"""Events of the gate to rows: reservations, budget counters and runs. One SQL statement per table and kind of change.

Within one call (an event, a batch, a rebuild's chunk) everything is first added up per row, so that a row is written
once however many events touch it.
"""

from collections.abc import Sequence
from typing import Any

from events.store import Cursor, Event, ProjectedTable, Projector, encode

HANDLED = frozenset(
    {
        "reservation.reserved",
        "reservation.extended",
        "reservation.committed",
        "reservation.released",
        "reservation.expired",
        "budget_counter.opened",
        "run.started",
        "usage.recorded",
    }
)
ENDED = {
    "reservation.committed": "committed",
    "reservation.released": "released",
    "reservation.expired": "expired",
}

INSERT_RESERVATIONS = """
INSERT INTO reservations (id, organization, agent_id, team_id, workflow_id, connection_id, run_id, root_run_id,
    price_version, held,
    estimated_cost, charged, overage, created_at, expires_at, ended_at, version, status, late, user_label, action,
    counters, counter_amounts, measures, funding, own_key)
SELECT id, o, agent, team, workflow, connection, run, root, price, held, cost, charged, overage, created, expires,
    ended, version, status, late, label, action, counters::uuid[], amounts::bigint[], measures, funding, own_key
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
    %s::timestamptz[], %s::int[], %s::text[], %s::boolean[], %s::text[], %s::jsonb[], %s::text[], %s::text[],
    %s::text[], %s::jsonb[], %s::boolean[])
    AS r(id, o, agent, team, workflow, connection, run, root, price, held, cost, charged, overage, created, expires,
    ended, version, status, late, label, action, counters, amounts, measures,
    funding, own_key)
"""
RESERVATION_COLUMNS = (
    "id organization agent team workflow connection run root price_version held cost charged overage created_at "
    "expires_at ended_at version status late user action counters amounts measures funding own_key"
).split()

UPDATE_RESERVATIONS = """
UPDATE reservations r SET version = e.version, status = COALESCE(e.status, r.status),
    expires_at = COALESCE(e.expires, r.expires_at), ended_at = COALESCE(e.ended, r.ended_at),
    charged = COALESCE(e.charged, r.charged), overage = COALESCE(e.overage, r.overage), late = r.late OR e.late,
    funding = COALESCE(e.funding, r.funding)
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[],
    %s::bigint[], %s::boolean[], %s::jsonb[]) AS e(organization, id, version, status, expires, ended, charged, overage,
    late, funding)
WHERE r.organization = e.organization AND r.id = e.id
"""
CHANGE_COLUMNS = "organization id version status expires_at ended_at charged overage late funding".split()

INSERT_COUNTERS = """
INSERT INTO budget_counters (id, organization, budget_id, target, window_start, window_end, held, spent)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::bigint[], %s::bigint[])
"""
UPDATE_COUNTERS = """
UPDATE budget_counters c SET held = c.held + e.held, spent = c.spent + e.spent
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS e(id, held, spent) WHERE c.id = e.id
"""
INSERT_RUNS = """
INSERT INTO runs (id, organization, key, root_id, parent_id, agent_id, workflow_id, started_at, version,
    held, charged, cost, tokens, tool_calls, reservations, usage_count)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::timestamptz[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[])
"""
UPDATE_RUNS = """
UPDATE runs r SET held = r.held + e.held, charged = r.charged + e.charged, cost = r.cost + e.cost,
    tokens = r.tokens + e.tokens, tool_calls = r.tool_calls + e.calls, reservations = r.reservations + e.reservations,
    usage_count = r.usage_count + e.usages
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[]) AS e(id, held, charged, cost, tokens, calls, reservations, usages)
WHERE r.id = e.id
"""

Row = dict[str, Any]
ESTIMATED = {"c": "held", "k": "cost", "t": "tokens", "r": "credits", "p": "risk_points"}
BOOKED = {**ESTIMATED, "c": "charge"}
"""Which figure of an event a layer counts, by the letter of its measure; what is 0 is left out of events."""


def reserved_funding(event: Event) -> list[list[Any]]:
    """Return the receipt of a reservation: the grants that its hold took, then the postpaid line."""
    receipt: list[list[Any]] = []
    for hold in event.data.get("ledger", {}).get("placed", ()):
        receipt += [["credit", grant, amount] for grant, amount in hold["grants"]]
        if not hold["grants"]:
            receipt.append(["postpaid", hold["hold"], hold["amount"]])
    return receipt


def burned_funding(data: Row) -> list[list[Any]]:
    """Return the receipt of a charge; it stands in the event where it is more than the grants burnt."""
    if "funding" in data:
        return list(data["funding"])
    return [["credit", grant, amount] for grant, amount in data.get("ledger", {}).get("burned", ())]


class _Changes:
    """What a list of events adds up to, by row."""

    def __init__(self) -> None:
        self.reserved: dict[str, Row] = {}
        self.changed: dict[str, Row] = {}
        self.opened: dict[str, Row] = {}
        self.counters: dict[str, list[int]] = {}
        self.started: dict[str, Row] = {}
        self.runs: dict[str, list[int]] = {}

    def add(self, event: Event) -> None:
        data, kind = event.data, event.type
        if kind == "reservation.reserved":
            self._reserve(event, data)
        elif kind in ENDED:
            self._end(event, data, ENDED[kind])
        elif kind == "reservation.extended":
            self._change(event, expires_at=data["expires_at"])
        elif kind == "budget_counter.opened":
            self.opened[str(event.stream_id)] = {"event": event, **data}
        elif kind == "run.started":
            self.started[str(event.stream_id)] = {"event": event, **data}
        else:
            self._use(data)

    def _reserve(self, event: Event, data: Row) -> None:
        counters, measures = data["counters"], data["measures"]
        amounts = [data.get(ESTIMATED[measure], 0) for measure in measures]
        self.reserved[str(event.stream_id)] = {
            **data,
            "id": event.stream_id,
            "organization": event.organization,
            "created_at": event.occurred_at,
            "version": event.version,
            "status": "active",
            "late": False,
            "action": encode(data["action"]).decode(),
            "counters": "{" + ",".join(counters) + "}",
            "amounts": "{" + ",".join(map(str, amounts)) + "}",
            "funding": encode(reserved_funding(event)).decode(),
            "own_key": data.get("own_key", False),
            "root": data.get("root", data.get("run")),
        }
        for counter, amount in zip(counters, amounts, strict=True):
            self._count(counter, amount, 0)
        self._run(data.get("run"), (data["held"], 0, 0, 0, 0, 1, 0))

    def _end(self, event: Event, data: Row, status: str) -> None:
        late = data.get("late", False)
        self._change(
            event,
            status=status,
            ended_at=event.occurred_at,
            charged=data.get("charge"),
            overage=data.get("overage", 0) if "charge" in data else None,
            late=late,
            funding=encode(burned_funding(data)).decode() if "charge" in data else None,
        )
        self._use(data)

    def _use(self, data: Row) -> None:
        freed = data.get("freed", {})
        for counter, measure in zip(data["counters"], data["measures"], strict=True):
            self._count(counter, -freed.get(measure, 0), data.get(BOOKED[measure], 0))
        used = 1 if "charge" in data else 0
        figures = (
            -freed.get("c", 0),
            data.get("charge", 0),
            data.get("cost", 0),
            data.get("tokens", 0),
            data.get("calls", 0),
            0,
            used,
        )
        self._run(data.get("run"), figures)

    def _change(self, event: Event, **columns: Any) -> None:
        name = str(event.stream_id)
        row = self.reserved.get(name)
        if row is None:
            row = self.changed.setdefault(
                name, {"id": event.stream_id, "organization": event.organization, "late": False}
            )
        columns["late"] = row["late"] or columns.get("late", False)
        row.update((column, value) for column, value in columns.items() if value is not None)
        row["version"] = event.version

    def _count(self, counter: str, held: int, spent: int) -> None:
        figures = self.counters.get(counter)
        if figures is None:
            self.counters[counter] = [held, spent]
        else:
            figures[0] += held
            figures[1] += spent

    def _run(self, run: str | None, figures: tuple[int, ...]) -> None:
        if run is not None:
            before = self.runs.get(run)
            self.runs[run] = (
                list(figures) if before is None else [a + b for a, b in zip(before, figures, strict=True)]
            )


def project(cur: Cursor, events: Sequence[Event]) -> None:
    """This function will write what the events add up to: new rows first, then one UPDATE per table."""
    changes = _Changes()
    for event in events:
        changes.add(event)
    _write_counters(cur, changes)
    _write_runs(cur, changes)
    if changes.reserved:
        cur.execute(INSERT_RESERVATIONS, _columns(changes.reserved.values(), RESERVATION_COLUMNS))
    if changes.changed:
        cur.execute(UPDATE_RESERVATIONS, _columns(changes.changed.values(), CHANGE_COLUMNS))


def _write_counters(cur: Cursor, changes: _Changes) -> None:
    if changes.opened:
        rows = []
        for name, row in changes.opened.items():
            event = row["event"]
            held, spent = changes.counters.pop(name, (0, 0))
            rows.append(
                (
                    name,
                    event.organization,
                    row["budget"],
                    row["target"],
                    row["start"],
                    row.get("end"),
                    held,
                    spent,
                )
            )
        cur.execute(INSERT_COUNTERS, [list(column) for column in zip(*rows, strict=True)])
    moved = [(name, *figures) for name, figures in changes.counters.items() if any(figures)]
    if moved:
        moved.sort()
        cur.execute(UPDATE_COUNTERS, [list(column) for column in zip(*moved, strict=True)])


def _write_runs(cur: Cursor, changes: _Changes) -> None:
    if changes.started:
        rows = []
        for name, row in changes.started.items():
            event = row["event"]
            figures = changes.runs.pop(name, [0] * 7)
            rows.append(
                (name, event.organization, row["key"], row["root"], row.get("parent"), row["agent"],
                 row.get("workflow"), event.occurred_at, event.version, *figures)
            )  # fmt: skip
        cur.execute(INSERT_RUNS, [list(column) for column in zip(*rows, strict=True)])
    moved = [(name, *figures) for name, figures in changes.runs.items() if any(figures)]
    if moved:
        moved.sort()
        cur.execute(UPDATE_RUNS, [list(column) for column in zip(*moved, strict=True)])


def _columns(rows: Any, names: Sequence[str]) -> list[list[Any]]:
    listed = list(rows)
    return [[row.get(name) for row in listed] for name in names]


PROJECTOR = Projector(
    name="spend.gate",
    wants=lambda event: event.type in HANDLED,
    project=project,
    tables=(
        ProjectedTable("reservations", ("organization", "id")),
        ProjectedTable("budget_counters", ("id",)),
        ProjectedTable("runs", ("id",)),
    ),
)
