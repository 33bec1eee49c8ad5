//! What should this shopper see now: co-occurrence, bought-together and popularity behind one fallback chain; no IO, no clock.
//!
//! - [`train`] turns [`Interaction`]s and a catalogue into an immutable [`RecommendModel`]: item-to-item co-occurrence that
//!   knows order, gaps and age; baskets with support and lift; popularity by region and category that fades.
//! - [`Recommender::recommend`] fills a [`Slate`]: bought together (on the cart) → session → history → trending in the
//!   region → best sellers of the category → popular. Every item carries a [`Reason`] and its [`Step`]; a slate that needed
//!   a weaker step than its request had context for says `degraded`; it is empty only when nothing is eligible.
//! - [`LiveState`] takes each interaction in as it happens; [`LiveRecommender`] lets the next slate know it.
//! - [`evaluation`] holds the metrics, the next-item protocol with its baselines, and the choice of settings on a
//!   validation part.
//!
//! Time comes from the events, nothing is random, and answers do not depend on the number of threads.

mod chain;
pub mod evaluation;
mod input;
mod items;
mod lists;
mod live;
mod model;
mod neighbours;
mod places;
mod popularity;
mod sequences;
mod settings;
mod slate;
mod together;

pub use input::{CatalogueItem, Interaction, InteractionKind, PriceBand};
pub use live::{
    LiveRecommender, LiveState, MAX_LIVE_KEYS, MAX_LIVE_REGIONS, MAX_RECENT_PRODUCTS, MAX_TRENDING_PRODUCTS, Trending,
};
pub use model::{
    Companion, MAX_INTERACTIONS, ModelFileError, RecommendModel, Related, TrainError, TrainingSummary, train,
};
pub use popularity::{MAX_REGION_CATEGORY_PRODUCTS, MAX_REGION_PRODUCTS};
pub use settings::{KindWeights, Settings};
pub use slate::{
    MAX_COUNT, MAX_EXCLUDED, MAX_SEEDS, Outcome, Reason, RecommendError, Recommender, Seen, Slate, SlateItem,
    SlateRequest, Step, StepCount, Surface,
};
pub use together::MAX_BASKET_PRODUCTS;
