-- Operational: the letter that automatic top-ups have stopped, once for each stop. That they did stands in the events.
CREATE TABLE auto_top_up_letters (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    rule uuid NOT NULL,
    version integer NOT NULL,            -- of the rule when it stopped
    made_at timestamptz NOT NULL,        -- business time
    status text NOT NULL CHECK (status IN
        ('waiting', 'sending', 'sent', 'superseded', 'no_address', 'failed', 'unknown')),
    attempts integer NOT NULL,
    next_try_at timestamptz,             -- wall clock
    done_at timestamptz,                 -- wall clock
    UNIQUE (rule, version)
) WITH (fillfactor = 70);
CREATE INDEX auto_top_up_letters_due ON auto_top_up_letters (next_try_at) WHERE status IN ('waiting', 'sending');

GRANT SELECT, INSERT, UPDATE, DELETE ON auto_top_up_letters TO {app};
GRANT SELECT ON auto_top_up_letters TO {readonly};
