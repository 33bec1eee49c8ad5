-- The audit log. A row is written with its change and has neither place nor hash; a moment later it is chained to the row
-- before. Rows are never changed after that, and never removed.

CREATE TABLE audit_log (
    id {{NUMBERED_KEY}},
    tenant TEXT NOT NULL,
    at BIGINT NOT NULL,
    key_id TEXT,
    operation TEXT NOT NULL,
    path TEXT NOT NULL,
    subjects TEXT NOT NULL,
    request_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    status BIGINT,
    place BIGINT,
    hash TEXT
);
CREATE UNIQUE INDEX audit_log_in_order ON audit_log (tenant, place) WHERE place IS NOT NULL;
CREATE INDEX audit_log_unchained ON audit_log (id) WHERE place IS NULL;

CREATE TABLE audit_heads (
    tenant TEXT NOT NULL PRIMARY KEY,
    last_place BIGINT NOT NULL,
    hash TEXT NOT NULL
);

-- Its one row is the lock of whoever chains.
CREATE TABLE audit_turns (
    turns BIGINT NOT NULL
);
INSERT INTO audit_turns (turns) VALUES (0);
