//! What a caller of the rules crate relies on; one binary, because linking costs.

mod backtests;
mod books;
mod differential;
mod language;
mod lists;
mod outcomes;
mod world;
