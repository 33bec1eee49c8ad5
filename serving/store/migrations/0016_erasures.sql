-- Persons who were erased, or are being. Of one who is, only a mark is left, by which what comes later is known, and the
-- pseudonym; the person and what was the person's stand here until then.

CREATE TABLE erasures (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    mark TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    person TEXT,
    things TEXT NOT NULL,
    counts TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (tenant, id),
    UNIQUE (tenant, mark),
    CONSTRAINT erasures_done_without_person CHECK ((done_at IS NULL) = (person IS NOT NULL))
);
CREATE INDEX erasures_under_way ON erasures (asked_at, id) WHERE done_at IS NULL;
