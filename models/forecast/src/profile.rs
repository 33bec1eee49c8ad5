//! How demand spreads over the days of a season, learned from all series of a region together; it knows no holidays.
//!
//! One product's history is too short and too sparse to show its week, but a region's products share closed days and busy days.
//! Every series counts in units of its own mean sale, so that large products do not drown the others. A region's raw factors
//! (sales per phase ÷ sales expected of a flat season) are shrunk towards those of all regions, and these towards 1, with the
//! weight of James and Stein 1961: one minus the noise of the raw factors ÷ their squared distance from the target.

use dhow_events::Region;
use dhow_univariate::mean;
use std::collections::BTreeMap;

/// Latest days that are looked at.
const MAX_DAYS: usize = 364;
/// Longest season that gets factors; a longer one is treated as none.
const LONGEST_SEASON: usize = 31;
/// A day with a factor below this share of the mean is quiet: it has a distribution of its own.
const QUIET: f64 = 0.25;

/// A history as part of its calendar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History<'a> {
    pub(crate) region: Option<Region>,
    pub(crate) first_day: i64,
    pub(crate) values: &'a [f64],
}

impl<'a> History<'a> {
    /// The history without its last `days`; none when nothing is left.
    pub(crate) fn without_last(&self, days: usize) -> Option<History<'a>> {
        let length = self.values.len().checked_sub(days).filter(|length| *length > 0)?;
        Some(History { values: &self.values[..length], ..*self })
    }

    /// The day after the last.
    pub(crate) fn next_day(&self) -> i64 {
        self.first_day.saturating_add(self.values.len() as i64)
    }
}

/// A factor per phase of the season, with mean 1; day d has the phase d modulo the season's length.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    factors: Vec<f64>,
}

impl Profile {
    pub(crate) fn flat(season_days: usize) -> Profile {
        Profile { factors: vec![1.0; if season_days > LONGEST_SEASON { 1 } else { season_days.max(1) }] }
    }

    pub(crate) fn factor(&self, day: i64) -> f64 {
        self.factors[self.phase(day)]
    }

    /// The factors of the days before one, the latest first, without end.
    pub(crate) fn factors_before(&self, day: i64) -> impl Iterator<Item = f64> {
        self.factors.iter().rev().cycle().skip(self.factors.len() - self.phase(day)).copied()
    }

    /// True for days on which next to nothing is sold anywhere.
    pub(crate) fn is_quiet(&self, day: i64) -> bool {
        is_quiet(self.factor(day))
    }

    fn phase(&self, day: i64) -> usize {
        day.rem_euclid(self.factors.len() as i64) as usize
    }

    /// One series' own factors, where this profile counts as `prior_seasons` further seasons.
    pub(crate) fn of_one(&self, history: &History, prior_seasons: f64) -> Profile {
        let level = mean(history.values);
        if level <= 0.0 {
            return self.clone();
        }
        let mut counts = vec![prior_seasons; self.factors.len()];
        let mut sums: Vec<f64> = self.factors.iter().map(|factor| factor * prior_seasons).collect();
        for (day, value) in (history.first_day..).zip(history.values) {
            let phase = self.phase(day);
            counts[phase] += 1.0;
            sums[phase] += value / level;
        }
        normalised(sums.iter().zip(counts).map(|(sum, count)| sum / count).collect())
    }
}

/// True for the factor of a quiet day.
pub(crate) fn is_quiet(factor: f64) -> bool {
    factor < QUIET
}

fn normalised(mut factors: Vec<f64>) -> Profile {
    let mean = mean(&factors);
    factors.iter_mut().for_each(|factor| *factor = if mean > 0.0 { *factor / mean } else { 1.0 });
    Profile { factors }
}

/// The profile of each region, and of series over all regions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Profiles {
    by_region: BTreeMap<Option<Region>, Profile>,
}

impl Profiles {
    /// Learns from histories that may end on different days.
    pub(crate) fn learn(histories: &[History], season_days: usize) -> Profiles {
        let flat = Profile::flat(season_days);
        let end = histories.iter().map(History::next_day).max().unwrap_or(0);
        let mut sales: BTreeMap<Option<Region>, Sales> = BTreeMap::new();
        for history in histories {
            sales.entry(history.region).or_insert_with(|| Sales::until(end)).add(history);
        }
        let mut together = Sales::until(end);
        sales.values().for_each(|sales| together.merge(sales));
        let overall = together.profile(&flat);
        let by_region = sales.iter().map(|(region, sales)| (*region, sales.profile(&overall))).collect();
        Profiles { by_region }
    }

    /// The profile of a region among those learned.
    pub(crate) fn of(&self, region: Option<Region>, season_days: usize) -> Profile {
        self.by_region.get(&region).cloned().unwrap_or_else(|| Profile::flat(season_days))
    }
}

/// Sales per day before `end`, latest first, and those expected of a flat season, both in units of each series' mean sale.
struct Sales {
    end: i64,
    sold: Vec<f64>,
    expected: Vec<f64>,
}

impl Sales {
    fn until(end: i64) -> Sales {
        Sales { end, sold: vec![0.0; MAX_DAYS], expected: vec![0.0; MAX_DAYS] }
    }

    fn add(&mut self, history: &History) {
        let positive = history.values.iter().filter(|value| **value > 0.0);
        let (total, count) = positive.fold((0.0, 0.0), |(total, count), value| (total + value, count + 1.0));
        if count == 0.0 {
            return;
        }
        let (size, rate) = (total / count, count / history.values.len() as f64);
        let gap = usize::try_from(self.end.saturating_sub(history.next_day())).unwrap_or(MAX_DAYS);
        let places = self.sold.iter_mut().zip(&mut self.expected).skip(gap);
        for ((sold, expected), value) in places.zip(history.values.iter().rev()) {
            *sold += value / size;
            *expected += rate;
        }
    }

    fn merge(&mut self, other: &Sales) {
        self.sold.iter_mut().zip(&other.sold).for_each(|(sum, value)| *sum += value);
        self.expected.iter_mut().zip(&other.expected).for_each(|(sum, value)| *sum += value);
    }

    /// The factors, shrunk towards `target`.
    fn profile(&self, target: &Profile) -> Profile {
        let m = target.factors.len();
        let days = || (1..=MAX_DAYS as i64).map(|back| target.phase(self.end.saturating_sub(back)));
        let (mut sold, mut expected, mut counts) = (vec![0.0; m], vec![0.0; m], vec![0.0; m]);
        for ((phase, one), other) in days().zip(&self.sold).zip(&self.expected).filter(|(_, e)| **e > 0.0) {
            sold[phase] += one;
            expected[phase] += other;
            counts[phase] += 1.0;
        }
        // Two seasons at least are needed to tell a season from noise.
        if counts.iter().any(|count| *count < 2.0) {
            return target.clone();
        }
        let raw = normalised(sold.iter().zip(&expected).map(|(sold, expected)| sold / expected).collect()).factors;
        let (mut squares, mut total) = (0.0, 0.0);
        for ((phase, one), other) in days().zip(&self.sold).zip(&self.expected).filter(|(_, e)| **e > 0.0) {
            squares += (one / other - raw[phase]).powi(2);
            total += 1.0;
        }
        let noise = if total > m as f64 { squares / (total - m as f64) * m as f64 / total } else { f64::INFINITY };
        let apart = raw.iter().zip(&target.factors).map(|(raw, target)| (raw - target).powi(2)).sum::<f64>() / m as f64;
        let weight = if apart > 0.0 { (1.0 - noise / apart).max(0.0) } else { 0.0 };
        let blend = |(raw, target): (&f64, &f64)| target + weight * (raw - target);
        normalised(raw.iter().zip(&target.factors).map(blend).collect())
    }
}
