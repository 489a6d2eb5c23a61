"""Events of the gate to rows: reservations, budget counters and runs. One SQL statement per table and kind of change.

Within one call (an event, a batch, a rebuild's chunk) everything is first added up per row, so that a row is written
once however many events touch it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from events.store import Cursor, Event, ProjectedTable, Projector, encode
from spend.rules.meters import SHADOW
from spend.rules.runs import KEPT, digest
from spend.rules.windows import EPOCH

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
        "usage.charged",
        "threshold.crossed",
        "strike.counted",
        "run_mark.set",
        "approval.approved",
    }
)
ENDED = {
    "reservation.committed": "committed",
    "reservation.released": "released",
    "reservation.expired": "expired",
}

INSERT_RESERVATIONS = """
INSERT INTO reservations (id, organization, agent_id, team_id, workflow_id, connection_id, run_id, root_run_id,
    price_version, held, estimated_cost, tokens, credits, risk_points, charged, overage, created_at, expires_at,
    ended_at, version, status, late, user_label, action, counters, measures, funding, own_key, input_tokens, tool_calls)
SELECT id, o, agent, team, workflow, connection, run, root, price, held, cost, tokens, credits, risk, charged, overage,
    created, expires, ended, version, status, late, label, action, counters::int[], measures, funding, own_key, input,
    calls
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[], %s::boolean[], %s::text[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[], %s::bigint[], %s::bigint[])
    AS r(id, o, agent, team, workflow, connection, run, root, price, held, cost, tokens, credits, risk, charged,
    overage, created, expires, ended, version, status, late, label, action, counters, measures, funding, own_key, input,
    calls)
"""
RESERVED_COLUMNS = (
    "id organization agent team workflow connection run root price_version held cost tokens credits risk_points "
    "charged overage created_at expires_at ended_at version status late user action counters measures funding own_key "
    "input calls"
).split()
CHANGED_PLACES = {name: place for place, name in enumerate(RESERVED_COLUMNS)}

UPDATE_RESERVATIONS = """
UPDATE reservations r SET version = e.version, status = COALESCE(e.status, r.status),
    expires_at = COALESCE(e.expires, r.expires_at), ended_at = COALESCE(e.ended, r.ended_at),
    charged = COALESCE(e.charged, r.charged), overage = COALESCE(e.overage, r.overage), late = r.late OR e.late,
    funding = COALESCE(e.funding, r.funding)
FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::bigint[],
    %s::bigint[], %s::boolean[], %s::text[]) AS e(organization, id, version, status, expires, ended, charged, overage,
    late, funding)
WHERE r.organization = e.organization AND r.id = e.id
"""
CHANGE_COLUMNS = "organization id version status expires_at ended_at charged overage late funding".split()

INSERT_COUNTERS = """
INSERT INTO budget_counters (id, organization, number, budget_id, target, window_start, window_end, held, spent, armed,
    fired, approved)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::bigint[], %s::bigint[], %s::int[], %s::smallint[], %s::smallint[])
"""
UPDATE_COUNTERS = """
UPDATE budget_counters c SET held = c.held + e.held, spent = c.spent + e.spent
FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::bigint[]) AS e(organization, number, held, spent)
WHERE c.organization = e.organization AND c.number = e.number
"""
MARK_COUNTERS = """
UPDATE budget_counters c SET held = c.held + e.held, spent = c.spent + e.spent,
    fired = CASE WHEN e.armed = c.armed THEN coalesce(e.fired, c.fired) ELSE coalesce(e.fired, 0) END,
    approved = CASE WHEN e.armed = c.armed THEN greatest(e.approved, c.approved) ELSE coalesce(e.approved, 0) END,
    armed = e.armed
FROM unnest(%s::uuid[], %s::int[], %s::bigint[], %s::bigint[], %s::int[], %s::smallint[], %s::smallint[])
    AS e(organization, number, held, spent, armed, fired, approved)
WHERE c.organization = e.organization AND c.number = e.number
"""
# What a run did is appended, and the last 50 are kept; the level's low six bits count, the others are flags.
TRACE = """
INSERT INTO run_traces AS t (organization, run_key, recent, level)
SELECT o, k, string_to_array(r, ','), l FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::smallint[]) AS e(o, k, r, l)
ON CONFLICT (organization, run_key) DO UPDATE SET
    recent = (t.recent || excluded.recent)[greatest(1, cardinality(t.recent) + cardinality(excluded.recent) - 49):],
    level = (greatest(t.level & 63, excluded.level & 63) + ((t.level | excluded.level) & 192))::smallint
"""
# Another first attempt takes back none of those that were made: nobody has them again.
TRY = """
INSERT INTO run_steps AS t (organization, run_key, step, attempt, at, stopped)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::timestamptz[], %s::boolean[])
ON CONFLICT (organization, run_key, step) DO UPDATE SET attempt = greatest(t.attempt, excluded.attempt),
    at = CASE WHEN excluded.attempt > 0 THEN excluded.at ELSE t.at END, stopped = t.stopped OR excluded.stopped
"""
INSERT_RUNS = """
INSERT INTO runs (id, organization, key, root_id, parent_id, agent_id, workflow_id, started_at, version, depth,
    held, charged, cost, tokens, tool_calls, reservations, usage_count)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[],
    %s::timestamptz[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[])
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
FIGURES = {"t": "tokens", "r": "credits", "p": "risk_points", "i": "input", "x": "calls"}
"""Which figure of an event a layer counts that counts no money, by the letter of its measure; what is 0 is left out."""
AT_ONCE = frozenset("qsg")
"""Letters of meters that are moved when a reservation is made, and never again."""
MARKING = frozenset(("threshold.crossed", "run_mark.set", "approval.approved"))


def reserved_funding(event: Event) -> list[list[Any]]:
    """Return the receipt of a reservation: the grants that its hold took, then the postpaid line."""
    receipt: list[list[Any]] = []
    for hold in event.data.get("ledger", {}).get("placed", ()):
        grants = hold.get("grants", ())
        if grants:  # only the hold on credit has any
            receipt += named_grants(event.data, grants)
        else:
            receipt.append(["postpaid", hold["hold"], hold["amount"]])
    return receipt


def measures_of(data: Row) -> str:
    """Return what each counter of an event counts: the charge, where the event does not say."""
    measures: str | None = data.get("measures")
    return "c" * len(data["counters"]) if measures is None else measures


def expires_at(event: Event) -> datetime:
    """Return when a reservation that was just made expires."""
    return event.occurred_at + timedelta(seconds=event.data["ttl"])


def burned_funding(data: Row) -> list[list[Any]]:
    """Return the receipt of a charge; it stands in the event where it is more than the grants burnt."""
    if "funding" in data:
        return list(data["funding"])
    return named_grants(data, data.get("ledger", {}).get("burned", ()))


def named_grants(data: Row, grants: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the parts of a receipt that grants are, each with its source: credit, where the event names none."""
    sources = data.get("sources")
    if sources is None:
        return [["credit", grant, amount] for grant, amount in grants]
    return [[source, grant, amount] for source, (grant, amount) in zip(sources, grants, strict=True)]


class _Changes:
    """What a list of events adds up to, by row. Counters are named by organization and number."""

    def __init__(self) -> None:
        self.reserved: dict[str, list[Any]] = {}
        self.changed: dict[str, Row] = {}
        self.opened: dict[tuple[str, int], Event] = {}
        self.counters: dict[tuple[str, int], list[int]] = {}
        self.started: dict[str, Event] = {}
        self.runs: dict[str, list[int]] = {}
        self.marks: dict[tuple[str, int], list[int | None]] = {}
        self.traces: dict[tuple[str, str], tuple[list[str], int]] = {}
        self.tried: dict[tuple[str, str, int], list[Any]] = {}

    def add(self, event: Event) -> None:
        data, kind = event.data, event.type
        if kind == "reservation.reserved":
            self._reserve(event, data)
        elif kind in ENDED:
            self._end(event, data, ENDED[kind])
        elif kind == "reservation.extended":
            self._change(event, {"expires_at": data["expires_at"]})
        elif kind == "budget_counter.opened":
            self.opened[str(event.organization), data["number"]] = event
        elif kind == "run.started":
            self.started[str(event.stream_id)] = event
        elif kind in MARKING:
            self._mark(event, data)
        elif kind == "strike.counted":
            self._count(str(event.organization), data["counter"], 0, 1)
        else:
            self._use(event, data)

    def _mark(self, event: Event, data: Row) -> None:
        organization = str(event.organization)
        if event.type == "run_mark.set":
            self._trace(organization, data["run_key"], None, data["level"])
            if "step" in data:
                name = (organization, data["run_key"], data["step"])
                self.tried.setdefault(name, [0, event.occurred_at, True])[2] = True
            return
        approved = event.type == "approval.approved"
        marks = self.marks.setdefault((organization, data["counter"]), [data["armed"], None, None])
        if marks[0] != data["armed"]:
            marks[:] = [data["armed"], None, None]
        if approved:  # persons decide in any order: the lower of two levels may come last
            marks[2] = max(marks[2] or 0, data["rank"])
        else:
            marks[1] = data["fired"]

    def _trace(self, organization: str, run: str, call: str | None, level: int) -> None:
        recent, known = self.traces.get((organization, run), ([], 0))
        recent += [call] if call is not None else []
        merged = max(known & 63, level & 63) + ((known | level) & 192)
        self.traces[organization, run] = (recent[-KEPT:], merged)

    def _remember(self, event: Event, data: Row) -> None:
        organization, run, action = str(event.organization), data["run_key"], data["action"]
        for key in (run, SHADOW + run) if "shadow" in data else (run,):
            if "fingerprint" in action:
                at = (event.occurred_at - EPOCH) // timedelta(milliseconds=1)
                self._trace(organization, key, f"{digest(action['fingerprint'])}@{at}", 0)
            if "step" in action and "attempt" in action:
                name = (organization, key, action["step"])
                before, _, stopped = self.tried.get(name, (0, None, False))
                counted = data.get("tried" if key == run else "shadow_tried", action["attempt"])
                self.tried[name] = [max(before, counted), event.occurred_at, stopped]

    def _reserve(self, event: Event, data: Row) -> None:
        organization, run, get = str(event.organization), data.get("run"), data.get
        counters = data["counters"]
        measures = measures_of(data)
        cost = get("cost", data["held"])
        figures = {
            "c": data["held"],
            "k": cost,
            "t": get("tokens"),
            "r": get("credits"),
            "p": get("risk_points"),
            "i": get("input"),
            "x": get("calls"),
            "n": 1,
        }
        self.reserved[str(event.stream_id)] = [
            event.stream_id, organization, data["agent"], get("team"), get("workflow"), get("connection"), run,
            get("root"), get("price_version"), data["held"], cost, get("tokens"), get("credits"),
            get("risk_points"), None, None, event.occurred_at, expires_at(event), None, event.version, "active", False,
            get("user"), encode(data["action"]).decode(), "{" + ",".join(map(str, counters)) + "}", measures,
            encode(reserved_funding(event)).decode(), get("own_key", False), get("input"), get("calls"),
        ]  # fmt: skip
        arrivals = iter(get("arrivals", ()))
        for number, letter in zip(counters, measures, strict=True):
            if letter in AT_ONCE:
                self._count(organization, number, 0, next(arrivals) if letter == "g" else 1)
                continue
            held = get("tokens", 0) - get("input", 0) if letter == "o" else figures[letter] or 0
            self._count(organization, number, held, 0)
        if "run_key" in data:
            self._remember(event, data)
        if run is not None:
            self._run(run, (data["held"], 0, 0, 0, 0, 1, 0))

    def _end(self, event: Event, data: Row, status: str) -> None:
        change: Row = {"status": status, "ended_at": event.occurred_at}
        if "charge" in data:
            change["charged"], change["overage"] = data["charge"], data.get("overage", 0)
            change["funding"] = encode(burned_funding(data)).decode()
            if "late" in data:
                change["late"] = True
        self._change(event, change)
        self._use(event, data)

    def _use(self, event: Event, data: Row) -> None:
        organization, freed = str(event.organization), data.get("freed", {})
        get = data.get
        charge: int = get("charge", 0)
        cost: int = get("cost", charge)
        for number, letter in zip(data["counters"], measures_of(data), strict=True):
            if letter == "c":
                spent = charge
            elif letter == "o":
                spent = get("tokens", 0) - get("input", 0)
            else:
                spent = cost if letter == "k" else get(FIGURES.get(letter, ""), 0)
            self._count(organization, number, -freed.get(letter, 0), spent)
        run = data.get("run")
        if run is not None:
            used = 1 if "charge" in data else 0
            figures = (-freed.get("c", 0), charge, cost, get("tokens", 0), get("calls", 0), 0, used)
            self._run(run, figures)

    def _change(self, event: Event, change: Row) -> None:
        name = str(event.stream_id)
        row = self.reserved.get(name)
        change["version"] = event.version
        if row is not None:
            for column, value in change.items():
                row[CHANGED_PLACES[column]] = value
            return
        known = self.changed.get(name)
        if known is None:
            self.changed[name] = {"id": name, "organization": event.organization, "late": False, **change}
        else:
            known.update(change)

    def _count(self, organization: str, number: int, held: int, spent: int) -> None:
        figures = self.counters.get((organization, number))
        if figures is None:
            self.counters[organization, number] = [held, spent]
        else:
            figures[0] += held
            figures[1] += spent

    def _run(self, run: str, figures: tuple[int, ...]) -> None:
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
    if changes.traces or changes.tried:
        _write_history(cur, changes)
    _write(cur, INSERT_RESERVATIONS, list(changes.reserved.values()))
    changed = [[row.get(name) for name in CHANGE_COLUMNS] for row in changes.changed.values()]
    _write(cur, UPDATE_RESERVATIONS, changed)


def _write_counters(cur: Cursor, changes: _Changes) -> None:
    rows = []
    for name, event in changes.opened.items():
        data = event.data
        figures = changes.counters.pop(name, (0, 0))
        armed, fired, approved = changes.marks.pop(name, (0, 0, 0))
        rows.append(
            (event.stream_id, *name, data["budget"], data["target"], data["start"], data.get("end"), *figures, armed,
             fired or 0, approved or 0)
        )  # fmt: skip
    _write(cur, INSERT_COUNTERS, rows)
    marked = [
        (*name, *changes.counters.pop(name, (0, 0)), *changes.marks[name]) for name in sorted(changes.marks)
    ]
    _write(cur, MARK_COUNTERS, marked)
    moved = [(*name, *figures) for name, figures in changes.counters.items() if figures[0] or figures[1]]
    _write(cur, UPDATE_COUNTERS, sorted(moved))


def _write_history(cur: Cursor, changes: _Changes) -> None:
    traces = [(*name, ",".join(recent), level) for name, (recent, level) in changes.traces.items()]
    _write(cur, TRACE, sorted(traces))
    _write(cur, TRY, [(*name, *changes.tried[name]) for name in sorted(changes.tried)])


def _write_runs(cur: Cursor, changes: _Changes) -> None:
    rows = []
    for name, event in changes.started.items():
        data = event.data
        figures = changes.runs.pop(name, [0] * 7)
        rows.append(
            (name, event.organization, data["key"], data["root"], data.get("parent"), data["agent"],
             data.get("workflow"), event.occurred_at, event.version, data.get("depth", 0), *figures)
        )  # fmt: skip
    _write(cur, INSERT_RUNS, rows)
    moved = [(name, *figures) for name, figures in changes.runs.items() if any(figures)]
    _write(cur, UPDATE_RUNS, sorted(moved))


def _write(cur: Cursor, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        cur.execute(statement, [list(column) for column in zip(*rows, strict=True)])


PROJECTOR = Projector(
    name="spend.gate",
    wants=lambda event: event.type in HANDLED,
    project=project,
    tables=(
        ProjectedTable("reservations", ("organization", "id")),
        ProjectedTable("budget_counters", ("organization", "number")),
        ProjectedTable("runs", ("id",)),
        ProjectedTable("run_traces", ("organization", "run_key")),
        ProjectedTable("run_steps", ("organization", "run_key", "step")),
    ),
)
