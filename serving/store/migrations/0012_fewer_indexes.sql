-- What every decision and every event pays for and nobody reads goes: decisions are listed by their ids, which rise with
-- time; events are forgotten by their places. An event's id is in its bytes, and the log knows duplicates by it.

DROP INDEX decisions_by_creation;

CREATE TABLE outbox_numbered (
    id {{RISING_KEY}},
    tenant TEXT NOT NULL,
    aggregate TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    event {{BYTES}} NOT NULL,
    created_at BIGINT NOT NULL,
    published_at BIGINT,
    place BIGINT,
    UNIQUE (tenant, aggregate, sequence)
);
INSERT INTO outbox_numbered (id, tenant, aggregate, sequence, kind, event, created_at, published_at, place) {{KEEP_NUMBERS}}
    SELECT id, tenant, aggregate, sequence, kind, event, created_at, published_at, place FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_numbered RENAME TO outbox;
{{NUMBER_ON_FROM_LAST outbox}}
CREATE INDEX outbox_waiting ON outbox (id) WHERE published_at IS NULL;
CREATE UNIQUE INDEX outbox_in_feed ON outbox (tenant, place) WHERE place IS NOT NULL;
