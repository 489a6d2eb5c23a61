-- The price book and what charges are made of beside it. Projections of events of the platform organization (the book,
-- exchange rates, the default markup) or of the organization whose own price it is. Nothing here is ever re-dated: a new
-- price is a new row with a later valid_from, and of all rows whose period contains a moment the one that began last
-- holds. Amounts are integers in 10^-12 of the currency's major unit.

-- Providers: `fallback` names those whose models this one offers at their price, tried in order.
CREATE TABLE price_providers (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    fallback text[] NOT NULL DEFAULT '{}',
    version integer NOT NULL
);

-- Models: `match` is the rule by which other spellings of the name (dated releases, aliases) are this model; rules are
-- tried in the order of position. source_digest tells the next import whether its source has changed.
CREATE TABLE price_models (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    model text NOT NULL,
    position integer NOT NULL,
    match jsonb,
    context_window bigint CHECK (context_window > 0),
    max_output_tokens bigint CHECK (max_output_tokens > 0),
    deprecated boolean NOT NULL DEFAULT false,
    source text NOT NULL,
    source_version text NOT NULL,
    source_digest text,
    version integer NOT NULL
);
CREATE UNIQUE INDEX price_models_name ON price_models (provider, lower(model));

-- One dated price of a model with all its components; usage records name it by id (S6, S22).
CREATE TABLE price_versions (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,          -- the platform for the book, else the customer whose own price it is
    kind text NOT NULL CHECK (kind IN ('book', 'plan', 'override', 'contract')),
    provider text NOT NULL,
    model text NOT NULL,
    currency text NOT NULL,
    components jsonb NOT NULL,           -- {name: {amount, per, tiers: [[above_tokens, amount]], source_text}}
    variants jsonb NOT NULL DEFAULT '[]',-- [{when: {key: value}, components}]
    daily_from integer CHECK (daily_from BETWEEN 0 AND 86399),
    daily_to integer CHECK (daily_to BETWEEN 0 AND 86400),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    source text NOT NULL,
    source_version text NOT NULL DEFAULT '',
    approved_by text,
    published_at timestamptz NOT NULL,
    version integer NOT NULL,
    CHECK ((daily_from IS NULL) = (daily_to IS NULL))
);
CREATE INDEX price_versions_model ON price_versions (organization, provider, model, valid_from);

-- Differences between a price source and the book, waiting for a person.
CREATE TABLE price_changes (
    id uuid PRIMARY KEY,
    provider text NOT NULL,
    model text NOT NULL,
    status text NOT NULL CHECK (status IN ('proposed', 'approved', 'rejected', 'superseded')),
    current jsonb NOT NULL,              -- the book's versions at the time of the proposal
    proposal jsonb NOT NULL,             -- the source's versions
    source text NOT NULL,
    source_version text NOT NULL,
    source_digest text NOT NULL,
    proposed_at timestamptz NOT NULL,
    decided_at timestamptz,
    decided_by text,
    reason text,
    version integer NOT NULL
);
CREATE UNIQUE INDEX price_changes_open ON price_changes (provider, lower(model)) WHERE status = 'proposed';

-- Tools: exact name, prefix* or * (default); of the platform (the book) or a customer's own.
CREATE TABLE tool_prices (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    pattern text NOT NULL,
    unit text NOT NULL CHECK (unit IN ('call', 'second', 'unit')),
    amount bigint NOT NULL CHECK (amount >= 0),
    per integer NOT NULL CHECK (per > 0),
    currency text NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    source text NOT NULL,
    published_at timestamptz NOT NULL,
    version integer NOT NULL
);
CREATE INDEX tool_prices_organization ON tool_prices (organization, pattern, valid_from);

-- One unit of base is rate / 10^12 units of quote; markup_ppm is added to charges, not to costs (S22b).
CREATE TABLE fx_rates (
    id uuid PRIMARY KEY,
    base text NOT NULL,
    quote text NOT NULL CHECK (quote <> base),
    rate bigint NOT NULL CHECK (rate > 0),
    markup_ppm bigint NOT NULL DEFAULT 0 CHECK (markup_ppm >= 0),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    source text NOT NULL,
    published_at timestamptz NOT NULL,
    version integer NOT NULL
);
CREATE INDEX fx_rates_quote ON fx_rates (quote, base, valid_from);

-- Added to prices of the book, in millionths; of the platform (the default) or of one customer.
CREATE TABLE markups (
    id uuid PRIMARY KEY,
    organization uuid NOT NULL,
    ppm bigint NOT NULL CHECK (ppm BETWEEN 0 AND 1000000000),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz CHECK (valid_to >= valid_from),
    reason text NOT NULL DEFAULT '',
    published_at timestamptz NOT NULL,
    version integer NOT NULL
);
CREATE INDEX markups_organization ON markups (organization, valid_from);

GRANT SELECT, INSERT, UPDATE ON price_providers, price_models, price_versions, price_changes, tool_prices, fx_rates, markups
    TO {app};
GRANT SELECT ON price_providers, price_models, price_versions, price_changes, tool_prices, fx_rates, markups
    TO {gate}, {readonly};
