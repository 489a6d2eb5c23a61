-- What the payment processor is to do, who a customer is there, and how fast we may call.

-- Projection, but for the columns that are marked operational: one row for each generation of a command.
CREATE TABLE outbound_commands (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    purpose text NOT NULL,
    business_key text NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    key text NOT NULL UNIQUE CHECK (length(key) <= 255),  -- the idempotency key
    resource text NOT NULL,
    verb text NOT NULL,
    target text,                         -- the object that the verb is called on
    params jsonb NOT NULL,               -- the processor's own parameters, frozen
    params_hash text NOT NULL,
    api_version text NOT NULL,
    account text,                        -- the connected account; NULL: the platform's
    order_key text,                      -- the object whose commands go one after the other
    state text NOT NULL CHECK (state IN ('pending', 'sending', 'unknown', 'succeeded', 'refused', 'wrong', 'lapsed')),
    requested_at timestamptz NOT NULL,
    first_sent_at timestamptz,           -- set once; the same key is good for 23 h from here
    ended_at timestamptz,
    object_id text,                      -- what it made or changed
    request_id text,                     -- the processor's name of the last call that moved it
    error_code text,
    decline_code text,
    error text,
    version integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,                          -- operational, as is all below
    next_try_at timestamptz NOT NULL DEFAULT '1970-01-01T00:00:00Z',
    lease uuid,
    lease_until timestamptz,
    looks integer NOT NULL DEFAULT 0,    -- that found nothing
    looked_at timestamptz,
    note text,                           -- what the last try met
    CHECK (state = 'pending' OR state = 'lapsed' OR first_sent_at IS NOT NULL),
    UNIQUE (organization, purpose, business_key, generation)
) WITH (fillfactor = 70);
CREATE INDEX outbound_commands_due ON outbound_commands (next_try_at, id)
    WHERE state IN ('pending', 'sending', 'unknown');
CREATE INDEX outbound_commands_order ON outbound_commands (order_key, id)
    WHERE state IN ('pending', 'sending', 'unknown');
CREATE INDEX outbound_commands_wrong ON outbound_commands (id) WHERE state = 'wrong';
CREATE INDEX outbound_commands_organization ON outbound_commands (organization, id);
CREATE INDEX outbound_commands_object ON outbound_commands (object_id) WHERE object_id IS NOT NULL;

-- Projection: who an organization is at the processor, and the ids of what it may pay with.
CREATE TABLE payment_customers (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    customer text UNIQUE,                -- the processor's id; NULL: there is none, or it was deleted there
    status text NOT NULL CHECK (status IN ('active', 'deleted')),
    default_method text,
    methods jsonb NOT NULL,              -- [the processor's id of a method], the oldest first
    livemode boolean NOT NULL,
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    CHECK (default_method IS NULL OR methods ? default_method)
) WITH (fillfactor = 70);
CREATE INDEX payment_customers_methods ON payment_customers USING gin (methods jsonb_path_ops);

-- Operational: what a method looks like to its owner. Personal data; deleted with the method.
CREATE TABLE payment_methods (
    id text PRIMARY KEY,
    organization uuid NOT NULL,
    kind text NOT NULL,
    brand text,
    last4 text,
    exp_month integer,
    exp_year integer,
    fingerprint text,
    seen_at timestamptz NOT NULL
);
CREATE INDEX payment_methods_organization ON payment_methods (organization);

-- Operational: a token bucket for each limit of the processor, shared by all processes.
CREATE TABLE processor_buckets (
    name text PRIMARY KEY,
    tokens double precision NOT NULL,
    refilled_at timestamptz NOT NULL
) WITH (fillfactor = 50);

ALTER TABLE billing_profiles ADD COLUMN collection text CHECK (collection IN ('charge_automatically', 'send_invoice'));

GRANT SELECT, INSERT, UPDATE ON outbound_commands, payment_customers TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON payment_methods, processor_buckets TO {app};
GRANT SELECT ON outbound_commands, payment_customers, processor_buckets TO {readonly};
