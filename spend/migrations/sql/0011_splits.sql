-- Who shares in what calls of a listing are charged. Part of the gate's cached configuration; without a row: nobody.

-- Projection; every event of it raises the organization's config_epoch.
CREATE TABLE split_rules (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- who calls
    listing_id uuid NOT NULL,
    rules jsonb NOT NULL,                -- dated: rule, from, fee_rate, minimum, fixed, promotional, parties
    version integer NOT NULL,
    UNIQUE (organization, listing_id)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE ON split_rules TO {app};
GRANT SELECT ON split_rules TO {gate}, {readonly};
