-- A seller's statement reads what is booked for it; no other account is read by its name, so none pays for the index.
CREATE INDEX ledger_entries_of_sellers ON ledger_entries (tenant, account, asset) WHERE substr(account, 1, 7) = 'seller:';
