-- Permissions are split by what they open. A key that is stored grants after this what it granted before: each of its words
-- becomes the words of the same routes. Every word stands in quotes in the list, so that none is taken for a part of another.

UPDATE api_keys SET permissions = REPLACE(permissions, '"products:read"', '"products:read","stock:read","search:read","quotes:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"products:write"', '"products:write","stock:write"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"orders:read"', '"orders:read","checkout:read","payments:read","transfers:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"payments:write"', '"payments:capture","payments:void"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"recommendations:read"', '"recommendations:read","texts:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"fraud:read"', '"fraud:read","fraud_cases:read","fraud_rules:read","fraud_backtests:read","fraud_lists:read","trust:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"fraud:rules"', '"fraud:rules","fraud_backtests:write","fraud_lists:write"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"forecasts:read"', '"forecasts:read","customers:read","delivery_times:read","effects:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"reorders:read"', '"reorders:read","budgets:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"reorders:approve"', '"reorders:approve","budgets:write"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"routes:plan"', '"routes:plan","routes:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"models:read"', '"models:read","experiments:read","trials:read","status:read","metrics:read"');
UPDATE api_keys SET permissions = REPLACE(permissions, '"models:write"', '"models:write","trials:write"');

-- This one opened nothing.
UPDATE api_keys SET permissions = REPLACE(permissions, '"orders:write",', '');
UPDATE api_keys SET permissions = REPLACE(permissions, ',"orders:write"', '');
UPDATE api_keys SET permissions = REPLACE(permissions, '"orders:write"', '');
