-- The marketplace: partners, what they offer, what their share is, and how far it is on its way to them. Amounts: units.

-- Projection: an organization as a partner.
CREATE TABLE partners (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    currency text NOT NULL,              -- that of the organization: its money is in no other
    status text NOT NULL CHECK (status IN ('onboarding', 'verifying', 'active', 'restricted')),
    minimum bigint CHECK (minimum > 0),  -- the least payout; NULL: the default of the currency
    schedule text NOT NULL CHECK (schedule IN ('manual', 'daily', 'weekly', 'monthly')),
    holdback_days integer NOT NULL CHECK (holdback_days >= 0),
    reserve_rate integer NOT NULL CHECK (reserve_rate BETWEEN 0 AND 1000000),  -- millionths
    hold_reason text CHECK (hold_reason <> ''),  -- by hand; NULL: nothing holds its payouts
    stripe_account text UNIQUE,
    country text,
    destination text,                    -- the bank account at the processor, by its id
    destination_changed_at timestamptz,  -- NULL: it is the first one
    payouts_enabled boolean NOT NULL,
    disabled_reason text,
    requirements jsonb NOT NULL,         -- what the processor waits for, by its names
    created_at timestamptz NOT NULL,
    version integer NOT NULL
) WITH (fillfactor = 70);

-- Projection: an agent that a partner offers; agents of customers name it by its key.
CREATE TABLE listings (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the partner
    key text NOT NULL,
    key_folded text NOT NULL UNIQUE,     -- one name space for all: customers name them
    name text NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX listings_organization ON listings (organization, id);

-- Projection: what the platform keeps and who gets the rest, from a moment on. The narrowest and then the latest counts.
CREATE TABLE revenue_shares (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the partner whose listings it is for
    listing_id uuid,                     -- NULL: all of them
    plan text,                           -- callers with a subscription to it only; NULL: all callers
    valid_from timestamptz NOT NULL,
    terms jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    withdrawn_at timestamptz,            -- before it began
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX revenue_shares_organization ON revenue_shares (organization, id);

-- Projections of the calling organization's events, all of them sums: what was earned of it, by whom, and how it was paid.
-- What holds between them (collected + lost <= earned, ...) verify_ledger judges: a reversal lowers what was earned first.
CREATE TABLE earning_buckets (
    organization uuid NOT NULL,          -- who called
    partner uuid NOT NULL,
    listing_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    day date NOT NULL,                   -- of the commit, UTC
    rule text NOT NULL,                  -- the revenue share by which it was shared, or default
    payer text NOT NULL,                 -- a grant's id, line or debt: what paid for that part; adjustment: nobody did
    gross bigint NOT NULL,               -- the charges of which this is a share
    share bigint NOT NULL,
    calls integer NOT NULL,
    PRIMARY KEY (organization, partner, listing_id, agent_id, day, rule, payer)
) WITH (fillfactor = 50);
CREATE INDEX earning_buckets_partner ON earning_buckets (partner, day);
CREATE INDEX earning_buckets_rule ON earning_buckets (rule, day) WHERE rule <> 'default';  -- the volume of its tiers

CREATE TABLE earning_pairs (
    organization uuid NOT NULL,
    partner uuid NOT NULL,
    earned bigint NOT NULL,
    lost bigint NOT NULL,                -- of that: clawed back, for it will not be paid
    collected bigint NOT NULL,           -- of that: the money is here
    matured bigint NOT NULL,             -- of that: past the holdback
    moved bigint NOT NULL,               -- of that: in the partner's own books
    PRIMARY KEY (organization, partner)
) WITH (fillfactor = 50);
CREATE INDEX earning_pairs_partner ON earning_pairs (partner, organization);

-- The same by what pays for it: grant:<id>, line (postpaid, on no invoice yet), invoice:<id>, debt:<usage record>,
-- adjustment:<revenue share>:<month>.
CREATE TABLE earning_sources (
    organization uuid NOT NULL,
    partner uuid NOT NULL,
    source text NOT NULL,
    share bigint NOT NULL,
    collected bigint NOT NULL,
    lost bigint NOT NULL,
    PRIMARY KEY (organization, partner, source)
) WITH (fillfactor = 50);

-- When it was collected, for the holdback: what a later refund takes comes off the hour in which that came.
CREATE TABLE earning_collections (
    organization uuid NOT NULL,
    partner uuid NOT NULL,
    source text NOT NULL,
    hour timestamptz NOT NULL,           -- its beginning, UTC
    amount bigint NOT NULL,
    matured boolean NOT NULL,
    PRIMARY KEY (organization, partner, source, hour)
) WITH (fillfactor = 70);
CREATE INDEX earning_collections_waiting ON earning_collections (organization, partner, hour) WHERE NOT matured;

-- What usage with a share left as debt, and what else became debt since: repaid is the oldest first.
CREATE TABLE earning_debts (
    organization uuid NOT NULL,
    id uuid NOT NULL,                    -- the usage record, or what else it came of
    amount bigint NOT NULL CHECK (amount > 0),
    at timestamptz NOT NULL,
    PRIMARY KEY (organization, id)
);

-- What of each grant calls have burnt since the organization named its first listing: what is owed is the newest of it.
CREATE TABLE earning_used (
    organization uuid NOT NULL,
    grant_id uuid NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (organization, grant_id)
) WITH (fillfactor = 50);

-- Which invoices of callers have had the shares in their cuts summed up.
CREATE TABLE earning_invoices (
    invoice_id uuid PRIMARY KEY,
    organization uuid NOT NULL
);

-- Projection of the partner's events: what came into its books by day, UTC. A clawback is below zero.
CREATE TABLE partner_days (
    partner uuid NOT NULL,
    day date NOT NULL,
    received bigint NOT NULL,
    PRIMARY KEY (partner, day)
) WITH (fillfactor = 50);

-- Operational: how far the events of a calling organization have been looked at for what was collected.
CREATE TABLE earning_watermarks (
    organization uuid PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON partners, listings, revenue_shares, earning_buckets, earning_pairs, earning_sources,
    earning_collections, earning_debts, earning_used, earning_invoices, partner_days, earning_watermarks TO {app};
-- The gate's transaction writes what a commit earned.
GRANT SELECT, INSERT, UPDATE ON earning_buckets, earning_pairs, earning_sources, earning_debts, earning_used TO {gate};
GRANT SELECT ON partners, listings, revenue_shares, earning_buckets, earning_pairs, earning_sources,
    earning_collections, earning_debts, earning_used, earning_invoices, partner_days, earning_watermarks TO {readonly};
