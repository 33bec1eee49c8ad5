//! What is bought in one basket: pairs, starter kits, and what became of them; it sets no price and reads no clock.
//!
//! [`BundleModel::fit`] reads baskets of dense item numbers, each with the number of its region:
//!
//! 1. A pair's *support* is the number of baskets that hold both items, its *confidence* the share of the first item's
//!    baskets that hold the second, its *lift* how many times more often the two meet than they would by chance (Brin et al.,
//!    SIGMOD 1997).
//! 2. Lift alone is led by coincidences of rare items. So a pair counts only with enough support and enough *evidence*,
//!    the log-likelihood ratio of its two-by-two table (Dunning 1993), and partners are ordered by evidence.
//! 3. This is done for each region with enough baskets, and for all baskets together, which stand in where a region
//!    knows too little. Every answer says from which of the two it is.
//!
//! [`BundleModel::partners`] answers "bought together", [`BundleModel::kit`] puts a starter kit together, and [`follow_up`]
//! counts in later baskets what became of bundles. Results do not depend on the number of threads.

mod baskets;
mod error;
mod follow_up;
mod model;
mod scope;

pub use baskets::{MAX_BASKET_ITEMS, MAX_ENTRIES, MAX_ITEMS};
pub use error::BundlesError;
pub use follow_up::{
    Bundle, BundleOutcome, Difference, LaterBasket, MAX_BUNDLE_ITEMS, MAX_BUNDLES, MAX_LATER_BASKETS, MAX_PRICE_MINOR,
    follow_up,
};
pub use model::{
    BundleModel, BundleSettings, Kit, KitRules, MAX_KIT_COMPLEMENTS, MAX_REGIONS, MIN_KIT_COMPLEMENTS, Partner, Reach,
};
pub use scope::MAX_PARTNERS;
