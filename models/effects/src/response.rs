//! How one product's demand answers to price and discount, by Poisson quasi-likelihood; what products have in common is elsewhere.
//!
//! `E[units] = expectation · exp(level + trend·time + elasticity·ln(price) + response·discount)` with variance φ times the mean
//! (McCullagh and Nelder 1989, chapter 9). The trend has a prior of its own around zero, elasticity and response those of the
//! product's category. Maximised by Newton's method; the curvature there gives the variances, times φ, times how much more
//! neighbouring days scatter together than alone (`Alike`).

/// Parameters: level, trend, elasticity, response.
const WIDTH: usize = 4;
const TREND: usize = 1;
pub(crate) const PRICE: usize = 2;
pub(crate) const PROMOTION: usize = 3;
/// The standard deviation of the trend over the history, in logarithms.
const TREND_SPREAD: f64 = 1.0;
const STEPS_MAX: usize = 50;
/// No parameter moves further in one step.
const STEP_MOST: f64 = 1.5;
const CONVERGED: f64 = 1e-8;
/// Days that scatter together, for price (which stays for weeks) and promotion.
const TOGETHER_DAYS: [usize; 2] = [28, 7];

/// One day of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    pub day: usize,
    pub units: f64,
    pub expectation: f64,
    /// The logarithm of the price beside the product's mean.
    pub price: f64,
    pub discount: f64,
}

/// A normal prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prior {
    pub mean: f64,
    pub variance: f64,
}

/// A product fitted.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    /// What the days alone say, without the prior, of price and promotion: estimate and variance for φ = 1; none where they
    /// say nothing.
    pub told: [Option<(f64, f64)>; 2],
    /// φ: the squares of what is left beside the mean.
    pub dispersion: f64,
    /// Squares of the scores summed over days together, and expected of days alone, for price and promotion.
    pub together: [(f64, f64); 2],
}

/// Fits a product's days, each weighed by `weight` = 1/(φ · how much days scatter together), under priors of price and promotion.
pub(crate) fn fit(days: &[Day], weights: [f64; 2], priors: [Prior; 2]) -> Option<Fit> {
    let (units, expected): (f64, f64) =
        days.iter().fold((0.0, 0.0), |(y, e), day| (y + day.units, e + day.expectation));
    let (first, last) = (days.first()?.day as f64, days.last()?.day as f64);
    if units <= 0.0 || expected <= 0.0 {
        return None;
    }
    let time = |day: &Day| (day.day as f64 - (first + last) / 2.0) / (last - first).max(1.0);
    let row = |day: &Day| [1.0, time(day), day.price, day.discount];
    // One weight serves both: the larger variance is the safer one.
    let weight = weights[0].min(weights[1]);
    let means = [0.0, 0.0, priors[0].mean, priors[1].mean];
    let precisions = [0.0, TREND_SPREAD.powi(-2), 1.0 / priors[0].variance, 1.0 / priors[1].variance];
    let mut at = [(units / expected).ln(), 0.0, 0.0, 0.0];
    let mean_of = |at: &[f64; WIDTH], day: &Day| {
        day.expectation
            * row(day).iter().zip(at).map(|(x, parameter)| x * parameter).sum::<f64>().clamp(-30.0, 30.0).exp()
    };
    for _ in 0..STEPS_MAX {
        let (mut gradient, mut curvature) = ([0.0; WIDTH], [[0.0; WIDTH]; WIDTH]);
        for day in days {
            let (mean, row) = (mean_of(&at, day), row(day));
            for i in 0..WIDTH {
                gradient[i] += weight * (day.units - mean) * row[i];
                (0..WIDTH).for_each(|j| curvature[i][j] += weight * mean * row[i] * row[j]);
            }
        }
        for i in 0..WIDTH {
            gradient[i] -= precisions[i] * (at[i] - means[i]);
            curvature[i][i] += precisions[i];
        }
        let step = solve(&curvature, &gradient)?;
        let most = step.iter().fold(0.0_f64, |most, step| most.max(step.abs()));
        let scale = if most > STEP_MOST { STEP_MOST / most } else { 1.0 };
        at.iter_mut().zip(step).for_each(|(at, step)| *at += scale * step);
        if most < CONVERGED {
            break;
        }
    }
    let means_of_days: Vec<f64> = days.iter().map(|day| mean_of(&at, day)).collect();
    let squares: f64 = days.iter().zip(&means_of_days).map(|(day, mean)| (day.units - mean).powi(2)).sum();
    let freedom = days.len() as f64 / (days.len() as f64 - WIDTH as f64).max(1.0);
    let dispersion = squares * freedom / means_of_days.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut information = [[0.0; WIDTH]; WIDTH];
    for (day, mean) in days.iter().zip(&means_of_days) {
        let row = row(day);
        (0..WIDTH).for_each(|i| (0..WIDTH).for_each(|j| information[i][j] += mean * row[i] * row[j]));
    }
    let told = [PRICE, PROMOTION].map(|which| {
        // The trend and the other effect are uncertain under their priors, this one is told by the days alone.
        let mut with_priors = information;
        (0..WIDTH).for_each(|i| (0..WIDTH).for_each(|j| with_priors[i][j] *= weight));
        (0..WIDTH).filter(|i| *i != which).for_each(|i| with_priors[i][i] += precisions[i]);
        let mut unit = [0.0; WIDTH];
        unit[which] = 1.0;
        let alone = solve(&with_priors, &unit)?[which];
        let precision = 1.0 / alone;
        // The maximum under the prior is the precision-weighted mean of what the days say and the prior's mean.
        let estimate = (at[which] * (precision + precisions[which]) - precisions[which] * means[which]) / precision;
        (alone.is_finite() && alone > 0.0 && alone < 1e6).then_some((estimate, alone * weight))
    });
    let together = [(PRICE, TOGETHER_DAYS[0]), (PROMOTION, TOGETHER_DAYS[1])]
        .map(|(which, length)| scatter(days, &means_of_days, &information, &row, which, length, dispersion));
    Some(Fit { told, dispersion, together })
}

/// The squares of a score summed over stretches of days, and what they would be if days scattered alone.
fn scatter(
    days: &[Day],
    means: &[f64],
    information: &[[f64; WIDTH]; WIDTH],
    row: &impl Fn(&Day) -> [f64; WIDTH],
    which: usize,
    length: usize,
    dispersion: f64,
) -> (f64, f64) {
    // What the other parameters cannot explain of this one: x less its projection on them.
    let mut others = *information;
    let mut target = [0.0; WIDTH];
    for i in 0..WIDTH {
        target[i] = information[i][which];
        (others[i][which], others[which][i]) = (0.0, 0.0);
    }
    (others[which][which], target[which]) = (1.0, 0.0);
    (0..WIDTH).for_each(|i| others[i][i] += 1e-9);
    let Some(projection) = solve(&others, &target) else { return (0.0, 0.0) };
    let own = |day: &Day| {
        let row = row(day);
        row[which] - row.iter().zip(projection).map(|(x, weight)| x * weight).sum::<f64>()
    };
    let (mut squares, mut alone, mut sum, mut stretch) = (0.0, 0.0, 0.0, 0);
    for (day, mean) in days.iter().zip(means) {
        if day.day / length != stretch {
            (squares, sum, stretch) = (squares + sum * sum, 0.0, day.day / length);
        }
        sum += (day.units - mean) * own(day);
        alone += mean * own(day).powi(2);
    }
    // Products count alike, whatever their scale.
    let alone = alone * dispersion;
    if alone > 0.0 { ((squares + sum * sum) / alone, 1.0) } else { (0.0, 0.0) }
}

/// Solves a symmetric positive definite system by Cholesky's decomposition; none where it is not one.
fn solve(matrix: &[[f64; WIDTH]; WIDTH], right: &[f64; WIDTH]) -> Option<[f64; WIDTH]> {
    let mut lower = [[0.0; WIDTH]; WIDTH];
    for i in 0..WIDTH {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            let rest = matrix[i][j] - sum;
            if i == j {
                if rest <= 1e-300 || !rest.is_finite() {
                    return None;
                }
                lower[i][i] = rest.sqrt();
            } else {
                lower[i][j] = rest / lower[j][j];
            }
        }
    }
    let mut solution = *right;
    for i in 0..WIDTH {
        let sum: f64 = (0..i).map(|k| lower[i][k] * solution[k]).sum();
        solution[i] = (solution[i] - sum) / lower[i][i];
    }
    for i in (0..WIDTH).rev() {
        let sum: f64 = (i + 1..WIDTH).map(|k| lower[k][i] * solution[k]).sum();
        solution[i] = (solution[i] - sum) / lower[i][i];
    }
    solution.iter().all(|value| value.is_finite()).then_some(solution)
}

const _: () = assert!(TREND < PRICE && PRICE < PROMOTION && PROMOTION < WIDTH);
