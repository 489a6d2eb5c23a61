-- Payouts of partners, their batches and schedules. Amounts: units.

-- Projection. A payout: its money is in payout_in_transit from its first event until it is paid or comes back.
CREATE TABLE payouts (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the partner
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('requested', 'held', 'pending_approval', 'approved', 'processing', 'unknown',
        'paid', 'failed', 'reversed', 'canceled')),
    cause text NOT NULL CHECK (cause IN ('request', 'scheduled', 'batch', 'platform')),
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    account text NOT NULL,               -- the connected account that it goes to
    destination text,                    -- its bank account, for which it was judged
    batch uuid,
    hold text CHECK (hold IN ('manual', 'review', 'account_not_ready', 'destination_changed')),
    hold_note text,
    reviewed_by text,
    approved_at timestamptz,
    approved_by text,
    waits_for text,                      -- why it is tried anew later
    next_at timestamptz,                 -- when it is looked at again, on the partner's clock
    transfer text,                       -- the processor's ids
    payout text,
    taken_back bigint NOT NULL CHECK (taken_back BETWEEN 0 AND amount),  -- of the transfer: reversed
    arrival timestamptz,
    paid_at timestamptz,
    ended_at timestamptz,
    failure jsonb,
    version integer NOT NULL,
    CHECK ((state = 'held') = (hold IS NOT NULL)),
    CHECK (payout IS NULL OR transfer IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX payouts_organization ON payouts (organization, id);
CREATE INDEX payouts_state ON payouts (state, id);
CREATE INDEX payouts_due ON payouts (next_at) WHERE next_at IS NOT NULL;
CREATE UNIQUE INDEX payouts_transfer ON payouts (transfer) WHERE transfer IS NOT NULL;
CREATE UNIQUE INDEX payouts_payout ON payouts (payout) WHERE payout IS NOT NULL;
-- One at a time (S103), and one of each batch.
CREATE UNIQUE INDEX payouts_open ON payouts (organization)
    WHERE state IN ('requested', 'held', 'pending_approval', 'approved', 'processing', 'unknown');
CREATE UNIQUE INDEX payouts_batch ON payouts (batch, organization) WHERE batch IS NOT NULL;

-- Projection of the platform's events: all partners at once.
CREATE TABLE payout_batches (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    state text NOT NULL CHECK (state IN ('open', 'done')),
    requested_at timestamptz NOT NULL,
    requested_by text NOT NULL,
    made integer NOT NULL,
    refused integer NOT NULL,
    finished_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX payout_batches_open ON payout_batches (id) WHERE state = 'open';

-- Operational: the last day of its schedule for which a partner was asked for.
CREATE TABLE payout_schedules (
    organization uuid PRIMARY KEY,
    slot date NOT NULL,
    refusal text                         -- why there was none, by its code
) WITH (fillfactor = 50);

-- Projection. What a partner is sent when a month is over; the document is what PDF and CSV are made of.
CREATE TABLE partner_statements (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    month date NOT NULL,
    number text NOT NULL,                -- of the partner's own gapless series
    counter integer NOT NULL CHECK (counter > 0),
    currency text NOT NULL,
    opening bigint NOT NULL,
    earned bigint NOT NULL,
    clawed_back bigint NOT NULL,
    paid_out bigint NOT NULL,
    closing bigint NOT NULL,
    document jsonb NOT NULL,
    made_at timestamptz NOT NULL,
    version integer NOT NULL,
    UNIQUE (organization, month),
    UNIQUE (organization, counter),
    CHECK (closing = opening + earned - clawed_back - paid_out)
);

GRANT SELECT, INSERT, UPDATE ON payouts, payout_batches, payout_schedules, partner_statements TO {app};
GRANT SELECT ON payouts, payout_batches, payout_schedules, partner_statements TO {readonly};
