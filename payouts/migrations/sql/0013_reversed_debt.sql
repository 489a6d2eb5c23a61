-- What no grant repaid and is debt no more: a reversal took it off. Its cause is off:<id>, of the usage record that became debt, or else
-- of the entry that was reversed. What had been repaid by then stays in the list, as debt that is of nobody's share.
INSERT INTO earning_owing
SELECT e.organization, e.stream_id, e.version, x.n, x.amount, e.occurred_at,
    'off:' || coalesce(e.data->'shares'->>'usage', e.data->'ledger'->'entries'->0->>'reverses', '')
FROM events e CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE repaid > 0) AS n,
        (SELECT sum((d->>1)::bigint) FROM json_array_elements(e.data->'ledger'->'debt') d) + coalesce(sum(repaid), 0) AS amount
    FROM (SELECT (g->>'repaid')::bigint AS repaid FROM json_array_elements(e.data->'ledger'->'granted') g) y
) x
WHERE e.type = 'journal.reversed' AND e.data->'ledger'->'debt' IS NOT NULL AND x.amount < 0;

-- What was taken back of older calls, or paid for them, by mistake goes back with the next round.
UPDATE earning_watermarks SET seq = 0;
