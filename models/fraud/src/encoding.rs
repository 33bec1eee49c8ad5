//! How a raw feature becomes the columns of a linear model, learned from training rows alone; the weights are learned elsewhere.
//!
//! A value is imputed by the median, drawn in by a signed logarithm where its tails are heavy, clipped at outer quantiles and
//! standardised. It then fills one straight column, one column that says "missing" where that occurred, and optionally a row of
//! tent functions over knots, with which a linear model follows a bend. All columns are centred on the training mean, so that
//! weight × column is exactly what the feature adds compared with the average row.

use serde::{Deserialize, Serialize};

/// Share of rows beyond each clipping bound.
const CLIPPED_TAIL_SHARE: f64 = 0.0005;
/// Skewness from which a tail counts as heavy (an exponential distribution has 2).
const HEAVY_TAIL_SKEWNESS: f64 = 2.0;
/// The usual range reaches from this quantile of genuine rows to its mirror image.
const USUAL_RANGE_TAIL: f64 = 0.05;
/// Knots closer than this, in standard deviations, are one.
const LEAST_KNOT_GAP: f64 = 1e-3;
/// A spread below this share of the values' size is rounding noise: the feature is constant.
const LEAST_RELATIVE_SPREAD: f64 = 1e-12;

/// What was learned about one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FeatureEncoding {
    /// Stands in for a missing value; raw units.
    median: f64,
    /// The scale of the signed logarithm; none where the value is taken as it is.
    log_unit: Option<f64>,
    /// Clipping bounds and moments, after the logarithm.
    low: f64,
    high: f64,
    mean: f64,
    deviation: f64,
    /// Ascending, in standard deviations; empty where the feature stays a straight line.
    knots: Vec<f64>,
    missing_seen: bool,
    /// Training mean of each column before centring: straight, missing (if seen), tents.
    column_means: Vec<f64>,
    /// 5 % and 95 % quantile of genuine rows, raw units.
    pub(crate) usual: Option<(f64, f64)>,
}

impl FeatureEncoding {
    /// Learns from one column of training values (NaN = missing) and their labels; `knots` = 0 keeps a straight line.
    pub(crate) fn learn(values: &[f64], labels: &[bool], knots: usize) -> Self {
        let mut present: Vec<(f64, bool)> =
            values.iter().copied().zip(labels.iter().copied()).filter(|(value, _)| !value.is_nan()).collect();
        present.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sorted: Vec<f64> = present.iter().map(|&(value, _)| value).collect();
        let genuine: Vec<f64> = present.iter().filter(|(_, fraud)| !fraud).map(|&(value, _)| value).collect();

        let mut encoding = Self {
            median: quantile(&sorted, 0.5).unwrap_or(0.0),
            log_unit: heavy_tail_unit(&sorted),
            low: 0.0,
            high: 0.0,
            mean: 0.0,
            deviation: 0.0,
            knots: Vec::new(),
            missing_seen: sorted.len() < values.len(),
            column_means: Vec::new(),
            usual: usual_range(&genuine),
        };
        encoding.learn_scale(&sorted);
        if encoding.deviation > 0.0 {
            encoding.knots = encoding.learn_knots(&present, knots);
        }
        encoding.learn_column_means(values);
        encoding
    }

    /// Number of columns that this feature fills; 0 for a constant one.
    pub(crate) fn columns(&self) -> usize {
        self.column_means.len()
    }

    /// Writes the centred columns of one value (NaN = missing) into `out`, of length `columns`.
    pub(crate) fn encode(&self, value: f64, out: &mut [f64]) {
        self.fill(value, out);
        for (column, mean) in out.iter_mut().zip(&self.column_means) {
            *column -= mean;
        }
    }

    /// Whether every stored number is fit to score with.
    pub(crate) fn is_sound(&self) -> bool {
        let numbers = [self.median, self.low, self.high, self.mean, self.deviation];
        let usual = self.usual.is_none_or(|(low, high)| low.is_finite() && high.is_finite());
        numbers.iter().chain(&self.knots).chain(&self.column_means).all(|x| x.is_finite())
            && self.low <= self.high
            && self.log_unit.is_none_or(|unit| unit.is_finite() && unit > 0.0)
            && usual
            && self.columns() == self.column_count()
            && self.knots.is_sorted()
    }

    fn column_count(&self) -> usize {
        let straight = usize::from(self.deviation > 0.0);
        straight + usize::from(self.missing_seen) + self.knots.len()
    }

    fn learn_scale(&mut self, sorted: &[f64]) {
        let transformed: Vec<f64> = sorted.iter().map(|&value| self.transform(value)).collect();
        self.low = quantile(&transformed, CLIPPED_TAIL_SHARE).unwrap_or(0.0);
        self.high = quantile(&transformed, 1.0 - CLIPPED_TAIL_SHARE).unwrap_or(0.0);
        if self.low == self.high {
            // A feature that is almost always the same keeps its rare values: they are what it has to say.
            self.low = transformed.first().copied().unwrap_or(0.0);
            self.high = transformed.last().copied().unwrap_or(0.0);
        }
        let clipped: Vec<f64> = transformed.iter().map(|value| value.clamp(self.low, self.high)).collect();
        let moments = Moments::of(&clipped);
        self.mean = moments.mean;
        let noise = LEAST_RELATIVE_SPREAD * self.low.abs().max(self.high.abs());
        self.deviation = if moments.deviation > noise { moments.deviation } else { 0.0 };
    }

    /// Knots at the quantiles of a half-and-half mixture of genuine and fraudulent rows, so that the few frauds get knots too.
    fn learn_knots(&self, present: &[(f64, bool)], wanted: usize) -> Vec<f64> {
        let frauds = present.iter().filter(|(_, fraud)| *fraud).count();
        let genuine = present.len() - frauds;
        if wanted < 2 || frauds == 0 || genuine == 0 {
            return Vec::new();
        }
        let (fraud_weight, genuine_weight) = (0.5 / frauds as f64, 0.5 / genuine as f64);
        let mut knots: Vec<f64> = Vec::with_capacity(wanted);
        let mut reached = 0.0;
        let mut next = 0;
        for &(value, fraud) in present {
            reached += if fraud { fraud_weight } else { genuine_weight };
            while next < wanted && reached >= (next as f64 + 0.5) / wanted as f64 {
                let knot = self.standardise(value);
                if knots.last().is_none_or(|last| knot - last > LEAST_KNOT_GAP) {
                    knots.push(knot);
                }
                next += 1;
            }
        }
        // A single tent is a constant.
        if knots.len() < 2 { Vec::new() } else { knots }
    }

    fn learn_column_means(&mut self, values: &[f64]) {
        let width = self.column_count();
        let mut sums = vec![0.0; width];
        let mut columns = vec![0.0; width];
        for &value in values {
            columns.fill(0.0);
            self.fill(value, &mut columns);
            sums.iter_mut().zip(&columns).for_each(|(sum, column)| *sum += column);
        }
        self.column_means = sums.into_iter().map(|sum| sum / values.len() as f64).collect();
    }

    /// The columns before centring.
    fn fill(&self, value: f64, out: &mut [f64]) {
        let missing = value.is_nan();
        let standard = self.standardise(if missing { self.median } else { value });
        let straight = usize::from(self.deviation > 0.0);
        if straight == 1 {
            out[0] = standard;
        }
        if self.missing_seen {
            out[straight] = f64::from(u8::from(missing));
        }
        fill_tents(&self.knots, standard, &mut out[straight + usize::from(self.missing_seen)..]);
    }

    fn transform(&self, value: f64) -> f64 {
        match self.log_unit {
            Some(unit) => signed_log(value, unit),
            None => value,
        }
    }

    fn standardise(&self, value: f64) -> f64 {
        if self.deviation == 0.0 {
            return 0.0;
        }
        (self.transform(value).clamp(self.low, self.high) - self.mean) / self.deviation
    }
}

/// Tent functions: 1 on their own knot, falling linearly to 0 on the neighbours; the outer ones stay 1 beyond the ends.
fn fill_tents(knots: &[f64], at: f64, out: &mut [f64]) {
    out.fill(0.0);
    let right = knots.partition_point(|&knot| knot <= at);
    match (right.checked_sub(1), knots.get(right)) {
        (None, None) => {}
        (None, Some(_)) => out[0] = 1.0,
        (Some(left), None) => out[left] = 1.0,
        (Some(left), Some(&next)) => {
            let share = (at - knots[left]) / (next - knots[left]);
            out[left] = 1.0 - share;
            out[right] = share;
        }
    }
}

fn signed_log(value: f64, unit: f64) -> f64 {
    value.signum() * (value.abs() / unit).ln_1p()
}

/// The unit of a signed logarithm where the tails are heavy and the logarithm makes them lighter: the median size of non-zero values.
fn heavy_tail_unit(sorted: &[f64]) -> Option<f64> {
    let plain = Moments::of(sorted).skewness.abs();
    if plain <= HEAVY_TAIL_SKEWNESS {
        return None;
    }
    let mut sizes: Vec<f64> = sorted.iter().map(|value| value.abs()).filter(|&size| size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let unit = quantile(&sizes, 0.5)?;
    let drawn_in: Vec<f64> = sorted.iter().map(|&value| signed_log(value, unit)).collect();
    (Moments::of(&drawn_in).skewness.abs() < plain).then_some(unit)
}

struct Moments {
    mean: f64,
    deviation: f64,
    skewness: f64,
}

impl Moments {
    /// Population moments; all zero for an empty slice.
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        // Sums of scaled values stay finite however large the values are.
        let scale = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if scale == 0.0 {
            return Self { mean: 0.0, deviation: 0.0, skewness: 0.0 };
        }
        let mean = values.iter().map(|value| value / scale).sum::<f64>() / count;
        let central = |power: i32| values.iter().map(|value| (value / scale - mean).powi(power)).sum::<f64>() / count;
        let deviation = central(2).sqrt();
        let skewness = if deviation > 0.0 { central(3) / deviation.powi(3) } else { 0.0 };
        Self { mean: mean * scale, deviation: deviation * scale, skewness }
    }
}

/// The usual range of ascending genuine values; none where there are none.
pub(crate) fn usual_range(genuine: &[f64]) -> Option<(f64, f64)> {
    quantile(genuine, USUAL_RANGE_TAIL).zip(quantile(genuine, 1.0 - USUAL_RANGE_TAIL))
}

/// The quantile `share` (0..=1) of ascending values, linear between neighbours; none of an empty slice.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let weight = position - below as f64;
    Some(sorted[below] * (1.0 - weight) + sorted[above] * weight)
}
