-- Reorder proposals and what may be spent on them; what is not searched by is in the body.

CREATE TABLE reorders (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    product TEXT NOT NULL,
    state TEXT NOT NULL,
    units BIGINT NOT NULL,
    cost_usd_minor BIGINT NOT NULL,
    approved_at BIGINT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, product) REFERENCES products (tenant, id),
    CONSTRAINT reorders_units_positive CHECK (units > 0),
    CONSTRAINT reorders_cost_not_negative CHECK (cost_usd_minor >= 0)
);
CREATE INDEX reorders_by_creation ON reorders (tenant, created_at, id);
CREATE INDEX reorders_by_approval ON reorders (tenant, approved_at);
CREATE INDEX reorders_on_their_way ON reorders (tenant, product) WHERE state IN ('approved', 'ordered');
-- Of one product one proposal waits for a person at most.
CREATE UNIQUE INDEX reorders_waiting ON reorders (tenant, product) WHERE state = 'proposed';

CREATE TABLE reorder_budgets (
    tenant TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
