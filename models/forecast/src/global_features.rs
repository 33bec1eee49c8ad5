//! What a global model sees of a series as of an origin; nothing after the origin is read but planned prices, promotions and
//! events.
//!
//! Demand is seen relative to an expectation: the series' recent mean times its region's index of the weekday. A series
//! with a short history leans on the mean of its peers (of one level, category and region), so that a new product starts where
//! similar ones are.

use crate::global_panel::{Panel, PanelSeries};
use rustc_hash::FxHashMap;

/// Days of the mean that demand is relative to, and of the weekdays' indices.
const RECENT_DAYS: usize = 56;
/// Days that the peers' mean counts for in a series' own.
const PEER_DAYS: f64 = 7.0;
/// Smallest expectation relative to the peers' mean, so that a ratio exists for a series that has stopped.
const LEAST_SHARE: f64 = 0.1;
/// A weekday whose index is below this has next to no demand in its region: there is nothing to learn on it.
pub(crate) const QUIET_INDEX: f64 = 0.02;
/// A year in whole weeks.
const YEAR_DAYS: usize = 364;

/// The features' names, in the order of a row; the last four are numbers of categories.
pub const FEATURES: [&str; 29] = [
    "days_ahead",
    "weekday_index",
    "log_mean",
    "mean_7",
    "mean_14",
    "mean_28",
    "mean_91",
    "mean_182",
    "share_sold_28",
    "share_sold_91",
    "variation_91",
    "days_since_sale",
    "age_days",
    "weekday_mean",
    "last_year",
    "region_7_to_28",
    "region_28_to_91",
    "category_28_to_91",
    "peers_mean",
    "price_to_mean",
    "price_to_last",
    "promotion",
    "promotion_share_28",
    "out_of_stock_28",
    "day_of_month",
    "weekday",
    "event",
    "level",
    "region",
];
/// Which features are numbers of categories: the last ones.
pub(crate) const FIRST_CATEGORY: usize = 25;

/// Running sums of one list of days; day t's window of w days is t − w to t − 1.
struct Sums {
    demand: Vec<f64>,
    squares: Vec<f64>,
    observed: Vec<f64>,
    sold: Vec<f64>,
    /// The first day with demand; the days' count when there is none.
    launch: usize,
}

impl Sums {
    fn of(demand: &[f64]) -> Sums {
        let launch = demand.iter().position(|value| *value > 0.0).unwrap_or(demand.len());
        let running = |of: &dyn Fn(f64) -> f64| {
            let mut sum = 0.0;
            let after_launch = |(day, value): (usize, &f64)| {
                sum += if day < launch || value.is_nan() { 0.0 } else { of(*value) };
                sum
            };
            std::iter::once(0.0).chain(demand.iter().enumerate().map(after_launch)).collect::<Vec<f64>>()
        };
        Sums {
            demand: running(&|value| value),
            squares: running(&|value| value * value),
            observed: running(&|_| 1.0),
            sold: running(&|value| f64::from(u8::from(value > 0.0))),
            launch,
        }
    }

    fn over(sums: &[f64], origin: usize, days: usize) -> f64 {
        sums[origin] - sums[origin.saturating_sub(days)]
    }

    /// Mean demand of the observed days since the launch; NaN when there is none.
    fn mean(&self, origin: usize, days: usize) -> f64 {
        Sums::over(&self.demand, origin, days) / Sums::over(&self.observed, origin, days)
    }
}

/// Everything that features are computed from, prepared once per panel.
pub(crate) struct Context<'a> {
    panel: &'a Panel,
    series: Vec<Sums>,
    regions: FxHashMap<(u32, u32), Sums>,
    categories: FxHashMap<(u32, u32), Sums>,
    peers: FxHashMap<(u32, u32, u32), Vec<usize>>,
    levels: FxHashMap<u32, Sums>,
}

/// What holds for all series as of one origin.
pub(crate) struct Origin {
    /// The first day that is not known.
    pub day: usize,
    weekdays: FxHashMap<(u32, u32), [f64; 7]>,
    peers: FxHashMap<(u32, u32, u32), f64>,
}

/// A series as of an origin.
pub(crate) struct Known<'a> {
    series: &'a PanelSeries,
    sums: &'a Sums,
    origin: &'a Origin,
    /// The mean that demand is relative to.
    pub mean: f64,
    /// The squared coefficient of variation of daily demand.
    pub variation: f64,
    peers_mean: f64,
    fixed: Fixed,
}

/// Features that do not depend on the day ahead.
struct Fixed {
    days_since_sale: f64,
    region: (f64, f64),
    category: f64,
    price_mean: f64,
    price_last: f64,
    promotion_share: f64,
}

impl<'a> Context<'a> {
    pub fn new(panel: &'a Panel) -> Context<'a> {
        let series: Vec<Sums> = panel.series.iter().map(|series| Sums::of(&series.demand)).collect();
        let mut peers: FxHashMap<(u32, u32, u32), Vec<usize>> = FxHashMap::default();
        for (at, series) in panel.series.iter().enumerate() {
            peers.entry((series.level, series.category, series.region)).or_default().push(at);
        }
        Context {
            panel,
            series,
            regions: summed(panel, |series| (series.level, series.region)),
            categories: summed(panel, |series| (series.level, series.category)),
            levels: summed(panel, |series| series.level),
            peers,
        }
    }

    /// What is known before `day`.
    pub fn origin(&self, day: usize) -> Origin {
        let weekdays = |(key, sums): (&(u32, u32), &Sums)| {
            let own = self.weekday_indices(sums, day);
            let all = self.weekday_indices(&self.levels[&key.0], day);
            // A region with few days of sales says little of its week.
            let trust = Sums::over(&sums.sold, day, RECENT_DAYS) / RECENT_DAYS as f64;
            (*key, std::array::from_fn(|weekday| trust * own[weekday] + (1.0 - trust) * all[weekday]))
        };
        let mean = |(key, members): (&(u32, u32, u32), &Vec<usize>)| {
            let means = members.iter().map(|at| self.series[*at].mean(day, RECENT_DAYS)).filter(|mean| !mean.is_nan());
            let (count, sum) = means.fold((0.0, 0.0), |(count, sum), mean| (count + 1.0, sum + mean));
            (*key, if count > 0.0 { sum / count } else { 0.0 })
        };
        Origin {
            day,
            weekdays: self.regions.iter().map(weekdays).collect(),
            peers: self.peers.iter().map(mean).collect(),
        }
    }

    fn weekday(&self, day: usize) -> usize {
        (self.panel.first_day + day as i64).rem_euclid(7) as usize
    }

    /// Mean demand of each weekday relative to that of all days; 1 throughout without demand.
    fn weekday_indices(&self, sums: &Sums, day: usize) -> [f64; 7] {
        let (mut demand, mut days) = ([0.0; 7], [0.0; 7]);
        for past in day.saturating_sub(RECENT_DAYS)..day {
            demand[self.weekday(past)] += sums.demand[past + 1] - sums.demand[past];
            days[self.weekday(past)] += sums.observed[past + 1] - sums.observed[past];
        }
        let mean = demand.iter().sum::<f64>() / days.iter().sum::<f64>();
        std::array::from_fn(|at| if mean > 0.0 && days[at] > 0.0 { demand[at] / days[at] / mean } else { 1.0 })
    }

    /// The series as of the origin; none before its first demand, and where neither it nor its peers sold of late.
    pub fn known(&'a self, at: usize, origin: &'a Origin) -> Option<Known<'a>> {
        let (series, sums) = (&self.panel.series[at], &self.series[at]);
        if sums.launch >= origin.day {
            return None;
        }
        let peers_mean = origin.peers[&(series.level, series.category, series.region)];
        let observed = Sums::over(&sums.observed, origin.day, RECENT_DAYS);
        let demand = Sums::over(&sums.demand, origin.day, RECENT_DAYS);
        let leaning = (demand + PEER_DAYS * peers_mean) / (observed + PEER_DAYS);
        let own = if observed >= RECENT_DAYS as f64 { demand / observed } else { leaning };
        let mean = own.max(LEAST_SHARE * peers_mean);
        if mean <= 0.0 {
            return None;
        }
        let spread = Sums::over(&sums.squares, origin.day, 91) / Sums::over(&sums.observed, origin.day, 91);
        let variation = (spread / (mean * mean) - 1.0).max(0.0);
        let fixed = self.fixed(series, origin.day);
        Some(Known { series, sums, origin, mean, variation, peers_mean, fixed })
    }

    /// What is expected of a series without a sale: its peers' mean with its region's week.
    pub fn unseen(&self, at: usize, origin: &Origin, ahead: usize) -> f64 {
        let series = &self.panel.series[at];
        let weekday = self.weekday(origin.day + ahead - 1);
        let index = origin.weekdays[&(series.level, series.region)][weekday];
        index * origin.peers[&(series.level, series.category, series.region)]
    }

    fn fixed(&self, series: &PanelSeries, day: usize) -> Fixed {
        let (region, category) =
            (&self.regions[&(series.level, series.region)], &self.categories[&(series.level, series.category)]);
        let known = |values: &'_ [f64], days: usize| -> Vec<f64> {
            let past = values.get(day.saturating_sub(days)..day).unwrap_or_default();
            past.iter().copied().filter(|value| !value.is_nan()).collect()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let last_sale = series.demand[..day].iter().rposition(|value| *value > 0.0);
        Fixed {
            days_since_sale: last_sale.map_or(f64::NAN, |last| (day - last) as f64),
            region: (region.mean(day, 7) / region.mean(day, 28), region.mean(day, 28) / region.mean(day, 91)),
            category: category.mean(day, 28) / category.mean(day, 91),
            price_mean: mean(&known(&series.price, 91)),
            price_last: known(&series.price, 91).last().copied().unwrap_or(f64::NAN),
            promotion_share: mean(&known(&series.promotion, 28)),
        }
    }

    /// The features of the day `ahead` days after the last known one, at least 1, into `row`, and the expected demand that the
    /// model's answer multiplies.
    pub fn row(&self, known: &Known, ahead: usize, row: &mut [f64; FEATURES.len()]) -> f64 {
        let (series, sums, origin, fixed) = (known.series, known.sums, known.origin.day, &known.fixed);
        let day = origin + ahead - 1;
        let weekday = self.weekday(day);
        let index = known.origin.weekdays[&(series.level, series.region)][weekday];
        let relative = |days: usize| sums.mean(origin, days) / known.mean;
        let share = |days: usize| Sums::over(&sums.sold, origin, days) / Sums::over(&sums.observed, origin, days);
        let days_28 = 28.min(origin - sums.launch) as f64;
        let price = series.price.get(day).copied().filter(|price| !price.is_nan()).unwrap_or(fixed.price_last);
        let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
        *row = [
            ahead as f64,
            index,
            known.mean.ln(),
            relative(7),
            relative(14),
            relative(28),
            relative(91),
            relative(182),
            share(28),
            share(91),
            known.variation,
            fixed.days_since_sale,
            (origin - sums.launch) as f64,
            self.weekday_mean(sums, origin, weekday) / (known.mean * index),
            self.last_year(sums, origin, day) / known.mean,
            fixed.region.0,
            fixed.region.1,
            fixed.category,
            known.peers_mean / known.mean,
            price / fixed.price_mean,
            price / fixed.price_last,
            series.promotion.get(day).copied().unwrap_or(f64::NAN),
            fixed.promotion_share,
            1.0 - Sums::over(&sums.observed, origin, days_28 as usize) / days_28,
            day_of_month(self.panel.first_day + day as i64),
            weekday as f64,
            self.panel.events.get(day).map_or(f64::NAN, |event| f64::from(*event)),
            f64::from(series.level),
            f64::from(series.region),
        ]
        .map(finite);
        known.mean * index
    }

    /// The series' own mean on this weekday over the recent weeks.
    fn weekday_mean(&self, sums: &Sums, origin: usize, weekday: usize) -> f64 {
        let (mut demand, mut days) = (0.0, 0.0);
        for day in origin.saturating_sub(RECENT_DAYS)..origin {
            if self.weekday(day) == weekday {
                demand += sums.demand[day + 1] - sums.demand[day];
                days += sums.observed[day + 1] - sums.observed[day];
            }
        }
        demand / days
    }

    /// The mean of the week around the same weekday a year before; NaN where the series is younger.
    fn last_year(&self, sums: &Sums, origin: usize, day: usize) -> f64 {
        match (day + 4).checked_sub(YEAR_DAYS) {
            Some(end) if end >= sums.launch + 7 && end <= origin => sums.mean(end, 7),
            _ => f64::NAN,
        }
    }
}

/// Sums of the series of one key; a missing day of one of them counts as none.
fn summed<K: Eq + std::hash::Hash>(panel: &Panel, key: impl Fn(&PanelSeries) -> K) -> FxHashMap<K, Sums> {
    let mut totals: FxHashMap<K, Vec<f64>> = FxHashMap::default();
    for series in &panel.series {
        let total = totals.entry(key(series)).or_insert_with(|| vec![0.0; panel.days]);
        total
            .iter_mut()
            .zip(&series.demand)
            .filter(|(_, value)| !value.is_nan())
            .for_each(|(sum, value)| *sum += value);
    }
    totals.into_iter().map(|(key, total)| (key, Sums::of(&total))).collect()
}

/// The day of the month, 1 to 31, of days since 1970-01-01 (Hinnant's civil-from-days).
fn day_of_month(day: i64) -> f64 {
    let shifted = day + 719_468;
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (of_year - (153 * month + 2) / 5 + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_month_are_those_of_the_calendar() {
        for (day, expected) in [(0, 1.0), (30, 31.0), (31, 1.0), (15_309, 1.0), (11_016, 29.0), (-1, 31.0)] {
            assert_eq!(day_of_month(day), expected, "day {day}");
        }
    }
}
