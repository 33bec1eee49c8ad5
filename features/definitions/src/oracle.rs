//! The definition of a feature in its plainest form: slow, obviously right, and sharing no code with any executor.

use std::collections::BTreeSet;

use dhow_events::{Event, Fact, TenantId, Timestamp, Value};

use crate::{Aggregate, Feature, Filter, Operand, RISE, Row, View};

/// An event and when the log acknowledged it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What happened.
    pub event: &'a Event,
    /// When the log acknowledged it.
    pub known_time: Timestamp,
}

/// A row of any source with its id and times.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a, R> {
    /// Rows of one id are one row: the first counts.
    pub id: u128,
    /// When it happened.
    pub event_time: Timestamp,
    /// When it became known.
    pub known_time: Timestamp,
    /// Its values.
    pub row: &'a R,
}

/// The value of `feature` of `view` for the entity `key` of `tenant` at `at`, from `events` in the log's order; NaN where
/// there is none. `key` has one value for each column of the view's entity.
pub fn compute(
    view: &View,
    feature: &Feature,
    tenant: TenantId,
    key: &[Value<'_>],
    events: &[Known<'_>],
    at: Timestamp,
) -> f64 {
    let rows: Vec<Observation<'_, Fact>> = events
        .iter()
        .filter(|known| known.event.tenant == tenant && Some(known.event.fact.kind()) == view.source().fact())
        .map(|Known { event, known_time }| Observation {
            id: event.id.as_u128(),
            event_time: event.event_time,
            known_time: *known_time,
            row: &event.fact,
        })
        .collect();
    compute_rows(view, feature, key, &rows, at)
}

/// The same from rows of the view's source, in the order in which they became known.
pub fn compute_rows<R: Row>(
    view: &View,
    feature: &Feature,
    key: &[Value<'_>],
    rows: &[Observation<'_, R>],
    at: Timestamp,
) -> f64 {
    if let Some(parts) = feature.ratio() {
        let of = |part: &str| {
            let name = format!("{}_{part}_{}", view.name(), feature.window());
            let found = view.features().iter().find(|known| known.name() == name);
            found.map_or(f64::NAN, |found| compute_rows(view, found, key, rows, at))
        };
        let (numerator, denominator) = (of(&parts.numerator), of(&parts.denominator));
        return if denominator == 0.0 { f64::NAN } else { numerator / denominator };
    }
    let window = feature.window();
    let (hop, delay, at_micros) = (window.hop_micros() as i128, window.delay_micros() as i128, at.micros() as i128);
    let end = at_micros - delay;
    let start = window.length_micros().map(|length| (end - length as i128).div_euclid(hop) * hop);
    let columns = Columns { names: view.source().columns().iter().map(|column| column.name).collect() };

    let mut seen = BTreeSet::new();
    let mut inside: Vec<&Observation<'_, R>> = Vec::new();
    for observation in rows {
        let time = observation.event_time.micros() as i128;
        let counts = view
            .entity()
            .iter()
            .zip(key)
            .all(|(name, wanted)| *wanted != Value::Null && columns.value(observation.row, name) == *wanted)
            && view.filter().is_none_or(|filter| columns.hold(filter, observation.row))
            && start.is_none_or(|start| start <= time)
            && time < end
            && observation.known_time <= at;
        // What comes second with an id is no event, whatever it says.
        let is_first = seen.insert(observation.id);
        if counts && is_first {
            inside.push(observation);
        }
    }
    inside.sort_by_key(|observation| (observation.event_time, observation.id));
    match feature.column() {
        None => {
            let times: Vec<i64> = inside.iter().map(|observation| observation.event_time.micros()).collect();
            of_events(feature.aggregate(), &times, at)
        }
        Some(name) => {
            let values: Vec<(i64, Value<'_>)> = inside
                .iter()
                .map(|observation| (observation.event_time.micros(), columns.value(observation.row, name)))
                .filter(|(_, value)| is_present(value))
                .collect();
            of_values(feature.aggregate(), &values, end)
        }
    }
}

fn of_events(aggregate: Aggregate, times: &[i64], at: Timestamp) -> f64 {
    let since = |time: Option<&i64>| time.map_or(f64::NAN, |time| (at.micros() - time) as f64 / 1e6);
    match aggregate {
        Aggregate::Count => times.len() as f64,
        Aggregate::TimeSinceFirst => since(times.first()),
        Aggregate::TimeSinceLast => since(times.last()),
        _ => f64::NAN,
    }
}

fn of_values(aggregate: Aggregate, values: &[(i64, Value<'_>)], end: i128) -> f64 {
    let numbers: Vec<f64> = values.iter().filter_map(|(_, value)| number(value)).collect();
    let n = numbers.len();
    match aggregate {
        Aggregate::Count => values.len() as f64,
        Aggregate::Sum => sum(values),
        Aggregate::Mean => {
            if n == 0 {
                f64::NAN
            } else {
                sum(values) / n as f64
            }
        }
        Aggregate::Min => numbers.iter().copied().reduce(f64::min).unwrap_or(f64::NAN),
        Aggregate::Max => numbers.iter().copied().reduce(f64::max).unwrap_or(f64::NAN),
        Aggregate::First => numbers.first().copied().unwrap_or(f64::NAN),
        Aggregate::Last => numbers.last().copied().unwrap_or(f64::NAN),
        Aggregate::DistinctCount => {
            let words: BTreeSet<String> = values.iter().map(|(_, value)| word(value)).collect();
            words.len() as f64
        }
        Aggregate::ApproxDistinctCount => approx_distinct(values),
        Aggregate::Quantile { per_mille } => {
            let mut sorted = numbers;
            sorted.sort_by(f64::total_cmp);
            // The least value that at least this share of the values does not exceed.
            let place = (0..n).find(|below| (below + 1) * 1000 >= n * usize::from(per_mille));
            place.map_or(f64::NAN, |place| eight_bits(sorted[place]))
        }
        Aggregate::LastN { place, .. } => {
            let newest = numbers.iter().rev().nth(usize::from(place) - 1);
            newest.copied().unwrap_or(f64::NAN)
        }
        Aggregate::TopK { place, .. } => {
            let words: Vec<String> = values.iter().map(|(_, value)| word(value)).collect();
            let different: BTreeSet<&String> = words.iter().collect();
            let mut counts: Vec<usize> =
                different.into_iter().map(|word| words.iter().filter(|other| *other == word).count()).collect();
            counts.sort_by(|left, right| right.cmp(left));
            match words.len() {
                0 => f64::NAN,
                total => counts.get(usize::from(place) - 1).map_or(0.0, |count| *count as f64 / total as f64),
            }
        }
        Aggregate::Variance if n < 2 => f64::NAN,
        Aggregate::Variance => {
            let mut numerator = Exact::default();
            for left in &numbers {
                for right in &numbers {
                    numerator.add_product(*left, *left, 0);
                    numerator.add_product(-*left, *right, 0);
                }
            }
            numerator.rounded() / (n * (n - 1)) as f64
        }
        Aggregate::DecayedSum { half_life } => {
            let step = (half_life.micros() / 64) as i128;
            let mut total = Exact::default();
            for (time, value) in values {
                let (event_step, end_step) = ((*time as i128).div_euclid(step), end.div_euclid(step));
                let half_lives = event_step.div_euclid(64) - end_step.div_euclid(64);
                total.add_product(
                    number(value).unwrap_or(0.0),
                    RISE[event_step.rem_euclid(64) as usize],
                    half_lives as i32,
                );
            }
            let fall = match end.div_euclid(step).rem_euclid(64) {
                0 => 1.0,
                rest => RISE[64 - rest as usize] / 2.0,
            };
            total.rounded() * fall
        }
        Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast | Aggregate::Ratio => f64::NAN,
    }
}

fn is_present(value: &Value<'_>) -> bool {
    match value {
        Value::Null => false,
        Value::Float(number) => number.is_finite() && number.abs() <= 1e100,
        _ => true,
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Float(number) if number.abs() < 1e-100 => Some(0.0),
        other => other.as_number(),
    }
}

/// The columns of the view's source, found by name each time.
struct Columns<'a> {
    names: Vec<&'a str>,
}

impl Columns<'_> {
    fn value<'r, R: Row>(&self, row: &'r R, name: &str) -> Value<'r> {
        self.names.iter().position(|known| *known == name).map_or(Value::Null, |index| row.value(index))
    }

    fn hold<R: Row>(&self, filter: &Filter, row: &R) -> bool {
        match filter {
            Filter::And(parts) => parts.iter().all(|part| self.hold(part, row)),
            Filter::Or(parts) => parts.iter().any(|part| self.hold(part, row)),
            Filter::Compare { column, operator, operand } => {
                let right = match operand {
                    Operand::Column(name) => self.value(row, name),
                    Operand::Integer(number) => Value::Int(*number),
                    Operand::Float(number) => Value::Float(*number),
                    Operand::Bool(flag) => Value::Bool(*flag),
                    Operand::Text(text) => Value::Text(text),
                };
                let order = match (self.value(row, column), right) {
                    (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
                    (Value::Time(left), Value::Time(right)) => Some(left.cmp(&right)),
                    (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
                    (Value::Id(left), Value::Id(right)) => Some(left.cmp(&right)),
                    (left, right) => left.as_number().zip(right.as_number()).and_then(|(a, b)| a.partial_cmp(&b)),
                };
                order.is_some_and(|order| operator.holds(order))
            }
        }
    }
}

/// What tells a value from the others of its column.
fn word(value: &Value<'_>) -> String {
    match value {
        Value::Float(_) => format!("{:?}", number(value)),
        other => format!("{other:?}"),
    }
}

/// The nearest number of eight significant binary digits; of two, the one farther from zero.
fn eight_bits(value: f64) -> f64 {
    let mut unit = 2_f64.powi(-1074 + 7 + 60);
    while value.abs() >= 256.0 * unit {
        unit *= 2.0;
    }
    (value / unit).round() * unit
}

/// A HyperLogLog of 4096 registers as its papers put it: each value's hash names a register by its first 12 bits and
/// leaves there the place of its first one among the other 52; Ertl (2017) gives the estimate from the registers.
fn approx_distinct(values: &[(i64, Value<'_>)]) -> f64 {
    let mut registers = [0_usize; 4096];
    for (_, value) in values {
        let digits = format!("{:064b}", sketch_hash(value));
        let (register, rest) = digits.split_at(12);
        let register = register.chars().fold(0, |number, digit| 2 * number + usize::from(digit == '1'));
        registers[register] = registers[register].max(rest.find('1').unwrap_or(52) + 1);
    }
    let share = |rank: usize| registers.iter().filter(|other| **other == rank).count() as f64 / 4096.0;
    if share(0) == 1.0 {
        return 0.0;
    }
    let mut z = 4096.0 * tau(1.0 - share(53));
    for rank in (1..=52).rev() {
        z = (z + 4096.0 * share(rank)) / 2.0;
    }
    z += 4096.0 * sigma(share(0));
    (4096.0 * 4096.0 / (2.0 * std::f64::consts::LN_2) / z).round()
}

/// x + Σ x^(2^k) 2^(k-1)
fn sigma(x: f64) -> f64 {
    let (mut sum, mut power, mut weight) = (x, x * x, 1.0);
    while sum + power * weight != sum {
        sum += power * weight;
        (power, weight) = (power * power, weight * 2.0);
    }
    sum
}

/// (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3
fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut sum, mut root, mut weight) = (1.0 - x, x.sqrt(), 0.5);
    while sum - (1.0 - root) * (1.0 - root) * weight != sum {
        sum -= (1.0 - root) * (1.0 - root) * weight;
        (root, weight) = (root.sqrt(), weight / 2.0);
    }
    sum / 3.0
}

/// Both halves of the 128 bits that stand for a value, mixed one after the other by MurmurHash3's finalizer.
fn sketch_hash(value: &Value<'_>) -> u64 {
    let (low, high) = match value {
        Value::Text(text) => {
            let half = |hash: &[u8]| hash.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let hash = blake3::hash(text.as_bytes());
            (half(&hash.as_bytes()[..8]), half(&hash.as_bytes()[8..16]))
        }
        Value::Id(id) => (*id as u64, (*id >> 64) as u64),
        Value::Int(number) => (*number as u64, 0),
        Value::Time(time) => (time.micros() as u64, 0),
        Value::Float(_) => (number(value).unwrap_or(0.0).to_bits(), 0),
        Value::Bool(_) | Value::Null => (u64::from(*value == Value::Bool(true)), 0),
    };
    let mix = |word: u64| {
        let word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        word ^ word >> 33
    };
    mix(mix(low ^ 0x9e37_79b9_7f4a_7c15) ^ high)
}

/// Integers, booleans and instants as 128-bit integers, floats exactly; rounded once.
fn sum(values: &[(i64, Value<'_>)]) -> f64 {
    let mut whole = 0_i128;
    let mut floats = Exact::default();
    for (_, value) in values {
        match value {
            Value::Int(number) => whole += *number as i128,
            Value::Bool(flag) => whole += *flag as i128,
            Value::Time(time) => whole += time.micros() as i128,
            other => floats.add_product(number(other).unwrap_or(0.0), 1.0, 0),
        }
    }
    if whole == 0 { floats.rounded() } else { whole as f64 }
}

/// A number with so many binary digits (limbs of 32 bits, the lowest worth 2^-2200) that sums of products are exact.
struct Exact([i64; 140]);

impl Default for Exact {
    fn default() -> Self {
        Self([0; 140])
    }
}

impl Exact {
    const LOWEST_BIT: i32 = -2200;

    fn add_product(&mut self, left: f64, right: f64, exponent: i32) {
        let ((left, left_exponent), (right, right_exponent)) = (split(left), split(right));
        let mantissa = left as i128 * right as i128;
        if mantissa == 0 {
            return;
        }
        let place = (left_exponent + right_exponent + exponent - Self::LOWEST_BIT) as usize;
        for digit in 0..4 {
            let bits = ((mantissa.unsigned_abs() >> (32 * digit)) as u64 & 0xffff_ffff) << (place % 32);
            self.0[place / 32 + digit] += mantissa.signum() as i64 * (bits & 0xffff_ffff) as i64;
            self.0[place / 32 + digit + 1] += mantissa.signum() as i64 * (bits >> 32) as i64;
        }
    }

    fn rounded(&self) -> f64 {
        let carried = |sign: i64| {
            let (mut limbs, mut carry) = (self.0, 0);
            for limb in &mut limbs {
                let total = *limb * sign + carry;
                *limb = total & 0xffff_ffff;
                carry = total >> 32;
            }
            (limbs, carry)
        };
        let sign = if carried(1).1 < 0 { -1 } else { 1 };
        let limbs = carried(sign).0;
        let Some(top) = (0..limbs.len()).rev().find(|&index| limbs[index] != 0) else { return 0.0 };
        let low = top.saturating_sub(2);
        let mut leading = limbs[low..=top].iter().rev().fold(0_u128, |number, limb| (number << 32) | *limb as u128);
        // A one below the leading bits keeps what was cut off from looking like a tie.
        leading |= u128::from(limbs[..low].iter().any(|limb| *limb != 0));
        sign as f64 * leading as f64 * 2_f64.powi(low as i32 * 32 + Self::LOWEST_BIT)
    }
}

/// A float as an integer and a power of two.
fn split(value: f64) -> (i64, i32) {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, (bits & ((1 << 52) - 1)) as i64);
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    (if value < 0.0 { -mantissa } else { mantissa }, exponent.max(1) - 1075)
}
