-- Subscriptions, and the periods of metered charges that wait for an invoice to rate them. Projections of events.

-- The whole row of each subscription, as its last event states it. Amounts inside the JSON are units.
CREATE TABLE subscriptions (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    status text NOT NULL CHECK
        (status IN ('scheduled', 'trialing', 'active', 'paused', 'past_due', 'canceled', 'expired')),
    currency text NOT NULL,
    funding text NOT NULL CHECK (funding IN ('credit_only', 'credit_then_invoice')),
    plan uuid NOT NULL,
    plan_version uuid NOT NULL,
    quantities jsonb NOT NULL,           -- of licensed charges, by key
    add_ons jsonb NOT NULL,
    zone text NOT NULL,
    starts_at timestamptz NOT NULL,
    interval_unit text NOT NULL,
    interval_count integer NOT NULL CHECK (interval_count > 0),
    anchor timestamp,                    -- wall time in the zone that boundaries are counted from
    anchor_day integer,
    cycle_start timestamptz,
    trial_days integer NOT NULL,
    trial_end timestamptz,
    period_start timestamptz,            -- [start, end) of the running trial or period
    period_end timestamptz,
    fees jsonb NOT NULL,                 -- what the running period was billed
    allowances jsonb NOT NULL,           -- what credit it brings
    metered_since jsonb NOT NULL,
    set_up jsonb NOT NULL,
    coupons jsonb NOT NULL,
    pending jsonb,                       -- at most one change that waits
    ending jsonb,                        -- a cancellation that waits
    ends_at timestamptz,
    paused_at timestamptz,
    resumes_at timestamptz,
    blocks jsonb NOT NULL,
    ended_at timestamptz,
    change_at timestamptz,
    cancel_at timestamptz,
    next_at timestamptz,                 -- its next boundary; NULL: none
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((ended_at IS NOT NULL) = (status IN ('canceled', 'expired'))),
    CHECK ((next_at IS NULL) = (ended_at IS NOT NULL)),
    CHECK ((paused_at IS NOT NULL) = (status = 'paused'))
);
CREATE INDEX subscriptions_organization ON subscriptions (organization, id);
CREATE INDEX subscriptions_due ON subscriptions (organization, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX subscriptions_next ON subscriptions (next_at) WHERE next_at IS NOT NULL;      -- whose run is due
CREATE INDEX subscriptions_plan ON subscriptions (plan, status);

-- Use of a metered charge in [start, end), to be rated by the plan's version; open until an invoice has it.
CREATE TABLE metered_periods (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    subscription uuid NOT NULL,
    charge_key text NOT NULL,
    meter text NOT NULL,
    plan_version uuid NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,     -- business time of the event that ended it
    invoice_id uuid,
    line integer,
    UNIQUE (subscription, charge_key, start_at),     -- no period twice
    CHECK (start_at < end_at),
    CHECK ((invoice_id IS NULL) = (line IS NULL))
);
CREATE INDEX metered_periods_open ON metered_periods (organization, end_at) WHERE invoice_id IS NULL;
CREATE INDEX metered_periods_invoice ON metered_periods (invoice_id) WHERE invoice_id IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON subscriptions, metered_periods TO {app};
GRANT SELECT ON subscriptions TO {gate};
GRANT SELECT ON subscriptions, metered_periods TO {readonly};
