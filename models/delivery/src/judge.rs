//! How good quantiles of delivery times were: pinball loss, and how often parcels came before them, by region.

use crate::LEVELS;
use dhow_events::Region;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the quantiles of one moment did on deliveries that nothing was learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageQuality {
    /// Deliveries judged.
    pub deliveries: usize,
    /// The mean pinball loss over [`LEVELS`], minutes.
    pub pinball_minutes: f64,
    /// The same of the groups' means with the quantiles of their past errors, without trees.
    pub pinball_minutes_of_means: f64,
    /// The share of deliveries at or below each quantile.
    pub coverage: [f64; LEVELS.len()],
    /// By region of delivery.
    pub regions: BTreeMap<Region, RegionQuality>,
}

/// How the quantiles did in one region of delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionQuality {
    /// Deliveries judged.
    pub deliveries: usize,
    /// The share of deliveries at or below each quantile.
    pub coverage: [f64; LEVELS.len()],
}

/// What came beside the quantiles of minutes.
pub(crate) struct Judged {
    pub destination: Region,
    pub minutes: f64,
    pub quantiles: [f64; LEVELS.len()],
    pub of_means: [f64; LEVELS.len()],
}

pub(crate) fn judge(rows: &[Judged]) -> StageQuality {
    let (mut losses, mut regions) = ([0.0; 2], BTreeMap::<Region, RegionQuality>::new());
    let mut all = RegionQuality::default();
    for row in rows {
        let of_region = regions.entry(row.destination).or_default();
        for quality in [&mut all, of_region] {
            quality.deliveries += 1;
            let counts = quality.coverage.iter_mut().zip(row.quantiles);
            counts.for_each(|(count, quantile)| *count += f64::from(u8::from(row.minutes <= quantile)));
        }
        losses[0] += pinball(row.minutes, &row.quantiles);
        losses[1] += pinball(row.minutes, &row.of_means);
    }
    let share = |quality: &mut RegionQuality| {
        let deliveries = quality.deliveries.max(1) as f64;
        quality.coverage.iter_mut().for_each(|count| *count /= deliveries);
    };
    share(&mut all);
    regions.values_mut().for_each(share);
    let [pinball_minutes, pinball_minutes_of_means] = losses.map(|loss| loss / rows.len().max(1) as f64);
    StageQuality { deliveries: rows.len(), pinball_minutes, pinball_minutes_of_means, coverage: all.coverage, regions }
}

/// The mean over the levels.
fn pinball(minutes: f64, quantiles: &[f64; LEVELS.len()]) -> f64 {
    let loss =
        |(level, quantile): (f64, &f64)| (level * (minutes - quantile)).max((level - 1.0) * (minutes - quantile));
    LEVELS.into_iter().zip(quantiles).map(loss).sum::<f64>() / LEVELS.len() as f64
}
