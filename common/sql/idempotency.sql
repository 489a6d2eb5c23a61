-- Answers that were given to accepted calls, by idempotency key, for 30 days. Operational, not a fact: written in the
-- transaction of the effect that it answers for, and purged. Rights: SELECT and INSERT for gate and app, DELETE for
-- whoever runs the purge.
CREATE TABLE api_idempotency_keys (
    organization uuid        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    status       smallint    NOT NULL CHECK (status BETWEEN 200 AND 299),
    key          text        COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    target       bytea       NOT NULL CHECK (length(target) = 16),
    body_digest  bytea       NOT NULL CHECK (length(body_digest) = 32),
    body         bytea       NOT NULL,
    PRIMARY KEY (organization, key)
) PARTITION BY HASH (organization);

COMMENT ON TABLE api_idempotency_keys IS 'Stored answers of accepted calls (status 2xx), kept 30 days';
COMMENT ON COLUMN api_idempotency_keys.target IS 'First 16 bytes of SHA-256 over method and path';
COMMENT ON COLUMN api_idempotency_keys.body_digest IS 'SHA-256 of the request body as canonical JSON';
COMMENT ON COLUMN api_idempotency_keys.body IS 'Bytes of the answer, compressed with zlib';

CREATE TABLE api_idempotency_keys_0 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE api_idempotency_keys_1 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE api_idempotency_keys_2 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE api_idempotency_keys_3 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE api_idempotency_keys_4 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE api_idempotency_keys_5 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE api_idempotency_keys_6 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE api_idempotency_keys_7 PARTITION OF api_idempotency_keys FOR VALUES WITH (MODULUS 8, REMAINDER 7);

-- The purge goes by age; rows arrive in order of age, so a few pages of summaries are enough.
CREATE INDEX api_idempotency_keys_created_at ON api_idempotency_keys USING brin (created_at);
