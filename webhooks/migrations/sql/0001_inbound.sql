-- The inbox of Stripe's events, the leases of the objects that are in work, and how far the list of events was read.
-- All operational: what an event leads to is in the events of billing and payouts.

CREATE TABLE stripe_events (
    id uuid PRIMARY KEY,
    source text NOT NULL CHECK (source IN ('platform', 'connect')),  -- which kind of endpoint it came through
    account text NOT NULL,               -- the connected account; '' for the platform's own
    event text NOT NULL,                 -- Stripe's id of it
    type text NOT NULL,
    api_version text,
    livemode boolean,                    -- null: a thin event does not say
    created timestamptz NOT NULL,        -- Stripe's clock, whole seconds; nothing is ordered by it
    via text NOT NULL CHECK (via IN ('delivery', 'list', 'objects')),
    secret smallint,                     -- which of the secrets it was signed with, 0 the newest; null: it was listed
    body bytea NOT NULL,                 -- the bytes that were signed; evidence, never applied
    kind text NOT NULL,                  -- of the object that is fetched; '' where there is none
    object_id text NOT NULL,
    subject text NOT NULL,               -- account, kind and object: what one worker at a time works on
    state text NOT NULL CHECK (state IN ('received', 'processing', 'applied', 'ignored', 'parked', 'quarantined', 'dead')),
    reason text,
    detail text,                         -- the last error, or what the operation said
    attempts smallint NOT NULL DEFAULT 0,    -- since it last went well, a crash counts
    parkings smallint NOT NULL DEFAULT 0,
    next_at timestamptz,                 -- when somebody must look again; null: nobody
    received_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK (next_at IS NOT NULL OR state NOT IN ('received', 'processing')),
    CHECK (next_at IS NULL OR state IN ('received', 'processing', 'parked')),
    CHECK (next_at IS NULL OR subject <> ''),
    UNIQUE (account, source, event)
) WITH (fillfactor = 80);
CREATE INDEX stripe_events_due ON stripe_events (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX stripe_events_open ON stripe_events (subject) WHERE next_at IS NOT NULL;
CREATE INDEX stripe_events_object ON stripe_events (object_id, id);
CREATE INDEX stripe_events_trouble ON stripe_events (state, id) WHERE state IN ('parked', 'quarantined', 'dead');
CREATE INDEX stripe_events_received ON stripe_events (received_at);

-- Who works on an object. Whoever ends its work deletes the row with its own token, in the transaction of the effect: one whose
-- lease went to somebody else finds none and writes nothing.
CREATE TABLE stripe_leases (
    subject text PRIMARY KEY,
    token uuid NOT NULL,
    leased_until timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- How far the list of events was read, for each account and group of types; it moves in the transaction that stores them.
CREATE TABLE stripe_watermarks (
    id text PRIMARY KEY GENERATED ALWAYS AS (account || '/' || types) STORED,
    account text NOT NULL,
    types text NOT NULL,                 -- digest of the group
    event text,                          -- the newest one that is stored
    created timestamptz,                 -- and its time
    read_at timestamptz NOT NULL,        -- when the list was last read to its end
    swept_at timestamptz,                -- when the days before were last compared
    UNIQUE (account, types)
);

GRANT SELECT, INSERT, UPDATE ON stripe_events, stripe_watermarks TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_leases TO {app};
GRANT SELECT ON stripe_leases, stripe_watermarks TO {readonly};
GRANT SELECT (id, source, account, event, type, api_version, livemode, created, via, kind, object_id, subject, state, reason,
    attempts, parkings, next_at, received_at, finished_at) ON stripe_events TO {readonly};
