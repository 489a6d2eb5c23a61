-- Enterprise contracts, their versions, and the windows of their commitments. Projections of events.

-- The whole row of each contract, as its last event states it. Amounts inside the JSON are units.
CREATE TABLE contracts (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('draft', 'active', 'ended', 'terminated')),
    name text NOT NULL,
    currency text NOT NULL,
    purchase_order text,
    net_days integer NOT NULL,
    zone text NOT NULL,
    starts_at timestamptz NOT NULL,      -- [start, end) of the term, as it holds now
    ends_at timestamptz NOT NULL,
    kind text CHECK (kind IN ('prepaid', 'postpaid', 'minimum')),
    number integer NOT NULL,             -- the version that holds
    versions jsonb NOT NULL,
    windows jsonb NOT NULL,              -- those that are not settled
    window_count integer NOT NULL,
    next_window_at timestamptz,
    fees jsonb NOT NULL,
    prices jsonb NOT NULL,               -- what it published in the price book for this customer
    features jsonb NOT NULL,
    activated_at timestamptz,
    terminates_at timestamptz,
    termination text CHECK (termination IN ('full', 'prorated', 'waive')),
    reason text NOT NULL,
    ended_at timestamptz,
    next_at timestamptz,                 -- its next boundary; NULL: none
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (starts_at < ends_at),
    CHECK ((ended_at IS NOT NULL) = (status IN ('ended', 'terminated'))),
    CHECK (status <> 'draft' OR next_at IS NULL)
);
CREATE INDEX contracts_organization ON contracts (organization, id);
CREATE INDEX contracts_due ON contracts (organization, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX contracts_next ON contracts (next_at) WHERE next_at IS NOT NULL;      -- whose run is due

-- What a contract says from a date on; a version never changes once the contract is active.
CREATE TABLE contract_versions (
    contract uuid NOT NULL,
    number integer NOT NULL,
    organization uuid NOT NULL,
    effective_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (contract, number)
);

-- One window [start, end) of a commitment, settled or not. All amounts are units.
CREATE TABLE contract_windows (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    contract uuid NOT NULL,
    number integer NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    grants_end timestamptz NOT NULL,
    settle_at timestamptz NOT NULL,
    settled_at timestamptz,
    status text NOT NULL CHECK (status IN ('open', 'rolled', 'settled')),
    pieces jsonb NOT NULL,               -- what is committed, by parts of the window
    grants jsonb NOT NULL,               -- [grant, units]
    items jsonb NOT NULL,                -- [item, units] that were invoiced in advance
    amount bigint NOT NULL CHECK (amount >= 0),
    parked bigint NOT NULL,
    closed bigint NOT NULL,
    repaid bigint NOT NULL,
    repaid_billed bigint NOT NULL,
    fees bigint NOT NULL,
    used bigint NOT NULL,
    line bigint NOT NULL,
    overage bigint NOT NULL,
    true_up bigint NOT NULL CHECK (true_up >= 0),
    lapsed bigint NOT NULL,
    rolled bigint NOT NULL,
    credited bigint NOT NULL,
    UNIQUE (contract, number),
    CHECK ((settled_at IS NOT NULL) = (status = 'settled'))
);
CREATE INDEX contract_windows_organization ON contract_windows (organization, contract);

GRANT SELECT, INSERT, UPDATE ON contracts, contract_versions, contract_windows TO {app};
GRANT SELECT ON contracts TO {gate};
GRANT SELECT ON contracts, contract_versions, contract_windows TO {readonly};
