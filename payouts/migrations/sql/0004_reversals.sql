-- Which reversals brought a transfer back: {"trr_1": units}. NULL: the payout's last event is from before they were kept.
ALTER TABLE payouts ADD COLUMN reversals jsonb;
CREATE INDEX payouts_reversals ON payouts USING gin (reversals);
