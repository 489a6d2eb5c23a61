-- Operational: the rounds of an open batch in which somebody could not be asked, for a reason that is no decision.
CREATE TABLE payout_batch_rounds (
    batch uuid PRIMARY KEY,
    rounds integer NOT NULL,
    next_at timestamptz NOT NULL         -- wall clock: when everybody who was not paid is asked again
) WITH (fillfactor = 70);
GRANT SELECT, INSERT, UPDATE, DELETE ON payout_batch_rounds TO {app};
GRANT SELECT ON payout_batch_rounds TO {readonly};
