//! Ranking metrics at a cut-off k, averaged over predictions; where predictions come from is not known here.

use dhow_events::ProductId;
use rustc_hash::FxHashSet;
use serde::Serialize;

/// Averages over all predictions; each between 0 and 1. All zero when there were no predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// The cut-off: only the first so many products of a ranking count.
    pub k: usize,
    /// How many predictions were averaged.
    pub predictions: usize,
    /// Share of predictions with a relevant product among the first k.
    pub hit_rate: f64,
    /// Mean of 1 / rank of the first relevant product, 0 when it is not among the first k.
    pub mrr: f64,
    /// Mean share of the relevant products that are among the first k.
    pub recall: f64,
    /// Mean normalised discounted cumulative gain with binary relevance (Järvelin and Kekäläinen, TOIS 2002).
    pub ndcg: f64,
    /// Distinct products shown among the first k of any prediction, as a share of the catalogue.
    pub coverage: f64,
}

/// Adds predictions up to [`Metrics`].
#[derive(Debug, Clone)]
pub struct MetricsSum {
    totals: Metrics,
    shown: FxHashSet<ProductId>,
}

impl MetricsSum {
    /// An empty sum with cut-off `k`.
    pub fn new(k: usize) -> Self {
        Self { totals: Metrics { k, ..Metrics::default() }, shown: FxHashSet::default() }
    }

    /// Adds one ranking, best first, of distinct products, with its distinct relevant products. Without any of the latter
    /// there is nothing to predict and nothing is added.
    pub fn add(&mut self, ranking: &[ProductId], relevant: &[ProductId]) {
        if relevant.is_empty() {
            return;
        }
        let top = &ranking[..ranking.len().min(self.totals.k)];
        self.shown.extend(top);
        let hits: Vec<usize> = (0..top.len()).filter(|at| relevant.contains(&top[*at])).collect();
        let gain = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let ideal: f64 = (0..relevant.len().min(self.totals.k)).map(gain).sum();
        self.totals.predictions += 1;
        if let Some(first) = hits.first() {
            self.totals.hit_rate += 1.0;
            self.totals.mrr += 1.0 / (*first as f64 + 1.0);
            self.totals.recall += hits.len() as f64 / relevant.len() as f64;
            self.totals.ndcg += hits.iter().map(|at| gain(*at)).sum::<f64>() / ideal;
        }
    }

    /// The averages; coverage is of a catalogue of `products`.
    pub fn finish(&self, products: usize) -> Metrics {
        let Metrics { k, predictions, hit_rate, mrr, recall, ndcg, .. } = self.totals;
        let mean = |sum: f64| sum / predictions.max(1) as f64;
        Metrics {
            k,
            predictions,
            hit_rate: mean(hit_rate),
            mrr: mean(mrr),
            recall: mean(recall),
            ndcg: mean(ndcg),
            coverage: self.shown.len() as f64 / products.max(1) as f64,
        }
    }
}
