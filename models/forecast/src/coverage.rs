//! How often intervals hold what came: pooled and per group, with the uncertainty of which series there are; it makes no intervals.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2_000;

/// The steps of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesCoverage {
    /// The group, such as a region or a period.
    pub group: String,
    /// Steps inside the interval.
    pub inside: usize,
    /// All steps.
    pub steps: usize,
}

/// Coverage of a group of series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupCoverage {
    /// The group; `all` for all together.
    pub group: String,
    /// Series of the group.
    pub series: usize,
    /// Share of all steps inside, 0 to 1.
    pub share: f64,
    /// Lower end of the 95 % interval of the share.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The share of steps inside, pooled over all series and per group, in order of the groups' names. The 95 % intervals are
/// percentiles of a bootstrap that draws whole series (Efron and Tibshirani 1993, chapter 13), because steps of one series miss
/// together. Series without steps are left out.
pub fn coverage_by_group(series: &[SeriesCoverage], seed: u64) -> Vec<GroupCoverage> {
    let mut groups: BTreeMap<&str, Vec<(usize, usize)>> = BTreeMap::new();
    for one in series.iter().filter(|one| one.steps > 0) {
        groups.entry(&one.group).or_default().push((one.inside, one.steps));
    }
    let all: Vec<(usize, usize)> = groups.values().flatten().copied().collect();
    let named = std::iter::once(("all", all)).chain(groups).filter(|(_, members)| !members.is_empty());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    named.map(|(group, members)| of_group(group, &members, &mut rng)).collect()
}

fn of_group(group: &str, members: &[(usize, usize)], rng: &mut ChaCha8Rng) -> GroupCoverage {
    let share = |drawn: &mut dyn Iterator<Item = (usize, usize)>| {
        let (inside, steps) = drawn.fold((0, 0), |(inside, steps), one| (inside + one.0, steps + one.1));
        inside as f64 / steps as f64
    };
    let mut resample = || share(&mut (0..members.len()).map(|_| members[rng.random_range(0..members.len())]));
    let mut shares: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let percentile = |level: f64| shares[((RESAMPLES - 1) as f64 * level).round() as usize];
    GroupCoverage {
        group: group.to_owned(),
        series: members.len(),
        share: share(&mut members.iter().copied()),
        low: percentile(0.025),
        high: percentile(0.975),
    }
}
