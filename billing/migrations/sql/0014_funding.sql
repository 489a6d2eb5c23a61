-- A plan may leave it to the organization what becomes of use that no credit covers.
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_funding_check;
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_funding_check
    CHECK (funding IN ('organization', 'credit_only', 'credit_then_invoice')) NOT VALID;
