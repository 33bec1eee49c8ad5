//! What sold lately, by series and day, as sums that do not hang on the order of the sales; what they say about a forecast is elsewhere.
//!
//! A sale adds to its day of every series that holds it: its product, seller and categories and all, in its region and in all
//! regions. Sales that come late count on their day like others, so that what is kept is a function of which sales there were:
//! read again from where they are stored, it is the same to the last bit (units are whole).

use crate::demand::{MAX_HORIZON_DAYS, MAX_SERIES, SeriesKey};
use crate::market::{Subject, ways_up};
use dhow_events::{Category, ProductId, Region, SellerId};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

/// So many days before the latest one are kept: no forecast reaches further from the end of its history.
pub const KEPT_DAYS: i64 = MAX_HORIZON_DAYS as i64 + 1;
/// A sale may be dated so many days after the day on which it became known; the clock of who tells of a later one is wrong.
pub const AHEAD_DAYS_MAX: i64 = 1;

/// A sale, or several of one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sale {
    /// What.
    pub product: ProductId,
    /// Who sold it.
    pub seller: SellerId,
    /// Of which category.
    pub category: Category,
    /// To where.
    pub region: Region,
    /// When, days since 1970-01-01 UTC.
    pub day: i64,
    /// When it became known, days since 1970-01-01 UTC.
    pub known_day: i64,
    /// Units.
    pub quantity: f64,
}

/// Why a sale is passed over.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SaleError {
    /// Not a quantity.
    #[error("the quantity is {quantity}; it must be finite and at least 0")]
    Quantity {
        /// What it is.
        quantity: f64,
    },
    /// It would close days that have not begun.
    #[error(
        "it is dated day {day} and became known on day {known_day}; at most {AHEAD_DAYS_MAX} day later is believed"
    )]
    Ahead {
        /// The sale's day.
        day: i64,
        /// The day on which it became known.
        known_day: i64,
    },
    /// Too many series.
    #[error("{MAX_SERIES} series are followed already")]
    TooManySeries,
}

/// Daily demand of every series that sold lately.
#[derive(Debug, Default)]
pub struct RecentSales(RwLock<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The first and the latest day with a sale of whatever.
    days: Option<(i64, i64)>,
    /// Per series the days with a sale, oldest first.
    series: FxHashMap<SeriesKey, Vec<(i64, f64)>>,
}

/// Demand of days that are over, without gaps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClosedDays {
    pub(crate) first_day: i64,
    pub(crate) demand: Vec<f64>,
}

impl RecentSales {
    /// Takes a sale in. One of before [`KEPT_DAYS`] says nothing any more.
    ///
    /// # Errors
    /// A quantity that is none, a day that cannot be known yet, or too many series; nothing has changed then.
    pub fn take(&self, sale: &Sale) -> Result<(), SaleError> {
        if !(sale.quantity.is_finite() && sale.quantity >= 0.0) {
            return Err(SaleError::Quantity { quantity: sale.quantity });
        }
        if sale.day.saturating_sub(sale.known_day) > AHEAD_DAYS_MAX {
            return Err(SaleError::Ahead { day: sale.day, known_day: sale.known_day });
        }
        let mut kept = self.0.write();
        if kept.series.len() >= MAX_SERIES
            && !kept.series.contains_key(&SeriesKey::product(sale.product, Some(sale.region)))
        {
            return Err(SaleError::TooManySeries);
        }
        kept.see(sale.day);
        if kept.days.is_some_and(|(_, latest)| sale.day < latest - KEPT_DAYS) {
            return Ok(());
        }
        let single = [Subject::Product(sale.product), Subject::Seller(sale.seller), Subject::All];
        for subject in single.into_iter().chain(ways_up(sale.category).map(Subject::Category)) {
            for region in [None, Some(sale.region)] {
                add(kept.series.entry(SeriesKey { subject, region }).or_default(), sale.day, sale.quantity);
            }
        }
        Ok(())
    }

    /// Says that the first sale of whatever was on `day`, where what is kept does not reach back so far: days from there on
    /// without a sale had no demand.
    pub fn begin(&self, day: i64) {
        let kept = &mut *self.0.write();
        kept.days = kept.days.map(|(first, latest)| (first.min(day), latest));
    }

    /// The demand of a series from `from` on, or from the day after the first sale of all where that is later (the first day may
    /// have begun before anybody looked), to the day before the latest sale of all; at most `days` of them.
    pub(crate) fn closed(&self, key: &SeriesKey, from: i64, days: usize) -> ClosedDays {
        let kept = self.0.read();
        let Some((first, latest)) = kept.days else { return ClosedDays { first_day: from, demand: Vec::new() } };
        let first_day = from.max(first.saturating_add(1));
        let days = usize::try_from(latest.saturating_sub(first_day)).unwrap_or(0).min(days);
        let mut demand = vec![0.0; days];
        let sold = kept.series.get(key).map_or(&[][..], Vec::as_slice);
        for (day, quantity) in &sold[sold.partition_point(|(day, _)| *day < first_day)..] {
            match usize::try_from(day - first_day).ok().and_then(|at| demand.get_mut(at)) {
                Some(demand) => *demand = *quantity,
                None => break,
            }
        }
        ClosedDays { first_day, demand }
    }
}

impl Kept {
    /// Notes a day; a new latest one frees what is too old.
    fn see(&mut self, day: i64) {
        let (first, latest) = self.days.unwrap_or((day, day));
        self.days = Some((first.min(day), latest.max(day)));
        if day > latest {
            let oldest = day - KEPT_DAYS;
            self.series.retain(|_, days| {
                days.drain(..days.partition_point(|(day, _)| *day < oldest));
                !days.is_empty()
            });
        }
    }
}

fn add(days: &mut Vec<(i64, f64)>, day: i64, quantity: f64) {
    match days.binary_search_by_key(&day, |(day, _)| *day) {
        Ok(at) => days[at].1 += quantity,
        Err(at) => days.insert(at, (day, quantity)),
    }
}
