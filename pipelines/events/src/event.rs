//! The envelope of a fact and the checks that every event must pass on its way in; it reads no clock.

use serde::{Deserialize, Serialize};

use crate::time::MINUTE_MICROS;
use crate::value::Value;
use crate::{EventId, Fact, TenantId, Timestamp};

/// How far ahead of the receiver's clock an event may claim to have happened.
pub const FUTURE_TOLERANCE_MICROS: i64 = 5 * MINUTE_MICROS;

/// A fact, when it happened, whose it is, and the id by which duplicates are known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Two events with one id are the same event.
    pub id: EventId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// When it happened.
    pub event_time: Timestamp,
    /// What happened.
    pub fact: Fact,
}

/// What is wrong with an event, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct EventProblem {
    /// A JSON Pointer into the event's JSON form.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl EventProblem {
    /// A problem at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// The values that a column may hold, by its name: lowest, highest, and the rule in words.
fn allowed_range(column: &str) -> Option<(f64, f64, &'static str)> {
    let most = 1e15;
    match column {
        "quantity" => Some((1.0, 1e9, "must be from 1 to 1,000,000,000")),
        "line_count" | "vehicle_count" | "stop_count" | "horizon_days" => Some((0.0, 1e9, "must not be negative")),
        "on_hand" | "result_count" | "weight_grams" | "transit_minutes" | "unassigned_count" | "distance_m" => {
            Some((0.0, most, "must not be negative"))
        }
        "rating" => Some((1.0, 5.0, "must be from 1 to 5")),
        "latitude" => Some((-90.0, 90.0, "must be from -90 to 90")),
        "longitude" => Some((-180.0, 180.0, "must be from -180 to 180")),
        "probability" => Some((0.0, 1.0, "must be from 0 to 1")),
        "discount_basis_points" => Some((1.0, 10_000.0, "must be from 1 to 10000 (100 %)")),
        _ if column.ends_with("_minor") => Some((0.0, most, "must be from 0 to 10^15 minor units")),
        _ => None,
    }
}

impl Event {
    /// Checks ranges and that the event is not from the future of `now`.
    ///
    /// # Errors
    /// The first problem, with the place of the field.
    pub fn check(&self, now: Timestamp) -> Result<(), EventProblem> {
        if self.event_time > now + FUTURE_TOLERANCE_MICROS {
            let message = format!(
                "{} is in the future: the clock here shows {now}, and 5 minutes ahead are allowed",
                self.event_time
            );
            return Err(EventProblem::new("/time", message));
        }
        self.check_values()
    }

    /// Checks that every value is in the range that its column allows.
    ///
    /// # Errors
    /// The first problem, with the place of the field.
    pub fn check_values(&self) -> Result<(), EventProblem> {
        for (index, column) in self.fact.kind().columns().iter().enumerate() {
            let value = self.fact.value(index);
            let (Some((low, high, rule)), Some(number)) = (allowed_range(column.name), value.as_number()) else {
                continue;
            };
            if !(low..=high).contains(&number) {
                let shown = match value {
                    Value::Int(integer) => integer.to_string(),
                    _ => number.to_string(),
                };
                return Err(EventProblem::new(format!("/data/{}", column.name), format!("is {shown}; it {rule}")));
            }
        }
        Ok(())
    }
}
