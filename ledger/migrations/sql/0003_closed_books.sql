-- Projection: from when on an organization's books are open. Who closes them (billing) publishes it by its event's ledger part.
CREATE TABLE closed_books (
    organization uuid PRIMARY KEY,
    closed_until timestamptz             -- nothing is posted with an earlier effective_at; NULL: everything is open
);

GRANT SELECT, INSERT, UPDATE ON closed_books TO {app};
GRANT SELECT ON closed_books TO {gate}, {readonly};
