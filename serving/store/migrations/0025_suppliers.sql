-- Suppliers. What is not searched by is in the bodies.

CREATE TABLE suppliers (
    tenant TEXT NOT NULL,
    seller TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, seller)
);
CREATE INDEX suppliers_by_creation ON suppliers (tenant, created_at, seller);
CREATE INDEX suppliers_by_state ON suppliers (tenant, state, created_at, seller);
