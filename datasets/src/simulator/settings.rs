//! What a simulation is asked for, and the three scales that are ready; every share that the world declares stands here.

use std::fmt;
use std::str::FromStr;

use dhow_events::{DAY_MICROS, TenantId, Timestamp};

/// The midnight after the last day of the ready scales: 2026-05-29; their last day is a Thursday, the busiest weekday.
const END_OF_READY_SCALES: Timestamp = Timestamp::from_micros(20_602 * DAY_MICROS);

/// A ready size of simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// About 300,000 events over 74 days.
    Small,
    /// About 2,000,000 events over 179 days.
    Medium,
    /// 10,000,000 events or a little more over 361 days.
    Large,
}

/// A word that names no scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scale; it is small, medium or large")]
pub struct ScaleError(pub String);

impl FromStr for Scale {
    type Err = ScaleError;
    fn from_str(text: &str) -> Result<Self, ScaleError> {
        match text {
            "small" => Ok(Self::Small),
            "medium" => Ok(Self::Medium),
            "large" => Ok(Self::Large),
            _ => Err(ScaleError(text.to_owned())),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        })
    }
}

/// Everything that decides a simulation: equal settings give the identical stream.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationSettings {
    /// Seed of every draw.
    pub seed: u64,
    /// Whose events they are.
    pub tenant: TenantId,
    /// Midnight (UTC) of the first day.
    pub start: Timestamp,
    /// How many days.
    pub days: u32,
    /// Buyers that ever join, 100 or more. About half of them order within a year.
    pub buyers: u32,
    /// Products that are ever listed, 100 or more.
    pub products: u32,
    /// Sellers, from 4 to a tenth of the products.
    pub sellers: u32,
    /// Visits that end without a checkout, for each checkout.
    pub visits_per_checkout: f64,
    /// The share of checkouts that are fraud, 0 to 0.05.
    pub fraud_prevalence: f64,
    /// The share of the events of kinds that can be late that arrive more than a minute after they happened, 0 to 0.5.
    pub late_share: f64,
    /// The share of the events that arrive twice, 0 to 0.5.
    pub duplicate_share: f64,
}

/// Why a simulation cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// A setting is out of its range.
    #[error("{name} is {value}; it must be {rule}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        rule: &'static str,
    },
    /// The built-in list of places is wrong.
    #[error(transparent)]
    Place(#[from] super::places::PlaceError),
    /// The built-in list of categories is wrong.
    #[error("a category is not valid: {0}")]
    Category(#[from] dhow_events::TextError),
}

impl SimulationSettings {
    /// The settings of a ready scale. The small one has more fraud (0.8 % of checkouts instead of 0.3 %), so that its
    /// short history holds enough labelled cases to train on.
    pub fn at_scale(scale: Scale, seed: u64) -> Self {
        let (days, buyers, products, sellers, fraud_prevalence) = match scale {
            Scale::Small => (74, 9_000, 1_600, 24, 0.008),
            Scale::Medium => (179, 25_000, 3_000, 60, 0.003),
            Scale::Large => (361, 71_000, 6_000, 150, 0.003),
        };
        Self {
            seed,
            tenant: TenantId::default(),
            start: END_OF_READY_SCALES - i64::from(days) * DAY_MICROS,
            days,
            buyers,
            products,
            sellers,
            visits_per_checkout: 0.8,
            fraud_prevalence,
            late_share: 0.02,
            duplicate_share: 0.005,
        }
    }

    /// The end of the simulation: midnight after the last day.
    pub fn end(&self) -> Timestamp {
        self.start + i64::from(self.days) * DAY_MICROS
    }

    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is out of its range, with the range.
    pub fn check(&self) -> Result<(), SimulationError> {
        let wrong = |name, value: String, rule| Err(SimulationError::Setting { name, value, rule });
        if self.start.micros() % DAY_MICROS != 0 || self.start.micros() < 0 {
            return wrong("start", self.start.to_string(), "a midnight in UTC after 1970");
        }
        for (name, value, low, high, rule) in [
            ("days", self.days, 1, 3660, "from 1 to 3660"),
            ("buyers", self.buyers, 100, 5_000_000, "from 100 to 5,000,000"),
            ("products", self.products, 100, 200_000, "from 100 to 200,000"),
            ("sellers", self.sellers, 4, self.products / 10, "from 4 to a tenth of the products"),
        ] {
            if !(low..=high).contains(&value) {
                return wrong(name, value.to_string(), rule);
            }
        }
        for (name, value, high, rule) in [
            ("visits_per_checkout", self.visits_per_checkout, 100.0, "from 0 to 100"),
            ("fraud_prevalence", self.fraud_prevalence, 0.05, "from 0 to 0.05"),
            ("late_share", self.late_share, 0.5, "from 0 to 0.5"),
            ("duplicate_share", self.duplicate_share, 0.5, "from 0 to 0.5"),
        ] {
            if !(0.0..=high).contains(&value) {
                return wrong(name, value.to_string(), rule);
            }
        }
        Ok(())
    }
}
