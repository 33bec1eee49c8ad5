-- Auctions and their bids. What is not searched by is in the body; `due_at` is when the next step of one is due by itself, and
-- nothing where none is. A bid's maximum is told to nobody.

CREATE TABLE auctions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    product TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    due_at BIGINT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, product) REFERENCES products (tenant, id)
);
CREATE INDEX auctions_by_creation ON auctions (tenant, created_at, id);
CREATE INDEX auctions_by_state ON auctions (tenant, state, created_at, id);
CREATE INDEX auctions_due ON auctions (due_at, id) WHERE due_at IS NOT NULL;

CREATE TABLE auction_bids (
    tenant TEXT NOT NULL,
    auction TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    bidder TEXT NOT NULL,
    maximum_minor BIGINT NOT NULL,
    placed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, auction, sequence),
    FOREIGN KEY (tenant, auction) REFERENCES auctions (tenant, id),
    CONSTRAINT auction_bids_maximum_positive CHECK (maximum_minor > 0)
);
