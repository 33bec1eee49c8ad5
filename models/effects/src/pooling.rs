//! Estimates of many products drawn together as far as they are alike: product, category, all; what they estimate is elsewhere.
//!
//! `told_i ~ N(effect_i, variance_i)`, `effect_i ~ N(category_c, within)`, `category_c ~ N(all, between)`; both variances by
//! Paule and Mandel 1982 (the generalised sum of squares equals its degrees of freedom). An effect's interval holds its own
//! variance and that of the means which it is drawn to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Products are never taken to be more alike than to this standard deviation, as few of them tell it badly.
const SPREAD_LEAST: f64 = 0.1;
/// The largest variance that is looked for.
const VARIANCE_MOST: f64 = 25.0;
const HALVINGS: usize = 60;
/// The 95 % quantile of the standard normal distribution.
const NORMAL_95: f64 = 1.644_853_626_951_472_7;

/// An estimate with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The standard deviation of what it may be.
    pub error: f64,
}

impl Estimate {
    /// What holds it with a probability of 90 %.
    pub fn interval_90(&self) -> (f64, f64) {
        (self.value - NORMAL_95 * self.error, self.value + NORMAL_95 * self.error)
    }
}

/// What one product tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub product: usize,
    pub group: usize,
    pub estimate: f64,
    pub variance: f64,
}

/// What products have in common, and what each is.
#[derive(Debug, Clone)]
pub(crate) struct Pooled {
    pub all: Estimate,
    /// By number of a category: its mean.
    pub groups: BTreeMap<usize, Estimate>,
    /// By number of a product.
    pub products: BTreeMap<usize, Estimate>,
    /// The variance of products within a category.
    pub within: f64,
    /// The variance of categories.
    pub between: f64,
}

impl Pooled {
    /// A product of a category that told nothing: the category's mean and how products scatter around it.
    pub fn unseen(&self, group: usize) -> Estimate {
        let mean = self.group(group);
        Estimate { error: (mean.error.powi(2) + self.within).sqrt(), ..mean }
    }

    /// The mean of a category; that of all with the scatter of categories where it told nothing.
    pub fn group(&self, group: usize) -> Estimate {
        let other = Estimate { error: (self.all.error.powi(2) + self.between).sqrt(), ..self.all };
        self.groups.get(&group).copied().unwrap_or(other)
    }
}

/// Pools; none where nothing is told.
pub(crate) fn pool(told: &[Told]) -> Option<Pooled> {
    if told.is_empty() {
        return None;
    }
    let mut groups: BTreeMap<usize, Vec<&Told>> = BTreeMap::new();
    told.iter().for_each(|one| groups.entry(one.group).or_default().push(one));
    let means = |within: f64| -> BTreeMap<usize, (f64, f64)> {
        let of = |of: &Vec<&Told>| mean(of.iter().map(|one| (one.estimate, one.variance + within)));
        groups.iter().map(|(group, members)| (*group, of(members))).collect()
    };
    let freedom = told.len() - groups.len();
    let within = variance(freedom, |within| {
        let means = means(within);
        told.iter().map(|one| (one.estimate - means[&one.group].0).powi(2) / (one.variance + within)).sum()
    })
    .max(SPREAD_LEAST.powi(2));
    let means = means(within);
    let all_of = |between: f64| mean(means.values().map(|(value, variance)| (*value, variance + between)));
    let between = variance(means.len() - 1, |between| {
        let (all, _) = all_of(between);
        means.values().map(|(value, variance)| (value - all).powi(2) / (variance + between)).sum()
    })
    .max(SPREAD_LEAST.powi(2));
    let (all, all_variance) = all_of(between);
    let group_of = |(group, (value, variance)): (&usize, &(f64, f64))| {
        (*group, drawn(*value, *variance, all, between, all_variance))
    };
    let groups: BTreeMap<usize, Estimate> = means.iter().map(group_of).collect();
    let product_of = |one: &Told| {
        let group = groups[&one.group];
        (one.product, drawn(one.estimate, one.variance, group.value, within, group.error.powi(2)))
    };
    let products = told.iter().map(product_of).collect();
    let all = Estimate { value: all, error: all_variance.sqrt() };
    Some(Pooled { all, groups, products, within, between })
}

/// An estimate drawn to the mean of its like, which scatter by `spread` and whose mean has the variance `of_mean`.
fn drawn(value: f64, variance: f64, mean: f64, spread: f64, of_mean: f64) -> Estimate {
    let own = spread / (spread + variance);
    let value = mean + own * (value - mean);
    Estimate { value, error: (own * variance + (1.0 - own).powi(2) * of_mean).sqrt() }
}

/// The precision-weighted mean and its variance.
fn mean(told: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let (sum, weights) =
        told.fold((0.0, 0.0), |(sum, weights), (value, variance)| (sum + value / variance, weights + 1.0 / variance));
    (sum / weights, 1.0 / weights)
}

/// The variance at which a falling sum of squares equals its degrees of freedom; 0 where it is smaller already.
fn variance(freedom: usize, squares: impl Fn(f64) -> f64) -> f64 {
    let wanted = freedom as f64;
    if freedom == 0 || squares(0.0) <= wanted {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, VARIANCE_MOST);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if squares(middle) > wanted { low = middle } else { high = middle }
    }
    high
}
