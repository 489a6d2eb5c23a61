-- Organizations and what belongs to them. Projections of events, but for the operational tables named so.

-- The row that every write transaction of an organization locks first (FOR NO KEY UPDATE); so all writers of one
-- organization are in one order, and the order of its events' seq is the order of their commits.
CREATE TABLE organizations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    currency text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    funding text NOT NULL CHECK (funding IN ('prepaid', 'postpaid')),
    credit_limit bigint CHECK (credit_limit >= 0),       -- postpaid: NULL = no limit; prepaid: 0
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    is_platform boolean NOT NULL DEFAULT false,
    sandbox boolean NOT NULL DEFAULT false,
    clock_offset interval NOT NULL DEFAULT '0' CHECK (sandbox OR clock_offset = '0'),
    config_epoch bigint NOT NULL DEFAULT 1,              -- raised by every change that the gate must see at its next decision
    version integer NOT NULL,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 70);

-- key_folded and name_folded are the forms in which two keys or names that look alike are equal (orgs.rules.names).
CREATE TABLE teams (
    id uuid PRIMARY KEY, organization uuid NOT NULL, key text NOT NULL, name text NOT NULL,
    key_folded text NOT NULL, name_folded text NOT NULL,
    version integer NOT NULL, created_at timestamptz NOT NULL, archived_at timestamptz,
    UNIQUE (organization, key), UNIQUE (organization, key_folded)
);
CREATE TABLE agents (
    id uuid PRIMARY KEY, organization uuid NOT NULL, key text NOT NULL, name text NOT NULL,
    key_folded text NOT NULL, name_folded text NOT NULL, team_id uuid, listing uuid,
    version integer NOT NULL, created_at timestamptz NOT NULL, archived_at timestamptz,
    UNIQUE (organization, key), UNIQUE (organization, key_folded)
);
CREATE TABLE workflows (
    id uuid PRIMARY KEY, organization uuid NOT NULL, key text NOT NULL, name text NOT NULL,
    key_folded text NOT NULL, name_folded text NOT NULL,
    version integer NOT NULL, created_at timestamptz NOT NULL, archived_at timestamptz,
    UNIQUE (organization, key), UNIQUE (organization, key_folded)
);
CREATE TABLE connections (
    id uuid PRIMARY KEY, organization uuid NOT NULL, key text NOT NULL, name text NOT NULL,
    key_folded text NOT NULL, name_folded text NOT NULL,
    billing text NOT NULL DEFAULT 'resold' CHECK (billing IN ('resold', 'own_key')),
    version integer NOT NULL, created_at timestamptz NOT NULL, archived_at timestamptz,
    UNIQUE (organization, key), UNIQUE (organization, key_folded)
);
CREATE INDEX teams_name ON teams (organization, name_folded);
CREATE INDEX agents_name ON agents (organization, name_folded);
CREATE INDEX agents_team ON agents (team_id);
CREATE INDEX workflows_name ON workflows (organization, name_folded);
CREATE INDEX connections_name ON connections (organization, name_folded);

-- Members: the person's name and e-mail stand in member_profiles (operational, erasable); the event carries ids and roles.
CREATE TABLE members (
    id uuid PRIMARY KEY, organization uuid NOT NULL, role text NOT NULL CHECK (role IN ('owner', 'billing_admin', 'team_owner', 'member')),
    team_id uuid, version integer NOT NULL, created_at timestamptz NOT NULL, archived_at timestamptz
);
CREATE INDEX members_organization ON members (organization);
CREATE TABLE member_profiles (
    member_id uuid PRIMARY KEY, organization uuid NOT NULL, name text NOT NULL DEFAULT '', email text NOT NULL DEFAULT '', user_id integer
);
-- API keys: the definition is a projection; last_used_at is operational. secret_hash = SHA-256 of the whole secret.
CREATE TABLE api_keys (
    id uuid PRIMARY KEY, organization uuid NOT NULL, name text NOT NULL, prefix text NOT NULL, secret_hash bytea NOT NULL UNIQUE,
    scopes text[] NOT NULL, member_id uuid, agent_ids uuid[], connection_ids uuid[], expires_at timestamptz, revoked_at timestamptz,
    rotated_from uuid, version integer NOT NULL, created_at timestamptz NOT NULL, last_used_at timestamptz
);
CREATE INDEX api_keys_organization ON api_keys (organization);

GRANT SELECT, INSERT, UPDATE ON organizations, teams, agents, workflows, connections, members, api_keys TO {app};
GRANT SELECT, INSERT, UPDATE, DELETE ON member_profiles TO {app};
GRANT SELECT, UPDATE ON organizations TO {gate};
GRANT SELECT ON teams, agents, workflows, connections, members, api_keys TO {gate};
GRANT UPDATE (last_used_at) ON api_keys TO {gate};
GRANT SELECT ON organizations, teams, agents, workflows, connections, members TO {readonly};

-- The platform itself: the organization whose streams are platform-wide (the price book, platform keys). Like every
-- row of this table it is a projection, so its event comes first; the projector of organization.created gives this row.
WITH born AS MATERIALIZED (SELECT clock_timestamp() AS at),
created AS (
    INSERT INTO events (organization, stream_id, occurred_at, epoch, version, stream_type, type, actor, data)
    SELECT '01900000-0000-7000-8000-000000000000', '01900000-0000-7000-8000-000000000000', at,
        (SELECT epoch FROM event_store), 1, 'organization', 'organization.created', 'system:migration',
        jsonb_build_object('name', 'Platform', 'currency', 'USD', 'time_zone', 'UTC', 'funding', 'prepaid',
            'credit_limit', 0, 'status', 'active', 'is_platform', true, 'sandbox', false,
            'created_at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    FROM born
)
INSERT INTO organizations (id, name, currency, time_zone, funding, credit_limit, is_platform, version, created_at)
SELECT '01900000-0000-7000-8000-000000000000', 'Platform', 'USD', 'UTC', 'prepaid', 0, true, 1, at FROM born;
