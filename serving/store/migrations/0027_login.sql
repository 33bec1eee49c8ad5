-- People who log in. Of an attempt and of a session the hash of a secret is kept that the browser has; roles are a list of words,
-- whose permissions are those of the version that runs.

CREATE TABLE login_attempts (
    hash TEXT NOT NULL PRIMARY KEY,
    return_to TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_attempts_by_end ON login_attempts (expires_at, hash);

CREATE TABLE login_sessions (
    hash TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_sessions_of_subject ON login_sessions (tenant, subject, created_at, hash);
CREATE INDEX login_sessions_by_end ON login_sessions (expires_at, hash);

-- Who sent a request that came with a session in place of a key.
ALTER TABLE audit_log ADD COLUMN person TEXT;
