-- What waits for a person, or for the rail to give an amount up, is found without reading what is done.
CREATE INDEX checkouts_held ON checkouts (created_at, id) WHERE state = 'held';
CREATE INDEX payments_voiding ON payments (tenant, checkout) WHERE state = 'voiding';
