//! The aggregates by name and what each may be asked of; their arithmetic stands in `accumulator`.

use std::fmt;
use std::str::FromStr;

use dhow_events::ColumnType;

use crate::{DefinitionError, Span, Window};

/// The steps into which decay divides a half-life.
pub const STEPS_PER_HALF_LIFE: i64 = 64;
/// The longest window of a decayed sum, in half-lives; older events weigh less than 1 in 10^19.
pub const MAX_HALF_LIVES: i64 = 64;

/// The most latest values that `last_<n>` keeps.
pub const MAX_LAST: u8 = 32;
/// The most frequent values whose shares `top_<k>` tells.
pub const MAX_TOP: u8 = 32;

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
    /// About how many different values: a HyperLogLog of 4096 registers, standard error 1.6 %. Nothing: 0.
    ApproxDistinctCount,
    /// The least value that at least this share of the values does not exceed, rounded to eight significant bits: a
    /// relative error of at most 1/256, and none for whole numbers up to 256. Integers are read as floats first.
    /// Nothing: no value. Written `quantile_50` or, with tenths of a percent, `quantile_99_9`.
    Quantile {
        /// The share in thousandths, 1 to 999.
        per_mille: u16,
    },
    /// One of the latest values by (event time, event id). Fewer than `place`: no value. Written `last_3_1`; a definition
    /// file asks for all three by `last_3`.
    LastN {
        /// How many are kept, 1 to [`MAX_LAST`].
        count: u8,
        /// Which one this is, from 1, the latest.
        place: u8,
    },
    /// The share of the values that are the most frequent one, or the next, and so on: exact. Fewer different values than
    /// `place`: 0. Nothing: no value. Written `top_3_1`; a definition file asks for all three by `top_3`.
    TopK {
        /// How many are told, 1 to [`MAX_TOP`].
        count: u8,
        /// Which one this is, from 1, the most frequent.
        place: u8,
    },
    /// One feature of the view divided by another over the same window; see [`crate::RatioParts`]. No value where either
    /// has none or the divisor is zero. It is not accumulated.
    Ratio,
}

/// Aggregates without parameters, by name.
const PLAIN: [(&str, Aggregate); 13] = [
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("mean", Aggregate::Mean),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("variance", Aggregate::Variance),
    ("first", Aggregate::First),
    ("last", Aggregate::Last),
    ("distinct_count", Aggregate::DistinctCount),
    ("approx_distinct_count", Aggregate::ApproxDistinctCount),
    ("time_since_first", Aggregate::TimeSinceFirst),
    ("time_since_last", Aggregate::TimeSinceLast),
    ("ratio", Aggregate::Ratio),
];

const DECAYED_SUM: &str = "decayed_sum_";
const QUANTILE: &str = "quantile_";
const LAST: &str = "last_";
const TOP: &str = "top_";

impl Aggregate {
    /// Whether a column must be named, must not be, or may be.
    fn needs_column(self) -> Option<bool> {
        match self {
            Self::Count => None,
            Self::TimeSinceFirst | Self::TimeSinceLast | Self::Ratio => Some(false),
            _ => Some(true),
        }
    }

    /// Whether it only asks which values are the same.
    pub(crate) fn reads_tokens(self) -> bool {
        matches!(self, Self::DistinctCount | Self::ApproxDistinctCount | Self::TopK { .. })
    }

    /// The aggregate whose accumulator also gives this one.
    pub(crate) fn accumulation(self) -> Self {
        match self {
            Self::Mean => Self::Sum,
            Self::Quantile { .. } => Self::Quantile { per_mille: 500 },
            Self::LastN { count, .. } => Self::LastN { count, place: 1 },
            Self::TopK { .. } => Self::TopK { count: 1, place: 1 },
            other => other,
        }
    }

    /// All that a name in a definition file asks for: `last_3` and `top_3` stand for three aggregates each.
    pub(crate) fn family(text: &str) -> Result<Vec<Self>, DefinitionError> {
        if let Some(count) = text.strip_prefix(LAST).and_then(|rest| rest.parse::<u8>().ok()) {
            check_place(LAST, count, 1, MAX_LAST)?;
            return Ok((1..=count).map(|place| Self::LastN { count, place }).collect());
        }
        if let Some(count) = text.strip_prefix(TOP).and_then(|rest| rest.parse::<u8>().ok()) {
            check_place(TOP, count, 1, MAX_TOP)?;
            return Ok((1..=count).map(|place| Self::TopK { count, place }).collect());
        }
        Ok(vec![text.parse()?])
    }

    /// Checks that the aggregate can be computed over a column of this type (or none) and in this window.
    pub(crate) fn check(self, column: Option<ColumnType>, window: Window) -> Result<(), DefinitionError> {
        let refuse = |message: String| Err(DefinitionError::Meaning(message));
        match (self.needs_column(), column) {
            (Some(true), None) => return refuse(format!("`{self}` needs a column")),
            (Some(false), Some(_)) => return refuse(format!("`{self}` takes no column")),
            (Some(true), Some(ColumnType::Text | ColumnType::Id(_))) if !self.reads_tokens() => {
                return refuse(format!(
                    "`{self}` needs a column of numbers; of texts and ids only `count`, `distinct_count`, \
                     `approx_distinct_count` and `top_<k>` can be taken"
                ));
            }
            _ => {}
        }
        match self {
            Self::Quantile { per_mille } if !(1..1000).contains(&per_mille) => {
                return refuse(format!("a quantile of {per_mille} thousandths is not between 0 and 1"));
            }
            Self::LastN { count, place } => check_place(LAST, count, place, MAX_LAST)?,
            Self::TopK { count, place } => check_place(TOP, count, place, MAX_TOP)?,
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
            Self::Quantile { per_mille } if per_mille % 10 == 0 => write!(f, "{QUANTILE}{}", per_mille / 10),
            Self::Quantile { per_mille } => write!(f, "{QUANTILE}{}_{}", per_mille / 10, per_mille % 10),
            Self::LastN { count, place } => write!(f, "{LAST}{count}_{place}"),
            Self::TopK { count, place } => write!(f, "{TOP}{count}_{place}"),
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
        let strip = |prefix| text.strip_prefix(prefix);
        if let Some(half_life) = strip(DECAYED_SUM) {
            return Ok(Self::DecayedSum { half_life: half_life.parse()? });
        }
        if let Some(percent) = strip(QUANTILE) {
            return parse_quantile(percent);
        }
        if let Some((count, place)) = strip(LAST).and_then(parse_place) {
            check_place(LAST, count, place, MAX_LAST)?;
            return Ok(Self::LastN { count, place });
        }
        if let Some((count, place)) = strip(TOP).and_then(parse_place) {
            check_place(TOP, count, place, MAX_TOP)?;
            return Ok(Self::TopK { count, place });
        }
        let names: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
        Err(DefinitionError::Meaning(format!(
            "`{text}` is not an aggregate; known are {}, decayed_sum_<half-life>, quantile_<percent>, last_<n> and top_<k>",
            names.join(", ")
        )))
    }
}

/// A percentage such as `5`, `50` or `99_9`.
fn parse_quantile(text: &str) -> Result<Aggregate, DefinitionError> {
    let (whole, tenths) = text.split_once('_').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| {
        let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse::<u16>().ok() } else { None }
    };
    match (digits(whole, 2), digits(tenths, 1)) {
        (Some(whole), Some(tenths)) if whole * 10 + tenths > 0 => {
            Ok(Aggregate::Quantile { per_mille: whole * 10 + tenths })
        }
        _ => Err(DefinitionError::Meaning(format!(
            "`{QUANTILE}{text}` is not a quantile; write a percentage above 0 and below 100 such as {QUANTILE}50, or \
             {QUANTILE}99_9 for 99.9 %"
        ))),
    }
}

/// Two numbers such as `3_1`.
fn parse_place(text: &str) -> Option<(u8, u8)> {
    let (count, place) = text.split_once('_')?;
    Some((count.parse().ok()?, place.parse().ok()?))
}

fn check_place(prefix: &str, count: u8, place: u8, most: u8) -> Result<(), DefinitionError> {
    if (1..=most).contains(&count) && (1..=count).contains(&place) {
        return Ok(());
    }
    Err(DefinitionError::Meaning(format!(
        "`{prefix}{count}_{place}`: `{prefix}<n>` takes 1 to {most}, and its places go from 1 to n"
    )))
}
