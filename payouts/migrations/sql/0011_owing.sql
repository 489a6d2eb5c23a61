-- Projection: what became debt otherwise than by a call with a share, and what repaid debt. Each is that of certain debt, the oldest
-- first, so a call is paid as far as what repaid it is.
CREATE TABLE earning_owing (
    organization uuid NOT NULL,
    id uuid NOT NULL,                    -- the stream of its event
    version integer NOT NULL,
    n integer NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),  -- below zero: it was repaid
    at timestamptz NOT NULL,
    cause text NOT NULL,                 -- grant:<id> that repaid it; payment:<id> that went back; usage: nobody's with a share; or ''
    PRIMARY KEY (organization, id, version, n)
);
GRANT SELECT, INSERT ON earning_owing TO {app}, {gate};
GRANT SELECT ON earning_owing TO {readonly};

INSERT INTO earning_owing
SELECT e.organization, e.stream_id, e.version, row_number() OVER (
    PARTITION BY e.organization, e.stream_id, e.version ORDER BY x.amount > 0, x.n) - 1, x.amount, e.occurred_at, x.cause
FROM events e CROSS JOIN LATERAL (
    SELECT g.n, -(g.made->>'repaid')::bigint AS amount, 'grant:' || (g.made->>'id') AS cause
    FROM json_array_elements(e.data->'ledger'->'granted') WITH ORDINALITY AS g(made, n)
    WHERE (g.made->>'repaid')::bigint > 0
    UNION ALL
    SELECT 0, sum((d->>1)::bigint)::bigint, CASE e.stream_type WHEN 'payment' THEN 'payment:' || e.stream_id
        WHEN 'usage' THEN 'usage' ELSE '' END
    FROM json_array_elements(e.data->'ledger'->'debt') d HAVING sum((d->>1)::bigint) > 0
) x
WHERE e.type NOT IN ('reservation.committed', 'usage.recorded') AND e.data->'ledger'->'debt' IS NOT NULL;

-- What a grant paid for may stand on an invoice, too: that of a postpaid commitment does.
UPDATE earning_reversals r SET placed = false FROM events e
WHERE e.type = 'journal.reversed' AND e.organization = r.organization AND (e.data->'shares'->>'usage')::uuid = r.id
    AND EXISTS (SELECT FROM json_array_elements(e.data->'shares'->'parts') p WHERE p->>1 <> 'debt')
    AND NOT EXISTS (SELECT FROM json_array_elements(e.data->'shares'->'parts') p WHERE p->>1 = 'line');

-- What was taken for collected and is not goes back with the next round.
UPDATE earning_watermarks SET seq = 0;
