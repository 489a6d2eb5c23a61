-- Projection: which usage records with a share, or with debt of a caller of listings, were reversed, and whether they were
-- looked for on the invoices that were summed up by then. One that is on none is left out of its invoice's sum.
CREATE TABLE earning_reversals (
    organization uuid NOT NULL,
    id uuid NOT NULL,                    -- the usage record
    placed boolean NOT NULL,
    PRIMARY KEY (organization, id)
) WITH (fillfactor = 70);
CREATE INDEX earning_reversals_waiting ON earning_reversals (organization) WHERE NOT placed;

GRANT SELECT, INSERT, UPDATE ON earning_reversals TO {app};
GRANT SELECT ON earning_reversals TO {readonly};

INSERT INTO earning_reversals
SELECT e.organization, (e.data->'shares'->>'usage')::uuid, NOT EXISTS (
    SELECT FROM json_array_elements(e.data->'shares'->'parts') p WHERE p->>1 = 'line')
FROM events e WHERE e.type = 'journal.reversed' AND e.data->'shares'->>'usage' IS NOT NULL
ON CONFLICT DO NOTHING;

-- What was never taken back of earlier reversals and tiers is taken back by the next round.
UPDATE earning_watermarks SET seq = 0;
