//! The trees beside the classic models and trivial forecasts, on what came after a cut; nothing behind the cut is learned from.

use serde::Serialize;

use crate::CustomersError;
use crate::features::Classic;
use crate::history::{Histories, Summary};
use crate::judgement::{Judgement, spend_judgement};
use crate::spend::{SpendModel, SpendSettings, classic};

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
    /// The share of customers whose spend the intervals held, and the share that they were to hold.
    pub coverage: [f64; 2],
    /// The mean width of the intervals, in money.
    pub interval_width: f64,
    /// The mean squared error of the probability that nothing is bought, and that of the same number for everybody.
    pub churn_brier: [f64; 2],
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
    let brier = |guess: &dyn Fn(usize) -> f64| {
        let error = |at: usize| (guess(at) - f64::from(u8::from(came[at] == 0.0))).powi(2);
        (0..came.len()).map(error).sum::<f64>() / came.len() as f64
    };
    Ok(SpendReport {
        customers: came.len(),
        none_share: none,
        methods: methods
            .into_iter()
            .map(|(method, guesses)| Compared { method, judgement: spend_judgement(guesses, &came) })
            .collect(),
        coverage: [held as f64 / came.len() as f64, settings.coverage],
        interval_width: forecasts.iter().map(|f| f.interval[1] - f.interval[0]).sum::<f64>() / came.len() as f64,
        churn_brier: [brier(&|at| forecasts[at].churn), brier(&|_| none)],
    })
}
