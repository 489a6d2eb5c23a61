-- Operational: the letter that an invoice or a credit note goes out with by itself, once. That an invoice was sent stands in its events.
CREATE TABLE document_letters (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    document uuid NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    made_at timestamptz NOT NULL,        -- business time
    status text NOT NULL CHECK (status IN
        ('waiting', 'sending', 'sent', 'superseded', 'no_address', 'failed', 'unknown')),
    attempts integer NOT NULL,
    next_try_at timestamptz,             -- wall clock
    done_at timestamptz                  -- wall clock
) WITH (fillfactor = 70);
CREATE INDEX document_letters_due ON document_letters (next_try_at) WHERE status IN ('waiting', 'sending');

GRANT SELECT, INSERT, UPDATE, DELETE ON document_letters TO {app};
GRANT SELECT ON document_letters TO {readonly};
