-- The event store. Facts: events, seals. Operational: event_store, event_cursors, event_subscribers, worker_heartbeats, due_jobs,
-- checkpoints, month_partitioned, retired_months, api_idempotency_keys.
-- {owner} {gate} {app} {readonly} are replaced by the role names of the settings.

CREATE SEQUENCE event_seq AS bigint CACHE 1;

-- One row: the epoch (raised by after_restore) and the cluster that the store believes it lives in.
CREATE TABLE event_store (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch integer NOT NULL DEFAULT 1,
    system_identifier bigint NOT NULL
);
INSERT INTO event_store (system_identifier) SELECT system_identifier FROM pg_control_system();

CREATE TABLE events (
    organization uuid NOT NULL,
    stream_id uuid NOT NULL,
    -- tx stands before seq, since defaults are evaluated in this order: whoever takes a number already has its
    -- transaction id, which is what lets the reader know when all numbers up to one are final.
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq bigint NOT NULL DEFAULT nextval('event_seq'),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch integer NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    schema smallint NOT NULL DEFAULT 1,
    stream_type text NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    cause text,
    idempotency_key text,
    data json NOT NULL                   -- as it was written: smaller than jsonb, and quicker to store
) PARTITION BY RANGE (recorded_at);
CREATE INDEX events_seq ON events (seq);
CREATE INDEX events_organization_seq ON events (organization, seq);

-- How far a reader is (events.reader). Events up to `seq` are done. Events up to `ceiling` are final as soon as every
-- transaction below `hi` has ended; then facts without a number are final in lo <= tx < hi.
CREATE TABLE event_cursors (
    name text PRIMARY KEY,
    epoch integer NOT NULL DEFAULT 1,
    lo xid8 NOT NULL DEFAULT '0',
    hi xid8 NOT NULL DEFAULT '0',
    seq bigint NOT NULL DEFAULT 0,
    ceiling bigint NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when hi was noted
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What became of a subscriber's last tries; a parked one waits for a person.
CREATE TABLE event_subscribers (
    name text PRIMARY KEY,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'parked')),
    failures integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    failed_at timestamptz,
    parked_at timestamptz
);

-- Every worker writes here while it works; a worker that lives but takes no work shows by its age.
CREATE TABLE worker_heartbeats (
    name text PRIMARY KEY,
    beaten_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- When each job of the registry (events.jobs) was last handed out and last done.
CREATE TABLE due_jobs (
    name text PRIMARY KEY,
    claimed_at timestamptz NOT NULL,
    finished_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT ''
);

-- One row per closed batch of facts: events with seq_after < seq <= seq_to, other facts with lo <= tx < hi.
-- events: (8-byte seq, 16-byte digest) packed; entries, usage, decisions: (16-byte id, 16-byte digest) packed.
CREATE TABLE seals (
    number bigint PRIMARY KEY,
    format smallint NOT NULL,
    epoch integer NOT NULL,
    lo xid8 NOT NULL,
    hi xid8 NOT NULL,
    seq_after bigint NOT NULL,
    seq_to bigint NOT NULL CHECK (seq_to >= seq_after),
    event_count integer NOT NULL,
    events bytea NOT NULL,
    entries bytea NOT NULL,
    usage bytea NOT NULL,
    decisions bytea NOT NULL,
    root bytea NOT NULL,
    previous bytea NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL
);
-- Digests do not compress.
ALTER TABLE seals ALTER events SET STORAGE EXTERNAL, ALTER entries SET STORAGE EXTERNAL, ALTER usage SET STORAGE EXTERNAL,
    ALTER decisions SET STORAGE EXTERNAL;

-- A sealed copy of the projections at a position, kept as files; manifest is the digest of each.
CREATE TABLE checkpoints (
    id uuid PRIMARY KEY,
    epoch integer NOT NULL,
    hi xid8 NOT NULL,
    seq bigint NOT NULL,
    location text NOT NULL,
    manifest jsonb NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Answers to calls with an idempotency key of the HTTP API (operational, 30 days).
CREATE TABLE api_idempotency_keys (
    organization uuid NOT NULL,
    key_digest uuid NOT NULL,            -- the first 16 bytes of the key's SHA-256; the key itself stands in the event
    request bytea NOT NULL,
    status smallint NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization, key_digest)
) PARTITION BY HASH (organization);
DO $$ BEGIN FOR i IN 0..7 LOOP EXECUTE format(
    'CREATE TABLE api_idempotency_keys_%s PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER %s)', i, i);
END LOOP; END $$;

-- Append-only, second line of defence (rights are the first): every change of a fact is refused.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %: facts are append-only', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- The tables that are partitioned by the month of recorded_at; each app adds its own in its migration.
CREATE TABLE month_partitioned (
    table_name text PRIMARY KEY,
    unique_index text  -- columns of a unique index that each partition gets, such as 'stream_id, version'
);
INSERT INTO month_partitioned VALUES ('events', 'stream_id, version');

-- Months that were written to files and dropped (events.operations.retire).
CREATE TABLE retired_months (
    table_name text NOT NULL,
    month date NOT NULL,
    file text NOT NULL,
    row_count bigint NOT NULL,
    sha256 bytea NOT NULL,
    retired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, month)
);

-- Guards that a partition does not inherit: no rights of its own, no TRUNCATE; and its own unique index.
CREATE FUNCTION guard_partition(parent text, part text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE columns text;
BEGIN
    EXECUTE format('REVOKE ALL ON %I FROM PUBLIC, {gate}, {app}, {readonly}', part);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', part);
    SELECT unique_index INTO columns FROM month_partitioned WHERE table_name = parent;
    IF columns IS NOT NULL THEN
        EXECUTE format('CREATE UNIQUE INDEX %I ON %I (%s)', part || '_unique', part, columns);
    END IF;
END $$;

-- Makes the partitions of one month for every partitioned table; returns how many were new.
CREATE FUNCTION make_month(month date) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE t record; part text; made integer := 0;
BEGIN
    IF month <> date_trunc('month', month)::date THEN RAISE EXCEPTION 'make_month takes the first day of a month'; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('make_month'));
    FOR t IN SELECT table_name FROM month_partitioned ORDER BY table_name LOOP
        part := t.table_name || to_char(month, '_YYYY_MM');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, t.table_name,
                to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
            PERFORM guard_partition(t.table_name, part);
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
-- Rows in default partitions, which nobody may read by itself. Any row there is an alarm: its month was not made.
CREATE FUNCTION default_partition_rows() RETURNS TABLE (part text, row_count bigint) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE t record;
BEGIN
    FOR t IN SELECT table_name FROM month_partitioned ORDER BY table_name LOOP
        part := t.table_name || '_default';
        EXECUTE format('SELECT count(*) FROM %I', part) INTO row_count;
        RETURN NEXT;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION guard_partition(text, text), make_month(date), default_partition_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION default_partition_rows() TO {app}, {gate}, {readonly};
GRANT EXECUTE ON FUNCTION make_month(date) TO {app}, {gate};

-- Called by the migration of each app for a table that it lists in month_partitioned: default partition, this month and three ahead, guards.
CREATE FUNCTION open_partitioned(parent text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', parent);
    EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', parent);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', parent || '_default', parent);
    PERFORM guard_partition(parent, parent || '_default');
    PERFORM make_month((date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') + make_interval(months => m))::date) FROM generate_series(0, 3) m;
END $$;
REVOKE ALL ON FUNCTION open_partitioned(text) FROM PUBLIC;
SELECT open_partitioned('events');

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON seals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON seals FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE VIEW v_events AS
    SELECT seq, organization, stream_type || ':' || stream_id AS stream, version, type, data::jsonb AS data,
    idempotency_key, recorded_at FROM events;

GRANT USAGE ON SCHEMA public TO {gate}, {app}, {readonly};
GRANT USAGE, SELECT ON SEQUENCE event_seq TO {gate}, {app};
GRANT SELECT, INSERT ON events TO {gate}, {app};
GRANT SELECT, INSERT ON seals, checkpoints TO {app};
GRANT SELECT ON seals, event_store, month_partitioned, retired_months TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON event_cursors, event_subscribers, due_jobs TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON worker_heartbeats TO {gate}, {app};
GRANT SELECT, INSERT, DELETE ON api_idempotency_keys TO {gate}, {app};
GRANT SELECT ON v_events, seals, event_store, event_cursors, event_subscribers, worker_heartbeats, due_jobs, checkpoints,
    retired_months TO {readonly};
