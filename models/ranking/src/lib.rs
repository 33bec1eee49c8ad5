//! From candidates to a slate: a trained ranker, business rules, diversity, sponsored places, exploration; finds no candidates.

mod arrange;
mod diversity;
mod error;
mod fill;
mod pool;
mod request;

pub use arrange::{Arranged, Kind, Place, Relaxed, Scratch, arrange};
pub use diversity::{ItemVectors, MAX_VECTOR_DIMENSIONS};
pub use error::RankingError;
pub use pool::Removed;
pub use request::{
    Candidate, CategoryCap, Diversity, Draw, Exploration, Fairness, MAX_BARRED, MAX_CANDIDATES, MAX_CATEGORY_CAPS,
    MAX_OFFERS, MAX_PLACES, Offer, Policy, PriceBand, Request, Rules, Similarity, Sponsorship, outside_top,
};
