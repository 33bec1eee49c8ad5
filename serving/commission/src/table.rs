//! Tables of rates: what they hold, how they are checked, and which one counts at a time; a table never changes.

use std::collections::BTreeMap;

use dhow_events::{Category, Timestamp};
use dhow_ledger::divide::RatePpm;
use serde::{Deserialize, Serialize};

/// One whole, in millionths.
const WHOLE_PPM: u32 = 1_000_000;

/// A seller's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// No monthly price.
    Free,
    /// The plan in the middle.
    Professional,
    /// The largest plan.
    Enterprise,
}

/// How much a category earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// More than most.
    High,
    /// Less than most.
    Low,
}

/// The rates of base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRates {
    /// Of the free plan.
    pub free: u32,
    /// Of the professional plan.
    pub professional: u32,
    /// Of the enterprise plan.
    pub enterprise: u32,
}

/// What sellers above some sales get off, up to the next band.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeBand {
    /// Settled sales of the month before, in cents of USD, from which on it counts.
    pub from_usd_minor: i64,
    /// Points off, in millionths.
    pub discount_ppm: u32,
    /// Whether a seller's contract may name other points.
    #[serde(default)]
    pub contract: bool,
}

/// What sellers of a plan get off above some sales.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanDiscount {
    /// The plan.
    pub plan: Plan,
    /// Settled sales of the month before, in cents of USD, from which on it counts.
    pub from_usd_minor: i64,
    /// Points off, in millionths.
    pub discount_ppm: u32,
}

/// A category that costs nothing for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strategic {
    /// The category.
    pub category: Category,
    /// From when on.
    pub from: Timestamp,
    /// Until when; this instant is no longer free.
    pub until: Timestamp,
}

/// A version of the rates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommissionTable {
    /// Its number; later tables have larger ones.
    pub version: u32,
    /// Orders placed from then on are under it, until the next version's time.
    pub from: Timestamp,
    /// The least rate, in millionths.
    pub floor_ppm: u32,
    /// The least commission on a seller's order, in cents of USD.
    pub minimum_usd_minor: i64,
    /// Points on categories of high margin, in millionths.
    pub high_margin_ppm: i32,
    /// Points on categories of low margin, in millionths.
    pub low_margin_ppm: i32,
    /// Where it begins, by plan.
    pub base_ppm: BaseRates,
    /// Discounts by volume, by rising sales.
    #[serde(default)]
    pub volume: Vec<VolumeBand>,
    /// Discounts of plans.
    #[serde(default)]
    pub plan: Vec<PlanDiscount>,
    /// Categories of high and low margin.
    #[serde(default)]
    pub margins: BTreeMap<String, Margin>,
    /// Categories that cost nothing for a time.
    #[serde(default)]
    pub strategic: Vec<Strategic>,
}

/// Why tables were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A rate of more than everything.
    #[error("version {version}: {field} is {ppm} millionths, which is more than 100 %")]
    Rate {
        /// The table.
        version: u32,
        /// The field.
        field: &'static str,
        /// Its value.
        ppm: u32,
    },
    /// A negative amount.
    #[error("version {version}: {field} is {amount}; it cannot be below zero")]
    Negative {
        /// The table.
        version: u32,
        /// The field.
        field: &'static str,
        /// Its value.
        amount: i64,
    },
    /// Bands that do not rise.
    #[error("version {version}: the volume band from {from_usd_minor} does not lie above the one before it")]
    Order {
        /// The table.
        version: u32,
        /// Where the band begins.
        from_usd_minor: i64,
    },
    /// A strategic category whose time ends before it begins.
    #[error("version {version}: category {category} is free until before it begins to be")]
    Dates {
        /// The table.
        version: u32,
        /// The category.
        category: Category,
    },
    /// Versions whose numbers and times do not rise together.
    #[error("version {version} does not follow the one before it in number and time")]
    Versions {
        /// The later one.
        version: u32,
    },
    /// No table at all.
    #[error("there is no table")]
    None,
    /// A text that is no table.
    #[error("it is no table of rates: {0}")]
    Text(String),
}

impl CommissionTable {
    fn check(&self) -> Result<(), TableError> {
        let version = self.version;
        let base = &self.base_ppm;
        let rates =
            [("floor_ppm", self.floor_ppm), ("base_ppm.free", base.free), ("base_ppm.professional", base.professional)];
        let rates = rates.into_iter().chain([("base_ppm.enterprise", base.enterprise)]);
        let volume = self.volume.iter().map(|band| ("volume.discount_ppm", band.discount_ppm));
        let plan = self.plan.iter().map(|discount| ("plan.discount_ppm", discount.discount_ppm));
        if let Some((field, ppm)) = rates.chain(volume).chain(plan).find(|(_, ppm)| *ppm > WHOLE_PPM) {
            return Err(TableError::Rate { version, field, ppm });
        }
        let margins = [("high_margin_ppm", self.high_margin_ppm), ("low_margin_ppm", self.low_margin_ppm)];
        if let Some((field, ppm)) = margins.into_iter().find(|(_, ppm)| ppm.unsigned_abs() > WHOLE_PPM) {
            return Err(TableError::Rate { version, field, ppm: ppm.unsigned_abs() });
        }
        let amounts = self.volume.iter().map(|band| ("volume.from_usd_minor", band.from_usd_minor));
        let amounts = amounts.chain(self.plan.iter().map(|discount| ("plan.from_usd_minor", discount.from_usd_minor)));
        let mut amounts = amounts.chain([("minimum_usd_minor", self.minimum_usd_minor)]);
        if let Some((field, amount)) = amounts.find(|(_, amount)| *amount < 0) {
            return Err(TableError::Negative { version, field, amount });
        }
        if let Some(pair) = self.volume.windows(2).find(|pair| pair[0].from_usd_minor >= pair[1].from_usd_minor) {
            return Err(TableError::Order { version, from_usd_minor: pair[1].from_usd_minor });
        }
        match self.strategic.iter().find(|strategic| strategic.from >= strategic.until) {
            Some(strategic) => Err(TableError::Dates { version, category: strategic.category }),
            None => Ok(()),
        }
    }

    pub(crate) fn base(&self, plan: Plan) -> RatePpm {
        RatePpm(match plan {
            Plan::Free => self.base_ppm.free,
            Plan::Professional => self.base_ppm.professional,
            Plan::Enterprise => self.base_ppm.enterprise,
        })
    }
}

/// All versions of a tenant's rates, by rising number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommissionTables(Vec<CommissionTable>);

impl CommissionTables {
    /// Takes versions in the order of their numbers.
    ///
    /// # Errors
    /// No version, one that is wrong by itself, or one that does not follow the one before it.
    pub fn new(tables: Vec<CommissionTable>) -> Result<Self, TableError> {
        if tables.is_empty() {
            return Err(TableError::None);
        }
        tables.iter().try_for_each(CommissionTable::check)?;
        match tables.windows(2).find(|pair| pair[0].version >= pair[1].version || pair[0].from >= pair[1].from) {
            Some(pair) => Err(TableError::Versions { version: pair[1].version }),
            None => Ok(Self(tables)),
        }
    }

    /// The marketplace's own rates, [`crate::DEFAULT_TABLE`].
    ///
    /// # Errors
    /// None for the text that is built in.
    pub fn marketplace() -> Result<Self, TableError> {
        let table = toml::from_str(crate::DEFAULT_TABLE).map_err(|error| TableError::Text(error.to_string()))?;
        Self::new(vec![table])
    }

    /// The table that counts for orders placed at `time`; none before the first.
    pub fn at(&self, time: Timestamp) -> Option<&CommissionTable> {
        self.0.iter().rev().find(|table| table.from <= time)
    }
}
