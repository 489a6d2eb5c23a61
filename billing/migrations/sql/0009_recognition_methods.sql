-- A plan says how its fees are revenue over their service.
ALTER TABLE invoice_items DROP CONSTRAINT invoice_items_recognition_check;
ALTER TABLE invoice_items ADD CONSTRAINT invoice_items_recognition_check
    CHECK (recognition IN ('straight', 'per_day', 'even_month', 'at_once'));
