-- Payments in parts, transfers, the books, and what commissions are made of.

-- What was asked for and has not failed counts as asked, so that requests under way never take more than there is.
ALTER TABLE payments ADD COLUMN capture_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT payments_captured_within_asked CHECK (captured_minor <= capture_asked_minor);
ALTER TABLE payments ADD COLUMN void_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT payments_asked_within_authorised CHECK (capture_asked_minor + void_asked_minor <= authorised_minor);
ALTER TABLE payments ADD COLUMN voided_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT payments_voided_within_asked CHECK (voided_minor >= 0 AND voided_minor <= void_asked_minor);
ALTER TABLE payments ADD COLUMN refund_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT payments_refund_asked_within_captured CHECK (refund_asked_minor <= captured_minor AND refunded_minor <= refund_asked_minor);
ALTER TABLE payments ADD COLUMN quote TEXT;

ALTER TABLE orders ADD COLUMN captured_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN capture_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_captured_within_asked CHECK (captured_minor <= capture_asked_minor);
ALTER TABLE orders ADD COLUMN void_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_asked_within_total CHECK (capture_asked_minor + void_asked_minor <= total_minor);
ALTER TABLE orders ADD COLUMN voided_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_voided_within_asked CHECK (voided_minor >= 0 AND voided_minor <= void_asked_minor);
ALTER TABLE orders ADD COLUMN refunded_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_refunded_not_negative CHECK (refunded_minor >= 0);
ALTER TABLE orders ADD COLUMN refund_asked_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_refund_asked_within_captured CHECK (refund_asked_minor <= captured_minor AND refunded_minor <= refund_asked_minor);
ALTER TABLE orders ADD COLUMN commission_minor BIGINT NOT NULL DEFAULT 0
    CONSTRAINT orders_commission_within_total CHECK (commission_minor >= 0 AND commission_minor <= total_minor);
ALTER TABLE orders ADD COLUMN commission_rate_ppm BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN commission_table_version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN commission_returned_minor BIGINT NOT NULL DEFAULT 0;

CREATE TABLE transfers (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    payment TEXT,
    seller TEXT,
    rail TEXT NOT NULL,
    rail_reference TEXT,
    failure TEXT,
    due_at BIGINT NOT NULL,
    idempotency_key TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, payment) REFERENCES payments (tenant, id),
    CONSTRAINT transfers_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT transfers_of_payment_or_seller CHECK ((payment IS NULL) = (kind = 'payout') AND (seller IS NULL) = (kind <> 'payout'))
);
CREATE INDEX transfers_by_kind ON transfers (tenant, kind, created_at, id);
CREATE INDEX transfers_by_payment ON transfers (tenant, payment, created_at, id);
CREATE INDEX transfers_by_seller ON transfers (tenant, seller, created_at, id) WHERE seller IS NOT NULL;
CREATE INDEX transfers_due ON transfers (due_at, id) WHERE state = 'pending';

CREATE TABLE transfer_shares (
    tenant TEXT NOT NULL,
    transfer TEXT NOT NULL,
    order_id TEXT NOT NULL,
    seller TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    commission_minor BIGINT NOT NULL,
    PRIMARY KEY (tenant, transfer, order_id),
    FOREIGN KEY (tenant, transfer) REFERENCES transfers (tenant, id),
    FOREIGN KEY (tenant, order_id) REFERENCES orders (tenant, id)
);

-- Holds that were given up or are to be given up become transfers.
UPDATE payments SET void_asked_minor = authorised_minor WHERE state IN ('voiding', 'voided');
UPDATE payments SET voided_minor = authorised_minor WHERE state = 'voided';
UPDATE orders SET void_asked_minor = total_minor WHERE (tenant, checkout) IN
    (SELECT tenant, checkout FROM payments WHERE state IN ('voiding', 'voided'));
UPDATE orders SET voided_minor = total_minor WHERE (tenant, checkout) IN
    (SELECT tenant, checkout FROM payments WHERE state = 'voided');
INSERT INTO transfers (tenant, id, kind, state, amount_minor, currency, payment, rail, due_at, created_at, updated_at)
    SELECT tenant, 'trf' || substr(id, 4), 'void', 'pending', authorised_minor, currency, id, 'simulator', updated_at, updated_at, updated_at
    FROM payments WHERE state = 'voiding' AND authorised_minor > 0;
INSERT INTO transfer_shares (tenant, transfer, order_id, seller, amount_minor, commission_minor)
    SELECT o.tenant, 'trf' || substr(p.id, 4), o.id, o.seller, o.total_minor, 0
    FROM orders o JOIN payments p ON p.tenant = o.tenant AND p.checkout = o.checkout
    WHERE p.state = 'voiding' AND p.authorised_minor > 0;
DROP INDEX payments_voiding;

-- The books. Batches and entries are written and never changed; balances are their sums.
CREATE TABLE ledger_batches (
    number {{NUMBERED_KEY}},
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    written_at BIGINT NOT NULL,
    purpose TEXT NOT NULL,
    reference TEXT NOT NULL,
    kind TEXT NOT NULL,
    of_batch TEXT,
    expires_at BIGINT,
    UNIQUE (tenant, id)
);
CREATE INDEX ledger_batches_in_order ON ledger_batches (tenant, number);

CREATE TABLE ledger_entries (
    tenant TEXT NOT NULL,
    batch TEXT NOT NULL,
    position BIGINT NOT NULL,
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (tenant, batch, position),
    FOREIGN KEY (tenant, batch) REFERENCES ledger_batches (tenant, id),
    CONSTRAINT ledger_entries_not_zero CHECK (amount <> 0)
);

CREATE TABLE ledger_balances (
    tenant TEXT NOT NULL,
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    debits BIGINT NOT NULL,
    credits BIGINT NOT NULL,
    debits_pending BIGINT NOT NULL,
    credits_pending BIGINT NOT NULL,
    PRIMARY KEY (tenant, account, asset),
    CONSTRAINT ledger_balances_not_negative CHECK (debits >= 0 AND credits >= 0)
);

CREATE TABLE ledger_pending (
    tenant TEXT NOT NULL,
    batch TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, batch),
    FOREIGN KEY (tenant, batch) REFERENCES ledger_batches (tenant, id)
);

CREATE TABLE seller_terms (
    tenant TEXT NOT NULL,
    seller TEXT NOT NULL,
    plan TEXT NOT NULL,
    contract_ppm BIGINT,
    PRIMARY KEY (tenant, seller)
);

CREATE TABLE seller_sales (
    tenant TEXT NOT NULL,
    seller TEXT NOT NULL,
    month BIGINT NOT NULL,
    settled_usd_minor BIGINT NOT NULL,
    PRIMARY KEY (tenant, seller, month)
);
