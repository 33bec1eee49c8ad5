//! How long a parcel takes: quantiles learned from deliveries, calibrated by region, and the date to promise; it plans no route.
//!
//! A [`Parcel`] is asked about at a moment: when it is ordered, or when it leaves the seller. What is known at that moment, and
//! nothing later, becomes features (`History`): the time that the way takes at a constant speed as the base; means of past
//! deliveries by lane, place, seller and carrier, shrunk towards those of wider groups; weekday, hour, weight. For each of
//! [`LEVELS`] boosted trees learn the quantile of the logarithm of the minutes, relative to what the means expect
//! (`dhow_trees::Loss::Quantile`). The quantiles are then shifted in each region of delivery so that the latest deliveries
//! lie below them as often as they should (conformalised quantile regression: Romano, Patterson and Candès 2019), and sorted, so
//! that they never cross (Chernozhukov, Fernández-Val and Galichon 2010).
//!
//! [`DeliveryModel::learn`] judges on the latest deliveries before it learns from all; [`DeliveryModel::observe`] takes a
//! delivery into the means, and moves the shifts of its region a little (Gibbs and Candès 2021), in microseconds; [`UnderWay`]
//! makes deliveries of what is told of orders and parcels; [`promise()`] chooses the day whose expected cost of late and early is least.

mod error;
mod history;
mod judge;
mod model;
mod promise;
mod stage;
mod under_way;

pub use error::DeliveryError;
pub use history::{Expectation, FEATURES, is_category};
pub use judge::{RegionQuality, StageQuality};
pub use model::{DeliveryModel, Learned, Stage};
pub use promise::{PROMISE_DAYS_MAX, Promise, PromiseCosts, promise};
pub use stage::{FeatureTable, Split, feature_table};
pub use under_way::{Dispatch, UnderWay};

use dhow_events::{CarrierId, MINUTE_MICROS, Region, SellerId, Timestamp};
use serde::{Deserialize, Serialize};

/// The probabilities of the quantiles.
pub const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];
/// The longest time under way, minutes: 180 days.
pub const MINUTES_MAX: f64 = 180.0 * 24.0 * 60.0;
/// The heaviest parcel, grams.
pub const WEIGHT_GRAMS_MAX: i64 = 100_000_000;

/// A parcel as it is known at the moment of the question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Who sends it.
    pub seller: SellerId,
    /// Who carries it; not known yet before it leaves.
    pub carrier: Option<CarrierId>,
    /// From where.
    pub origin: Region,
    /// To where.
    pub destination: Region,
    /// The place of delivery, degrees north.
    pub latitude: f64,
    /// The place of delivery, degrees east.
    pub longitude: f64,
    /// How heavy it is, grams.
    pub weight_grams: i64,
    /// When the time begins to count.
    pub at: Timestamp,
}

/// A parcel that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The parcel.
    pub parcel: Parcel,
    /// The minutes that it took, above 0.
    pub minutes: f64,
}

impl Delivery {
    /// When it arrived.
    pub fn delivered_at(&self) -> Timestamp {
        Timestamp::from_micros(self.parcel.at.micros().saturating_add((self.minutes * MINUTE_MICROS as f64) as i64))
    }
}
