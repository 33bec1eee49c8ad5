-- Signing secrets of webhook endpoints may be sealed. Where a key is named, `secrets` is their ciphertext in hexadecimal digits,
-- and that key opens it; where none is, they stand in clear, as all did before.

ALTER TABLE webhook_endpoints ADD COLUMN sealed_by TEXT;
CREATE INDEX webhook_endpoints_by_seal ON webhook_endpoints (sealed_by);
