-- Dunning by overdue balance: how far the attempts of each currency are (NULL: from before there were any),
-- {"EUR": {"attempts", "next_at", "asked_at"}}, and a case that ends because no balance is at its threshold any more.
ALTER TABLE dunning_cases ADD COLUMN campaigns jsonb,
    DROP CONSTRAINT dunning_cases_closing_check,
    ADD CONSTRAINT dunning_cases_closing_check CHECK (closing IN ('settled', 'finance', 'below_threshold'));
