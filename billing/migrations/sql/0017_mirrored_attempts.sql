-- How often the processor has tried to collect an invoice of its own; NULL: from before it was kept.
ALTER TABLE mirrored_invoices ADD COLUMN attempts integer;
