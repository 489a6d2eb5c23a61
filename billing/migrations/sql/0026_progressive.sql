-- {"thresholds", "recurring", "fired", "billed", "ends_at"}: how far a customer's period is towards its thresholds, in units.
-- `threshold` stays what the due query looks at: the unbilled use at which the next invoice is made. NULL: from before
-- there were several, or none set.
ALTER TABLE billing_customers ADD COLUMN progressive jsonb;
-- {"fees", "credit", "credit_tax", "count", "invoices"}: what the last invoice of a period states of those before; a part
-- of the document.
ALTER TABLE invoices ADD COLUMN progressive jsonb;

CREATE OR REPLACE FUNCTION refuse_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION '% of %: an invoice stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.finalized_at IS NOT NULL AND (
        OLD.id, OLD.organization, OLD.cause, OLD.currency, OLD.legal_entity, OLD.series, OLD.year, OLD.counter, OLD.number,
        OLD.seller, OLD.customer, OLD.purchase_order, OLD.dated_at, OLD.period_start, OLD.period_end, OLD.net_days,
        OLD.due_at, OLD.subtotal, OLD.discount, OLD.net, OLD.tax, OLD.total, OLD.discounts, OLD.taxes, OLD.usage, OLD.entry,
        OLD.created_at, OLD.finalized_at, OLD.progressive
    ) IS DISTINCT FROM (
        NEW.id, NEW.organization, NEW.cause, NEW.currency, NEW.legal_entity, NEW.series, NEW.year, NEW.counter, NEW.number,
        NEW.seller, NEW.customer, NEW.purchase_order, NEW.dated_at, NEW.period_start, NEW.period_end, NEW.net_days,
        NEW.due_at, NEW.subtotal, NEW.discount, NEW.net, NEW.tax, NEW.total, NEW.discounts, NEW.taxes, NEW.usage, NEW.entry,
        NEW.created_at, NEW.finalized_at, NEW.progressive
    ) THEN
        RAISE EXCEPTION 'invoice % is finalised', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
