-- A contract's prices of a plan's charges: those that hold in a subscription's running period, {"at", "charges"}, and the
-- one that a metered period is rated at. NULL: from before there were any, and of a period without one.
ALTER TABLE subscriptions ADD COLUMN agreed jsonb;
ALTER TABLE metered_periods ADD COLUMN agreed jsonb;
