-- The gate. Facts: usage_records, decisions. Projections: budgets, budget_counters, runs, reservations, usage_hourly.
-- Money in 10^-8 units, TOKENS, CREDITS and RISK_POINTS as plain integers.

CREATE TABLE budgets (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    scope text NOT NULL CHECK (scope IN ('organization', 'team', 'agent', 'workflow', 'run', 'connection', 'user')),
    target_id uuid,                      -- team, agent, workflow, connection
    target_label text,                   -- run key or user label
    window_kind text NOT NULL,
    rolling_seconds integer,
    unit text NOT NULL,                  -- a currency, TOKENS, CREDITS or RISK_POINTS
    measure text NOT NULL CHECK (measure IN ('charge', 'cost')),
    amount_limit bigint NOT NULL CHECK (amount_limit >= 0),
    overdraft bigint NOT NULL DEFAULT 0 CHECK (overdraft >= 0),
    mode text NOT NULL DEFAULT 'enforce',
    time_zone text NOT NULL,
    thresholds jsonb NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE INDEX budgets_organization ON budgets (organization, id);

-- held and spent of one budget, target and window (of a rolling budget: one bucket). Opened by an event at first use.
-- Receipts and events name a counter by its number, which counts up in its organization.
CREATE TABLE budget_counters (
    id uuid NOT NULL,                    -- the stream of its event
    organization uuid NOT NULL,
    number integer NOT NULL,
    budget_id uuid NOT NULL,
    target text NOT NULL,                -- id of the team, agent, workflow or connection; run key, user label; '' for the organization
    window_start timestamptz NOT NULL,
    window_end timestamptz,
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),      -- S1, L4
    spent bigint NOT NULL DEFAULT 0 CHECK (spent >= 0),
    PRIMARY KEY (organization, number),
    UNIQUE (budget_id, target, window_start)
) WITH (fillfactor = 50);

CREATE INDEX budget_counters_window ON budget_counters (budget_id, window_start);  -- all targets of a current window

CREATE TABLE runs (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    key text NOT NULL,
    root_id uuid NOT NULL,
    parent_id uuid,
    agent_id uuid NOT NULL,
    workflow_id uuid,
    status text NOT NULL DEFAULT 'active',
    started_at timestamptz NOT NULL,
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    charged bigint NOT NULL DEFAULT 0,
    cost bigint NOT NULL DEFAULT 0,
    tokens bigint NOT NULL DEFAULT 0,
    tool_calls bigint NOT NULL DEFAULT 0,
    reservations bigint NOT NULL DEFAULT 0,
    usage_count bigint NOT NULL DEFAULT 0,
    version integer NOT NULL,
    UNIQUE (organization, key)
) WITH (fillfactor = 70);

CREATE INDEX runs_organization ON runs (organization, id);
CREATE INDEX runs_root ON runs (organization, root_id);  -- the tree of a run

CREATE TABLE reservations (
    id uuid NOT NULL,
    organization uuid NOT NULL,
    agent_id uuid NOT NULL,
    team_id uuid,
    workflow_id uuid,
    connection_id uuid,
    run_id uuid,
    root_run_id uuid,                    -- of a child run
    price_version uuid,
    held bigint NOT NULL,                -- charge held, units
    estimated_cost bigint NOT NULL,
    tokens bigint,                       -- what layers of other measures hold; NULL where none counts it
    credits bigint,
    risk_points bigint,
    charged bigint,
    overage bigint,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    version integer NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'committed', 'released', 'expired')),
    late boolean NOT NULL DEFAULT false, -- committed after expiry
    user_label text,
    action text NOT NULL,                -- JSON: kind, provider, model, tool, step, attempt, hop, parent_task, fingerprint
    counters integer[] NOT NULL,         -- receipt of the layers: numbers of their counters
    measures text NOT NULL,              -- what each holds: c held, k estimated_cost, t tokens, r credits, p risk_points
    funding text NOT NULL,               -- JSON, receipt: [source, grant or null, amount]
    own_key boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization, id)
) WITH (fillfactor = 95);
CREATE INDEX reservations_active ON reservations (organization, expires_at) WHERE status = 'active';
CREATE INDEX reservations_run ON reservations (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE decisions (
    id uuid NOT NULL,
    organization uuid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL,
    requested bigint NOT NULL,
    agent_id uuid,
    run_id uuid,                         -- NULL for a run that no accepted call has started; its key stands in detail
    reservation_id uuid,
    binding_budget uuid,
    binding_version integer,
    epoch integer NOT NULL,
    count integer NOT NULL DEFAULT 1 CHECK (count > 0),
    dry boolean NOT NULL DEFAULT false,
    answer text NOT NULL CHECK (answer IN ('allow', 'allow_with_caps', 'deny')),
    code text,
    binding_scope text,
    detail json                          -- of a denial: subject, action, binding, also_failing
) PARTITION BY RANGE (recorded_at);
CREATE INDEX decisions_tx ON decisions (tx);
CREATE INDEX decisions_organization ON decisions (organization, id);
CREATE INDEX decisions_run ON decisions (run_id) WHERE run_id IS NOT NULL;  -- S47: the answers that a run got
CREATE INDEX decisions_unstarted_run ON decisions (organization, (detail->>'run')) WHERE run_id IS NULL AND detail IS NOT NULL;
INSERT INTO month_partitioned VALUES ('decisions', NULL);
SELECT open_partitioned('decisions');

-- One per model or tool call; token counts are inclusive (cached is part of input, reasoning part of output).
CREATE TABLE usage_records (
    id uuid NOT NULL,
    organization uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    cost bigint NOT NULL CHECK (cost >= 0),
    charge bigint NOT NULL CHECK (charge >= 0),
    input_tokens bigint NOT NULL DEFAULT 0,
    cache_read_input_tokens bigint NOT NULL DEFAULT 0,
    cache_creation_input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    reasoning_output_tokens bigint NOT NULL DEFAULT 0,
    tool_calls bigint NOT NULL DEFAULT 0,
    reservation_id uuid,
    agent_id uuid,
    team_id uuid,
    workflow_id uuid,
    connection_id uuid,
    run_id uuid,
    root_run_id uuid,
    price_version uuid,
    fx_rate uuid,
    epoch integer NOT NULL,
    latency_ms integer,
    step integer,
    attempt integer,
    hop integer,
    adjustment boolean NOT NULL DEFAULT false,   -- older than 35 days or of a closed period
    currency text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('completed', 'failed', 'blocked')),
    reason text,
    kind text,                           -- action kind, such as llm.chat
    provider text,
    model text,
    tool text,
    user_label text,
    parent_task text,
    response_id text,
    source text,
    external_id text,
    funding json NOT NULL,               -- S9: receipts sum to the charge
    detail json,                         -- component lines, tool calls by name
    raw json,
    CHECK (cache_read_input_tokens >= 0 AND cache_creation_input_tokens >= 0 AND reasoning_output_tokens >= 0),
    CHECK (cache_read_input_tokens + cache_creation_input_tokens <= input_tokens),
    CHECK (reasoning_output_tokens <= output_tokens)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX usage_records_tx ON usage_records (tx);
CREATE INDEX usage_records_organization ON usage_records (organization, id);
CREATE INDEX usage_records_run ON usage_records (run_id) WHERE run_id IS NOT NULL;
INSERT INTO month_partitioned VALUES ('usage_records', NULL);
SELECT open_partitioned('usage_records');

-- Uniqueness of usage ids given by a caller, for ever.
CREATE TABLE usage_keys (
    organization uuid NOT NULL,
    source text NOT NULL,
    id_digest bytea NOT NULL,
    payload_digest bytea NOT NULL,
    usage_id uuid NOT NULL,
    PRIMARY KEY (organization, source, id_digest)
) PARTITION BY HASH (organization);
DO $$ BEGIN FOR i IN 0..7 LOOP EXECUTE format(
    'CREATE TABLE usage_keys_%s PARTITION OF usage_keys FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
END LOOP; END $$;

-- S7, S24: rollup in the transaction of the record.
CREATE TABLE usage_hourly (
    organization uuid NOT NULL,
    hour timestamptz NOT NULL,
    team_id uuid,
    agent_id uuid,
    workflow_id uuid,
    connection_id uuid,
    provider text,
    model text,
    outcome text NOT NULL,
    calls bigint NOT NULL,
    input_tokens bigint NOT NULL,
    cache_read_input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    tool_calls bigint NOT NULL,
    cost numeric(40, 0) NOT NULL,
    charge numeric(40, 0) NOT NULL,
    max_charge bigint NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization, hour, agent_id, team_id, workflow_id, connection_id, provider, model, outcome)
) WITH (fillfactor = 70);

-- Finer rollups, kept by a reader of the events: user, run, tool.
CREATE TABLE usage_daily_fine (
    organization uuid NOT NULL,
    day date NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('user', 'run', 'tool')),
    value text NOT NULL,
    calls bigint NOT NULL,
    cost numeric(40, 0) NOT NULL,
    charge numeric(40, 0) NOT NULL,
    PRIMARY KEY (organization, day, dimension, value)
);

CREATE VIEW v_budgets AS SELECT c.budget_id, c.organization, b.scope, c.target, c.window_start, c.window_end, b.unit, b.measure,
    b.amount_limit, b.overdraft, c.held, c.spent FROM budget_counters c JOIN budgets b ON b.id = c.budget_id;
CREATE VIEW v_reservations AS SELECT r.id, r.organization, u.key AS run, r.status, r.held, r.charged, r.created_at, r.expires_at
    FROM reservations r LEFT JOIN runs u ON u.id = r.run_id;
CREATE VIEW v_usage AS
    SELECT u.id, u.organization, u.reservation_id, u.team_id AS team, u.agent_id AS agent, u.workflow_id AS workflow, r.key AS run,
        u.connection_id AS connection, u.provider, u.model, u.outcome, u.reason, u.cost, u.charge, u.price_version
    FROM usage_records u LEFT JOIN runs r ON r.id = u.run_id
    UNION ALL
    SELECT d.id, d.organization, NULL, (d.detail->>'team')::uuid, d.agent_id, (d.detail->>'workflow')::uuid, d.detail->>'run',
        (d.detail->>'connection')::uuid, d.detail->>'provider', d.detail->>'model', 'blocked', d.code, 0, 0, NULL
    FROM decisions d WHERE d.answer = 'deny' AND NOT d.dry;
CREATE VIEW v_decisions AS SELECT d.id, d.organization, COALESCE(r.key, d.detail->>'run') AS run, a.key AS agent, d.answer, d.code,
    d.binding_scope, d.count, d.requested, d.at FROM decisions d LEFT JOIN runs r ON r.id = d.run_id LEFT JOIN agents a ON a.id = d.agent_id;
-- Effects of inbound and outbound keys, each at most once; the Stripe apps add theirs.
CREATE VIEW v_effects AS SELECT 'journal'::text AS source, organization || ':' || idempotency_key AS effect_key, count(*) AS count
    FROM journal_entries GROUP BY 1, 2;

GRANT SELECT, INSERT ON usage_records, decisions, usage_keys TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON budgets, budget_counters, runs, reservations, usage_hourly, usage_daily_fine TO {gate}, {app};
GRANT SELECT ON budgets, budget_counters, runs, reservations, usage_records, decisions, usage_hourly, usage_daily_fine,
    v_budgets, v_reservations, v_usage, v_decisions, v_effects TO {readonly};
