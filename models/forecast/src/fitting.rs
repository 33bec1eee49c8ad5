//! Fits many series: methods and quantiles are chosen on the last days of the histories, then fitted to all days.
//!
//! Points and quantiles are chosen apart, as they answer different questions: the point by squared error, because it is the
//! expected demand; the quantiles by pinball loss, given the chosen point. Every validated block of days is forecast from the
//! days before it only, the shared season included.

use crate::beside_naive::{Accuracy, naive};
use crate::candidates::{CANDIDATES, Candidate, Shape, Technique};
use crate::choice::{Blocks, Class, Losses, choose};
use crate::conformal::{IntervalMethod, normal, spread};
use crate::demand::{DailySeries, DemandError, FitSettings, RECENT_DAYS, SeriesKey, checked};
use crate::profile::{History, Profiles};
use crate::samples::{Relation, SOURCES, Samples, Source};
use dhow_univariate::DemandPattern;
use dhow_univariate::ForecastError;
use dhow_univariate::accuracy::{pinball, pinball_scale, rmsse};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The method of series that are not worth a choice, and where their quantiles come from where demand is not sparse.
const PLAIN: Candidate = Candidate { technique: Technique::Discounted { half_life_days: 28 }, shape: Shape::Shared };
const PLAIN_SOURCE: Source = Source { window_days: 112, relation: Relation::Ratio };
/// Levels on which sources of quantiles are judged.
pub(crate) const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

/// A series' forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fitted {
    pub(crate) key: SeriesKey,
    /// The first day after the history.
    pub(crate) next_day: i64,
    pub(crate) candidate: Candidate,
    /// How the points came to add up with those of other series.
    coherence: Coherence,
    pub(crate) points: Vec<f64>,
    /// Per day ahead: is next to nothing sold in the region.
    pub(crate) quiet: Vec<bool>,
    pub(crate) recent: Vec<f64>,
    source: Source,
    samples: Samples,
    /// Standard deviation for a history without enough samples.
    spread: f64,
    has_demand: bool,
    /// What was missing for a method of its own.
    lacks: Option<Lack>,
    /// How it did on the validated days, where it adds up with others.
    pub(crate) accuracy: Option<Accuracy>,
}

impl Fitted {
    /// Non-negative demand of the day `step` ahead, counted from 0, that is not exceeded with probability `level`.
    pub(crate) fn quantile(&self, step: usize, level: f64) -> f64 {
        if self.samples.is_too_few() {
            return normal(self.points[step], self.spread, level).max(0.0);
        }
        self.samples.quantile(self.points[step], self.quiet[step], level)
    }

    /// What the points come from, such as `tsb_shared_season, reconciled 50 %`.
    pub(crate) fn method(&self) -> String {
        let own = self.candidate.name();
        match self.coherence {
            Coherence::Alone => own,
            Coherence::SharedOut => own + ", scaled to its product",
            Coherence::Sum => "sum of its products' forecasts".to_owned(),
            Coherence::Reconciled { percent } => format!("{own}, reconciled {percent} %"),
        }
    }

    /// Replaces the points by ones that add up.
    pub(crate) fn adjust(&mut self, points: Vec<f64>, coherence: Coherence) {
        (self.points, self.coherence) = (points, coherence);
    }

    pub(crate) fn interval(&self) -> IntervalMethod {
        match self.source.relation {
            _ if self.samples.is_too_few() => IntervalMethod::Normal,
            Relation::Same => IntervalMethod::Empirical,
            Relation::Ratio | Relation::Difference => IntervalMethod::EmpiricalMoved,
        }
    }

    /// Why the forecast with these levels is a fallback, if it is one.
    pub(crate) fn degraded(&self, levels: &[f64]) -> Option<String> {
        let method = match (self.has_demand, self.lacks) {
            (false, _) => Some("the history holds no demand: zero is forecast"),
            (true, Some(Lack::Days)) => Some(
                "the history is too short to validate methods on it: that of similar series is used, or the mean without any",
            ),
            (true, Some(Lack::Sales)) => {
                Some("too few days with a sale for a method of its own: a discounted mean is used")
            }
            (true, None) => None,
        };
        let quantiles = match self.samples.is_too_few() {
            _ if levels.is_empty() => None,
            true => Some("too few past days for quantiles: a normal distribution is assumed"),
            false if self.samples.is_beyond(levels) => {
                Some("too few past days for the outermost levels: the extreme day of the past is used")
            }
            false => None,
        };
        let reasons: Vec<&str> = method.into_iter().chain(quantiles).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

/// Why a series has no method that was chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lack {
    /// Its history is too short to be forecast from an earlier day of its own.
    Days,
    /// A product hardly sells there.
    Sales,
}

/// How the points of a series came to add up with those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Coherence {
    /// They are the series' own method's.
    Alone,
    /// A product's forecast was shared out to its regions in proportion to their own forecasts.
    SharedOut,
    /// They are the sum of the products' forecasts.
    Sum,
    /// They went so far of the way to the reconciled ones.
    Reconciled { percent: u8 },
}

/// Forecasts of the last validated days from the days before.
pub(crate) struct Validation<'a> {
    /// The forecast, and what came.
    pub(crate) points: Vec<f64>,
    pub(crate) actual: &'a [f64],
    /// The days before.
    pub(crate) before: &'a [f64],
}

impl Validation<'_> {
    /// How `points` did beside the naive plan.
    pub(crate) fn accuracy(&self, points: &[f64], season_days: usize) -> Accuracy {
        let absent = points.len().saturating_sub(self.actual.len());
        let mut accuracy = Accuracy::default();
        for (step, point) in points.iter().enumerate() {
            let actual = step.checked_sub(absent).map_or(0.0, |at| self.actual[at]);
            accuracy.add(*point, naive(self.before, season_days, step), actual);
        }
        accuracy
    }

    /// The root mean squared error of `points` in units of the root mean squared one-day difference before; none where the days
    /// before do not vary.
    pub(crate) fn scaled_error(&self, points: &[f64]) -> Option<f64> {
        let changes = self.before.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
        let scale = changes.sum::<f64>() / self.before.len().saturating_sub(1).max(1) as f64;
        // Days before a series' first demand are without.
        let absent = points.len().saturating_sub(self.actual.len());
        let actual = std::iter::repeat_n(&0.0, absent).chain(self.actual);
        let squares: f64 = points.iter().zip(actual).map(|(point, actual)| (point - actual).powi(2)).sum();
        (scale > 0.0).then(|| (squares / points.len() as f64 / scale).sqrt())
    }
}

/// What is known about the series before anything is fitted.
struct Fit<'a> {
    settings: &'a FitSettings,
    series: &'a [&'a DailySeries],
    histories: Vec<History<'a>>,
    patterns: Vec<DemandPattern>,
    classes: Vec<Class>,
    blocks: Blocks,
    profiles: Profiles,
    /// The profiles that were known at each origin, the latest first.
    past_profiles: Vec<Profiles>,
}

/// Every series fitted, how it did on the last validated days, and the shared seasons.
pub(crate) struct Fits<'a> {
    pub(crate) fitted: Vec<Fitted>,
    pub(crate) validations: Vec<Validation<'a>>,
    profiles: Profiles,
    past: Profiles,
}

/// Fits every series by methods that are chosen on its last days; the results have the order of the series. The last
/// `validated` days are forecast once more from the days before.
pub(crate) fn fit_all<'a>(
    series: &'a [&'a DailySeries],
    settings: &'a FitSettings,
    validated: usize,
) -> Result<Fits<'a>, DemandError> {
    let fit = Fit::new(series, settings)?;
    let losses = fit.of_each(|at| fit.point_losses(at))?;
    let suits = |at: usize, method: usize| fit.suits(at, CANDIDATES[method]);
    let candidates = choose(&fit.classes, &losses, suits);
    let quantile_losses = fit.of_each(|at| fit.quantile_losses(at, CANDIDATES[candidates[at]]))?;
    let sources = choose(&fit.classes, &quantile_losses, |_, _| true);
    let lacks = |at: usize| fit.origins(at).next().is_none().then_some(Lack::Days);
    let fitted = fit.of_each(|at| fit.fitted(at, CANDIDATES[candidates[at]], SOURCES[sources[at]], lacks(at)))?;
    let past = learned(&fit.histories, validated, settings.season_days);
    let validations = match validated {
        0 => Vec::new(),
        days => fit.of_each(|at| fit.validation(at, CANDIDATES[candidates[at]], days, &past))?,
    };
    Ok(Fits { fitted, validations, profiles: fit.profiles, past })
}

/// Fits every series by one method that costs next to nothing, with the shared seasons of others.
pub(crate) fn fit_plainly<'a>(
    series: &'a [&'a DailySeries],
    settings: &'a FitSettings,
    validated: usize,
    others: &Fits,
) -> Result<(Vec<Fitted>, Vec<Validation<'a>>), DemandError> {
    let fit = Fit::with_profiles(series, settings, others.profiles.clone())?;
    let source = |at: usize| if fit.classes[at].is_sparse { SOURCES[0] } else { PLAIN_SOURCE };
    let lacks = |at: usize| series[at].key.subject.is_product().then_some(Lack::Sales);
    let fitted = fit.of_each(|at| fit.fitted(at, PLAIN, source(at), lacks(at)))?;
    Ok((fitted, fit.of_each(|at| fit.validation(at, PLAIN, validated, &others.past))?))
}

/// The profiles that were known so many days before the end.
fn learned(histories: &[History], back: usize, season_days: usize) -> Profiles {
    let before: Vec<History> = histories.iter().filter_map(|history| history.without_last(back)).collect();
    Profiles::learn(&before, season_days)
}

impl<'a> Fit<'a> {
    fn new(series: &'a [&'a DailySeries], settings: &'a FitSettings) -> Result<Fit<'a>, DemandError> {
        let mut fit = Fit::with_profiles(series, settings, Profiles::default())?;
        let past: Vec<usize> = fit.blocks.back().collect();
        let learned = |back: &usize| learned(&fit.histories, *back, settings.season_days);
        fit.past_profiles = past.par_iter().map(learned).collect();
        fit.profiles = Profiles::learn(&fit.histories, settings.season_days);
        Ok(fit)
    }

    fn with_profiles(
        series: &'a [&'a DailySeries],
        settings: &'a FitSettings,
        profiles: Profiles,
    ) -> Result<Fit<'a>, DemandError> {
        let (mut histories, mut patterns, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for daily in series {
            let pattern = DemandPattern::of(&checked(daily, settings)?);
            let values = &daily.quantities[..];
            histories.push(History { region: daily.key.region, first_day: daily.first_day, values });
            classes.push(Class::of(pattern, values.len()));
            patterns.push(pattern);
        }
        let longest = histories.iter().map(|history| history.values.len()).max().unwrap_or(0);
        let blocks = Blocks::of(longest, settings.horizon_days);
        Ok(Fit { settings, series, histories, patterns, classes, blocks, profiles, past_profiles: Vec::new() })
    }

    fn of_each<T: Send>(&self, of: impl Fn(usize) -> Result<T, ForecastError> + Sync) -> Result<Vec<T>, DemandError> {
        let blamed =
            |at: usize| of(at).map_err(|source| DemandError::Series { key: Box::new(self.series[at].key), source });
        (0..self.series.len()).into_par_iter().map(blamed).collect()
    }

    /// Two seasons are the least that a method is validated on.
    fn shortest(&self) -> usize {
        self.settings.season_days.max(2).saturating_mul(2)
    }

    fn suits(&self, at: usize, candidate: Candidate) -> bool {
        candidate.suits(self.classes[at].is_sparse, self.histories[at].values.len() < self.shortest())
    }

    /// The histories before each origin that leaves enough of them, with what followed and the profiles known then.
    fn origins(&self, at: usize) -> impl Iterator<Item = (History<'a>, &'a [f64], &Profiles)> {
        let history = self.histories[at];
        let shortest = self.shortest();
        let days = self.blocks.days;
        self.blocks.back().zip(&self.past_profiles).filter_map(move |(back, profiles)| {
            let before = history.without_last(back).filter(|before| before.values.len() >= shortest)?;
            let origin = before.values.len();
            Some((before, &history.values[origin..origin + days], profiles))
        })
    }

    /// The candidate's forecast of the last `days` from those before; the mean of these where they are few, or zero.
    fn validation(
        &self,
        at: usize,
        candidate: Candidate,
        days: usize,
        past: &Profiles,
    ) -> Result<Validation<'a>, ForecastError> {
        let history = self.histories[at];
        let (before, actual) = history.values.split_at(history.values.len().saturating_sub(days));
        let points = match history.without_last(days) {
            Some(earlier) if before.len() >= self.shortest() => {
                let region = past.of(earlier.region, self.settings.season_days);
                candidate.forecast(&earlier, self.settings.season_days, &region, days)?
            }
            _ => vec![before.iter().sum::<f64>() / before.len().max(1) as f64; days],
        };
        Ok(Validation { points, actual, before })
    }

    /// Root mean squared scaled error of every candidate; none when nothing can be validated.
    fn point_losses(&self, at: usize) -> Result<Option<Losses>, ForecastError> {
        if self.patterns[at] == DemandPattern::None {
            return Ok(None);
        }
        let season_days = self.settings.season_days;
        let (mut origins, mut squares) = (0.0, vec![0.0; CANDIDATES.len()]);
        for (before, actual, profiles) in self.origins(at) {
            let region = profiles.of(before.region, season_days);
            for (candidate, sum) in CANDIDATES.iter().zip(&mut squares) {
                if !self.suits(at, *candidate) {
                    *sum = f64::INFINITY;
                    continue;
                }
                let points = candidate.forecast(&before, season_days, &region, actual.len())?;
                // A history that does not vary gives no scale, and no method anything to tell it from the others by.
                let Ok(loss) = rmsse(self.histories[at].values, actual, &points) else { return Ok(None) };
                *sum += loss * loss;
            }
            origins += 1.0;
        }
        let by_method = squares.into_iter().map(|sum| (sum / origins).sqrt()).collect();
        Ok((origins > 0.0).then_some(Losses { origins, by_method }))
    }

    /// Scaled pinball loss of every source of quantiles around the points of the chosen candidate.
    fn quantile_losses(&self, at: usize, candidate: Candidate) -> Result<Option<Losses>, ForecastError> {
        let Ok(scale) = pinball_scale(self.histories[at].values) else { return Ok(None) };
        let season_days = self.settings.season_days;
        let (mut origins, mut sums) = (0.0, vec![0.0; SOURCES.len()]);
        for (before, actual, profiles) in self.origins(at) {
            let region = profiles.of(before.region, season_days);
            let points = candidate.forecast(&before, season_days, &region, actual.len())?;
            let followed = candidate.profile(&before, season_days, &region);
            let quiet: Vec<bool> = (before.next_day()..).take(points.len()).map(|day| region.is_quiet(day)).collect();
            for (source, sum) in SOURCES.iter().zip(&mut sums) {
                let samples = source.collect(&before, &region, &followed);
                for level in LEVELS {
                    let quantile = |(point, quiet): (&f64, &bool)| samples.quantile(*point, *quiet, level);
                    let quantiles: Vec<f64> = points.iter().zip(&quiet).map(quantile).collect();
                    let lengths = |_| ForecastError::Horizon { found: points.len(), most: actual.len() };
                    let loss = pinball(actual, &quantiles, level).map_err(lengths)?;
                    *sum += loss / (scale * LEVELS.len() as f64);
                }
            }
            origins += 1.0;
        }
        let by_method = sums.into_iter().map(|sum| sum / origins).collect();
        Ok((origins > 0.0).then_some(Losses { origins, by_method }))
    }

    fn fitted(
        &self,
        at: usize,
        candidate: Candidate,
        source: Source,
        lacks: Option<Lack>,
    ) -> Result<Fitted, ForecastError> {
        let (history, season_days) = (self.histories[at], self.settings.season_days);
        let region = self.profiles.of(history.region, season_days);
        let followed = candidate.profile(&history, season_days, &region);
        let next_day = history.next_day();
        let horizon = self.settings.horizon_days;
        Ok(Fitted {
            key: self.series[at].key,
            next_day,
            candidate,
            coherence: Coherence::Alone,
            points: candidate.forecast(&history, season_days, &region, horizon)?,
            quiet: (next_day..).take(horizon).map(|day| region.is_quiet(day)).collect(),
            recent: history.values[history.values.len().saturating_sub(RECENT_DAYS)..].to_vec(),
            source,
            samples: source.collect(&history, &region, &followed).thinned(),
            spread: spread(history.values),
            has_demand: self.patterns[at] != DemandPattern::None,
            lacks,
            accuracy: None,
        })
    }
}
