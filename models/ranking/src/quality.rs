//! How good an order is: NDCG and MRR of a ranker, beside the order of the first source.

use serde::{Deserialize, Serialize};

use crate::error::check_range;
use crate::{MAX_PLACES, Ranker, RankingError, RankingGroups};

/// Means over groups, weighted by the groups' weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Discounted gain (Järvelin and Kekäläinen 2002) of the first places, `gain / log2(place + 1)`, over that of the best
    /// order. 0 to 1.
    pub ndcg: f64,
    /// One over the place of the first item with a gain, wherever it stands. 0 to 1.
    pub mrr: f64,
}

/// A ranker beside the order that the candidates had anyway.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankingReport {
    /// Groups judged by: those with different gains.
    pub groups: usize,
    /// Places that NDCG looks at.
    pub cutoff: usize,
    /// The ranker's order.
    pub ranker: Accuracy,
    /// The order of one feature, highest first, missing ones last.
    pub first_source: Accuracy,
}

/// Judges a ranker; `first_source` is the place of the feature that holds the score of the candidates' first source. Of
/// equal scores the lower gain is taken to stand first, so that a ranker that knows nothing looks like one.
///
/// # Errors
/// A cutoff or a feature out of range, other features than the ranker's, no group with different gains.
pub fn judge(
    ranker: &dyn Ranker,
    groups: &RankingGroups,
    first_source: usize,
    cutoff: usize,
) -> Result<RankingReport, RankingError> {
    check_range("cutoff", cutoff as f64, 1.0..=MAX_PLACES as f64, "1 to 100")?;
    check_range("first_source", first_source as f64, 0.0..=(groups.width() - 1) as f64, "the place of a feature")?;
    if ranker.feature_names() != groups.feature_names() {
        return Err(RankingError::OtherFeatures { what: "the groups to judge by" });
    }
    let usable = groups.usable("judging", 1)?;
    let by_feature = |rows: &[f64], scores: &mut Vec<f64>| {
        scores.clear();
        let or_last = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
        scores.extend(rows.chunks_exact(groups.width()).map(|row| or_last(row[first_source])));
        Ok(())
    };
    Ok(RankingReport {
        groups: usable.len(),
        cutoff,
        ranker: accuracy(groups, &usable, cutoff, |rows, scores| ranker.score(rows, scores))?,
        first_source: accuracy(groups, &usable, cutoff, by_feature)?,
    })
}

/// The means over `usable` groups.
pub(crate) fn accuracy(
    groups: &RankingGroups,
    usable: &[usize],
    cutoff: usize,
    score: impl Fn(&[f64], &mut Vec<f64>) -> Result<(), RankingError>,
) -> Result<Accuracy, RankingError> {
    let (mut scores, mut order) = (Vec::new(), Vec::new());
    let (mut sums, mut weights) = (Accuracy::default(), 0.0);
    for &group in usable {
        let (gains, weight) = (groups.gains(group), groups.weight(group));
        score(groups.rows(group), &mut scores)?;
        order.clear();
        order.extend(0..gains.len());
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(gains[*a].total_cmp(&gains[*b])));
        let gained = discounted(order.iter().map(|row| gains[*row]), cutoff);
        let first = order.iter().position(|row| gains[*row] > 0.0);
        order.sort_by(|a, b| gains[*b].total_cmp(&gains[*a]));
        sums.ndcg += weight * gained / discounted(order.iter().map(|row| gains[*row]), cutoff);
        sums.mrr += first.map_or(0.0, |place| weight / (place + 1) as f64);
        weights += weight;
    }
    Ok(Accuracy { ndcg: sums.ndcg / weights, mrr: sums.mrr / weights })
}

fn discounted(gains: impl Iterator<Item = f64>, cutoff: usize) -> f64 {
    gains.take(cutoff).enumerate().map(|(place, gain)| gain / ((place + 2) as f64).log2()).sum()
}
