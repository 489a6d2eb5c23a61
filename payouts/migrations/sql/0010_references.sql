-- Operational: by what a partner's references of its customers are made, random for each partner and never changed: statements chain
-- by them, so it depends on no setting. Told to nobody.
CREATE TABLE partner_reference_keys (
    partner uuid PRIMARY KEY,
    key uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO partner_reference_keys (partner) SELECT organization FROM partners;
GRANT SELECT, INSERT ON partner_reference_keys TO {app};
