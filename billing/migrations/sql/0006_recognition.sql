-- When invoiced fees are revenue, which months are closed, and what the books said when they were.

-- Projection: one row for each line of a finalised invoice that defers revenue. What is revenue up to a moment follows from the
-- dated facts in it (billed, changes, ended_at); `recognised` is what of that is in the journal.
CREATE TABLE recognition_schedules (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    invoice_id uuid NOT NULL,
    line integer NOT NULL,
    item_id uuid,
    subscription uuid,
    currency text NOT NULL,
    billed bigint NOT NULL,              -- units: the line's net less what of it pays for included credit; < 0: billed back
    included bigint NOT NULL,            -- units: what of the line pays for included credit; it leaves deferred revenue with the grant
    changes jsonb NOT NULL,              -- [[when, units]]: what credit notes and a void took back
    amount bigint NOT NULL,              -- billed less all changes
    service_start timestamptz NOT NULL,  -- [start, end)
    service_end timestamptz NOT NULL,
    method text NOT NULL CHECK (method IN ('per_second', 'per_day', 'even_month', 'at_once')),
    zone text NOT NULL,                  -- whose days and months are counted
    opened_at timestamptz NOT NULL,      -- the date of its invoice
    ended_at timestamptz,                -- its service ended early: what is left is revenue of that month
    recognised bigint NOT NULL,          -- units in the journal
    recognised_until timestamptz,        -- the end of the last month that is booked
    next_at timestamptz NOT NULL,        -- the end of the month that is booked next
    status text NOT NULL CHECK (status IN ('open', 'done', 'ended')),
    version integer NOT NULL,
    CHECK (service_start < service_end),
    CHECK (status = 'open' OR recognised = amount)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX recognition_schedules_line ON recognition_schedules (invoice_id, line);
CREATE INDEX recognition_schedules_organization ON recognition_schedules (organization, id);
CREATE INDEX recognition_schedules_due ON recognition_schedules (next_at) WHERE status = 'open';
CREATE INDEX recognition_schedules_open ON recognition_schedules (organization) WHERE status = 'open';

-- Projection: what was booked as revenue of a month; `version` counts its entries, of which the later ones are what came late.
CREATE TABLE recognised_months (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    month date NOT NULL,                 -- its first day
    amount bigint NOT NULL,              -- units, all entries together
    booked_at timestamptz NOT NULL,      -- business time of the last one
    version integer NOT NULL,
    UNIQUE (organization, month)
) WITH (fillfactor = 70);

-- Projection: the accounting months of a seller, the platform's streams. 'closing' and 'reopening': not yet in all books.
CREATE TABLE accounting_periods (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform's
    legal_entity uuid NOT NULL,
    month date NOT NULL,
    status text NOT NULL CHECK (status IN ('closing', 'closed', 'reopening', 'open')),
    reason text NOT NULL,                -- why it was reopened
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    version integer NOT NULL,
    UNIQUE (legal_entity, month)
) WITH (fillfactor = 70);

-- Projection: a month of one organization's books. While it is closed, they say of it what they said when it was closed.
CREATE TABLE closed_months (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    legal_entity uuid NOT NULL,          -- who sold to it when it was closed
    month date NOT NULL,
    ends_at timestamptz NOT NULL,        -- the month's end where the books are, when it was closed
    status text NOT NULL CHECK (status IN ('closed', 'open')),
    balances jsonb NOT NULL,             -- {kind of account: units} of everything in effect before its end
    closed_until timestamptz,            -- from when on the books are open since
    version integer NOT NULL,
    UNIQUE (organization, month)
) WITH (fillfactor = 70);
CREATE INDEX closed_months_entity ON closed_months (legal_entity, month);

GRANT SELECT, INSERT, UPDATE ON recognition_schedules, recognised_months, accounting_periods, closed_months TO {app};
GRANT SELECT ON recognition_schedules, recognised_months, accounting_periods, closed_months TO {readonly};
