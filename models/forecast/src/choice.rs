//! Which of several methods each series gets, by their losses on days at the end of its own history; it knows no methods.
//!
//! One series' few validated days are noisy, so that picking its own best would often pick luck. Its losses are therefore
//! averaged with the mean losses of its class (kind of demand and length), which counts as `CLASS_ORIGINS` further origins; the
//! class itself is averaged with all classes of equally sparse demand, which count as `PARENT_SERIES` further series.

use dhow_univariate::DemandPattern;
use std::collections::BTreeMap;

/// Most origins from which a series is forecast for validation.
const MAX_ORIGINS: usize = 6;
/// Longest block of days that is forecast from one origin.
const LONGEST_BLOCK: usize = 28;
/// Origins that a class counts for: the best of 0, 3, 10, 30 and 1,000 on a simulated market and two spans of a real shop. Without
/// it the error is half a percent larger; beyond it little changes.
const CLASS_ORIGINS: f64 = 30.0;
/// Series that the parent of a class counts for.
const PARENT_SERIES: f64 = 20.0;
/// Lengths of history, days, at which a new class begins.
const LENGTH_CLASSES: [usize; 3] = [56, 182, 364];

/// The days set aside: blocks of equal length, one after the other, the latest ending with the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) days: usize,
}

impl Blocks {
    /// Blocks for histories of which the longest has `longest` days, to be forecast `horizon` days.
    pub(crate) fn of(longest: usize, horizon: usize) -> Blocks {
        Blocks { days: LONGEST_BLOCK.min(horizon).min(longest / 4).max(1) }
    }

    /// Days from an origin to the end of the history, the latest origin first.
    pub(crate) fn back(self) -> impl Iterator<Item = usize> {
        (1..=MAX_ORIGINS).map(move |block| block * self.days)
    }
}

/// What is alike in choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) is_sparse: bool,
    is_uneven: bool,
    length: usize,
}

impl Class {
    pub(crate) fn of(pattern: DemandPattern, days: usize) -> Class {
        let is_uneven = matches!(pattern, DemandPattern::Erratic | DemandPattern::Lumpy);
        let length = LENGTH_CLASSES.iter().filter(|limit| days >= **limit).count();
        Class { is_sparse: pattern.is_sparse(), is_uneven, length }
    }
}

/// Losses of one series, comparable across series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Losses {
    /// Origins that they are the mean of.
    pub(crate) origins: f64,
    /// One per method; infinite for a method that does not suit the series.
    pub(crate) by_method: Vec<f64>,
}

/// The position of each series' method among those that `suits` allows for the series at a position; without any losses of its
/// class or the class's parent it is the first.
pub(crate) fn choose(classes: &[Class], losses: &[Option<Losses>], suits: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let (mut by_class, mut by_parent) = (BTreeMap::<Class, Sum>::new(), BTreeMap::<bool, Sum>::new());
    for (class, losses) in classes.iter().zip(losses) {
        if let Some(losses) = losses {
            by_class.entry(*class).or_default().add(losses);
            by_parent.entry(class.is_sparse).or_default().add(losses);
        }
    }
    let of_one = |(series, (class, losses)): (usize, (&Class, &Option<Losses>))| {
        let Some(parent) = by_parent.get(&class.is_sparse) else { return 0 };
        let of_class = by_class.get(class).map_or_else(|| parent.mean(), |sum| sum.blended(parent));
        let score = |method: usize| match losses {
            None => of_class[method],
            Some(own) => {
                let sum = own.origins * own.by_method[method] + CLASS_ORIGINS * of_class[method];
                sum / (own.origins + CLASS_ORIGINS)
            }
        };
        let allowed = (0..of_class.len()).filter(|method| suits(series, *method));
        allowed.min_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0)
    };
    classes.iter().zip(losses).enumerate().map(of_one).collect()
}

/// Sums of losses over the series of a class.
#[derive(Default)]
struct Sum {
    series: f64,
    by_method: Vec<f64>,
}

impl Sum {
    fn add(&mut self, losses: &Losses) {
        self.series += 1.0;
        self.by_method.resize(losses.by_method.len(), 0.0);
        self.by_method.iter_mut().zip(&losses.by_method).for_each(|(sum, loss)| *sum += loss);
    }

    fn mean(&self) -> Vec<f64> {
        self.by_method.iter().map(|sum| sum / self.series).collect()
    }

    fn blended(&self, parent: &Sum) -> Vec<f64> {
        let blend = |(own, parent): (&f64, f64)| (own + PARENT_SERIES * parent) / (self.series + PARENT_SERIES);
        self.by_method.iter().zip(parent.mean()).map(blend).collect()
    }
}
