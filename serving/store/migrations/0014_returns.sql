-- Returns and claims with the units that are on them, disputes of payments. What is not searched by is in the bodies.

-- Units of a line that are on returns which were not declined, nor closed with nothing settled.
ALTER TABLE order_lines ADD COLUMN returned BIGINT NOT NULL DEFAULT 0
    CONSTRAINT order_lines_returned_within_bought CHECK (returned >= 0 AND returned <= quantity);

-- What is disputed cannot be refunded besides.
ALTER TABLE payments ADD COLUMN disputed_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT payments_disputed_within_captured CHECK (disputed_minor >= 0 AND refund_asked_minor + disputed_minor <= captured_minor);

CREATE TABLE returns (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    seller TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);
CREATE INDEX returns_by_creation ON returns (tenant, created_at, id);
CREATE INDEX returns_by_order ON returns (tenant, order_id, created_at, id);
CREATE INDEX returns_by_buyer ON returns (tenant, buyer, created_at, id);
CREATE INDEX returns_by_seller ON returns (tenant, seller, created_at, id);
CREATE INDEX returns_by_state ON returns (tenant, state, created_at, id);

CREATE TABLE return_transfers (
    tenant TEXT NOT NULL,
    transfer TEXT NOT NULL,
    return_id TEXT NOT NULL,
    PRIMARY KEY (tenant, transfer),
    FOREIGN KEY (tenant, transfer) REFERENCES transfers (tenant, id),
    FOREIGN KEY (tenant, return_id) REFERENCES returns (tenant, id)
);

CREATE TABLE disputes (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    payment TEXT NOT NULL,
    rail_case TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, payment, rail_case),
    FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id)
);
CREATE INDEX disputes_by_creation ON disputes (tenant, created_at, id);
CREATE INDEX disputes_by_state ON disputes (tenant, state, created_at, id);
