-- What the usage records of a retired month added up to, written by the owner in the transaction that drops the month
-- (events.operations.retire): so rollups, runs and reservations can be held against all records there ever were, and a
-- rebuild can make the rollups again. verify_ledger compares the sums with the month's file. Operational tables.
CREATE TABLE retired_usage_hourly (
    month date NOT NULL,
    LIKE usage_hourly,
    UNIQUE NULLS NOT DISTINCT (organization, hour, agent_id, team_id, workflow_id, connection_id, provider, model, outcome, month)
);
CREATE TABLE retired_usage_runs (
    month date NOT NULL,
    organization uuid NOT NULL,
    run_id uuid NOT NULL,
    calls bigint NOT NULL,
    cost numeric(40, 0) NOT NULL,
    charge numeric(40, 0) NOT NULL,
    tokens numeric(40, 0) NOT NULL,
    tool_calls numeric(40, 0) NOT NULL,
    PRIMARY KEY (run_id, month)
);
-- Records that a commit left, by organization: each belongs to one reservation.
CREATE TABLE retired_usage_commits (
    month date NOT NULL,
    organization uuid NOT NULL,
    commits bigint NOT NULL,
    charge numeric(40, 0) NOT NULL,
    PRIMARY KEY (organization, month)
);
GRANT SELECT ON retired_usage_hourly, retired_usage_runs, retired_usage_commits TO {gate}, {app}, {readonly};
