-- The names of a decision's features are the same for every decision of a model, so they stand once, and the values are
-- bytes: a little-endian double each, NaN where one is missing. A decision without a list was written before and holds
-- names and values in its features, or has none.

CREATE TABLE feature_lists (
    id TEXT NOT NULL PRIMARY KEY,
    names TEXT NOT NULL
);

ALTER TABLE decisions ADD COLUMN feature_list TEXT;
ALTER TABLE decisions ADD COLUMN feature_values {{BYTES}};

-- Lists by state are read newest first.
CREATE INDEX orders_by_state ON orders (tenant, state, created_at, id);
CREATE INDEX fraud_cases_by_state_and_creation ON fraud_cases (tenant, state, created_at, decision);
