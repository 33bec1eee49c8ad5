-- Webhook endpoints, each a reader of the feed with a place of its own, and what is on its way to them. What is not searched by
-- is in the body. A delivery that is not to be sent has the end of time as its due time.

CREATE TABLE webhook_endpoints (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    place BIGINT NOT NULL,
    disabled BIGINT NOT NULL,
    secrets TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE webhook_deliveries (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    place BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempt_count BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, endpoint, event_id),
    FOREIGN KEY (tenant, endpoint) REFERENCES webhook_endpoints (tenant, id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (tenant, endpoint) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (tenant, endpoint, created_at, id);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (tenant, endpoint, state, created_at, id);
CREATE INDEX webhook_deliveries_by_creation ON webhook_deliveries (created_at) WHERE state <> 'pending';
