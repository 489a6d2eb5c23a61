-- Operational: who a partner's statement is made out to. Personal data: erased on demand, never in an event. What else
-- names the two parties (the issuer, countries and tax ids) is in the statement itself.
CREATE TABLE partner_statement_addressees (
    statement uuid PRIMARY KEY,
    organization uuid NOT NULL,
    name text NOT NULL,
    address jsonb NOT NULL
);
CREATE INDEX partner_statement_addressees_organization ON partner_statement_addressees (organization);
GRANT SELECT, INSERT, DELETE ON partner_statement_addressees TO {app};
