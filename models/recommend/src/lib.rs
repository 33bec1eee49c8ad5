//! What should this shopper see now: candidates from visits, tastes and baskets, a learned ranker, one fallback chain; no IO, no clock.
//!
//! # From request to slate
//! 1. **Who asks.** The visit's products, what the person turned to before training ended (kept in the model) and since
//!    (kept in [`LiveState`]); unknown products are passed over.
//! 2. **Candidates**, up to [`MAX_CANDIDATES`] that the request's filters and the eligibility rule let through:
//!    - *past visits like this one*: nearest sessions over an inverted index that learns with every click, after VMIS-kNN
//!      (Kersbergen, Sprangers and Schelter, SIGMOD 2022), with order, gaps and sequential rules; told in steps in
//!      `dhow-sessions`;
//!    - *tastes over months*: implicit-feedback matrix factorisation (Hu, Koren and Volinsky, ICDM 2008; regularised by
//!      frequency as in Rendle et al., RecSys 2022), the person folded in by one small solve; told in steps in `dhow-factors`;
//!    - *co-occurrence* with the visit's and the history's products (Deshpande and Karypis, TOIS 2004), `neighbours`;
//!    - *baskets*: bought together more often than by chance (lift; Brin et al., SIGMOD 1997), `together`;
//!    - *popularity* in the region, in the current category and overall, faded by forward decay (Cormode et al., ICDE 2009).
//!
//!    Of a shopper of whom nothing but the visit is known, tastes search the catalogue only where past visits name too few.
//!    Where a category or a price band leaves few products, these are scored one by one instead of searched for.
//! 3. **Rank.** Each candidate becomes a row of numbers: what each source says, popularity, category, seller and price beside
//!    the shopper's, and whether it was seen. The ranker weighs them ([`learn_ranker`]); it learned from visits later than
//!    all that the sources knew, with the listwise softmax loss (Cao et al., ICML 2007), in `dhow-ranking`.
//! 4. **Arrange.** Rules that are never broken, variety (maximal marginal relevance; Carbonell and Goldstein, SIGIR 1998), places
//!    for small sellers, sponsored places and exploration, each place with its propensity, in `dhow-ranking`.
//! 5. **Fall back.** What is still open, or everything when nobody is known, is filled by the chain: bought together (on the
//!    cart) → session → history → trending in the region → best sellers of the category → popular. Every item carries a
//!    [`Reason`] and its [`Step`]; a slate that needed a weaker step than its request had context for says `degraded`; it is
//!    empty only when nothing is eligible.
//!
//! [`train`] learns the chain, [`RecommendModel::with_ranking`] adds steps 2 to 4, [`RecommendModel::with_kits`] starter kits. [`LiveState`] takes each interaction in as
//! it happens; [`LiveRecommender`] lets the next slate know it. [`evaluation`] holds the metrics, the next-item protocol with
//! its baselines, and the choice of settings on a validation part.
//!
//! Time comes from the events, nothing but exploration is random, and that by the request's seed; answers do not depend on
//! the number of threads.

mod chain;
pub mod evaluation;
mod input;
mod items;
mod kits;
mod lists;
mod live;
mod marks;
mod model;
mod neighbours;
mod places;
mod popularity;
mod ranking;
mod sequences;
mod settings;
mod slate;
mod together;

pub use input::{CatalogueItem, Interaction, InteractionKind, PriceBand, ServedSlate};
pub use kits::Complement;
pub use live::{
    LiveRecommender, LiveState, MAX_LIVE_KEYS, MAX_LIVE_REGIONS, MAX_RECENT_PRODUCTS, MAX_TRENDING_PRODUCTS, Trending,
};
pub use model::{
    Companion, MAX_INTERACTIONS, ModelFileError, RecommendModel, Related, TrainError, TrainingSummary, train,
};
pub use popularity::{MAX_REGION_CATEGORY_PRODUCTS, MAX_REGION_PRODUCTS};
pub use ranking::{
    Attraction, Learned, MAX_CANDIDATES, MAX_RANKED_CASES, RankingSettings, TrainedRanker, choose_ranking, learn_ranker,
};
pub use settings::{KindWeights, Settings};
pub use slate::{
    MAX_COUNT, MAX_EXCLUDED, MAX_SEEDS, Objective, Outcome, Reason, RecommendError, Recommender, Seen, Slate,
    SlateItem, SlateRequest, SponsoredOffer, Step, StepCount, Surface,
};
pub use together::MAX_BASKET_PRODUCTS;
