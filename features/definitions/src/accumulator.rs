//! The exact arithmetic of aggregates: update with one event, merge two parts, finish into a float; it keeps no windows.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exact::power_of_two;
use crate::sketch::{bucket, bucket_value};
use crate::{Aggregate, CellKind, ExactSum, HyperLogLog, STEPS_PER_HALF_LIFE, Window};

/// Floats above this magnitude count as missing.
pub const MAX_FLOAT_MAGNITUDE: f64 = 1e100;
/// Floats below this magnitude count as zero.
pub const MIN_FLOAT_MAGNITUDE: f64 = 1e-100;

/// One value as the aggregates see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// Nothing is known.
    Missing,
    /// An integer, a boolean (0, 1) or an instant (microseconds).
    Integer(i64),
    /// A float that [`Cell::of_float`] has admitted.
    Float(f64),
    /// What tells one value of a column from another: the bits of an id or a 128-bit hash.
    Token(u128),
}

impl Cell {
    /// Admits a float: one that is not finite or too large is missing, a tiny one is zero, and zero has no sign.
    pub fn of_float(value: f64) -> Self {
        if !value.is_finite() || value.abs() > MAX_FLOAT_MAGNITUDE {
            Self::Missing
        } else if value.abs() < MIN_FLOAT_MAGNITUDE {
            Self::Float(0.0)
        } else {
            Self::Float(value)
        }
    }

    /// The number, if it is one.
    pub fn as_float(self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Missing | Self::Token(_) => None,
        }
    }
}

/// The intermediate value of one aggregate. The order of updates and merges never changes what `finish` gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Accumulator {
    /// Of [`Aggregate::Count`].
    Count(u64),
    /// Of sums and means of integers.
    Integers {
        /// Number of values.
        count: u64,
        /// Their sum.
        total: i128,
    },
    /// Of sums and means of floats.
    Floats {
        /// Number of values.
        count: u64,
        /// Their sum.
        total: ExactSum,
    },
    /// Of [`Aggregate::Variance`].
    Squares {
        /// Number of values.
        count: u64,
        /// Their sum.
        total: ExactSum,
        /// The sum of their squares.
        squares: ExactSum,
    },
    /// Of [`Aggregate::Min`].
    Least(Option<f64>),
    /// Of [`Aggregate::Max`].
    Greatest(Option<f64>),
    /// Of [`Aggregate::First`] and [`Aggregate::TimeSinceFirst`]: event time, event id, value.
    Earliest(Option<(i64, u128, f64)>),
    /// Of [`Aggregate::Last`] and [`Aggregate::TimeSinceLast`]: event time, event id, value.
    Latest(Option<(i64, u128, f64)>),
    /// Of [`Aggregate::DistinctCount`].
    Distinct(BTreeSet<u128>),
    /// Of [`Aggregate::DecayedSum`]: weights grow from the landmark, a count of half-lives since 1970.
    Decayed {
        /// Microseconds in a step.
        step_micros: i64,
        /// The half-life since 1970 in which a weight is 1; the first event's.
        landmark: Option<i64>,
        /// The weighed sum.
        total: ExactSum,
    },
    /// Of [`Aggregate::ApproxDistinctCount`].
    Registers(HyperLogLog),
    /// Of [`Aggregate::Quantile`].
    Buckets {
        /// Number of values.
        count: u64,
        /// How many of them were rounded to which number.
        buckets: BTreeMap<i32, u64>,
    },
    /// Of [`Aggregate::LastN`].
    Newest {
        /// How many are kept.
        limit: u8,
        /// Event time, event id and value; the latest first.
        events: Vec<(i64, u128, f64)>,
    },
    /// Of [`Aggregate::TopK`].
    Frequencies {
        /// Number of values.
        count: u64,
        /// How many of them are which token.
        tokens: BTreeMap<u128, u64>,
    },
}

impl Accumulator {
    /// Of nothing yet; `kind` is what the aggregate's column holds, if it has one.
    pub fn new(aggregate: Aggregate, kind: Option<CellKind>) -> Self {
        match aggregate {
            Aggregate::Count => Self::Count(0),
            Aggregate::Sum | Aggregate::Mean if kind == Some(CellKind::Float) => {
                Self::Floats { count: 0, total: ExactSum::default() }
            }
            Aggregate::Sum | Aggregate::Mean => Self::Integers { count: 0, total: 0 },
            Aggregate::Variance => Self::Squares { count: 0, total: ExactSum::default(), squares: ExactSum::default() },
            Aggregate::Min => Self::Least(None),
            // No slot accumulates a ratio; of nothing it has no value, as a greatest value has none.
            Aggregate::Max | Aggregate::Ratio => Self::Greatest(None),
            Aggregate::First | Aggregate::TimeSinceFirst => Self::Earliest(None),
            Aggregate::Last | Aggregate::TimeSinceLast => Self::Latest(None),
            Aggregate::DistinctCount => Self::Distinct(BTreeSet::new()),
            Aggregate::DecayedSum { half_life } => Self::Decayed {
                step_micros: half_life.micros() / STEPS_PER_HALF_LIFE,
                landmark: None,
                total: ExactSum::default(),
            },
            Aggregate::ApproxDistinctCount => Self::Registers(HyperLogLog::default()),
            Aggregate::Quantile { .. } => Self::Buckets { count: 0, buckets: BTreeMap::new() },
            Aggregate::LastN { count, .. } => Self::Newest { limit: count, events: Vec::new() },
            Aggregate::TopK { .. } => Self::Frequencies { count: 0, tokens: BTreeMap::new() },
        }
    }

    /// Takes in one event. `cell` is the column's value; nothing where the aggregate has no column.
    pub fn update(&mut self, event_time: i64, event_id: u128, cell: Option<Cell>) {
        if cell == Some(Cell::Missing) {
            return;
        }
        let number = cell.and_then(Cell::as_float);
        match self {
            Self::Count(count) => *count += 1,
            Self::Integers { count, total } => {
                if let Some(Cell::Integer(value)) = cell {
                    *count += 1;
                    *total += i128::from(value);
                }
            }
            Self::Floats { count, total } => {
                if let Some(value) = number {
                    *count += 1;
                    total.add(value);
                }
            }
            Self::Squares { count, total, squares } => {
                if let Some(value) = number {
                    *count += 1;
                    total.add(value);
                    squares.add_product(value, value, 0);
                }
            }
            Self::Least(least) => *least = either(*least, number, f64::min),
            Self::Greatest(greatest) => *greatest = either(*greatest, number, f64::max),
            Self::Earliest(earliest) => {
                *earliest = earlier(*earliest, Some((event_time, event_id, number.unwrap_or(0.0))))
            }
            Self::Latest(latest) => *latest = later(*latest, Some((event_time, event_id, number.unwrap_or(0.0)))),
            Self::Distinct(tokens) => {
                if let Some(Cell::Token(token)) = cell {
                    tokens.insert(token);
                }
            }
            Self::Decayed { step_micros, landmark, total } => {
                if let Some(value) = number {
                    let (half_lives, step) = decay_steps(event_time, *step_micros);
                    let landmark = *landmark.get_or_insert(half_lives);
                    total.add_product(value, RISE[step], within_limits(half_lives - landmark));
                }
            }
            Self::Registers(sketch) => {
                if let Some(Cell::Token(token)) = cell {
                    sketch.insert(token);
                }
            }
            Self::Buckets { count, buckets } => {
                if let Some(value) = number {
                    *count += 1;
                    *buckets.entry(bucket(value)).or_insert(0) += 1;
                }
            }
            Self::Newest { limit, events } => {
                if let Some(value) = number {
                    keep_newest(events, (event_time, event_id, value), *limit);
                }
            }
            Self::Frequencies { count, tokens } => {
                if let Some(Cell::Token(token)) = cell {
                    *count += 1;
                    *tokens.entry(token).or_insert(0) += 1;
                }
            }
        }
    }

    /// Takes in many events, each as [`Accumulator::update`] does. Common aggregates are asked for only once.
    #[inline]
    pub fn update_all(&mut self, mut events: impl Iterator<Item = (i64, u128, Option<Cell>)>) {
        match self {
            Self::Count(count) => {
                *count += events.filter(|(.., cell)| *cell != Some(Cell::Missing)).count() as u64;
            }
            Self::Integers { count, total } => {
                for (.., cell) in events {
                    if let Some(Cell::Integer(value)) = cell {
                        *count += 1;
                        *total += i128::from(value);
                    }
                }
            }
            Self::Floats { count, total } => {
                for (.., cell) in events {
                    if let Some(value) = cell.and_then(Cell::as_float) {
                        *count += 1;
                        total.add(value);
                    }
                }
            }
            other => events.by_ref().for_each(|(time, id, cell)| other.update(time, id, cell)),
        }
    }

    /// Takes in all that `other`, of the same aggregate, has taken in.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Integers { count, total }, Self::Integers { count: more, total: added }) => {
                *count += more;
                *total += added;
            }
            (Self::Floats { count, total }, Self::Floats { count: more, total: added }) => {
                *count += more;
                total.add_scaled(added, 0);
            }
            (
                Self::Squares { count, total, squares },
                Self::Squares { count: more, total: added, squares: added_squares },
            ) => {
                *count += more;
                total.add_scaled(added, 0);
                squares.add_scaled(added_squares, 0);
            }
            (Self::Least(least), Self::Least(other)) => *least = either(*least, *other, f64::min),
            (Self::Greatest(greatest), Self::Greatest(other)) => *greatest = either(*greatest, *other, f64::max),
            (Self::Earliest(earliest), Self::Earliest(other)) => *earliest = earlier(*earliest, *other),
            (Self::Latest(latest), Self::Latest(other)) => *latest = later(*latest, *other),
            (Self::Distinct(tokens), Self::Distinct(more)) => tokens.extend(more),
            (Self::Decayed { landmark, total, .. }, Self::Decayed { landmark: Some(theirs), total: added, .. }) => {
                let landmark = *landmark.get_or_insert(*theirs);
                total.add_scaled(added, within_limits(theirs - landmark));
            }
            (Self::Decayed { .. }, Self::Decayed { landmark: None, .. }) => {}
            (Self::Registers(sketch), Self::Registers(other)) => sketch.merge(other),
            (Self::Buckets { count, buckets }, Self::Buckets { count: more, buckets: added }) => {
                *count += more;
                add_counts(buckets, added);
            }
            (Self::Newest { limit, events }, Self::Newest { events: more, .. }) => {
                more.iter().for_each(|event| keep_newest(events, *event, *limit));
            }
            (Self::Frequencies { count, tokens }, Self::Frequencies { count: more, tokens: added }) => {
                *count += more;
                add_counts(tokens, added);
            }
            _ => debug_assert!(false, "only accumulators of one aggregate are merged"),
        }
    }

    /// The value of a feature of `aggregate` and `window` for a read at `at`; NaN where there is none. The accumulator is
    /// that of the feature's slot, which can serve several aggregates.
    pub fn finish(&self, aggregate: Aggregate, window: Window, at: Timestamp) -> f64 {
        match self {
            Self::Count(count) => *count as f64,
            Self::Integers { count, total } => sum_or_mean(aggregate, *total as f64, *count),
            Self::Floats { count, total } => sum_or_mean(aggregate, total.value(), *count),
            Self::Squares { count, total, squares } => variance(*count, total, squares),
            Self::Least(value) | Self::Greatest(value) => value.unwrap_or(f64::NAN),
            Self::Earliest(event) | Self::Latest(event) => match event {
                None => f64::NAN,
                Some((time, ..)) if matches!(aggregate, Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast) => {
                    at.micros_since(Timestamp::from_micros(*time)) as f64 / 1e6
                }
                Some((_, _, value)) => *value,
            },
            Self::Distinct(tokens) => tokens.len() as f64,
            Self::Decayed { step_micros, landmark, total } => match landmark {
                None => 0.0,
                Some(landmark) => {
                    let (half_lives, step) = decay_steps(window.bounds(at).1.micros(), *step_micros);
                    total.value() * power_of_two(landmark - half_lives) * fall(step)
                }
            },
            Self::Registers(sketch) => sketch.estimate(),
            Self::Buckets { count, buckets } => quantile(aggregate, *count, buckets),
            Self::Newest { events, .. } => {
                place_of(aggregate).and_then(|place| events.get(place)).map_or(f64::NAN, |event| event.2)
            }
            Self::Frequencies { count: 0, .. } => f64::NAN,
            Self::Frequencies { count, .. } => {
                let times = place_of(aggregate).and_then(|place| self.most_frequent(place + 1).get(place).copied());
                times.map_or(0.0, |(_, times)| times as f64 / *count as f64)
            }
        }
    }

    /// Of [`Aggregate::TopK`]: the `count` most frequent tokens and how often each occurs, the most frequent first, those
    /// of one frequency in the order of the tokens. Nothing for other aggregates.
    pub fn most_frequent(&self, count: usize) -> Vec<(u128, u64)> {
        let Self::Frequencies { tokens, .. } = self else { return Vec::new() };
        let mut ranked: Vec<(u128, u64)> = tokens.iter().map(|(token, times)| (*token, *times)).collect();
        ranked.sort_unstable_by_key(|(token, times)| (std::cmp::Reverse(*times), *token));
        ranked.truncate(count);
        ranked
    }

    /// Bytes taken beside the accumulator itself, about.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Floats { total, .. } | Self::Decayed { total, .. } => total.heap_bytes(),
            Self::Squares { total, squares, .. } => total.heap_bytes() + squares.heap_bytes(),
            Self::Distinct(tokens) => tokens.len() * 24,
            Self::Registers(sketch) => sketch.heap_bytes(),
            Self::Buckets { buckets, .. } => buckets.len() * 18,
            Self::Newest { events, .. } => events.capacity() * size_of::<(i64, u128, f64)>(),
            Self::Frequencies { tokens, .. } => tokens.len() * 36,
            Self::Count(_)
            | Self::Integers { .. }
            | Self::Least(_)
            | Self::Greatest(_)
            | Self::Earliest(_)
            | Self::Latest(_) => 0,
        }
    }
}

fn either(left: Option<f64>, right: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(choose(left, right)),
        (left, right) => left.or(right),
    }
}

type Dated = Option<(i64, u128, f64)>;

fn earlier(left: Dated, right: Dated) -> Dated {
    match (left, right) {
        (Some(a), Some(b)) => Some(if (b.0, b.1) < (a.0, a.1) { b } else { a }),
        (left, right) => left.or(right),
    }
}

fn later(left: Dated, right: Dated) -> Dated {
    match (left, right) {
        (Some(a), Some(b)) => Some(if (b.0, b.1) > (a.0, a.1) { b } else { a }),
        (left, right) => left.or(right),
    }
}

fn sum_or_mean(aggregate: Aggregate, total: f64, count: u64) -> f64 {
    match (aggregate, count) {
        (Aggregate::Mean, 0) => f64::NAN,
        (Aggregate::Mean, _) => total / count as f64,
        _ => total,
    }
}

/// Where a feature stands among the values that its accumulator orders, from 0.
fn place_of(aggregate: Aggregate) -> Option<usize> {
    match aggregate {
        Aggregate::LastN { place, .. } | Aggregate::TopK { place, .. } => usize::from(place).checked_sub(1),
        _ => None,
    }
}

/// Keeps the `limit` latest of `events` and `event`, the latest first.
fn keep_newest(events: &mut Vec<(i64, u128, f64)>, event: (i64, u128, f64), limit: u8) {
    let place = events.partition_point(|known| (known.0, known.1) > (event.0, event.1));
    if place < usize::from(limit) {
        events.insert(place, event);
        events.truncate(usize::from(limit));
    }
}

fn add_counts<K: Copy + Ord>(counts: &mut BTreeMap<K, u64>, added: &BTreeMap<K, u64>) {
    for (key, more) in added {
        *counts.entry(*key).or_insert(0) += more;
    }
}

fn quantile(aggregate: Aggregate, count: u64, buckets: &BTreeMap<i32, u64>) -> f64 {
    let Aggregate::Quantile { per_mille } = aggregate else { return f64::NAN };
    let rank = (u128::from(count) * u128::from(per_mille)).div_ceil(1000);
    let mut reached = 0;
    for (&bucket, times) in buckets {
        reached += u128::from(*times);
        if reached >= rank {
            return bucket_value(bucket);
        }
    }
    f64::NAN
}

fn variance(count: u64, total: &ExactSum, squares: &ExactSum) -> f64 {
    if count < 2 {
        return f64::NAN;
    }
    let mut numerator = ExactSum::default();
    for &part in squares.parts() {
        numerator.add_product(count as f64, part, 0);
    }
    for &left in total.parts() {
        for &right in total.parts() {
            numerator.add_product(-left, right, 0);
        }
    }
    numerator.value() / (u128::from(count) * u128::from(count - 1)) as f64
}

/// A decayed sum is only read over at most [`crate::MAX_HALF_LIVES`] half-lives; a part that spans more, made ahead of
/// reads, is never used and merely must not overflow.
fn within_limits(half_lives: i64) -> i64 {
    half_lives.clamp(-512, 512)
}

/// Whole half-lives since 1970 and the step within the current one.
fn decay_steps(time_micros: i64, step_micros: i64) -> (i64, usize) {
    let steps = time_micros.div_euclid(step_micros);
    (steps.div_euclid(STEPS_PER_HALF_LIFE), steps.rem_euclid(STEPS_PER_HALF_LIFE) as usize)
}

/// `RISE[r]` is 2^(r / 64). It is written down, not computed, so that every machine has the same bits.
pub const RISE: [f64; STEPS_PER_HALF_LIFE as usize] = [
    1.0,
    1.0108892860517005,
    1.0218971486541166,
    1.0330248790212284,
    1.0442737824274138,
    1.0556451783605572,
    1.0671404006768237,
    1.0787607977571199,
    1.0905077326652577,
    1.102382583307841,
    1.1143867425958924,
    1.1265216186082418,
    1.1387886347566916,
    1.1511892299529827,
    1.1637248587775775,
    1.1763969916502812,
    1.189207115002721,
    1.202156731452703,
    1.215247359980469,
    1.22848053610687,
    1.241857812073484,
    1.255380757024691,
    1.2690509571917332,
    1.2828700160787783,
    1.2968395546510096,
    1.3109612115247644,
    1.3252366431597413,
    1.339667524053303,
    1.3542555469368927,
    1.3690024229745905,
    1.383909881963832,
    1.3989796725383112,
    std::f64::consts::SQRT_2,
    1.42961333839197,
    1.4451808069770467,
    1.460917794180647,
    1.4768261459394993,
    1.4929077282912648,
    1.5091644275934228,
    1.5255981507445384,
    1.5422108254079407,
    1.559004400237837,
    1.5759808451078865,
    1.593142151342267,
    1.6104903319492543,
    1.6280274218573478,
    1.645755478153965,
    1.6636765803267364,
    1.681792830507429,
    1.7001063537185235,
    1.718619298122478,
    1.7373338352737062,
    1.7562521603732995,
    1.7753764925265212,
    1.7947090750031072,
    1.8142521755003989,
    1.8340080864093424,
    1.8539791250833855,
    1.8741676341103,
    1.8945759815869656,
    1.9152065613971474,
    1.9360617934922943,
    1.9571441241754002,
    1.978456026387951,
];

/// 2^(-step / 64).
fn fall(step: usize) -> f64 {
    match step {
        0 => 1.0,
        _ => RISE[STEPS_PER_HALF_LIFE as usize - step] / 2.0,
    }
}
