-- Where a product may be sold, in its row, so that the statement that reads a product reads its rule; nothing is everywhere.
ALTER TABLE products ADD COLUMN sale_regions TEXT NOT NULL DEFAULT '';
