-- How a customer stands that owes or owed something overdue: what the gate obeys of dunning. Without a row: clear.

-- Projection. Part of the gate's cached configuration; every event of it raises the organization's config_epoch.
CREATE TABLE standings (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    standing text NOT NULL CHECK (standing IN ('clear', 'throttled', 'suspended')),
    since timestamptz NOT NULL,          -- business time
    per_minute integer CHECK (per_minute > 0),  -- new calls of a throttled customer, in all
    case_id uuid,                        -- what it comes of
    spends_credit boolean NOT NULL,      -- suspended, but credit that was bought still pays
    version integer NOT NULL,
    CHECK ((standing = 'throttled') = (per_minute IS NOT NULL)),
    CHECK (standing = 'suspended' OR NOT spends_credit)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE ON standings TO {gate}, {app};
GRANT SELECT ON standings TO {readonly};
