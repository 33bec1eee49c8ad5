-- Saved searches and price alerts. What is not searched by is in the bodies; what changes is not.

-- The number rises whenever a saved search or price alert of the tenant is made or removed.
CREATE TABLE watch_versions (
    tenant TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

CREATE TABLE saved_searches (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    body TEXT NOT NULL,
    product_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX saved_searches_by_creation ON saved_searches (tenant, created_at, id);
CREATE INDEX saved_searches_by_buyer ON saved_searches (tenant, buyer, created_at, id);

-- The products that a saved search knows: it tells of none of them again.
CREATE TABLE saved_search_products (
    tenant TEXT NOT NULL,
    search TEXT NOT NULL,
    product TEXT NOT NULL,
    PRIMARY KEY (tenant, search, product)
);

CREATE TABLE price_alerts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    product TEXT NOT NULL,
    body TEXT NOT NULL,
    triggered_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX price_alerts_by_creation ON price_alerts (tenant, created_at, id);
CREATE INDEX price_alerts_by_buyer ON price_alerts (tenant, buyer, created_at, id);
CREATE INDEX price_alerts_waiting ON price_alerts (tenant, product) WHERE triggered_at IS NULL;
