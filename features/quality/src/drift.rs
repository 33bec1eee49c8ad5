//! Whether two samples are of one distribution: PSI and Kolmogorov-Smirnov, each beside what chance alone gives at these sizes.

use serde::Serialize;

/// Bins of the population stability index, cut at the reference's quantiles; values that are missing have one more.
pub const BINS: usize = 10;

/// When a difference counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftSettings {
    /// How often a quiet comparison may raise an alarm by one of its two measures, in (0, 0.5).
    pub false_alarm_rate: f64,
    /// A PSI below this is of no account, however certain; .1 is commonly called a small change, .25 a large one.
    pub psi_min: f64,
    /// The same for the Kolmogorov-Smirnov distance.
    pub distance_min: f64,
}

impl Default for DriftSettings {
    /// One false alarm in 500 comparisons by each measure; a PSI of .01 or a distance of .02 at least.
    fn default() -> Self {
        Self { false_alarm_rate: 0.002, psi_min: 0.01, distance_min: 0.02 }
    }
}

/// How far a sample has moved from a reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// Values of the reference, missing ones included.
    pub reference_count: usize,
    /// Values of the sample, missing ones included.
    pub sample_count: usize,
    /// The population stability index over [`BINS`] bins and the missing values.
    pub psi: f64,
    /// What it must reach to count.
    pub psi_threshold: f64,
    /// The largest difference between the two distribution functions of the values that are there; 0 to 1.
    pub distance: f64,
    /// What it must reach to count.
    pub distance_threshold: f64,
    /// Whether one of the two reached its threshold.
    pub has_drifted: bool,
}

/// Why two samples cannot be compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DriftError {
    /// One has no values.
    #[error("the {which} has no values; both samples need some")]
    Empty {
        /// `reference` or `sample`.
        which: &'static str,
    },
    /// The settings mean nothing.
    #[error("a false-alarm rate of {rate} is not in (0, 0.5)")]
    Rate {
        /// The rate.
        rate: f64,
    },
}

/// Compares `sample` with `reference`; NaN is a missing value.
///
/// PSI is the sum over bins of (p - q) ln(p / q). Of two samples of one distribution it is about (1/n + 1/m) times a
/// chi-squared variable with one degree of freedom less than there are bins (Yurdakul and Naranjo, Statistical properties
/// of the population stability index, 2020), which is its threshold here; that of the distance is Smirnov's asymptotic.
///
/// # Errors
/// A sample without values, or a rate out of its range.
pub fn drift(reference: &[f64], sample: &[f64], settings: &DriftSettings) -> Result<Drift, DriftError> {
    let rate = settings.false_alarm_rate;
    if !(rate > 0.0 && rate < 0.5) {
        return Err(DriftError::Rate { rate });
    }
    for (which, values) in [("reference", reference), ("sample", sample)] {
        if values.is_empty() {
            return Err(DriftError::Empty { which });
        }
    }
    let (before, now) = (sorted(reference), sorted(sample));
    let edges = edges(&before);
    let (p, q) = (shares(&before, reference.len(), &edges), shares(&now, sample.len(), &edges));
    let psi = p.iter().zip(&q).map(|(p, q)| (p - q) * (p / q).ln()).sum();
    let spread = 1.0 / reference.len() as f64 + 1.0 / sample.len() as f64;
    let psi_threshold = (chi_squared_quantile(p.len() - 1, rate) * spread).max(settings.psi_min);
    let distance = distance(&before, &now);
    let distance_threshold = distance_threshold(before.len(), now.len(), rate).max(settings.distance_min);
    Ok(Drift {
        reference_count: reference.len(),
        sample_count: sample.len(),
        psi,
        psi_threshold,
        distance,
        distance_threshold,
        has_drifted: psi >= psi_threshold || distance >= distance_threshold,
    })
}

/// The values that are there, in order.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    there.sort_unstable_by(f64::total_cmp);
    there
}

/// Upper edges of the bins but the last: the reference's quantiles, each once, so that a value that is common has a bin.
fn edges(reference: &[f64]) -> Vec<f64> {
    let mut edges: Vec<f64> =
        (1..BINS).filter_map(|bin| reference.get(bin * reference.len() / BINS).copied()).collect();
    edges.dedup();
    edges
}

/// Shares of the bins and of the missing values. Half a value is added to each, so that none is zero.
fn shares(there: &[f64], count: usize, edges: &[f64]) -> Vec<f64> {
    let mut counts = Vec::with_capacity(edges.len() + 2);
    let mut below = 0;
    for edge in edges {
        let end = there.partition_point(|value| value < edge);
        counts.push(end - below);
        below = end;
    }
    counts.push(there.len() - below);
    counts.push(count - there.len());
    let total = count as f64 + 0.5 * counts.len() as f64;
    counts.into_iter().map(|count| (count as f64 + 0.5) / total).collect()
}

/// The Kolmogorov-Smirnov distance of two sorted samples; 1 where one is empty and the other is not.
fn distance(left: &[f64], right: &[f64]) -> f64 {
    if left.is_empty() || right.is_empty() {
        return f64::from(u8::from(left.len() != right.len()));
    }
    let (mut i, mut j, mut largest) = (0, 0, 0.0_f64);
    while i < left.len() && j < right.len() {
        let value = left[i].min(right[j]);
        while i < left.len() && left[i] <= value {
            i += 1;
        }
        while j < right.len() && right[j] <= value {
            j += 1;
        }
        largest = largest.max((i as f64 / left.len() as f64 - j as f64 / right.len() as f64).abs());
    }
    largest
}

fn distance_threshold(left: usize, right: usize, rate: f64) -> f64 {
    if left == 0 || right == 0 {
        return 1.0;
    }
    let spread = 1.0 / left as f64 + 1.0 / right as f64;
    (-(rate / 2.0).ln() / 2.0 * spread).sqrt()
}

/// The value that a chi-squared variable exceeds with probability `rate` (Wilson and Hilferty, 1931; within 1 % here).
fn chi_squared_quantile(degrees: usize, rate: f64) -> f64 {
    let degrees = degrees.max(1) as f64;
    let part = 2.0 / (9.0 * degrees);
    degrees * (1.0 - part + normal_quantile(rate) * part.sqrt()).powi(3)
}

/// The value that a standard normal variable exceeds with probability `rate` below one half (Abramowitz and Stegun
/// 26.2.23; error below 4.5e-4).
fn normal_quantile(rate: f64) -> f64 {
    let t = (-2.0 * rate.ln()).sqrt();
    t - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
        / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t * t * t)
}
