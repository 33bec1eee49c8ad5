-- Route plans: under way, made and accepted. What is not searched by is in the body; progress stands beside it, because it
-- changes often. One that is under way and whose progress is no longer written was interrupted.

CREATE TABLE route_plans (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    progress TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX route_plans_by_creation ON route_plans (tenant, created_at, id);

-- The versions of a plan as each was written, the last ones of each.
CREATE TABLE route_plan_versions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, id, version)
);
