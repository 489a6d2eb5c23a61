-- Why a person ended an override before its time.
ALTER TABLE budget_overrides ADD COLUMN end_reason text;
