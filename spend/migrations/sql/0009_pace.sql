-- How fast money goes: spend by minute, the rules of velocity alerts, and which agents are in a burst.

-- Operational, although it follows from usage records: a reader of the events fills it behind them, and minutes older
-- than eight days are deleted, so that no replay gives the same rows. It can be made anew (spend/README.md).
CREATE TABLE usage_by_minute (
    organization uuid NOT NULL,
    minute timestamptz NOT NULL,         -- of the time of occurrence
    agent_id uuid,
    run_id uuid,
    root_run_id uuid,                    -- of a root run the run itself
    calls bigint NOT NULL,
    retries bigint NOT NULL,             -- second and later attempts
    tokens numeric(40, 0) NOT NULL,
    cost numeric(40, 0) NOT NULL,
    charge numeric(40, 0) NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization, minute, agent_id, run_id)
) WITH (fillfactor = 70);
CREATE INDEX usage_by_minute_minute ON usage_by_minute (minute);    -- what is new in any organization; what is old

-- Projection. When an agent's pace is an alert: of one agent, or of every agent of the organization.
CREATE TABLE velocity_rules (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    scope text NOT NULL CHECK (scope IN ('organization', 'agent')),
    target_id uuid,                      -- the agent
    factor integer NOT NULL CHECK (factor > 1),
    minimum bigint NOT NULL CHECK (minimum >= 0),       -- units in five minutes; below it nothing alerts
    history_hours integer NOT NULL CHECK (history_hours > 0),
    action text NOT NULL CHECK (action IN ('notify', 'pause')),
    mode text NOT NULL CHECK (mode IN ('off', 'observe', 'enforce')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX velocity_rules_organization ON velocity_rules (organization, id);

-- Operational: what the job that judges remembers of an agent that is, or was last, too fast.
CREATE TABLE velocity_bursts (
    organization uuid NOT NULL,
    agent_id uuid NOT NULL,
    incident_id uuid NOT NULL,
    above_at timestamptz NOT NULL,       -- when it was last seen above; five minutes later the next alert may come
    PRIMARY KEY (organization, agent_id)
);

-- What a stream tells of, among millions of events that it does not: the same list as in spend/queries/live.py.
CREATE INDEX events_told ON events (organization, seq)
    WHERE stream_type IN ('incident', 'switch', 'threshold', 'approval');

GRANT SELECT, INSERT, UPDATE, DELETE ON usage_by_minute TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON velocity_rules, velocity_bursts TO {gate}, {app};
GRANT SELECT ON usage_by_minute, velocity_rules, velocity_bursts TO {readonly};
