-- Dunning: cases, policies, and what customers are told.

-- Projection. A customer in arrears; at most one is open for each organization.
CREATE TABLE dunning_cases (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('past_due', 'grace', 'suspended', 'canceled', 'written_off', 'closed')),
    policy_id uuid,                      -- NULL: the house's own
    policy_number integer NOT NULL,
    policy jsonb NOT NULL,               -- frozen when the case was opened
    zone text NOT NULL,                  -- whose days are counted
    anchor_at timestamptz NOT NULL,      -- day 0: when the first invoice fell due
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,     -- since when it is in its state
    invoices jsonb NOT NULL,             -- ids, in the order in which they joined
    step integer NOT NULL CHECK (step >= 0),     -- how many steps of the policy are done
    shift_days integer NOT NULL CHECK (shift_days >= 0),
    pending jsonb NOT NULL,              -- invoices whose payment is under way; the steps wait
    waits_until timestamptz,             -- ... until then at most
    asked_at timestamptz,
    wants_retry boolean NOT NULL,
    is_hard boolean NOT NULL,
    failures integer NOT NULL,
    failure jsonb,                       -- the last one
    exempt_until timestamptz,
    extended_until timestamptz,
    next_at timestamptz,                 -- when the timer has something to do
    closed_at timestamptz,
    closing text CHECK (closing IN ('settled', 'finance')),
    version integer NOT NULL,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL) AND (state = 'closed') = (closing IS NOT NULL)),
    CHECK (state <> 'closed' OR next_at IS NULL)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX dunning_cases_open ON dunning_cases (organization) WHERE closed_at IS NULL;
CREATE INDEX dunning_cases_organization ON dunning_cases (organization, id);
CREATE INDEX dunning_cases_due ON dunning_cases (next_at) WHERE closed_at IS NULL;
CREATE INDEX invoices_overdue ON invoices (due_at) WHERE status = 'open';

-- Projection, the platform's streams. What is done when, and for whom.
CREATE TABLE dunning_policies (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform's
    key text NOT NULL,
    name text NOT NULL,
    plans jsonb NOT NULL,                -- keys
    contracts jsonb NOT NULL,            -- ids
    is_default boolean NOT NULL,
    number integer NOT NULL,             -- of its document
    document jsonb NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX dunning_policies_key ON dunning_policies (key);
CREATE UNIQUE INDEX dunning_policies_default ON dunning_policies (is_default) WHERE is_default AND archived_at IS NULL;

-- Projection: every document that a policy had; it never changes.
CREATE TABLE dunning_policy_versions (
    policy uuid NOT NULL,
    number integer NOT NULL,
    organization uuid NOT NULL,
    document jsonb NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (policy, number)
);

-- Operational: the letters that go out, each once. That it was decided stands in the case's events.
CREATE TABLE dunning_notices (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    case_id uuid NOT NULL,
    notice text NOT NULL,
    state text NOT NULL,                 -- of the case, of which it tells
    made_at timestamptz NOT NULL,        -- business time
    status text NOT NULL CHECK (status IN
        ('waiting', 'sending', 'sent', 'superseded', 'no_address', 'failed', 'unknown')),
    attempts integer NOT NULL,
    next_try_at timestamptz,             -- wall clock
    done_at timestamptz,                 -- wall clock
    UNIQUE (case_id, notice)
) WITH (fillfactor = 70);
CREATE INDEX dunning_notices_due ON dunning_notices (next_try_at) WHERE status IN ('waiting', 'sending');
CREATE INDEX dunning_notices_organization ON dunning_notices (organization, id);

GRANT SELECT, INSERT, UPDATE ON dunning_cases, dunning_policies, dunning_policy_versions TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON dunning_notices TO {app};
GRANT SELECT ON dunning_cases, dunning_policies, dunning_policy_versions, dunning_notices TO {readonly};
