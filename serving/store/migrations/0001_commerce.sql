-- One text for SQLite and PostgreSQL; {{BYTES}} and {{NUMBERED_KEY}} are the two words in which they differ.
-- Ids are prefixed texts, times are microseconds UTC, amounts are minor units, JSON is text. Every row has a tenant.

CREATE TABLE products (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    seller TEXT NOT NULL,
    reference TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    price_minor BIGINT NOT NULL,
    price_currency TEXT NOT NULL,
    region TEXT NOT NULL,
    weight_grams BIGINT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    CONSTRAINT products_price_not_negative CHECK (price_minor >= 0),
    CONSTRAINT products_weight_not_negative CHECK (weight_grams >= 0)
);
CREATE INDEX products_by_creation ON products (tenant, created_at, id);

CREATE TABLE stock (
    tenant TEXT NOT NULL,
    product TEXT NOT NULL,
    on_hand BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    PRIMARY KEY (tenant, product),
    FOREIGN KEY (tenant, product) REFERENCES products (tenant, id),
    CONSTRAINT stock_reserved_not_negative CHECK (reserved >= 0),
    CONSTRAINT stock_reserved_within_on_hand CHECK (reserved <= on_hand)
);

CREATE TABLE decisions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    answer TEXT NOT NULL,
    reasons TEXT NOT NULL,
    features TEXT NOT NULL,
    applied_offsets TEXT NOT NULL,
    degraded BIGINT NOT NULL,
    latency_us BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX decisions_by_creation ON decisions (tenant, created_at, id);
CREATE INDEX decisions_by_kind ON decisions (tenant, kind, created_at, id);

CREATE TABLE checkouts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    state TEXT NOT NULL,
    refusal TEXT,
    request TEXT NOT NULL,
    shortages TEXT NOT NULL,
    line_count BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    total_currency TEXT NOT NULL,
    total_usd_minor BIGINT NOT NULL,
    units_per_usd_micros BIGINT NOT NULL,
    rates_as_of BIGINT NOT NULL,
    decision TEXT NOT NULL,
    fraud TEXT NOT NULL,
    idempotency_key TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, decision) REFERENCES decisions (tenant, id),
    CONSTRAINT checkouts_refused_with_reason CHECK ((state = 'refused') = (refusal IS NOT NULL))
);
CREATE INDEX checkouts_pending ON checkouts (created_at, id) WHERE state = 'pending_payment';

CREATE TABLE payments (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    checkout TEXT NOT NULL,
    method TEXT NOT NULL,
    state TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    authorised_minor BIGINT NOT NULL,
    captured_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    rail_reference TEXT,
    decline_reason TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, checkout),
    FOREIGN KEY (tenant, checkout) REFERENCES checkouts (tenant, id),
    CONSTRAINT payments_refunded_not_negative CHECK (refunded_minor >= 0),
    CONSTRAINT payments_refunded_within_captured CHECK (refunded_minor <= captured_minor),
    CONSTRAINT payments_captured_within_authorised CHECK (captured_minor <= authorised_minor),
    CONSTRAINT payments_authorised_within_amount CHECK (authorised_minor <= amount_minor)
);

CREATE TABLE orders (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    checkout TEXT NOT NULL,
    buyer TEXT NOT NULL,
    seller TEXT NOT NULL,
    region TEXT NOT NULL,
    state TEXT NOT NULL,
    line_count BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    total_currency TEXT NOT NULL,
    total_usd_minor BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, checkout, seller),
    FOREIGN KEY (tenant, checkout) REFERENCES checkouts (tenant, id)
);
CREATE INDEX orders_by_creation ON orders (tenant, created_at, id);
CREATE INDEX orders_by_buyer ON orders (tenant, buyer, created_at, id);
CREATE INDEX orders_by_seller ON orders (tenant, seller, created_at, id);

CREATE TABLE order_lines (
    tenant TEXT NOT NULL,
    order_id TEXT NOT NULL,
    line_number BIGINT NOT NULL,
    product TEXT NOT NULL,
    category TEXT NOT NULL,
    title TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    unit_price_minor BIGINT NOT NULL,
    unit_price_currency TEXT NOT NULL,
    amount_usd_minor BIGINT NOT NULL,
    PRIMARY KEY (tenant, order_id, line_number),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id),
    CONSTRAINT order_lines_quantity_positive CHECK (quantity > 0)
);

CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    answer TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, idempotency_key)
);
CREATE INDEX idempotency_keys_by_creation ON idempotency_keys (created_at);

-- The number of the last event of each aggregate; its row is also the lock that keeps the numbers without gaps.
CREATE TABLE aggregates (
    tenant TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    last_sequence BIGINT NOT NULL,
    PRIMARY KEY (tenant, aggregate)
);

CREATE TABLE outbox (
    id {{NUMBERED_KEY}},
    tenant TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    event {{BYTES}} NOT NULL,
    created_at BIGINT NOT NULL,
    published_at BIGINT,
    UNIQUE (tenant, aggregate, sequence),
    UNIQUE (tenant, event_id)
);
CREATE INDEX outbox_waiting ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

CREATE TABLE model_servings (
    tenant TEXT NOT NULL,
    alias TEXT NOT NULL,
    model TEXT NOT NULL,
    artifact_hash TEXT NOT NULL,
    served_from BIGINT NOT NULL,
    served_until BIGINT,
    PRIMARY KEY (tenant, alias, served_from)
);

CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL UNIQUE,
    permissions TEXT NOT NULL,
    last_four TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, id)
);
