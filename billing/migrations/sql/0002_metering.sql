-- Meters, and quantities from outside. Facts: meter_events. Projections: meters, event_backfills. Operational: meter_event_keys.

-- What is counted, and how. The platform's; only its name and description ever change.
CREATE TABLE meters (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    key text NOT NULL,
    key_folded text NOT NULL,
    name text NOT NULL,
    description text,
    source text NOT NULL CHECK (source IN ('usage', 'events')),
    event_type text CHECK ((source = 'events') = (event_type IS NOT NULL)),
    aggregation text NOT NULL CHECK (aggregation IN ('count', 'sum', 'max', 'unique', 'latest', 'weighted_sum')),
    value_property text CHECK ((aggregation IN ('count', 'unique')) = (value_property IS NULL)),
    unique_property text CHECK (aggregation <> 'unique' OR unique_property IS NOT NULL),
    filters jsonb NOT NULL,
    group_by jsonb NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);
CREATE UNIQUE INDEX meters_key ON meters (key);
CREATE UNIQUE INDEX meters_key_folded ON meters (key_folded);

-- A named batch of events of the past. Reverted once as a whole, or never.
CREATE TABLE event_backfills (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'reverted')),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    reverted_by text,
    reverted_at timestamptz,
    revert_reason text,
    version integer NOT NULL
);
CREATE INDEX event_backfills_organization ON event_backfills (organization, id);

-- One row for each thing said about an event. sign 1 states it; sign -1 takes back the row that it `cancels`, and repeats
-- its time, type and data, so that sums over any rows are sums of what still counts. Amending writes one of each.
CREATE TABLE meter_events (
    id uuid NOT NULL,
    organization uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL,              -- the first row of the event: its name outside
    cancels uuid,
    backfill_id uuid,
    epoch integer NOT NULL,
    sign smallint NOT NULL CHECK (sign = CASE WHEN cancels IS NULL THEN 1 ELSE -1 END),
    adjustment boolean NOT NULL,         -- older than 35 days when it was said, or of a backfill
    source text NOT NULL,
    external_id text NOT NULL,
    type text NOT NULL,
    subject text,
    data json NOT NULL,
    actor text NOT NULL,
    reason text                          -- of a correction
) PARTITION BY RANGE (recorded_at);
CREATE INDEX meter_events_tx ON meter_events (tx);
CREATE INDEX meter_events_organization ON meter_events (organization, id);
CREATE INDEX meter_events_cancels ON meter_events (cancels) WHERE cancels IS NOT NULL;
CREATE INDEX meter_events_corrected ON meter_events (event_id) WHERE event_id <> id;
CREATE INDEX meter_events_backfill ON meter_events (backfill_id) WHERE backfill_id IS NOT NULL;
INSERT INTO month_partitioned VALUES ('meter_events', NULL);
SELECT open_partitioned('meter_events');

-- Uniqueness of the ids given by a caller, for ever, with what the first answer said.
CREATE TABLE meter_event_keys (
    organization uuid NOT NULL,
    source text NOT NULL,
    id_digest bytea NOT NULL,
    payload_digest bytea NOT NULL,
    event_id uuid NOT NULL,
    adjustment boolean NOT NULL,
    meters text[] NOT NULL,              -- keys of the meters that counted it when it came
    PRIMARY KEY (organization, source, id_digest)
) PARTITION BY HASH (organization);
DO $$ BEGIN FOR i IN 0..7 LOOP EXECUTE format(
    'CREATE TABLE meter_event_keys_%s PARTITION OF meter_event_keys FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
END LOOP; END $$;

GRANT SELECT, INSERT ON meter_events, meter_event_keys TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON meters, event_backfills TO {gate}, {app};
GRANT SELECT ON meters, event_backfills, meter_events TO {readonly};
