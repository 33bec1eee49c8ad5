-- Shipments with the units that are on them. What is not searched by is in the bodies.

-- Units of a line that were on no shipment when a return or claim of them was opened: they are not shipped any more.
ALTER TABLE order_lines ADD COLUMN called_off BIGINT NOT NULL DEFAULT 0
    CONSTRAINT order_lines_called_off_within_bought CHECK (called_off >= 0 AND called_off <= quantity);

-- Units of a line that are on shipments which were not given up, refused or brought back.
ALTER TABLE order_lines ADD COLUMN shipped BIGINT NOT NULL DEFAULT 0
    CONSTRAINT order_lines_shipped_within_due CHECK (shipped >= 0 AND shipped + called_off <= quantity);

CREATE TABLE shipments (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    seller TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    due_at BIGINT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);
CREATE INDEX shipments_by_creation ON shipments (tenant, created_at, id);
CREATE INDEX shipments_by_order ON shipments (tenant, order_id, created_at, id);
CREATE INDEX shipments_by_buyer ON shipments (tenant, buyer, created_at, id);
CREATE INDEX shipments_by_seller ON shipments (tenant, seller, created_at, id);
CREATE INDEX shipments_by_state ON shipments (tenant, state, created_at, id);
CREATE INDEX shipments_due ON shipments (due_at, id) WHERE due_at IS NOT NULL;
