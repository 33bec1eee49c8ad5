//! Quantiles of daily demand from the days of the recent past; they assume that coming days scatter like those.
//!
//! Demand with many zero days has no bell curve around its mean: what it looks like is best said by the past days themselves.
//! They are taken as they were, or moved with the point forecast: by its ratio to the window's mean, or by its difference. Quiet
//! days (closed everywhere) and open days are kept apart. With n days, the quantile of level q has rank (n+1)·q and is
//! interpolated between neighbours (Hyndman and Fan 1996, definition 6).

use crate::conformal::interpolated;
use crate::profile::{History, Profile, is_quiet};
use serde::{Deserialize, Serialize};

/// Fewest days that quantiles are read from.
const FEWEST: usize = 10;
/// Most values that are kept of one window; a longer one is thinned to evenly spaced ranks.
const MOST_KEPT: usize = 99;
/// Quiet days are rare, so that they are collected over so many days at least.
const QUIET_WINDOW_DAYS: usize = 112;
/// A factor below this one would blow a single sale up.
const SMALLEST_FACTOR: f64 = 0.1;

/// How past days relate to a coming day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Relation {
    /// A coming day looks like one of them.
    Same,
    /// … times the point forecast ÷ the window's mean.
    Ratio,
    /// … plus the point forecast − the window's mean.
    Difference,
}

/// A window of past days and how they relate to coming days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) window_days: u16,
    pub(crate) relation: Relation,
}

const fn source(window_days: u16, relation: Relation) -> Source {
    Source { window_days, relation }
}

/// All that are validated; the first is the fallback.
pub(crate) const SOURCES: [Source; 10] = [
    source(112, Relation::Same),
    source(28, Relation::Same),
    source(56, Relation::Same),
    source(364, Relation::Same),
    source(28, Relation::Ratio),
    source(56, Relation::Ratio),
    source(112, Relation::Ratio),
    source(364, Relation::Ratio),
    source(28, Relation::Difference),
    source(112, Relation::Difference),
];

/// Past days in ascending order, ready to be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Samples {
    relation: Relation,
    open: Vec<f32>,
    quiet: Vec<f32>,
}

impl Source {
    /// Collects the latest days; `followed` is the season of the point forecast, `region` tells quiet days.
    pub(crate) fn collect(self, history: &History, region: &Profile, followed: &Profile) -> Samples {
        // Each day's value and its factors in the season that the forecast follows and in the region's, the latest first.
        let factors = followed.factors_before(history.next_day()).zip(region.factors_before(history.next_day()));
        let longest = usize::from(self.window_days).max(QUIET_WINDOW_DAYS);
        let days: Vec<(f64, (f64, f64))> = history.values.iter().rev().take(longest).copied().zip(factors).collect();
        let open = || days.iter().take(usize::from(self.window_days)).filter(|(_, (_, region))| !is_quiet(*region));
        let (sold, expected) =
            open().fold((0.0, 0.0), |(sold, sum), (value, (factor, _))| (sold + value, sum + factor));
        let level = if expected > 0.0 { sold / expected } else { 0.0 };
        let relative = |(value, (factor, _)): &(f64, (f64, f64))| match self.relation {
            Relation::Same => *value,
            Relation::Ratio if level <= 0.0 => 0.0,
            Relation::Ratio => value / (level * factor.max(SMALLEST_FACTOR)),
            Relation::Difference => value - level * factor,
        };
        let quiet = days.iter().filter(|(_, (_, region))| is_quiet(*region)).map(|(value, _)| *value);
        Samples { relation: self.relation, open: ascending(open().map(relative)), quiet: ascending(quiet) }
    }
}

fn ascending(values: impl Iterator<Item = f64>) -> Vec<f32> {
    let mut values: Vec<f32> = values.map(|value| value as f32).collect();
    values.sort_unstable_by(f32::total_cmp);
    values
}

impl Samples {
    /// No more values than needed, for storing.
    pub(crate) fn thinned(self) -> Samples {
        Samples { open: thinned(self.open), quiet: thinned(self.quiet), ..self }
    }

    /// True when there are too few days to read quantiles from.
    pub(crate) fn is_too_few(&self) -> bool {
        self.open.len() < FEWEST
    }

    /// True when a level lies beyond what so many days can tell: their extreme is given then.
    pub(crate) fn is_beyond(&self, levels: &[f64]) -> bool {
        levels.iter().any(|level| !(1.0 - 1e-9..=self.open.len() as f64 + 1e-9).contains(&self.rank(*level)))
    }

    fn rank(&self, level: f64) -> f64 {
        (self.open.len() + 1) as f64 * level
    }

    /// Non-negative demand that is not exceeded with probability `level`, on a day with this point forecast.
    pub(crate) fn quantile(&self, point: f64, is_quiet: bool, level: f64) -> f64 {
        let value = match self.relation {
            _ if is_quiet && !self.quiet.is_empty() => interpolated(&self.quiet, level),
            Relation::Same => interpolated(&self.open, level),
            Relation::Ratio => point * interpolated(&self.open, level),
            Relation::Difference => point + interpolated(&self.open, level),
        };
        value.max(0.0)
    }
}

fn thinned(values: Vec<f32>) -> Vec<f32> {
    if values.len() <= MOST_KEPT {
        return values;
    }
    let level = |kept: usize| kept as f64 / (MOST_KEPT + 1) as f64;
    (1..=MOST_KEPT).map(|kept| interpolated(&values, level(kept)) as f32).collect()
}
