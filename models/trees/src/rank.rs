//! LambdaRank's derivatives: pairs of a list, weighted by the NDCG that their exchange would change; lists are independent.

use rayon::prelude::*;

use crate::data::TrainingData;
use crate::histogram::Derivatives;

/// Each row's derivatives, list by list.
pub(crate) fn derive(data: &TrainingData, margins: &[f64], top: usize, into: &mut [Derivatives]) {
    into.fill(Derivatives::default());
    let mut lists = Vec::new();
    let (mut rest, mut first) = (into, 0);
    for size in data.groups.unwrap_or_default() {
        let (list, others) = rest.split_at_mut(*size);
        lists.push((first..first + size, list));
        rest = others;
        first += size;
    }
    lists.into_par_iter().for_each(|(rows, list)| {
        derive_list(&data.labels[rows.clone()], &margins[rows.clone()], top, list);
        if let Some(weights) = data.weights {
            for (of, weight) in list.iter_mut().zip(&weights[rows]) {
                *of = Derivatives { gradient: of.gradient * weight, hessian: of.hessian * weight };
            }
        }
    });
}

/// The pairs of one list of which at least one row stands in the first `top` places:
///
/// 1. order by margin, rows of equal margin as they come;
/// 2. for each pair of different grades, `ΔNDCG` is what their exchange changes, and `ρ = 1 / (1 + exp(m_better − m_worse))`;
/// 3. the better row's gradient falls by `ρ ΔNDCG`, the worse one's rises by it, both hessians rise by `ρ (1 − ρ) ΔNDCG`;
/// 4. the list's sums are scaled to `log2(1 + sum)`, as LightGBM does, so that long lists do not rule.
fn derive_list(labels: &[f64], margins: &[f64], top: usize, into: &mut [Derivatives]) {
    let best = ideal_gain(labels, top);
    if best == 0.0 {
        return;
    }
    let order = order_by(margins);
    let mut sum = 0.0;
    for (high_place, high) in order.iter().enumerate().take(top) {
        for (low_place, low) in order.iter().enumerate().skip(high_place + 1) {
            if labels[*high] == labels[*low] {
                continue;
            }
            let discounts = discount(high_place, top) - discount(low_place, top);
            let change = ((gain(labels[*high]) - gain(labels[*low])) * discounts).abs() / best;
            let (better, worse) = if labels[*high] > labels[*low] { (*high, *low) } else { (*low, *high) };
            let wrong = 1.0 / (1.0 + (margins[better] - margins[worse]).exp());
            let (gradient, hessian) = (wrong * change, wrong * (1.0 - wrong) * change);
            into[better].gradient -= gradient;
            into[worse].gradient += gradient;
            into[better].hessian += hessian;
            into[worse].hessian += hessian;
            sum += 2.0 * gradient;
        }
    }
    if sum > 0.0 {
        let scale = (1.0 + sum).log2() / sum;
        for of in into {
            *of = Derivatives { gradient: of.gradient * scale, hessian: of.hessian * scale };
        }
    }
}

/// Rows from the highest to the lowest score; equal ones keep their order.
pub(crate) fn order_by(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    order
}

/// NDCG of the first `top` places of one list; none where every grade is 0.
pub(crate) fn ndcg(labels: &[f64], scores: &[f64], top: usize) -> Option<f64> {
    let best = ideal_gain(labels, top);
    let found = order_by(scores).into_iter().enumerate().map(|(place, row)| gain(labels[row]) * discount(place, top));
    (best > 0.0).then(|| found.sum::<f64>() / best)
}

fn ideal_gain(labels: &[f64], top: usize) -> f64 {
    order_by(labels).iter().enumerate().map(|(place, row)| gain(labels[*row]) * discount(place, top)).sum()
}

fn gain(grade: f64) -> f64 {
    grade.exp2() - 1.0
}

fn discount(place: usize, top: usize) -> f64 {
    if place < top { 1.0 / (place as f64 + 2.0).log2() } else { 0.0 }
}
