//! From candidates to a slate: a trained ranker, business rules, diversity, sponsored places, exploration; finds no candidates.
//!
//! Two steps, each of use without the other:
//!
//! - a [`Ranker`] scores candidates from rows of features. [`LinearRanker`] and [`FactorisationRanker`] (factorisation
//!   machine, Rendle 2010) are trained on [`RankingGroups`], lists with what came of them, by a listwise softmax
//!   loss (Cao et al. 2007), [`TreeRanker`] by LambdaMART (Burges 2010); all are chosen on later groups; [`judge`] sets one beside the order that there was before;
//! - [`arrange`] turns scored candidates into a slate. No [`Rules`] are ever broken, and the slate is as long as they allow.
//!   A [`Policy`] says the rest: diversity (MMR, Carbonell and Goldstein 1998), places for small sellers (Geyik et al. 2019),
//!   sponsored places, and one place for exploration. Each place carries its kind and its propensity.
//!
//! Everything is seeded and independent of the number of threads.

mod arrange;
mod at_once;
mod diversity;
mod error;
mod fill;
mod groups;
mod machine;
mod pool;
mod quality;
mod ranker;
mod request;
mod train;
mod trees;

pub use arrange::{Arranged, Kind, Place, Relaxed, Scratch, arrange};
pub use diversity::{ItemVectors, MAX_VECTOR_DIMENSIONS};
pub use error::RankingError;
pub use groups::{MAX_FEATURES, MAX_GROUP_ROWS, MAX_VALUES, RankingGroups};
pub use machine::DIMENSIONS;
pub use pool::Removed;
pub use quality::{Accuracy, RankingReport, judge};
pub use ranker::{FactorisationRanker, FactorisationSettings, LinearRanker, Ranker};
pub use request::{
    Candidate, CategoryCap, Diversity, Draw, Exploration, Fairness, MAX_BARRED, MAX_CANDIDATES, MAX_CATEGORY_CAPS,
    MAX_OFFERS, MAX_PLACES, Offer, Policy, PriceBand, Request, Rules, Similarity, Sponsorship, outside_top,
};
pub use train::{MAX_EPOCHS, MAX_TRIALS, TrainingReport, TrainingSettings, Trial};
pub use trees::{MAX_TREE_GROUPS, TreeRanker, TreeSettings};
