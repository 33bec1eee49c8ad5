//! The aggregates by name and what each may be asked of; their arithmetic stands in `accumulator`.

use std::fmt;
use std::str::FromStr;

use dhow_events::ColumnType;

use crate::{DefinitionError, Span, Window};

/// The steps into which decay divides a half-life.
pub const STEPS_PER_HALF_LIFE: i64 = 64;
/// The longest window of a decayed sum, in half-lives; older events weigh less than 1 in 10^19.
pub const MAX_HALF_LIVES: i64 = 64;

/// What is computed over the events of a window. Missing values are left out; `n` is the number of the others.
///
/// Integers, booleans (0 and 1) and instants (microseconds) are summed as 128-bit integers. Floats are summed without
/// rounding; one that is not finite or above 1e100 in magnitude counts as missing, one below 1e-100 as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregate {
    /// Events, or values of a column where one is named. Nothing: 0.
    Count,
    /// Exact sum, rounded once. Nothing: 0.
    Sum,
    /// The rounded exact sum divided by `n`. Nothing: no value.
    Mean,
    /// The least value. Nothing: no value.
    Min,
    /// The greatest value. Nothing: no value.
    Max,
    /// Sample variance: the exact `n Σx² - (Σx)²`, rounded once, divided by `n (n - 1)`; integers are read as floats
    /// first. Fewer than two: no value.
    Variance,
    /// The value of the earliest event by (event time, event id). Nothing: no value.
    First,
    /// The value of the latest event by (event time, event id). Nothing: no value.
    Last,
    /// How many different values, exactly. Nothing: 0.
    DistinctCount,
    /// Sum of values, each weighed by half for every half-life between it and the window's end. Time is counted in
    /// steps of 1/64 half-life since 1970: with `k(t) = floor(t / step)` the weight is `2^((k(event) - k(end)) / 64)`,
    /// applied as `RISE[k(event) mod 64] · 2^(k(event) div 64 - k(end) div 64)` to each value, the exact sum rounded
    /// once, times `FALL[k(end) mod 64]`. Nothing: 0.
    DecayedSum {
        /// The time in which a weight halves.
        half_life: Span,
    },
    /// Seconds from the earliest event in the window to the instant of the read. Nothing: no value.
    TimeSinceFirst,
    /// Seconds from the latest event in the window to the instant of the read. Nothing: no value.
    TimeSinceLast,
}

/// Aggregates without parameters, by name.
const PLAIN: [(&str, Aggregate); 11] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("mean", Aggregate::Mean),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("variance", Aggregate::Variance),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("distinct_count", Aggregate::DistinctCount),
    ("time_since_first", Aggregate::TimeSinceFirst),
    ("time_since_last", Aggregate::TimeSinceLast),
];

const DECAYED_SUM: &str = "decayed_sum_";

impl Aggregate {
    /// Whether a column must be named, must not be, or may be.
    fn needs_column(self) -> Option<bool> {
        match self {
            Self::Count => None,
            Self::TimeSinceFirst | Self::TimeSinceLast => Some(false),
            _ => Some(true),
        }
    }

    /// Checks that the aggregate can be computed over a column of this type (or none) and in this window.
    pub(crate) fn check(self, column: Option<ColumnType>, window: Window) -> Result<(), DefinitionError> {
        let refuse = |message: String| Err(DefinitionError::Meaning(message));
        match (self.needs_column(), column) {
            (Some(true), None) => return refuse(format!("`{self}` needs a column")),
            (Some(false), Some(_)) => return refuse(format!("`{self}` is of event times; it takes no column")),
            (Some(true), Some(ColumnType::Text | ColumnType::Id(_))) if self != Self::DistinctCount => {
                return refuse(format!(
                    "`{self}` needs a column of numbers; of texts and ids only `count` and `distinct_count` can be taken"
                ));
            }
            _ => {}
        }
        if let Self::DecayedSum { half_life } = self {
            let longest = half_life.micros().saturating_mul(MAX_HALF_LIVES);
            if window.length_micros().is_none_or(|length| length + window.hop_micros() > longest) {
                return refuse(format!(
                    "`{self}` needs a window of at most {MAX_HALF_LIVES} half-lives (with its hop); `{window}` is longer"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecayedSum { half_life } => write!(f, "{DECAYED_SUM}{half_life}"),
            plain => {
                let name = PLAIN.iter().find(|(_, aggregate)| aggregate == plain).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

impl FromStr for Aggregate {
    type Err = DefinitionError;
    fn from_str(text: &str) -> Result<Self, DefinitionError> {
        if let Some((_, aggregate)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(*aggregate);
        }
        match text.strip_prefix(DECAYED_SUM) {
            Some(half_life) => Ok(Self::DecayedSum { half_life: half_life.parse()? }),
            None => {
                let names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
                Err(DefinitionError::Meaning(format!(
                    "`{text}` is not an aggregate; known are {} and decayed_sum_<half-life>",
                    names.join(", ")
                )))
            }
        }
    }
}
