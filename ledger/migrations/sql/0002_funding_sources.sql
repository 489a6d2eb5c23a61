-- What a grant is for: a plan's allowance and a contract's commitment are burnt before prepaid credit (S75).

ALTER TABLE credit_grants
    ADD COLUMN funding_source text NOT NULL DEFAULT 'credit'
        CHECK (funding_source IN ('allowance', 'commitment', 'credit')),
    -- What of it nobody pays for: it is used last, and unused it goes back to promotional_expense.
    ADD COLUMN gift bigint NOT NULL DEFAULT 0 CHECK (gift BETWEEN 0 AND amount),
    -- When its breakage is due; NULL: when it ends. Until then a charge of a moment before its end still burns it.
    ADD COLUMN breaks_at timestamptz CHECK (breaks_at >= expires_at),
    DROP CONSTRAINT credit_grants_kind_check,
    ADD CONSTRAINT credit_grants_kind_check CHECK (kind IN ('paid', 'promotional', 'included', 'committed'));
