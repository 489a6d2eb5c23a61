-- What is sold and who sells to whom: plans with their versions, coupons, legal entities, billing profiles.
-- Projections of events, but for billing_contacts.

-- Plans, coupons and legal entities are streams of the platform's organization.
CREATE TABLE plans (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    key text NOT NULL UNIQUE,
    name text NOT NULL,                  -- of the version on sale; until there is one, of the draft
    status text NOT NULL CHECK (status IN ('active', 'archived')),
    latest integer NOT NULL CHECK (latest > 0),      -- the number of the newest version
    draft_id uuid,                       -- the version that is not published yet
    published_id uuid,                   -- the version on sale
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);

CREATE TABLE plan_versions (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    plan_id uuid NOT NULL,
    plan_key text NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    definition jsonb NOT NULL,           -- the plan's document, as billing.rules.plans writes it
    status text NOT NULL CHECK (status IN ('draft', 'published', 'archived')),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    published_at timestamptz,
    archived_at timestamptz,
    UNIQUE (plan_id, number),
    CHECK (status <> 'published' OR published_at IS NOT NULL)
);

-- S71: what a version sells never changes, and its life goes one way.
CREATE FUNCTION guard_plan_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.organization, NEW.plan_id, NEW.plan_key, NEW.number, NEW.definition, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.organization, OLD.plan_id, OLD.plan_key, OLD.number, OLD.definition, OLD.created_at)
        OR (OLD.published_at IS NOT NULL AND NEW.published_at IS DISTINCT FROM OLD.published_at)
        OR (OLD.archived_at IS NOT NULL AND NEW.archived_at IS DISTINCT FROM OLD.archived_at)
        OR (OLD.status = 'published' AND NEW.status = 'draft')
        OR (OLD.status = 'archived' AND NEW.status <> 'archived')
    THEN
        RAISE EXCEPTION 'version % of plan % never changes', OLD.number, OLD.plan_key USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_plan_version BEFORE UPDATE ON plan_versions FOR EACH ROW EXECUTE FUNCTION guard_plan_version();
CREATE TRIGGER refuse_delete BEFORE DELETE ON plan_versions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON plan_versions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE coupons (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    code text NOT NULL UNIQUE,
    code_folded text NOT NULL UNIQUE,    -- codes that look alike are one (orgs.rules.names)
    name text NOT NULL,
    terms jsonb NOT NULL,                -- percent or amounts, duration, targets: never changes
    redeem_by timestamptz,               -- until then, exclusive
    max_redemptions integer CHECK (max_redemptions > 0),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);

-- Who has a coupon: the whole organization, or one subscription. A stream of the organization.
CREATE TABLE coupon_redemptions (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    coupon_id uuid NOT NULL,
    code text NOT NULL,
    subscription_id uuid,
    terms jsonb NOT NULL,                -- the coupon's, as they were
    status text NOT NULL CHECK (status IN ('active', 'ended')),
    version integer NOT NULL,
    redeemed_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX coupon_redemptions_organization ON coupon_redemptions (organization, id);
CREATE INDEX coupon_redemptions_coupon ON coupon_redemptions (coupon_id);

CREATE TABLE legal_entities (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    key text NOT NULL UNIQUE,
    name text NOT NULL,
    country text NOT NULL,
    address jsonb NOT NULL,
    vat_ids jsonb NOT NULL,              -- by country
    tax_area text NOT NULL,
    number_pattern text NOT NULL,
    invoice_series text NOT NULL,
    credit_note_series text NOT NULL,
    currency text NOT NULL,
    is_default boolean NOT NULL,         -- who sells to customers that name nobody else
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz
);

-- How an organization is billed: one row each, from its first change on; before it the defaults hold.
CREATE TABLE billing_profiles (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL UNIQUE,
    legal_entity_id uuid,                -- NULL: the default one
    net_days integer CHECK (net_days >= 0),          -- NULL: as the plan says
    grace_hours integer CHECK (grace_hours >= 0),    -- likewise
    purchase_order text,
    cycle_anchor timestamp,              -- wall time in the organization's zone; NULL: the calendar month
    consolidation text NOT NULL CHECK (consolidation IN ('customer', 'subscription')),
    language text NOT NULL,
    country text,
    vat_id text,
    vat_answer text NOT NULL CHECK (vat_answer IN ('valid', 'invalid', 'unknown', 'pending', 'not_asked')),
    vat_checked_at timestamptz,
    exemption_code text,
    contact_version integer NOT NULL,    -- how often the contact changed; what it says stands in billing_contacts
    version integer NOT NULL,
    created_at timestamptz NOT NULL
);

-- Operational: the personal data of a profile; erased on demand, never in an event.
CREATE TABLE billing_contacts (
    organization uuid PRIMARY KEY,
    name text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    address jsonb NOT NULL DEFAULT '{}'
);

GRANT SELECT, INSERT, UPDATE ON plans, plan_versions, coupons, coupon_redemptions, legal_entities, billing_profiles TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_contacts TO {app};
GRANT SELECT ON plans, plan_versions TO {gate};
GRANT SELECT ON plans, plan_versions, coupons, coupon_redemptions, legal_entities, billing_profiles TO {readonly};
