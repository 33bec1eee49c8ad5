-- Pay later: plans, what buyers owe within their limits, agreements. What is not searched by is in the bodies.

CREATE TABLE pay_later_plans (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- What is open counts what checkouts propose and agreements have outstanding, so that requests at once stay within the limit.
CREATE TABLE pay_later_buyers (
    tenant TEXT NOT NULL,
    buyer TEXT NOT NULL,
    limit_usd_minor BIGINT NOT NULL,
    open_usd_minor BIGINT NOT NULL,
    paid_count BIGINT NOT NULL DEFAULT 0,
    late_count BIGINT NOT NULL DEFAULT 0,
    defaulted_count BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, buyer),
    CONSTRAINT pay_later_open_not_negative CHECK (open_usd_minor >= 0),
    CONSTRAINT pay_later_open_within_limit CHECK (open_usd_minor <= limit_usd_minor)
);

CREATE TABLE pay_later_agreements (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    buyer TEXT NOT NULL,
    payment TEXT NOT NULL,
    state TEXT NOT NULL,
    version BIGINT NOT NULL,
    next_at BIGINT,
    principal_minor BIGINT NOT NULL,
    fee_minor BIGINT NOT NULL,
    kept_minor BIGINT NOT NULL,
    outstanding_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    written_off_minor BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, payment),
    FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id),
    CONSTRAINT pay_later_agreements_not_negative CHECK (outstanding_minor >= 0 AND refunded_minor >= 0 AND written_off_minor >= 0),
    CONSTRAINT pay_later_agreements_add_up
        CHECK (principal_minor + fee_minor = kept_minor + outstanding_minor + refunded_minor + written_off_minor)
);
CREATE INDEX pay_later_agreements_by_creation ON pay_later_agreements (tenant, created_at, id);
CREATE INDEX pay_later_agreements_by_buyer ON pay_later_agreements (tenant, buyer, created_at, id);
CREATE INDEX pay_later_agreements_by_state ON pay_later_agreements (tenant, state, created_at, id);
CREATE INDEX pay_later_agreements_due ON pay_later_agreements (next_at, id) WHERE next_at IS NOT NULL;

ALTER TABLE checkouts ADD COLUMN credit TEXT;
