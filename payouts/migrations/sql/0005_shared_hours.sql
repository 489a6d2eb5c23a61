-- What partners got of calls, by hour of business time, agent and model, beside usage_hourly: written by the reader of
-- revenue metrics.
CREATE TABLE shared_hours (
    organization uuid NOT NULL,
    hour timestamptz NOT NULL,
    agent_id uuid,
    provider text,
    model text,
    share numeric(40, 0) NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization, hour, agent_id, provider, model)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE, DELETE ON shared_hours TO {app};
GRANT SELECT ON shared_hours TO {readonly};

-- The reader begins again: what partners lost is an amount of its own, and these rows follow from earlier events, too.
DELETE FROM recurring_levels;
DELETE FROM recurring_commitments;
DELETE FROM mrr_movements;
DELETE FROM revenue_months;
UPDATE event_cursors SET epoch = DEFAULT, lo = DEFAULT, hi = DEFAULT, seq = DEFAULT, ceiling = DEFAULT
WHERE name = 'payouts.metrics';
