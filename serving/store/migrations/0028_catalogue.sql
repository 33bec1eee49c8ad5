-- Media, attributes, variants and reviews of products; the category tree of each tenant.

ALTER TABLE products ADD COLUMN media TEXT NOT NULL DEFAULT '[]';
ALTER TABLE products ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE products ADD COLUMN review TEXT NOT NULL DEFAULT 'null';
ALTER TABLE products ADD COLUMN variant_group TEXT;
ALTER TABLE products ADD COLUMN variant_options TEXT;
-- No two variants of a group have the same options.
CREATE UNIQUE INDEX products_by_variant ON products (tenant, seller, variant_group, variant_options);
CREATE INDEX products_by_state ON products (tenant, state, created_at, id);

CREATE TABLE category_trees (
    tenant TEXT NOT NULL,
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant)
);
