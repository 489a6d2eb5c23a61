-- Revenue metrics: written by a reader of the events from these alone (payouts.projections.metrics), emptied and written anew by
-- rebuild_metrics. Amounts are units of 10^-8 a month.

-- What a subscription or contract comes to from a moment of business time on. A contract's rows reach into its future.
CREATE TABLE recurring_levels (
    source uuid NOT NULL,
    at timestamptz NOT NULL,
    organization uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('subscription', 'contract')),
    currency text NOT NULL,
    mrr bigint NOT NULL CHECK (mrr >= 0),
    trial bigint NOT NULL CHECK (trial >= 0),   -- what it would come to if its trial were over; then mrr is 0
    status text NOT NULL,
    version integer NOT NULL,                   -- of the source, when it said so
    PRIMARY KEY (source, at),
    CHECK (mrr = 0 OR trial = 0)
);
CREATE INDEX recurring_levels_organization ON recurring_levels (organization);

-- What it will come to when all that was arranged at that moment has happened.
CREATE TABLE recurring_commitments (
    source uuid NOT NULL,
    version integer NOT NULL,
    organization uuid NOT NULL,
    currency text NOT NULL,
    at timestamptz NOT NULL,
    committed bigint NOT NULL CHECK (committed >= 0),
    PRIMARY KEY (source, version)
);

-- Every change of a customer's MRR, as the kind of movement that it is.
CREATE TABLE mrr_movements (
    organization uuid NOT NULL,
    at timestamptz NOT NULL,
    source uuid NOT NULL,
    currency text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('new', 'expansion', 'reactivation', 'contraction', 'churn')),
    amount bigint NOT NULL CHECK (amount <> 0 AND (amount > 0) = (kind IN ('new', 'expansion', 'reactivation'))),
    PRIMARY KEY (organization, at, source)
);
CREATE INDEX mrr_movements_at ON mrr_movements (at);

-- What was posted on the accounts of income and cost in a month (UTC) of business time; a credit is positive.
CREATE TABLE revenue_months (
    organization uuid NOT NULL,
    month date NOT NULL,
    currency text NOT NULL,
    account text NOT NULL,
    amount numeric(40, 0) NOT NULL,
    PRIMARY KEY (organization, month, currency, account)
);
CREATE INDEX revenue_months_month ON revenue_months (month);

GRANT SELECT, INSERT, UPDATE, DELETE ON recurring_levels, recurring_commitments, mrr_movements, revenue_months TO {app};
GRANT SELECT ON recurring_levels, recurring_commitments, mrr_movements, revenue_months TO {readonly};
