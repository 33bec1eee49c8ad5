-- Price lists of a product, in its row, so that the statement that reads a product reads its prices.
ALTER TABLE products ADD COLUMN prices TEXT NOT NULL DEFAULT '[]';
