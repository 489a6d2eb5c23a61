-- A line of kind `rounding` brings an invoice's total to what the processor charges in its currency, in an account of its own.
ALTER TABLE invoice_lines DROP CONSTRAINT invoice_lines_account_check;
ALTER TABLE invoice_lines ADD CONSTRAINT invoice_lines_account_check
    CHECK (account IN ('unbilled_receivable', 'deferred_revenue', 'revenue', 'rounding')) NOT VALID;
