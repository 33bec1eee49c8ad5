//! The trees beside the classic models and trivial forecasts, on what came after a cut; nothing behind the cut is learned from.

use serde::Serialize;

use crate::CustomersError;
use crate::bg_nbd::BgNbd;
use crate::calibration::{ProbabilityQuality, probability_quality};
use crate::features::Classic;
use crate::history::{Histories, Summary};
use crate::judgement::{Judgement, spend_judgement};
use crate::segments::{Followed, SegmentQuality, Trade, judge_segments};
use crate::spend::{SpendForecast, SpendModel, SpendSettings, classic};

/// Of the groups that are judged.
const SEED: u64 = 7;

/// A method and its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The method.
    pub method: &'static str,
    /// Its figures.
    #[serde(flatten)]
    pub judgement: Judgement,
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpendReport {
    /// Customers that were forecast.
    pub customers: usize,
    /// Of those, the share that bought nothing.
    pub none_share: f64,
    /// The methods.
    pub methods: Vec<Compared>,
    /// The share of customers whose spend the intervals held, with the ends of its 95 % interval (Wilson 1927).
    pub coverage: [f64; 3],
    /// The share that they were to hold.
    pub coverage_wanted: f64,
    /// The mean width of the intervals, in money.
    pub interval_width: f64,
    /// The probability that nothing is bought, by several methods.
    pub churn: Vec<ChurnCompared>,
    /// Groups of customers as of the cut, and what they say of the days behind it.
    pub segments: SegmentQuality,
}

/// A method and how good its probabilities are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChurnCompared {
    /// The method.
    pub method: &'static str,
    /// Its figures.
    #[serde(flatten)]
    pub quality: ProbabilityQuality,
}

/// Compares on the days from `cut` on.
///
/// # Errors
/// Too little to learn from.
pub fn compare(histories: &Histories, cut: i32, settings: &SpendSettings) -> Result<SpendReport, CustomersError> {
    let model = SpendModel::learn(histories, cut, settings)?;
    let forecasts = model.forecast(histories, cut)?;
    let (purchases, amounts) = classic(histories, cut)?;
    let classic = Classic { purchases, amounts, days: f64::from(settings.days) };
    let came: Vec<f64> =
        forecasts.iter().map(|forecast| histories.spend(forecast.customer, cut, settings.days)).collect();
    let of_classic: Vec<f64> =
        histories.known_before(cut).map(|(_, before)| classic.spend(&Summary::of(before, cut))).collect();
    let again: Vec<f64> = forecasts
        .iter()
        .map(|forecast| histories.spend(forecast.customer, cut - settings.days, settings.days))
        .collect();
    let mean = vec![again.iter().sum::<f64>() / again.len() as f64; again.len()];
    let trees: Vec<f64> = forecasts.iter().map(|forecast| forecast.spend).collect();
    let methods = [
        ("trees", &trees),
        ("BG/NBD and gamma-gamma", &of_classic),
        ("the last days again", &again),
        ("everybody's mean", &mean),
    ];
    let held = forecasts.iter().zip(&came).filter(|(f, came)| (f.interval[0]..=f.interval[1]).contains(came)).count();
    let none = came.iter().filter(|came| **came == 0.0).count() as f64 / came.len() as f64;
    Ok(SpendReport {
        customers: came.len(),
        none_share: none,
        methods: methods
            .into_iter()
            .map(|(method, guesses)| Compared { method, judgement: spend_judgement(guesses, &came) })
            .collect(),
        coverage: share_with_interval(held, came.len()),
        coverage_wanted: settings.coverage,
        interval_width: forecasts.iter().map(|f| f.interval[1] - f.interval[0]).sum::<f64>() / came.len() as f64,
        churn: churn(histories, cut, settings, &forecasts, &came, &classic.purchases),
        segments: judge_segments(&followed(histories, cut, settings.days), SEED)?,
    })
}

/// Everybody known before a cut, with what came in the days after it, in rising order.
pub fn followed(histories: &Histories, cut: i32, days: i32) -> Vec<Followed> {
    let of = |(customer, before): (u32, &[(i32, f64)])| {
        Trade::of(before, cut).map(|trade| Followed { trade, next: histories.spend(customer, cut, days) })
    };
    histories.known_before(cut).filter_map(of).collect()
}

/// The trees' probabilities beside those of the classic model and one number for everybody.
fn churn(
    histories: &Histories,
    cut: i32,
    settings: &SpendSettings,
    forecasts: &[SpendForecast],
    came: &[f64],
    classic: &BgNbd,
) -> Vec<ChurnCompared> {
    let none: Vec<bool> = came.iter().map(|came| *came == 0.0).collect();
    let share = none.iter().filter(|none| **none).count() as f64 / none.len() as f64;
    let summaries: Vec<Summary> = histories.known_before(cut).map(|(_, before)| Summary::of(before, cut)).collect();
    let days = f64::from(settings.days);
    let methods: [(&str, Vec<f64>); 4] = [
        ("trees, calibrated", forecasts.iter().map(|forecast| forecast.churn).collect()),
        ("BG/NBD, nothing in these days", summaries.iter().map(|one| classic.silent(one, days)).collect()),
        ("BG/NBD, has left", summaries.iter().map(|one| 1.0 - classic.alive(one)).collect()),
        ("one number", vec![share; none.len()]),
    ];
    let judged =
        |(method, said): (&'static str, Vec<f64>)| ChurnCompared { method, quality: probability_quality(&said, &none) };
    methods.into_iter().map(judged).collect()
}

/// A share and the ends of its 95 % interval (Wilson 1927).
pub fn share_with_interval(part: usize, whole: usize) -> [f64; 3] {
    const Z: f64 = 1.959_964;
    if whole == 0 {
        return [0.0, 0.0, 1.0];
    }
    let (n, share) = (whole as f64, part as f64 / whole as f64);
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [share, middle - half, middle + half]
}
