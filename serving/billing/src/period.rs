//! Billing periods: months and years in UTC from an anchor, and the calendar month of a time; what they cost is not theirs.

use dhow_events::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp as Instant};
use serde::{Deserialize, Serialize};

use crate::BillingError;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cycle {
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Cycle {
    /// Months of a period.
    pub const fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Year => 12,
        }
    }
}

/// A span of time; its end no longer belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first instant.
    pub begin: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Period {
    /// How long it is, in microseconds.
    pub const fn micros(&self) -> i64 {
        self.end.micros_since(self.begin)
    }

    /// Whether `at` lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.begin <= at && at < self.end
    }
}

/// The period number `index`, from 0, of a subscription that began at `anchor`.
///
/// # Errors
/// Times that no calendar has.
pub fn period(anchor: Timestamp, cycle: Cycle, index: u32) -> Result<Period, BillingError> {
    let begins = |index: i64| after_months(anchor, cycle.months() * index);
    Ok(Period { begin: begins(i64::from(index))?, end: begins(i64::from(index) + 1)? })
}

/// The calendar month, in UTC, that holds `at`: what is limited by the month is counted in it.
///
/// # Errors
/// Times that no calendar has.
pub fn month_of(at: Timestamp) -> Result<Period, BillingError> {
    let first = civil(at)?.first_of_month().start_of_day();
    let begin = instant(first)?;
    Ok(Period { begin, end: after_months(begin, 1)? })
}

/// The same day and time so many months later, or that month's last day where it has no such day.
fn after_months(anchor: Timestamp, months: i64) -> Result<Timestamp, BillingError> {
    let span = Span::new().try_months(months).map_err(|_| BillingError::Time)?;
    let moved = civil(anchor)?.checked_add(span).map_err(|_| BillingError::Time)?;
    instant(moved)
}

fn civil(at: Timestamp) -> Result<DateTime, BillingError> {
    let instant = Instant::from_microsecond(at.micros()).map_err(|_| BillingError::Time)?;
    Ok(instant.to_zoned(TimeZone::UTC).datetime())
}

fn instant(at: DateTime) -> Result<Timestamp, BillingError> {
    let zoned = at.to_zoned(TimeZone::UTC).map_err(|_| BillingError::Time)?;
    Ok(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn periods_from_a_31st_end_on_last_days_and_come_back_to_the_31st() {
        let anchor = at("2027-12-31T13:45:00.000001Z");
        let ends = ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"];
        for (index, end) in (0..).zip(ends) {
            let found = period(anchor, Cycle::Month, index).expect("a period");
            assert_eq!(found.end, at(&format!("{end}T13:45:00.000001Z")));
            assert_eq!(found.end, period(anchor, Cycle::Month, index + 1).expect("a period").begin, "no gap");
        }
        let leap = at("2028-02-29T00:00:00Z");
        assert_eq!(period(leap, Cycle::Year, 0).expect("a year").end, at("2029-02-28T00:00:00Z"));
        assert_eq!(period(leap, Cycle::Year, 3).expect("a year").end, at("2032-02-29T00:00:00Z"));
    }

    #[test]
    fn a_month_of_the_calendar_begins_and_ends_at_midnight_in_utc() {
        let found = month_of(at("2026-12-31T23:59:59.999999Z")).expect("a month");
        assert_eq!((found.begin, found.end), (at("2026-12-01T00:00:00Z"), at("2027-01-01T00:00:00Z")));
        assert!(found.holds(found.begin) && !found.holds(found.end));
        assert_eq!(month_of(found.end).expect("a month").begin, found.end);
    }

    #[test]
    fn times_that_no_calendar_has_are_refused() {
        assert_eq!(period(Timestamp::MAX, Cycle::Month, 0), Err(BillingError::Time));
        assert_eq!(period(at("9999-12-01T00:00:00Z"), Cycle::Year, 1), Err(BillingError::Time));
    }
}
