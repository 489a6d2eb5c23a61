-- Payments of invoices that live at the processor, and who is handed out by dunning's timer.

-- purpose `mirrored`: `invoice_id` is the mirrored invoice's, whose own entries booked what came.
ALTER TABLE payments DROP CONSTRAINT payments_purpose_check, DROP CONSTRAINT payments_check1;
ALTER TABLE payments ADD CONSTRAINT payments_purpose_check CHECK (purpose IN ('invoice', 'top_up', 'mirrored')),
    ADD CONSTRAINT payments_check1 CHECK ((purpose = 'top_up') = (invoice_id IS NULL));
CREATE INDEX mirrored_invoices_failed ON mirrored_invoices (organization) WHERE failed AND status = 'open';

-- Operational: a customer is with a worker; it is due again when that was too long ago.
CREATE TABLE dunning_claims (
    organization uuid PRIMARY KEY,
    claimed_at timestamptz NOT NULL      -- wall clock
) WITH (fillfactor = 70);
GRANT SELECT, INSERT, UPDATE, DELETE ON dunning_claims TO {app};
GRANT SELECT ON dunning_claims TO {readonly};
