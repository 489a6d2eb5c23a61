-- Invoices and credit notes: what of them is a document never changes once they are finalised (B3).

-- Projection. Where each customer's billing stands: what use has been cut off, and when the next cycle ends.
CREATE TABLE billing_customers (
    organization uuid PRIMARY KEY,
    next_at timestamptz NOT NULL,        -- the next boundary of its usage, by its own clock
    cycle_start timestamptz NOT NULL,    -- where the running cycle began
    cut jsonb,                           -- the last cut: everything in it is on an invoice or was funded; NULL: nothing yet
    open_ranges jsonb NOT NULL,          -- [[cut before or null, cut]]: given back by void invoices, for the next one
    threshold bigint CHECK (threshold > 0),  -- units of unbilled use at which an invoice is made between boundaries
    version integer NOT NULL
) WITH (fillfactor = 70);
INSERT INTO billing_customers (organization, next_at, cycle_start, open_ranges, version)
    SELECT id, (date_trunc('month', created_at AT TIME ZONE time_zone) + interval '1 month') AT TIME ZONE time_zone, created_at,
        '[]', 0
    FROM organizations WHERE NOT is_platform;
CREATE INDEX billing_customers_due ON billing_customers (next_at);
CREATE INDEX organizations_moved ON organizations (id) WHERE clock_offset > '0';  -- whose dues no wall clock finds
CREATE INDEX billing_customers_threshold ON billing_customers (organization) WHERE threshold IS NOT NULL;

-- Projection.
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    status text NOT NULL CHECK (status IN
        ('draft', 'tax_pending', 'failed', 'open', 'paid', 'uncollectible', 'void')),
    cause text NOT NULL CHECK (cause IN ('cycle', 'items', 'threshold', 'manual')),
    currency text NOT NULL,
    legal_entity uuid NOT NULL,
    series text,                         -- with year and counter: the gapless number (B2); NULL until finalised
    year integer,
    counter bigint,
    number text,
    seller jsonb NOT NULL,               -- both parties as they were
    customer jsonb NOT NULL,
    purchase_order text,
    dated_at timestamptz NOT NULL,       -- the boundary that it is for
    period_start timestamptz NOT NULL,   -- of its use and fees
    period_end timestamptz NOT NULL,
    net_days integer NOT NULL CHECK (net_days >= 0),
    finalize_at timestamptz NOT NULL,    -- the end of its grace period
    due_at timestamptz,
    subtotal bigint NOT NULL,            -- units at the currency's precision, like every amount here
    discount bigint NOT NULL CHECK (discount >= 0),
    net bigint NOT NULL,
    tax bigint NOT NULL,
    total bigint NOT NULL,
    discounts jsonb NOT NULL,
    taxes jsonb NOT NULL,                -- one per treatment: base, tax, rate, category, country, exemption_code
    usage jsonb,                         -- the ranges of cuts that it bills
    paid bigint NOT NULL,
    credited bigint NOT NULL,
    written_off bigint NOT NULL,
    entry uuid,                          -- the journal entry of its finalization
    created_at timestamptz NOT NULL,
    finalized_at timestamptz,
    sent_at timestamptz,
    paid_at timestamptz,
    voided_at timestamptz,
    uncollectible_at timestamptz,
    error text,                          -- why it is failed, or what its tax waits for
    version integer NOT NULL,
    CHECK (net = subtotal - discount AND total = net + tax),
    CHECK (paid >= 0 AND credited >= 0 AND written_off >= 0),
    CHECK ((number IS NULL) = (finalized_at IS NULL) AND (number IS NULL) = (counter IS NULL)),
    CHECK (status NOT IN ('open', 'paid', 'uncollectible') OR number IS NOT NULL)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX invoices_counter ON invoices (legal_entity, series, year, counter) WHERE counter IS NOT NULL;
CREATE UNIQUE INDEX invoices_number ON invoices (legal_entity, number) WHERE number IS NOT NULL;
CREATE INDEX invoices_organization ON invoices (organization, id);
CREATE INDEX invoices_waiting ON invoices (finalize_at) WHERE status IN ('draft', 'tax_pending');
CREATE INDEX invoices_unfinished ON invoices (organization) WHERE status IN ('draft', 'tax_pending', 'failed');
CREATE INDEX invoices_unpaid ON invoices (organization, due_at) WHERE status = 'open';

-- Projection.
CREATE TABLE invoice_lines (
    invoice_id uuid NOT NULL,
    n integer NOT NULL CHECK (n > 0),
    organization uuid NOT NULL,
    kind text NOT NULL,                  -- usage, metered, or that of its item
    description text NOT NULL,
    quantity text,
    charge bigint NOT NULL,              -- units, exact: what use cost before allowance, commitment and credit paid for it
    funded jsonb NOT NULL,               -- {source: units} of that; only what is postpaid is to pay
    amount bigint NOT NULL,              -- to pay before discounts, at the currency's precision
    remainder bigint NOT NULL,           -- amount less what the books hold for it: goes to the rounding account
    discount bigint NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    tax_code text NOT NULL,
    treatment jsonb,                     -- NULL while the tax is not known
    account text NOT NULL CHECK (account IN ('unbilled_receivable', 'deferred_revenue', 'revenue')),
    service_start timestamptz,
    service_end timestamptz,
    item_id uuid,
    subscription uuid,
    contract uuid,
    charge_key text,
    plan_version uuid,
    detail jsonb NOT NULL,               -- quantities, price versions, steps, digest of the records
    PRIMARY KEY (invoice_id, n),
    CHECK (net = amount - discount)
);
CREATE INDEX invoice_lines_metered ON invoice_lines (organization, ((detail->>'period')), ((detail->>'charge_id')))
    WHERE kind = 'metered';
CREATE INDEX invoice_lines_item ON invoice_lines (item_id) WHERE item_id IS NOT NULL;

-- Projection: the last number taken of each series. Its row is the second lock of a finalization, after the organization.
CREATE TABLE invoice_numbers (
    legal_entity uuid NOT NULL,
    series text NOT NULL,
    year integer NOT NULL,
    last bigint NOT NULL,
    PRIMARY KEY (legal_entity, series, year)
) WITH (fillfactor = 50);

-- Projection.
CREATE TABLE invoice_payments (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    invoice_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    applied bigint NOT NULL CHECK (applied >= 0 AND applied <= amount),     -- the rest became credit
    method text NOT NULL,
    reference text NOT NULL,
    paid_at timestamptz NOT NULL,
    entry uuid NOT NULL
);
CREATE UNIQUE INDEX invoice_payments_reference ON invoice_payments (organization, method, reference);
CREATE INDEX invoice_payments_invoice ON invoice_payments (invoice_id);

-- Projection. A credit note is finalised when it is made.
CREATE TABLE credit_notes (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    invoice_id uuid NOT NULL,
    currency text NOT NULL,
    legal_entity uuid NOT NULL,
    series text NOT NULL,
    year integer NOT NULL,
    counter bigint NOT NULL,
    number text NOT NULL,
    reason text NOT NULL,
    dated_at timestamptz NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    total bigint NOT NULL CHECK (total = net + tax),
    receivable bigint NOT NULL,          -- of the total: not to be paid any more
    credit bigint NOT NULL,              -- of the total: was paid, is credit now
    taxes jsonb NOT NULL,
    lines jsonb NOT NULL,                -- [{line, net, tax, account}]
    entry uuid NOT NULL,
    version integer NOT NULL,
    CHECK (total = receivable + credit)
);
CREATE UNIQUE INDEX credit_notes_counter ON credit_notes (legal_entity, series, year, counter);
CREATE INDEX credit_notes_invoice ON credit_notes (invoice_id);
CREATE INDEX credit_notes_organization ON credit_notes (organization, id);

-- Operational: whom a finalised invoice is addressed to. Personal data: erased on demand, never in an event.
CREATE TABLE invoice_addressees (
    invoice_id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    address jsonb NOT NULL
);
CREATE INDEX invoice_addressees_organization ON invoice_addressees (organization);

-- Operational: who works on a customer's billing, and where it is stuck.
CREATE TABLE billing_runs (
    organization uuid PRIMARY KEY,
    claimed_at timestamptz,              -- wall clock; a claim is good for a minute
    failures integer NOT NULL DEFAULT 0,
    failed_at timestamptz,
    last_error text,
    parked_at timestamptz
);
CREATE INDEX billing_runs_troubled ON billing_runs (organization) WHERE failures > 0;

-- B3. Not even the owner changes a finalised document by mistake; a projector writes the same values again.
CREATE FUNCTION refuse_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION '% of %: an invoice stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.finalized_at IS NOT NULL AND (
        OLD.id, OLD.organization, OLD.cause, OLD.currency, OLD.legal_entity, OLD.series, OLD.year, OLD.counter, OLD.number,
        OLD.seller, OLD.customer, OLD.purchase_order, OLD.dated_at, OLD.period_start, OLD.period_end, OLD.net_days,
        OLD.due_at, OLD.subtotal, OLD.discount, OLD.net, OLD.tax, OLD.total, OLD.discounts, OLD.taxes, OLD.usage, OLD.entry,
        OLD.created_at, OLD.finalized_at
    ) IS DISTINCT FROM (
        NEW.id, NEW.organization, NEW.cause, NEW.currency, NEW.legal_entity, NEW.series, NEW.year, NEW.counter, NEW.number,
        NEW.seller, NEW.customer, NEW.purchase_order, NEW.dated_at, NEW.period_start, NEW.period_end, NEW.net_days,
        NEW.due_at, NEW.subtotal, NEW.discount, NEW.net, NEW.tax, NEW.total, NEW.discounts, NEW.taxes, NEW.usage, NEW.entry,
        NEW.created_at, NEW.finalized_at
    ) THEN
        RAISE EXCEPTION 'invoice % is finalised', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_document_change BEFORE UPDATE OR DELETE ON invoices
    FOR EACH ROW EXECUTE FUNCTION refuse_document_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON invoices
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_document_change();

CREATE FUNCTION refuse_line_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP NOT IN ('UPDATE', 'INSERT') THEN
        RAISE EXCEPTION '% of %: a line stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM invoices i WHERE i.finalized_at IS NOT NULL
            AND (i.id = NEW.invoice_id OR TG_OP = 'UPDATE' AND i.id = OLD.invoice_id)) THEN
        RAISE EXCEPTION 'the invoice of this line is finalised' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_line_change BEFORE INSERT OR UPDATE OR DELETE ON invoice_lines
    FOR EACH ROW EXECUTE FUNCTION refuse_line_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON invoice_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_line_change();

CREATE FUNCTION refuse_any_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: it stays as it is', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON credit_notes FOR EACH ROW EXECUTE FUNCTION refuse_any_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON credit_notes FOR EACH STATEMENT EXECUTE FUNCTION refuse_any_change();

GRANT SELECT, INSERT, UPDATE ON billing_customers, invoices, invoice_lines, invoice_numbers, credit_notes TO {app};
GRANT SELECT, INSERT ON invoice_payments TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_runs, invoice_addressees TO {app};
GRANT SELECT ON billing_customers, invoices, invoice_lines, invoice_numbers, invoice_payments, credit_notes, billing_runs
    TO {readonly};
