-- Subscriptions and invoices that live at the processor: mirrored, never written. A paid invoice gives credit by its prices.

-- Projection: which organization a customer at the processor is, where nobody here made it.
CREATE TABLE mirrored_customers (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    customer text NOT NULL UNIQUE,
    linked_at timestamptz NOT NULL,
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX mirrored_customers_organization ON mirrored_customers (organization, id);

-- Projection: a subscription as it was when it was last fetched.
CREATE TABLE mirrored_subscriptions (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    subscription text NOT NULL UNIQUE,
    customer text NOT NULL,
    status text NOT NULL,                -- the processor's word
    items jsonb NOT NULL,                -- [[price, quantity]]
    period_start timestamptz,
    period_end timestamptz,
    cancel_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz NOT NULL,     -- the processor's clock
    version integer NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX mirrored_subscriptions_organization ON mirrored_subscriptions (organization, id);

-- Projection: an invoice as it was when it was last fetched, and what its payment gave.
CREATE TABLE mirrored_invoices (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    invoice text NOT NULL UNIQUE,
    subscription text,
    customer text NOT NULL,
    number text,
    status text NOT NULL CHECK (status IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    currency text NOT NULL,
    total bigint NOT NULL,               -- units, as all amounts
    paid bigint NOT NULL,
    remaining bigint NOT NULL,
    failed boolean NOT NULL,             -- its payment was tried, and it is not paid
    due_at timestamptz,
    paid_at timestamptz,
    created_at timestamptz NOT NULL,
    grant_id uuid,                       -- the credit that it gave, once
    credit bigint NOT NULL,
    version integer NOT NULL,
    CHECK (grant_id IS NULL OR status = 'paid'),
    CHECK ((grant_id IS NULL) = (credit = 0))
) WITH (fillfactor = 70);
CREATE INDEX mirrored_invoices_organization ON mirrored_invoices (organization, id);

-- Projection: how much credit a price of the processor gives on a paid invoice; the platform's streams.
CREATE TABLE credit_prices (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    price text NOT NULL UNIQUE,
    name text NOT NULL,
    credit bigint NOT NULL CHECK (credit > 0),   -- units, for each of the quantity
    currency text NOT NULL,
    lifetime_days integer CHECK (lifetime_days > 0),
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    version integer NOT NULL
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE ON mirrored_customers, mirrored_subscriptions, mirrored_invoices, credit_prices TO {app};
GRANT SELECT ON mirrored_customers, mirrored_subscriptions, mirrored_invoices, credit_prices TO {readonly};
