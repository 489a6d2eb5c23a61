-- The append-only double-entry ledger. Amounts: bigint in 10^-8 of the currency's major unit; > 0 is a credit, < 0 a debit.

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL,
    counterparty uuid,
    live boolean NOT NULL,                       -- has a limit: posted and held are kept in this row, under its lock
    posted bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),              -- L4
    debt bigint NOT NULL DEFAULT 0 CHECK (debt >= 0),              -- L7: burnt without a grant
    credit_limit bigint CHECK (credit_limit >= 0),                 -- floor of a live account; NULL = no floor
    version integer NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization, kind, currency, counterparty)
) WITH (fillfactor = 50);

-- Operational. Balance of an account without a limit = snapshot + postings with (epoch, tx) at or after its horizon.
CREATE TABLE account_snapshots (
    account_id uuid PRIMARY KEY,
    balance numeric(40, 0) NOT NULL,
    epoch integer NOT NULL,
    horizon xid8 NOT NULL
);

-- Operational: all postings with (epoch, tx) below this horizon are in the snapshots. One row; its lock makes folding one at a time.
CREATE TABLE snapshot_horizon (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch integer NOT NULL DEFAULT 1,
    horizon xid8 NOT NULL DEFAULT '0',
    folded_at timestamptz
);
INSERT INTO snapshot_horizon DEFAULT VALUES;

CREATE TABLE journal_entries (
    id uuid NOT NULL,
    organization uuid NOT NULL,
    effective_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    epoch integer NOT NULL,
    reverses uuid,
    kind text NOT NULL,
    source text NOT NULL CHECK (source <> ''),   -- such as usage_record:<id>, grant:<id>, adjustment:<id>
    idempotency_key text NOT NULL,
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (id)
);
-- S11. By digest, which takes half the place of the text.
CREATE UNIQUE INDEX journal_entries_key ON journal_entries (organization, (md5(idempotency_key)::uuid));
CREATE INDEX journal_entries_tx ON journal_entries (tx);
CREATE INDEX journal_entries_organization ON journal_entries (organization, id);  -- lists, newest first
CREATE UNIQUE INDEX journal_entries_reverses ON journal_entries (reverses) WHERE reverses IS NOT NULL;

CREATE TABLE postings (
    entry_id uuid NOT NULL,
    account_id uuid NOT NULL,
    organization uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    epoch integer NOT NULL,
    n smallint NOT NULL,
    currency text NOT NULL
) PARTITION BY RANGE (recorded_at);
CREATE INDEX postings_account ON postings (account_id, epoch, tx);  -- what is newer than a snapshot
CREATE INDEX postings_entry ON postings (entry_id);  -- an entry's lines, which are written at once
INSERT INTO month_partitioned VALUES ('postings', NULL);
SELECT open_partitioned('postings');

-- L1: the postings of one INSERT sum to zero per entry and currency, and each line of an entry stands once.
CREATE FUNCTION check_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE bad uuid;
BEGIN
    SELECT entry_id INTO bad FROM new_postings GROUP BY entry_id, currency
        HAVING sum(amount) <> 0 OR count(DISTINCT n) <> count(*) LIMIT 1;
    IF bad IS NOT NULL THEN
        RAISE EXCEPTION 'L1: postings of entry % do not sum to zero, or a line stands twice', bad
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER check_balanced AFTER INSERT ON postings REFERENCING NEW TABLE AS new_postings
    FOR EACH STATEMENT EXECUTE FUNCTION check_balanced();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON journal_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON journal_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE credit_grants (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('paid', 'promotional', 'included')),
    currency text NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    scope text NOT NULL DEFAULT 'organization',  -- organization, team, agent or workflow
    scope_target uuid,
    amount bigint NOT NULL CHECK (amount > 0),
    remaining bigint NOT NULL CHECK (remaining >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    cost_basis bigint NOT NULL,                  -- what was paid for it, in units
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    expired_at timestamptz,                      -- when breakage was posted
    reason text NOT NULL DEFAULT '',
    source text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (held <= remaining)
) WITH (fillfactor = 70);
CREATE INDEX credit_grants_live ON credit_grants (account_id) WHERE remaining > 0;
CREATE INDEX credit_grants_organization ON credit_grants (organization, id);
CREATE INDEX credit_grants_expiring ON credit_grants (expires_at) WHERE expired_at IS NULL AND remaining > 0;

-- One per reservation and account; placed, then exactly one of posted, voided, expired (L5).
CREATE TABLE holds (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    account_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    placed_at timestamptz NOT NULL,
    ended_at timestamptz,
    status text NOT NULL CHECK (status IN ('placed', 'posted', 'voided', 'expired')),
    grants uuid[] NOT NULL DEFAULT '{}',       -- receipt, in the order taken
    grant_amounts bigint[] NOT NULL DEFAULT '{}',
    source text                                  -- whose hold it is; NULL: the reservation of the same id
) WITH (fillfactor = 85);

-- Manual adjustments: proposed by one person, above the limit approved by another.
CREATE TABLE adjustments (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),  -- > 0 gives credit, < 0 takes it
    currency text NOT NULL,
    contra_kind text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    status text NOT NULL CHECK (status IN ('proposed', 'posted', 'rejected')),
    proposed_by text NOT NULL,
    decided_by text,
    decided_at timestamptz,
    decision_reason text NOT NULL DEFAULT '',
    entry_id uuid,
    version integer NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX adjustments_organization ON adjustments (organization, id);

CREATE VIEW v_entries AS SELECT id AS entry_id, organization, kind, source, idempotency_key, effective_at, recorded_at FROM journal_entries;
CREATE VIEW v_postings AS SELECT p.entry_id, p.account_id, a.kind AS account_kind, p.organization, p.currency, p.amount
    FROM postings p JOIN accounts a ON a.id = p.account_id;
-- The sum of an account without a limit may pass a bigint; it stops there, and does not fail the view for all others.
CREATE VIEW v_balances AS SELECT a.id AS account_id, a.kind AS account_kind, a.organization, a.currency,
    CASE WHEN a.live THEN a.posted ELSE LEAST(GREATEST(COALESCE(s.balance, 0) + COALESCE((SELECT sum(p.amount) FROM postings p
        WHERE p.account_id = a.id AND (p.epoch, p.tx) >= (COALESCE(s.epoch, 0), COALESCE(s.horizon, '0'))), 0),
        -9223372036854775807), 9223372036854775807)::bigint END AS posted, a.held
    FROM accounts a LEFT JOIN account_snapshots s ON s.account_id = a.id;

GRANT SELECT, INSERT ON journal_entries, postings TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON accounts, credit_grants, holds TO {gate}, {app};
GRANT SELECT, INSERT, UPDATE ON account_snapshots, adjustments TO {app};
GRANT SELECT, UPDATE ON snapshot_horizon TO {app};
GRANT SELECT ON snapshot_horizon TO {readonly};
GRANT SELECT ON account_snapshots TO {gate};
GRANT SELECT ON accounts, account_snapshots, journal_entries, postings, credit_grants, holds, adjustments,
    v_entries, v_postings, v_balances TO {readonly};
