-- The first of two persons who approve a payout that an API key without a member asked for on the platform's behalf.
ALTER TABLE payouts ADD COLUMN first_approved_by text;
-- What a payout took may have been taken back while it waited.
ALTER TABLE payouts DROP CONSTRAINT payouts_hold_check;
ALTER TABLE payouts ADD CONSTRAINT payouts_hold_check
    CHECK (hold IN ('manual', 'review', 'account_not_ready', 'destination_changed', 'negative_balance'));
-- When the transfer was made, by the processor's clock. NULL: it was not, or the payout's last event is from before this
-- was kept.
ALTER TABLE payouts ADD COLUMN sent_at timestamptz;
-- The payout at the processor that brings a paid one back from the bank: it is back when that one is paid.
ALTER TABLE payouts ADD COLUMN recall text;
CREATE UNIQUE INDEX payouts_recall ON payouts (recall) WHERE recall IS NOT NULL;
