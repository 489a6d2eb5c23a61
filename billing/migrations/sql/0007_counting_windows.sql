-- In which window a metered period is counted, and what part of a whole period it is. Of those that ended before there
-- were windows, each is its own.
ALTER TABLE metered_periods
    ADD COLUMN window_start timestamptz,
    ADD COLUMN window_end timestamptz,
    ADD COLUMN "interval" text NOT NULL DEFAULT '',      -- of the plan, such as month:1
    ADD COLUMN share text NOT NULL DEFAULT '1',          -- of a period of this interval, exactly, such as 1/3
    ADD COLUMN ahead text NOT NULL DEFAULT '0';          -- the same up to the window's end, as far as that was paid for
UPDATE metered_periods SET window_start = start_at, window_end = end_at;
ALTER TABLE metered_periods
    ALTER window_start SET NOT NULL,
    ALTER window_end SET NOT NULL,
    ADD CHECK (window_start <= start_at AND end_at <= window_end);
CREATE INDEX metered_periods_window ON metered_periods (organization, window_end);
