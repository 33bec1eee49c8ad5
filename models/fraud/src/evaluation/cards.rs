//! Card precision at k: of the k most suspicious cards that a team looks at each day, how many are compromised; features are not its affair.

use std::collections::{BTreeMap, BTreeSet};

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EvaluationError, ranking};

/// Card precision at k over days, as in the Fraud Detection Handbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardPrecision {
    /// Cards looked at in a day.
    pub k: usize,
    /// Mean over days.
    pub mean: f64,
    /// The mean that a scorer knowing the labels would reach.
    pub perfect: f64,
    /// Days since 1970-01-01 (UTC) with their precision, ascending.
    pub per_day: Vec<(i64, f64)>,
}

/// For each UTC day, the k cards with the highest score of the day are looked at; the share of them with a fraud that day,
/// averaged over days. A compromised card that was looked at is blocked and left out on later days. Equal scores are ordered by
/// card number. Days with fewer than k cards are still divided by k.
///
/// # Errors
/// Columns of different lengths, one class only, a score that is not finite, `NoCards`.
pub fn card_precision_at_k(
    scores: &[f64],
    labels: &[bool],
    cards: &[u128],
    times: &[Timestamp],
    k: usize,
) -> Result<CardPrecision, EvaluationError> {
    ranking::check(scores, labels)?;
    for (column, found) in [("cards", cards.len()), ("times", times.len())] {
        if found != scores.len() {
            return Err(EvaluationError::WrongLength { scores: scores.len(), column, found });
        }
    }
    if k == 0 {
        return Err(EvaluationError::NoCards);
    }
    let known: Vec<f64> = labels.iter().map(|&label| f64::from(u8::from(label))).collect();
    let per_day = by_day(scores, labels, cards, times, k);
    Ok(CardPrecision { k, mean: mean(&per_day), perfect: mean(&by_day(&known, labels, cards, times, k)), per_day })
}

fn by_day(scores: &[f64], labels: &[bool], cards: &[u128], times: &[Timestamp], k: usize) -> Vec<(i64, f64)> {
    let mut days: BTreeMap<i64, BTreeMap<u128, (f64, bool)>> = BTreeMap::new();
    for row in 0..scores.len() {
        let of_day = days.entry(times[row].day()).or_default();
        let card = of_day.entry(cards[row]).or_insert((f64::NEG_INFINITY, false));
        *card = (card.0.max(scores[row]), card.1 || labels[row]);
    }
    let mut blocked = BTreeSet::new();
    days.into_iter()
        .map(|(day, of_day)| {
            let mut open: Vec<(u128, f64, bool)> = of_day
                .into_iter()
                .filter(|(card, _)| !blocked.contains(card))
                .map(|(card, (score, fraud))| (card, score, fraud))
                .collect();
            // The sort is stable and cards come in ascending order.
            open.sort_by(|a, b| b.1.total_cmp(&a.1));
            let caught: Vec<u128> =
                open.iter().take(k).filter(|(_, _, fraud)| *fraud).map(|&(card, ..)| card).collect();
            let precision = caught.len() as f64 / k as f64;
            blocked.extend(caught);
            (day, precision)
        })
        .collect()
}

fn mean(per_day: &[(i64, f64)]) -> f64 {
    per_day.iter().map(|(_, precision)| precision).sum::<f64>() / per_day.len() as f64
}
