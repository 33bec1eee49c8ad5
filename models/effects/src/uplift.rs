//! What a named stretch of days sold beside the same weekdays around it, with an interval; it knows no calendar.
//!
//! The days' sum beside the mean of the same weekdays within four weeks before and after that are in no event. The interval is of
//! the logarithm of that ratio: the variance of single days beside their weekday's mean, from the same days around, for the days of
//! the event and for the mean that they are held against (delta method).

use crate::EffectError;
use crate::error::check;
use crate::pooling::Estimate;
use serde::{Deserialize, Serialize};

/// Weeks before and after an event whose days it is held against.
pub const WEEKS_AROUND: i64 = 4;
/// Days around that are needed.
const AROUND_MIN: usize = 14;
/// The longest event, days.
const EVENT_DAYS_MAX: i64 = 60;

/// A named stretch of days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarEvent {
    /// Its name; years of one event share it.
    pub name: String,
    /// The first day, days since 1970-01-01 UTC.
    pub first_day: i64,
    /// The last day.
    pub last_day: i64,
}

impl CalendarEvent {
    fn holds(&self, day: i64) -> bool {
        (self.first_day..=self.last_day).contains(&day)
    }
}

/// Demand of consecutive days.
#[derive(Debug, Clone, Copy)]
pub struct DayTotals<'a> {
    /// The first day, days since 1970-01-01 UTC.
    pub first_day: i64,
    /// Units, at least 0.
    pub units: &'a [f64],
}

impl DayTotals<'_> {
    fn of(&self, day: i64) -> Option<f64> {
        usize::try_from(day - self.first_day).ok().and_then(|at| self.units.get(at)).copied()
    }
}

/// What an event sold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Uplift {
    /// Units of its days that were seen.
    pub units: f64,
    /// Units of as many same weekdays around it.
    pub usual: f64,
    /// The logarithm of their ratio.
    pub log_ratio: Estimate,
}

/// What an event did; none where too little was sold around it to tell, or where its days are not in the totals.
///
/// # Errors
/// A stretch that ends before it begins or is longer than sixty days.
pub fn uplift(
    totals: DayTotals,
    event: &CalendarEvent,
    others: &[CalendarEvent],
) -> Result<Option<Uplift>, EffectError> {
    let length = event.last_day.saturating_sub(event.first_day).saturating_add(1);
    check("event days", length as f64, "from 1 to 60", (1..=EVENT_DAYS_MAX).contains(&length))?;
    let is_plain = |day: &i64| !event.holds(*day) && !others.iter().any(|other| other.holds(*day));
    let around: Vec<i64> = (event.first_day - 7 * WEEKS_AROUND..=event.last_day + 7 * WEEKS_AROUND)
        .filter(|day| is_plain(day) && totals.of(*day).is_some())
        .collect();
    let mean = |weekday: i64| {
        let same: Vec<f64> =
            around.iter().filter(|day| day.rem_euclid(7) == weekday).filter_map(|day| totals.of(*day)).collect();
        (!same.is_empty()).then(|| (same.iter().sum::<f64>() / same.len() as f64, same.len() as f64))
    };
    let (mut units, mut usual, mut usual_variance, mut seen) = (0.0, 0.0, 0.0, 0);
    // Relative to its weekday's mean a day has the variance `noise`, sums of weekdays add up.
    let (mut squares, mut freedom) = (0.0, 0.0);
    for weekday in 0..7 {
        let Some((mean, count)) = mean(weekday).filter(|(mean, count)| *mean > 0.0 && *count > 1.0) else { continue };
        let same = around.iter().filter(|day| day.rem_euclid(7) == weekday).filter_map(|day| totals.of(*day));
        squares += same.map(|units| (units / mean - 1.0).powi(2)).sum::<f64>();
        freedom += count - 1.0;
    }
    let noise = if freedom > 0.0 { squares / freedom } else { 0.0 };
    for day in event.first_day..=event.last_day {
        let (Some(sold), Some((mean, count))) = (totals.of(day), mean(day.rem_euclid(7))) else { continue };
        units += sold;
        usual += mean;
        usual_variance += noise * mean * mean * (1.0 + 1.0 / count);
        seen += 1;
    }
    if seen == 0 || around.len() < AROUND_MIN || usual <= 0.0 || units <= 0.0 {
        return Ok(None);
    }
    let error = usual_variance.sqrt() / usual;
    Ok(Some(Uplift { units, usual, log_ratio: Estimate { value: (units / usual).ln(), error } }))
}
