-- What the payment processor did and what of it stands in the books; what a person must see.

-- Projection. The facts that the processor told of a payment, and how much of it is booked. Amounts in units.
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('invoice', 'top_up')),
    invoice_id uuid,
    cause text NOT NULL,                 -- who asked for it: manual, automatic, collection ...
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    command uuid,
    status text NOT NULL CHECK (status IN
        ('requested', 'requires_action', 'processing', 'failed', 'canceled', 'succeeded')),
    intent text,
    charge text,
    customer text,
    method text,
    failure jsonb,                       -- {code, decline_code, message}
    received bigint NOT NULL CHECK (received >= 0 AND received <= amount),
    settled bigint NOT NULL,             -- of what came: paid its invoice
    excess bigint NOT NULL,              -- of what came: became credit of the customer
    refunded bigint NOT NULL,
    disputed bigint NOT NULL,            -- withdrawn for disputes and not reinstated
    credit_back bigint NOT NULL,         -- of what went back: was taken of the customer's credit
    note_taken bigint NOT NULL,          -- of that: credit that credit notes had given
    invoice_back bigint NOT NULL,        -- of what went back: is owed on the invoice again, or will be if a dispute is lost
    reopened bigint NOT NULL,            -- of that: owed on the invoice now
    beyond bigint NOT NULL,              -- of what went back: more than had come, in suspense
    fee bigint NOT NULL,                 -- what the processor kept, as far as it is known
    refunds jsonb NOT NULL,              -- {id: facts}
    disputes jsonb NOT NULL,
    balances jsonb NOT NULL,             -- {balance transaction: facts}
    warnings jsonb NOT NULL,
    applied jsonb NOT NULL,              -- the keys of the effects that are booked
    created_at timestamptz NOT NULL,
    paid_at timestamptz,
    version integer NOT NULL,
    CHECK ((purpose = 'invoice') = (invoice_id IS NOT NULL)),
    CHECK (settled >= 0 AND excess >= 0 AND settled + excess = received),
    CHECK (refunded + disputed = credit_back + invoice_back + beyond),
    CHECK (credit_back >= 0 AND note_taken BETWEEN 0 AND credit_back AND beyond >= 0),
    CHECK (reopened BETWEEN 0 AND invoice_back)
) WITH (fillfactor = 70);
CREATE INDEX payments_organization ON payments (organization, id);
CREATE UNIQUE INDEX payments_intent ON payments (intent) WHERE intent IS NOT NULL;
CREATE INDEX payments_charge ON payments (charge) WHERE charge IS NOT NULL;
CREATE INDEX payments_invoice ON payments (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX payments_automatic ON payments (organization, created_at) WHERE cause = 'automatic';

-- Projections of the same events, a row for each object at the processor.
CREATE TABLE refunds (
    id text PRIMARY KEY,                 -- the processor's
    organization uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL,
    reason text,
    failure_reason text,
    created_at timestamptz NOT NULL
);
CREATE INDEX refunds_payment ON refunds (payment_id);
CREATE INDEX refunds_organization ON refunds (organization, id);
CREATE TABLE disputes (
    id text PRIMARY KEY,
    organization uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    withdrawn bigint NOT NULL,           -- what the processor took less what it brought back
    fee bigint NOT NULL,
    evidence_due_by timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX disputes_payment ON disputes (payment_id);
CREATE INDEX disputes_organization ON disputes (organization, id);

-- Projection. W1: each effect of an object at the processor once, for ever.
CREATE TABLE effects (
    source text NOT NULL,                -- the object, such as payment_intent:pi_1
    effect_key text NOT NULL,            -- what of it took effect, such as refund:re_1:failed
    organization uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (source, effect_key)
);
CREATE INDEX effects_organization ON effects (organization);
CREATE OR REPLACE VIEW v_effects AS
SELECT 'journal'::text AS source, organization || ':' || idempotency_key AS effect_key, count(*) AS count
    FROM journal_entries GROUP BY 1, 2
UNION ALL
SELECT source, effect_key, count(*) FROM effects GROUP BY 1, 2;

-- Projection. The platform's own money on its way from the processor to the bank.
CREATE TABLE processor_payouts (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    payout text NOT NULL UNIQUE,
    amount bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    in_transit bigint NOT NULL,          -- units that have left the processor and not reached the bank
    arrived bigint NOT NULL,
    fee bigint NOT NULL,
    arrival timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    failure jsonb,
    version integer NOT NULL
) WITH (fillfactor = 70);

-- Projection. A difference that a person must see.
CREATE TABLE findings (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- whom it is about; the platform, where it is about nobody else
    kind text NOT NULL,
    subject text NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'resolved')),
    detail jsonb NOT NULL,
    proposed jsonb,                      -- the entry or the step that would settle it
    assigned_to text,
    notes jsonb NOT NULL,                -- [{at, by, text}]
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    version integer NOT NULL,
    CHECK ((status = 'resolved') = (resolved_at IS NOT NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX findings_open ON findings (organization, kind, subject) WHERE status = 'open';
CREATE INDEX findings_list ON findings (status, id);
CREATE INDEX findings_organization ON findings (organization, id);

-- Projection. When credit is bought without anybody asking.
CREATE TABLE auto_top_ups (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    enabled boolean NOT NULL,
    threshold bigint NOT NULL CHECK (threshold >= 0),
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    cool_off_seconds integer NOT NULL CHECK (cool_off_seconds >= 0),
    monthly_cap bigint,
    status text NOT NULL CHECK (status IN ('active', 'stopped')),
    failures integer NOT NULL,
    stopped_reason text,
    last_payment uuid,
    last_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX auto_top_ups_active ON auto_top_ups (organization) WHERE enabled AND status = 'active';

GRANT SELECT, INSERT, UPDATE ON payments, refunds, disputes, processor_payouts, findings, auto_top_ups TO {app};
GRANT SELECT, INSERT ON effects TO {app};
GRANT SELECT ON payments, refunds, disputes, effects, processor_payouts, findings, auto_top_ups TO {readonly};
