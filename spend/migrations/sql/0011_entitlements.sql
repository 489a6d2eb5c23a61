-- What a customer is entitled to, as far as the gate obeys it: published by billing. Without a row: nothing is restricted.

-- Projection. Part of the gate's cached configuration; every event of it raises the organization's config_epoch.
CREATE TABLE gate_entitlements (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    features jsonb NOT NULL,             -- {feature: {"value", "source"}}, of the features that the gate knows
    line text CHECK (line IN ('closed', 'open')),  -- the postpaid line; NULL: as the organization has it
    credit_limit bigint CHECK (credit_limit >= 0), -- units, of an open line
    line_source text,
    next_at timestamptz,                 -- business time: something begins or ends then
    published_at timestamptz NOT NULL,   -- business time
    version integer NOT NULL,
    CHECK ((line IS NOT DISTINCT FROM 'open') = (credit_limit IS NOT NULL)),
    CHECK ((line IS NULL) = (line_source IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX gate_entitlements_next ON gate_entitlements (next_at) WHERE next_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON gate_entitlements TO {gate}, {app};
GRANT SELECT ON gate_entitlements TO {readonly};
