-- The first of two persons who approve a payout that an API key without a member asked for on the platform's behalf.
ALTER TABLE payouts ADD COLUMN first_approved_by text;
