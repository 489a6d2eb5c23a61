-- Projection: tax rates that the platform entered; they go before those of the package. Its streams.
CREATE TABLE tax_rates (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    tax_code text NOT NULL,
    ppm integer CHECK (ppm BETWEEN 0 AND 1000000),    -- millionths of the net amount; NULL: there is no such tax
    valid_from date NOT NULL,
    valid_to date,                       -- not included
    source text NOT NULL,                -- where it is said
    created_at timestamptz NOT NULL,
    version integer NOT NULL,
    CHECK (valid_to >= valid_from)
) WITH (fillfactor = 70);
-- What was ended before it began never held.
CREATE UNIQUE INDEX tax_rates_begin ON tax_rates (country, tax_code, valid_from)
    WHERE valid_to IS NULL OR valid_to > valid_from;

GRANT SELECT, INSERT, UPDATE ON tax_rates TO {app};
GRANT SELECT ON tax_rates TO {readonly};
