-- Sellers' subscriptions and invoices. What is not searched by is in the bodies.

CREATE TABLE subscriptions (
    tenant TEXT NOT NULL,
    seller TEXT NOT NULL,
    version BIGINT NOT NULL,
    renews_at BIGINT,
    orders_per_month_max BIGINT,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seller)
);
CREATE INDEX subscriptions_due ON subscriptions (renews_at, tenant, seller) WHERE renews_at IS NOT NULL;

CREATE TABLE invoices (
    tenant TEXT NOT NULL,
    seller TEXT NOT NULL,
    number BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seller, number),
    FOREIGN KEY (tenant, seller) REFERENCES subscriptions (tenant, seller)
);

-- A plan may limit how many products a seller has on offer.
CREATE INDEX products_by_seller ON products (tenant, seller, state);
