-- Payments that nobody asked for and that finance gave an organization: refunds and disputes of them find it.
-- purpose `assigned`: `invoice_id` is what it paid, none where it became credit; the platform's own entries booked what came.
ALTER TABLE payments DROP CONSTRAINT payments_purpose_check, DROP CONSTRAINT payments_check1;
ALTER TABLE payments ADD CONSTRAINT payments_purpose_check
        CHECK (purpose IN ('invoice', 'top_up', 'mirrored', 'assigned')) NOT VALID,
    ADD CONSTRAINT payments_check1
        CHECK (purpose = 'assigned' OR (purpose = 'top_up') = (invoice_id IS NULL)) NOT VALID;
