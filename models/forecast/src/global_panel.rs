//! The table that a global model learns from and forecasts: many series over the same days, checked; features are elsewhere.

use dhow_trees::{ForestError, LearnError};

/// The most series of a panel.
pub const MAX_PANEL_SERIES: usize = 1 << 20;

/// One series of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelSeries {
    /// The number of its kind, such as all demand, a region, a product, a product in a region.
    pub level: u32,
    /// The number of its category; series of one level and category inform each other.
    pub category: u32,
    /// The number of its region, or of all regions together.
    pub region: u32,
    /// How much its errors count beside those of others, above 0.
    pub importance: f64,
    /// One value per day of the history, at least 0. NaN is missing: a day without stock says nothing of the demand.
    pub demand: Vec<f64>,
    /// The price per day of the history and of the horizon, NaN where unknown; or empty.
    pub price: Vec<f64>,
    /// The depth of a promotion per day of the history and of the horizon, 0 for none; or empty.
    pub promotion: Vec<f64>,
}

/// Series over the same days.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The first day of the history, days since 1970-01-01 UTC.
    pub first_day: i64,
    /// Days of the history.
    pub days: usize,
    /// The series.
    pub series: Vec<PanelSeries>,
    /// The number of an event, such as a holiday, per day of the history and of the horizon, 0 for none; or empty.
    pub events: Vec<u32>,
}

/// Why a global model cannot be learned or asked.
#[derive(Debug, thiserror::Error)]
pub enum GlobalError {
    /// No series, or too many.
    #[error("{found} series; between 1 and {MAX_PANEL_SERIES} are needed")]
    Count {
        /// Series given.
        found: usize,
    },
    /// A list of a series has the wrong length.
    #[error("series {series}: {found} values of {what}; {expected} are needed")]
    Length {
        /// Position of the series.
        series: usize,
        /// Which list.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// A value is out of its range.
    #[error("series {series}: {what} of day {day} is {value}; it must be {range}")]
    Value {
        /// Position of the series.
        series: usize,
        /// Which list.
        what: &'static str,
        /// Position of the day.
        day: usize,
        /// What it is.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
    /// A setting is out of its range.
    #[error("{name} is {found}; it must be {range}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it is.
        found: usize,
        /// What would be right.
        range: &'static str,
    },
    /// The history is too short to learn from.
    #[error("{days} days of history hold no day to learn from; at least {needed} are needed, with demand")]
    TooShort {
        /// Days given.
        days: usize,
        /// Fewest days.
        needed: usize,
    },
    /// The trees cannot be learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The trees cannot be asked.
    #[error(transparent)]
    Forest(#[from] ForestError),
}

impl Panel {
    /// Refuses what cannot be learned from, naming the first place that is wrong.
    pub(crate) fn check(&self, horizon: usize) -> Result<(), GlobalError> {
        if !(1..=MAX_PANEL_SERIES).contains(&self.series.len()) {
            return Err(GlobalError::Count { found: self.series.len() });
        }
        let reach = self.days + horizon;
        for (at, series) in self.series.iter().enumerate() {
            let length = |what, found: usize, expected: usize, may_be_empty: bool| match found {
                0 if may_be_empty => Ok(()),
                found if found == expected => Ok(()),
                found => Err(GlobalError::Length { series: at, what, found, expected }),
            };
            length("demand", series.demand.len(), self.days, false)?;
            length("price", series.price.len(), reach, true)?;
            length("promotion", series.promotion.len(), reach, true)?;
            length("events", self.events.len(), reach, true)?;
            let missing_or_not_negative = |value: f64| value.is_nan() || (value.is_finite() && value >= 0.0);
            check_values(at, "demand", &series.demand, missing_or_not_negative)?;
            check_values(at, "price", &series.price, missing_or_not_negative)?;
            check_values(at, "promotion", &series.promotion, missing_or_not_negative)?;
            check_values(at, "importance", &[series.importance], |value| value.is_finite() && value > 0.0)?;
        }
        Ok(())
    }
}

fn check_values(
    series: usize,
    what: &'static str,
    values: &[f64],
    allowed: impl Fn(f64) -> bool,
) -> Result<(), GlobalError> {
    let range = if what == "importance" { "finite and above 0" } else { "finite and at least 0, or NaN where missing" };
    match values.iter().position(|value| !allowed(*value)) {
        Some(day) => Err(GlobalError::Value { series, what, day, value: values[day], range }),
        None => Ok(()),
    }
}
