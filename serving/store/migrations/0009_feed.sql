-- The feed: the outbox's events once more in the order in which the log took them, for each tenant numbered from 1 without
-- gaps. A place is given after the commit of the change, by one giver at a time, so that none ever appears behind a reader.

ALTER TABLE outbox ADD COLUMN place BIGINT;

CREATE TABLE feed_heads (
    tenant TEXT NOT NULL PRIMARY KEY,
    last_place BIGINT NOT NULL,
    forgotten_place BIGINT NOT NULL,
    CONSTRAINT feed_heads_forgotten_within_last CHECK (forgotten_place <= last_place)
);

-- Its one row is the lock of whoever gives places.
CREATE TABLE feed_turns (
    turns BIGINT NOT NULL
);
INSERT INTO feed_turns (turns) VALUES (0);

-- What was handed to the log before has its place by its number.
UPDATE outbox SET place = numbered.place
    FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY tenant ORDER BY id) AS place FROM outbox WHERE published_at IS NOT NULL) AS numbered
    WHERE outbox.id = numbered.id;
INSERT INTO feed_heads (tenant, last_place, forgotten_place)
    SELECT tenant, MAX(place), 0 FROM outbox WHERE place IS NOT NULL GROUP BY tenant;
CREATE UNIQUE INDEX outbox_in_feed ON outbox (tenant, place) WHERE place IS NOT NULL;
