-- Whole charges, by which tiers go, beside each party's own part of them, which is what a statement shows. Events from before have
-- the whole charges alone, as had these rows.
ALTER TABLE earning_buckets ADD COLUMN volume bigint NOT NULL DEFAULT 0;
UPDATE earning_buckets SET volume = gross;
