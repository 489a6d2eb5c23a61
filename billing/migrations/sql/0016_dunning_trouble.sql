-- A customer whose dunning meets trouble is tried again later and at last parked, as in the billing run.
ALTER TABLE dunning_claims ALTER COLUMN claimed_at DROP NOT NULL,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN failed_at timestamptz,    -- wall clock
    ADD COLUMN last_error text,
    ADD COLUMN parked_at timestamptz;    -- wall clock; nobody tries again until a person says so
CREATE INDEX dunning_claims_troubled ON dunning_claims (organization) WHERE failures > 0;
