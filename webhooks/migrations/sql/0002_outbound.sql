-- Outbound webhooks. Projection: webhook_endpoints. Operational: everything else here; kept for a month, not rebuilt.

CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    event_types jsonb NOT NULL,          -- patterns
    low_credit jsonb NOT NULL,           -- units, highest first
    status text NOT NULL CHECK (status IN ('enabled', 'disabled', 'archived')),
    disabled_reason text CHECK (disabled_reason IN ('manual', 'gone', 'failing')),
    disabled_at timestamptz,
    secret_ids jsonb NOT NULL,           -- newest first
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX webhook_endpoints_organization ON webhook_endpoints (organization, id);

-- What signs, sealed under SECRET_KEY (webhooks/rules/outbound/secrets.py). Deleted when its overlap is over.
CREATE TABLE webhook_secrets (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    endpoint uuid NOT NULL,
    sealed text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz               -- NULL: the present one
);
CREATE INDEX webhook_secrets_endpoint ON webhook_secrets (endpoint);

-- What is told, word for word; signed anew at each attempt. `source` says what it was made from, so that it is made once.
CREATE TABLE webhook_messages (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    source text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    event_type text NOT NULL,
    body text NOT NULL,
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (organization, source)
);
CREATE INDEX webhook_messages_organization ON webhook_messages (organization, number);
CREATE INDEX webhook_messages_age ON webhook_messages (created_at);

-- One message on its way to one endpoint; `number` is the message's: the order of first attempts.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    endpoint uuid NOT NULL,
    message uuid NOT NULL REFERENCES webhook_messages (id) ON DELETE CASCADE,
    event_type text NOT NULL,
    number bigint NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts integer NOT NULL DEFAULT 0, -- of the running ladder; a replay begins another one
    next_at timestamptz NOT NULL,
    tries jsonb NOT NULL DEFAULT '[]',   -- the last of them: when, status or error, milliseconds
    response_status integer,
    error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_at timestamptz,
    UNIQUE (endpoint, message)
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_first ON webhook_deliveries (endpoint, number) WHERE status = 'pending' AND attempts = 0;
CREATE INDEX webhook_deliveries_again ON webhook_deliveries (endpoint, next_at) WHERE status = 'pending' AND attempts > 0;
CREATE INDEX webhook_deliveries_organization ON webhook_deliveries (organization, id);
CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message);

-- Each endpoint has two lanes: first attempts, in order, and later ones. A lane has one request on its way at most; its
-- lease ends by itself when its sender dies.
CREATE TABLE webhook_lanes (
    endpoint uuid NOT NULL,
    lane text NOT NULL CHECK (lane IN ('first', 'again')),
    organization uuid NOT NULL,
    lease uuid,
    leased_until timestamptz,
    PRIMARY KEY (endpoint, lane)
) WITH (fillfactor = 50);

-- How an endpoint does, and whether people were written to about its end.
CREATE TABLE webhook_standings (
    endpoint uuid PRIMARY KEY,
    organization uuid NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(), -- it is told of what was recorded from then on
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    notice_due boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);

-- Denials are told at the first of a quarter of an hour, and once more with their number.
CREATE TABLE webhook_denials (
    organization uuid NOT NULL,
    agent uuid NOT NULL,                 -- zero where no agent was known
    code text NOT NULL,
    window_start timestamptz NOT NULL,
    told integer NOT NULL,               -- how many the last message named; 0: the first is told, no summary yet
    summarised boolean NOT NULL DEFAULT false,
    PRIMARY KEY (organization, agent, code, window_start)
);

-- Which amount of an endpoint's low_credit was told, until the credit is above it again.
CREATE TABLE webhook_low_credit (
    endpoint uuid NOT NULL,
    amount bigint NOT NULL,
    organization uuid NOT NULL,
    times integer NOT NULL,              -- how often it was told: part of the message's source
    is_low boolean NOT NULL,
    PRIMARY KEY (endpoint, amount)
);

GRANT SELECT, INSERT, UPDATE ON webhook_endpoints TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_secrets, webhook_messages, webhook_deliveries, webhook_lanes, webhook_standings,
    webhook_denials, webhook_low_credit TO {app};
GRANT SELECT ON webhook_endpoints, webhook_deliveries TO {readonly};
