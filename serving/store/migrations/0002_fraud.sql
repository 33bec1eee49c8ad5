-- Review cases, fraud rules, block and allow lists. A case has the id of its decision; what is not searched by is in its body.

CREATE TABLE fraud_cases (
    tenant TEXT NOT NULL,
    decision TEXT NOT NULL,
    state TEXT NOT NULL,
    expected_loss_usd_minor BIGINT NOT NULL,
    authorisation_expires_at BIGINT NOT NULL,
    claimed_until BIGINT,
    first_reviewer TEXT,
    label TEXT,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, decision),
    FOREIGN KEY (tenant, decision) REFERENCES decisions (tenant, id),
    CONSTRAINT fraud_cases_decided_with_label CHECK ((state = 'decided') = (label IS NOT NULL)),
    CONSTRAINT fraud_cases_claimed_until_a_time CHECK ((state = 'claimed') = (claimed_until IS NOT NULL))
);
CREATE INDEX fraud_cases_by_state ON fraud_cases (tenant, state);
CREATE INDEX fraud_cases_by_creation ON fraud_cases (tenant, created_at, decision);

-- What was once in force never changes: its version is the hash over its rules.
CREATE TABLE fraud_rule_versions (
    tenant TEXT NOT NULL,
    version TEXT NOT NULL,
    number BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE fraud_rule_log (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    version TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, number),
    FOREIGN KEY (tenant, version) REFERENCES fraud_rule_versions (tenant, version)
);

CREATE TABLE fraud_rule_drafts (
    tenant TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE fraud_list_log (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);
