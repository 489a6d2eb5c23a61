-- Projection. What a customer owes besides use, from the event that made it owe: it waits until an invoice takes it.
CREATE TABLE invoice_items (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    kind text NOT NULL,
    description text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,              -- units, at the currency's own precision; < 0 is owed back
    quantity text,                       -- exact: '3', '5/31'
    subscription uuid,
    contract uuid,
    charge_key text,
    plan_version uuid,
    service_start timestamptz,           -- [start, end); NULL: for no period
    service_end timestamptz,
    due_at timestamptz NOT NULL,         -- business time from which an invoice takes it
    discountable boolean NOT NULL,
    tax_code text NOT NULL,
    steps jsonb NOT NULL,                -- how the amount came about
    credits uuid,                        -- the item that this one takes back
    included bigint NOT NULL,            -- units of credit whose worth comes out of this fee
    recognition text NOT NULL CHECK (recognition IN ('straight', 'at_once')),
    source text NOT NULL,                -- the stream whose event made it, such as subscription:<id>
    created_at timestamptz NOT NULL,     -- business time of that event
    invoice_id uuid,                     -- B1: by one invoice at most, until that is void
    line integer,
    CHECK ((service_start IS NULL) = (service_end IS NULL)),
    CHECK ((invoice_id IS NULL) = (line IS NULL))
);
CREATE INDEX invoice_items_open ON invoice_items (organization, due_at) WHERE invoice_id IS NULL;
CREATE INDEX invoice_items_due ON invoice_items (due_at) WHERE invoice_id IS NULL;   -- whose run is due
CREATE INDEX invoice_items_invoice ON invoice_items (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX invoice_items_credits ON invoice_items (credits) WHERE credits IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON invoice_items TO {app};
GRANT SELECT ON invoice_items TO {readonly};
