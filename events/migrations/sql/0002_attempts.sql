-- When a try of a subscriber began that has not ended: written before the try, in a transaction of its own, so that one
-- that takes the process down with it is known as well.
ALTER TABLE event_subscribers ADD COLUMN attempted_at timestamptz;
