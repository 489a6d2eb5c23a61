-- Why a person ended an override before its time.
ALTER TABLE budget_overrides ADD COLUMN end_reason text;

-- What a budget's thresholds count beside its windows (targets that begin with \x02 to \x04) is not shown as its figures.
CREATE OR REPLACE VIEW v_budgets AS SELECT c.budget_id, c.organization, b.scope, c.target, c.window_start, c.window_end, b.unit,
    b.measure, b.amount_limit, b.overdraft, c.held, c.spent FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
    WHERE c.target = '' OR ascii(c.target) > 31;
