-- Customs declarations. What is not searched by is in the bodies.

CREATE TABLE customs_declarations (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    order_id TEXT,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);
CREATE INDEX customs_declarations_by_creation ON customs_declarations (tenant, created_at, id);
CREATE INDEX customs_declarations_by_order ON customs_declarations (tenant, order_id, created_at, id);
CREATE INDEX customs_declarations_by_state ON customs_declarations (tenant, state, created_at, id);
