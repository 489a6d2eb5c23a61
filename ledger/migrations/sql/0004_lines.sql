-- Whether somebody above has closed the postpaid line, or opened it, whatever the organization's own credit limit says.
-- credit_limit is what holds: 0 while it is closed, the published limit while it is open. NULL: as the organization has it.
ALTER TABLE accounts ADD COLUMN line text
    CHECK (line IS NULL OR (line IN ('closed', 'open') AND kind = 'unbilled_receivable'));
