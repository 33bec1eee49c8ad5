-- Backtests of fraud rules: under way and ended. One that is running and whose progress is no longer written was interrupted.

CREATE TABLE fraud_backtests (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    version TEXT NOT NULL,
    span_from BIGINT NOT NULL,
    span_to BIGINT NOT NULL,
    state TEXT NOT NULL,
    total BIGINT NOT NULL,
    repeated BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    failure TEXT,
    report TEXT,
    started_at BIGINT NOT NULL,
    progressed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, number),
    CONSTRAINT fraud_backtests_finished_with_report CHECK ((state = 'finished') = (report IS NOT NULL)),
    CONSTRAINT fraud_backtests_failed_with_reason CHECK ((state = 'failed') = (failure IS NOT NULL))
);
