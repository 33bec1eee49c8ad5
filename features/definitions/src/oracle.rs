//! The definition of a feature in its plainest form: slow, obviously right, and sharing no code with any executor.

use std::collections::BTreeSet;

use dhow_events::{Event, Fact, TenantId, Timestamp, Value};

use crate::{Aggregate, Feature, Filter, Operand, RISE, View};

/// An event and when the log acknowledged it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What happened.
    pub event: &'a Event,
    /// When the log acknowledged it.
    pub known_time: Timestamp,
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
    let window = feature.window();
    let (hop, delay, at_micros) = (window.hop_micros() as i128, window.delay_micros() as i128, at.micros() as i128);
    let end = at_micros - delay;
    let start = window.length_micros().map(|length| (end - length as i128).div_euclid(hop) * hop);

    let mut seen = BTreeSet::new();
    let mut inside: Vec<&Event> = Vec::new();
    for Known { event, known_time } in events {
        let time = event.event_time.micros() as i128;
        let counts = event.tenant == tenant
            && event.fact.kind() == view.source()
            && view
                .entity()
                .iter()
                .zip(key)
                .all(|(name, wanted)| *wanted != Value::Null && column(&event.fact, name) == *wanted)
            && view.filter().is_none_or(|filter| holds(filter, &event.fact))
            && start.is_none_or(|start| start <= time)
            && time < end
            && *known_time <= at;
        if counts && seen.insert(event.id) {
            inside.push(event);
        }
    }
    inside.sort_by_key(|event| (event.event_time, event.id));
    match feature.column() {
        None => of_events(feature.aggregate(), &inside, at),
        Some(name) => {
            let values: Vec<(i64, Value<'_>)> = inside
                .iter()
                .map(|event| (event.event_time.micros(), column(&event.fact, name)))
                .filter(|(_, value)| is_present(value))
                .collect();
            of_values(feature.aggregate(), &values, end)
        }
    }
}

fn of_events(aggregate: Aggregate, events: &[&Event], at: Timestamp) -> f64 {
    let since =
        |event: Option<&&Event>| event.map_or(f64::NAN, |event| (at.micros() - event.event_time.micros()) as f64 / 1e6);
    match aggregate {
        Aggregate::Count => events.len() as f64,
        Aggregate::TimeSinceFirst => since(events.first()),
        Aggregate::TimeSinceLast => since(events.last()),
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
            let word = |value: &Value<'_>| match value {
                Value::Float(_) => format!("{:?}", number(value)),
                other => format!("{other:?}"),
            };
            let words: BTreeSet<String> = values.iter().map(|(_, value)| word(value)).collect();
            words.len() as f64
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
        Aggregate::TimeSinceFirst | Aggregate::TimeSinceLast => f64::NAN,
    }
}

fn column<'a>(fact: &'a Fact, name: &str) -> Value<'a> {
    fact.kind().column_index(name).map_or(Value::Null, |index| fact.value(index))
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

fn holds(filter: &Filter, fact: &Fact) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| holds(part, fact)),
        Filter::Or(parts) => parts.iter().any(|part| holds(part, fact)),
        Filter::Compare { column: name, operator, operand } => {
            let right = match operand {
                Operand::Column(name) => column(fact, name),
                Operand::Integer(number) => Value::Int(*number),
                Operand::Float(number) => Value::Float(*number),
                Operand::Bool(flag) => Value::Bool(*flag),
                Operand::Text(text) => Value::Text(text),
            };
            let order = match (column(fact, name), right) {
                (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
                (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
                (Value::Id(left), Value::Id(right)) => Some(left.cmp(&right)),
                (left, right) => left.as_number().zip(right.as_number()).and_then(|(a, b)| a.partial_cmp(&b)),
            };
            order.is_some_and(|order| operator.holds(order))
        }
    }
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
