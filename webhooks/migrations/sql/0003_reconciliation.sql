-- Reconciliation. Operational: reports of runs, differences, what the processor's balance was made of. Projections:
-- processor_items, provider_bills.

-- Operational. One comparison of the books with themselves and with the processor.
CREATE TABLE reconciliations (
    id uuid PRIMARY KEY,
    period date NOT NULL,                -- the day that it is for
    cause text NOT NULL CHECK (cause IN ('nightly', 'manual')),
    status text NOT NULL CHECK (status IN ('running', 'finished')),
    since timestamptz NOT NULL,          -- objects made in [since, until) are compared
    until timestamptz NOT NULL,          -- what is younger is in flight
    steps jsonb NOT NULL,                -- what it does, in this order
    done jsonb NOT NULL,                 -- {step: what it counted, its seconds}; a run goes on after the last one
    differences jsonb NOT NULL,          -- {class: {found, repaired, open}}, when it is finished
    balances jsonb NOT NULL,             -- {currency: {opening, moved, closing, books}}
    is_clean boolean,
    error text,                          -- what stopped it last
    attempts integer NOT NULL DEFAULT 0,
    author text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CHECK ((status = 'finished') = (finished_at IS NOT NULL))
) WITH (fillfactor = 70);
-- A period's nightly run is made once, whoever and how many ask for it.
CREATE UNIQUE INDEX reconciliations_period ON reconciliations (period) WHERE cause = 'nightly';
CREATE UNIQUE INDEX reconciliations_running ON reconciliations ((true)) WHERE status = 'running';

-- Operational. What differed: since when, and what became of it. What is open has a finding.
CREATE TABLE reconciliation_differences (
    id uuid PRIMARY KEY,
    run uuid NOT NULL,                   -- the run that met it first
    last_run uuid NOT NULL,              -- and last
    kind text NOT NULL,                  -- of the object, such as payment
    class text NOT NULL,
    subject text NOT NULL,               -- the object, such as payment_intent:pi_1
    organization uuid,
    amount bigint,                       -- by how much, where that can be said
    currency text,
    detail jsonb NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('repaired', 'open', 'gone')),
    finding uuid,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    ended_at timestamptz,
    CHECK ((outcome = 'open') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX reconciliation_differences_open ON reconciliation_differences (subject, class) WHERE ended_at IS NULL;
CREATE INDEX reconciliation_differences_run ON reconciliation_differences (last_run, id);

-- Operational. The processor's balance transactions as they were read: evidence, never applied. Units.
CREATE TABLE processor_balance_rows (
    id text PRIMARY KEY,
    amount bigint NOT NULL,
    fee bigint NOT NULL,
    net bigint NOT NULL,
    currency text NOT NULL,
    type text NOT NULL,
    category text NOT NULL,
    source text,
    created timestamptz NOT NULL,
    run uuid NOT NULL,
    CHECK (net = amount - fee)
);
CREATE INDEX processor_balance_rows_source ON processor_balance_rows (source);
CREATE INDEX processor_balance_rows_created ON processor_balance_rows (created);

-- Operational. Where the roll-forward stands: what the processor said to hold when it was last read.
CREATE TABLE processor_balances (
    currency text PRIMARY KEY,
    closing bigint NOT NULL,
    rows_net bigint NOT NULL,            -- the sum of all rows that were read by then
    run uuid NOT NULL,
    read_at timestamptz NOT NULL
);

-- Projection. A balance transaction that no object of ours explains, as it stands in the platform's books: a cost of the
-- processor, money from our own bank, or money in suspense until finance says whose it is.
CREATE TABLE processor_items (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    balance_transaction text NOT NULL UNIQUE,
    subject text NOT NULL,               -- what it is about, such as payment_intent:pi_1
    category text NOT NULL,
    amount bigint NOT NULL,
    fee bigint NOT NULL,
    currency text NOT NULL,
    booked_to text NOT NULL,             -- the account that stands against the processor's balance
    status text NOT NULL CHECK (status IN ('booked', 'suspense', 'assigned', 'foreign', 'released')),
    assigned_to uuid,
    assigned_invoice uuid,
    reason text,
    created_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    ended_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX processor_items_suspense ON processor_items (subject) WHERE status = 'suspense';

-- Projection. What a provider billed for its models, line by line in `lines`: [day, model, units, what it is].
CREATE TABLE provider_bills (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    provider text NOT NULL,
    digest text NOT NULL UNIQUE,         -- of the file's content
    currency text NOT NULL,
    total bigint NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    tolerance_ppm integer NOT NULL,
    lines jsonb NOT NULL,
    status text NOT NULL CHECK (status IN ('imported', 'booked')),
    booked_against text,
    imported_by text NOT NULL,
    created_at timestamptz NOT NULL,
    booked_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE ON reconciliations, reconciliation_differences, processor_balances, processor_items,
    provider_bills TO {app};
GRANT SELECT, INSERT ON processor_balance_rows TO {app};
GRANT SELECT ON reconciliations, reconciliation_differences, processor_balance_rows, processor_balances, processor_items,
    provider_bills TO {readonly};
