//! What the trees know of a customer as of a cut: recency, frequency, money, rhythm, and what the classic models say.

use crate::bg_nbd::BgNbd;
use crate::gamma_gamma::GammaGamma;
use crate::history::Summary;

/// The features, in their order.
pub const FEATURE_NAMES: [&str; 18] = [
    "days_since_last",
    "days_since_first",
    "purchase_days",
    "spend_total",
    "spend_per_purchase",
    "spend_last",
    "spend_30d",
    "spend_60d",
    "spend_90d",
    "spend_180d",
    "purchase_days_30d",
    "purchase_days_90d",
    "gap_mean",
    "gap_last",
    "gap_spread",
    "silence_in_gaps",
    "classic_purchases",
    "classic_spend",
];

/// The classic models as of a cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classic {
    pub purchases: BgNbd,
    pub amounts: GammaGamma,
    /// How far ahead.
    pub days: f64,
}

impl Classic {
    /// What a customer is to be expected to spend.
    pub fn spend(&self, customer: &Summary) -> f64 {
        self.purchases.expected_purchases(customer, self.days) * self.amounts.expected_amount(customer)
    }
}

/// The features of a customer from what was bought before the cut; what cannot be known is NaN.
pub fn features_of(before: &[(i32, f64)], cut: i32, purchases: &BgNbd, amounts: &GammaGamma, days: f64) -> [f64; 18] {
    let summary = Summary::of(before, cut);
    let classic = Classic { purchases: *purchases, amounts: *amounts, days };
    let bought: Vec<(i32, f64)> = before.iter().copied().filter(|(_, amount)| *amount > 0.0).collect();
    let net = |days: i32| before.iter().filter(|(day, _)| *day >= cut - days).map(|(_, amount)| amount).sum::<f64>();
    let count = |days: i32| bought.iter().filter(|(day, _)| *day >= cut - days).count() as f64;
    let gaps: Vec<f64> = bought.windows(2).map(|pair| f64::from(pair[1].0 - pair[0].0)).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let gap = if gaps.is_empty() { f64::NAN } else { mean(&gaps) };
    let squares: Vec<f64> = gaps.iter().map(|one| (one - gap).powi(2)).collect();
    let spread = if gaps.len() < 2 { f64::NAN } else { mean(&squares).sqrt() };
    let total: f64 = before.iter().map(|(_, amount)| amount).sum();
    let since_last = summary.age - summary.recency;
    [
        since_last,
        summary.age,
        bought.len() as f64,
        total,
        total / bought.len().max(1) as f64,
        bought.last().map_or(f64::NAN, |(_, amount)| *amount),
        net(30),
        net(60),
        net(90),
        net(180),
        count(30),
        count(90),
        gap,
        gaps.last().copied().unwrap_or(f64::NAN),
        spread,
        since_last / gap,
        classic.purchases.expected_purchases(&summary, days),
        classic.spend(&summary),
    ]
}
