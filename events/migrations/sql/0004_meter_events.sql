-- Meter events (billing) are sealed like usage records: (16-byte id, 16-byte digest) packed. A seal made before there were
-- any has an empty list, which adds no leaf to its root.
ALTER TABLE seals ADD COLUMN meter_events bytea NOT NULL DEFAULT '';
ALTER TABLE seals ALTER meter_events SET STORAGE EXTERNAL;
