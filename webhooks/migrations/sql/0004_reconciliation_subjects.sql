-- Reconciliation looks up what is about a subject once for each that differs: without these, all that is open each time.
CREATE INDEX findings_subject ON findings (subject) WHERE status = 'open';
CREATE INDEX processor_items_subject ON processor_items (subject);
