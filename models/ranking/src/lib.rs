//! From candidates to a slate: a trained ranker, business rules, diversity, sponsored places, exploration; finds no candidates.
