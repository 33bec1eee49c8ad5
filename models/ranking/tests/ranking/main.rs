//! What a caller of the ranking crate relies on; one binary, because linking costs.

mod arrangement;
mod oracle;
mod random;
mod ranker;
mod rules;
