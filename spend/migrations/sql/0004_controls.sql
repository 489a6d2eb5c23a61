-- Thresholds, limits, run policies, switches, overrides, approvals and incidents: what the gate obeys beside money.
-- All are projections: the events of their streams carry each row's whole new definition, or the gate's own marks.

-- Marks of thresholds on a window: the highest rank that has fired and that a person has approved, under the arming
-- (the budget's, raised by every change of limit or thresholds) that they belong to.
ALTER TABLE budget_counters ADD COLUMN armed integer NOT NULL DEFAULT 0, ADD COLUMN fired smallint NOT NULL DEFAULT 0,
    ADD COLUMN approved smallint NOT NULL DEFAULT 0;
ALTER TABLE budgets ADD COLUMN arming integer NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN depth integer NOT NULL DEFAULT 0;
-- What layers hold that count tokens of one direction, or tool calls; NULL where none does.
ALTER TABLE reservations ADD COLUMN input_tokens bigint, ADD COLUMN tool_calls bigint;

-- Who may not work now. A pause ends when a person lifts it, a kill likewise; a stopped run never works again.
CREATE TABLE switches (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform's own for scope platform
    scope text NOT NULL CHECK (scope IN ('platform', 'organization', 'team', 'agent', 'workflow', 'connection', 'user', 'run', 'key')),
    target_id uuid,                      -- team, agent, workflow, connection, key
    target_label text,                   -- run key or user label
    kind text NOT NULL CHECK (kind IN ('pause', 'kill', 'stop')),
    mode text NOT NULL DEFAULT 'enforce' CHECK (mode IN ('observe', 'enforce')),
    cause text NOT NULL,                 -- manual, threshold, escalation, loop, velocity
    incident_id uuid,
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    lifted_by text,
    lifted_at timestamptz,
    lift_reason text,
    version integer NOT NULL
);
CREATE INDEX switches_organization ON switches (organization, id);
CREATE INDEX switches_set ON switches (organization) WHERE lifted_at IS NULL;

CREATE TABLE rate_limits (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    scope text NOT NULL CHECK (scope IN ('key', 'organization', 'team', 'agent', 'workflow', 'connection', 'user')),
    target_id uuid,
    target_label text,                   -- user label
    per text CHECK (per IN ('key', 'agent', 'workflow', 'user')),      -- each caller counted on its own
    unit text NOT NULL CHECK (unit IN ('requests', 'tokens', 'tool_calls', 'concurrent')),
    direction text CHECK (direction IN ('input', 'output')),           -- tokens only
    amount_limit bigint NOT NULL CHECK (amount_limit >= 0),
    window_kind text,                    -- second, minute, hour, day, billing_cycle; NULL for concurrent
    burst bigint CHECK (burst > 0),      -- GCRA; NULL: a fixed window
    behaviour text NOT NULL CHECK (behaviour IN ('reject', 'throttle')),
    escalate_denials integer CHECK (escalate_denials > 0),
    escalate_seconds integer CHECK (escalate_seconds > 0),
    active_from text,                    -- HH:MM in time_zone; NULL: always
    active_until text,
    time_zone text NOT NULL,
    mode text NOT NULL DEFAULT 'enforce' CHECK (mode IN ('off', 'observe', 'enforce')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX rate_limits_organization ON rate_limits (organization, id);

-- Ceilings of runs, attempts and loops: rules is JSON (spend/rules/runpolicies.py).
CREATE TABLE run_policies (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    scope text NOT NULL CHECK (scope IN ('organization', 'team', 'agent', 'workflow', 'run')),
    target_id uuid,
    target_label text,                   -- run key
    rules jsonb NOT NULL,
    mode text NOT NULL DEFAULT 'enforce' CHECK (mode IN ('off', 'observe', 'enforce')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX run_policies_organization ON run_policies (organization, id);

-- A budget raised for a while: for one of its targets, for one run, or for all.
CREATE TABLE budget_overrides (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    budget_id uuid NOT NULL,
    target text,                         -- as in budget_counters; NULL: every target of the budget
    run_key text,                        -- NULL: every run
    extra bigint NOT NULL CHECK (extra > 0),
    reason text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    ended_by text,
    ended_at timestamptz,
    version integer NOT NULL
);
CREATE INDEX budget_overrides_organization ON budget_overrides (organization, budget_id);

-- A threshold that waits for a person, once per window and arming.
CREATE TABLE approvals (
    id uuid PRIMARY KEY,                 -- the stream of threshold.crossed
    organization uuid NOT NULL,
    budget_id uuid NOT NULL,
    counter integer NOT NULL,
    target text NOT NULL,
    label text,
    window_start timestamptz NOT NULL,
    window_end timestamptz,
    armed integer NOT NULL,
    rank smallint NOT NULL,
    percent integer,
    amount bigint,
    used bigint NOT NULL,
    amount_limit bigint NOT NULL,
    unit text NOT NULL,
    agent_id uuid,
    run_id uuid,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected')),
    asked_at timestamptz NOT NULL,
    decided_by text,
    decided_at timestamptz,
    reason text,
    version integer NOT NULL
);
CREATE INDEX approvals_organization ON approvals (organization, id);

CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    trigger text NOT NULL,               -- budget_threshold, run_ceiling, attempts, loop, rate_escalation, velocity
    mode text NOT NULL DEFAULT 'enforce' CHECK (mode IN ('observe', 'enforce')),
    action text NOT NULL,                -- notify, warn, cap, throttle, require_approval, pause, block, stop
    scope text NOT NULL,
    target_id uuid,
    target_label text,
    agent_id uuid,
    run_id uuid,
    run_key text,
    rule_id uuid,                        -- budget, rate limit or run policy; NULL: a default of the house
    switch_id uuid,                      -- what it paused or stopped
    spent bigint NOT NULL,               -- charged + held of the target or run when it was opened, units
    evidence jsonb NOT NULL,
    began_at timestamptz NOT NULL,       -- the first call that belongs to it
    opened_at timestamptz NOT NULL,
    released_at timestamptz,
    released_by text,
    release_reason text,
    version integer NOT NULL
);
CREATE INDEX incidents_organization ON incidents (organization, id);
CREATE INDEX incidents_open ON incidents (organization, id) WHERE released_at IS NULL;

-- The last calls of a run that named a fingerprint, oldest first, as "fingerprint@milliseconds"; and how far it went.
CREATE TABLE run_traces (
    organization uuid NOT NULL,
    run_key text NOT NULL,
    recent text[] NOT NULL,
    level smallint NOT NULL DEFAULT 0,   -- how many levels of loop detection have acted
    PRIMARY KEY (organization, run_key)
) WITH (fillfactor = 70);

-- The last attempt of each step that named one.
CREATE TABLE run_steps (
    organization uuid NOT NULL,
    run_key text NOT NULL,
    step integer NOT NULL,
    attempt integer NOT NULL,
    at timestamptz NOT NULL,
    stopped boolean NOT NULL DEFAULT false,     -- an incident says that it had too many
    PRIMARY KEY (organization, run_key, step)
) WITH (fillfactor = 70);

CREATE INDEX decisions_observed ON decisions (organization, id) WHERE (detail->'observed') IS NOT NULL;

-- Shadow counters, strikes and the slower rates of thresholds (targets that begin with \x02 to \x04) are not budgets' own.
CREATE OR REPLACE VIEW v_budgets AS SELECT c.budget_id, c.organization, b.scope, c.target, c.window_start, c.window_end, b.unit,
    b.measure, b.amount_limit, b.overdraft, c.held, c.spent FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
    WHERE c.target = '' OR ascii(c.target) > 31;

GRANT SELECT, INSERT, UPDATE ON switches, rate_limits, run_policies, budget_overrides, approvals, incidents, run_traces,
    run_steps TO {gate}, {app};
GRANT SELECT ON switches, rate_limits, run_policies, budget_overrides, approvals, incidents, run_traces, run_steps TO {readonly};
