//! Groups of buyers or suppliers who trade alike: by how lately, how often and for how much; it forecasts nothing.
//!
//! The three numbers of each are taken as logarithms, which money and counts need, and standardised; k-means groups them. The
//! number of groups is that with the best silhouette (Rousseeuw 1987) on a drawn sample, and among equally good ones the
//! least. A group's name says where its centre stands beside everybody's.

use linfa::DatasetBase;
use linfa::metrics::SilhouetteScore;
use linfa::traits::{Fit, Predict};
use linfa_clustering::KMeans;
use ndarray::Array2;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::CustomersError;

/// The numbers of groups that are tried.
pub const SEGMENTS: std::ops::RangeInclusive<usize> = 3..=8;
/// Members that groups are learned from, at most; the rest is put into the group of the nearest centre.
const LEARNED_FROM_MAX: usize = 50_000;
/// Members whose silhouette is computed: each is compared with each.
const SILHOUETTE_SAMPLE: usize = 1_000;
/// Members that are needed.
const MEMBERS_MIN: usize = 50;
/// A silhouette that is better by less is not better.
const SILHOUETTE_TOLERANCE: f64 = 1e-3;
/// Beginnings of k-means, of which the best end counts, and its steps.
const RUNS: usize = 5;
const STEPS_MAX: u64 = 200;

/// How lately, how often and for how much somebody traded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// Days since the last day of trade, 0 or more.
    pub days_since_last: f64,
    /// Days with a trade.
    pub days: f64,
    /// Money in all; what is below nothing counts as nothing.
    pub money: f64,
}

impl Trade {
    /// Of what was bought, or sold, before the cut; nothing where there was none.
    pub fn of(before: &[(i32, f64)], cut: i32) -> Option<Self> {
        let last = before.iter().filter(|(_, amount)| *amount > 0.0).map(|(day, _)| *day).next_back()?;
        Some(Self {
            days_since_last: f64::from(cut - last),
            days: before.iter().filter(|(_, amount)| *amount > 0.0).count() as f64,
            money: before.iter().map(|(_, amount)| amount).sum::<f64>().max(0.0),
        })
    }

    fn logarithms(&self) -> [f64; 3] {
        [self.days_since_last, self.days, self.money].map(|value| value.max(0.0).ln_1p())
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// What it is called, once among all: `champions`, `loyal`, `large_orders`, `new`, `occasional`, `at_risk`, `slipping`,
    /// `lapsed`.
    pub name: String,
    /// Its centre: the geometric mean, one added, of each number.
    pub centre: Trade,
    /// The share of all members, 0 to 1.
    pub share: f64,
    /// The centre, standardised.
    place: [f64; 3],
}

/// The groups, those with the most money first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segments {
    /// Mean and spread of each logarithm.
    scale: [(f64, f64); 3],
    groups: Vec<Segment>,
    /// The silhouette of the drawn sample, −1 to 1: how much nearer members are to their own group than to the next.
    silhouette: f64,
}

/// Names and where a group that deserves them stands: lateness, frequency and money, in spreads from everybody's mean.
const NAMES: [(&str, [f64; 3]); 8] = [
    ("champions", [-1.2, 1.5, 1.5]),
    ("loyal", [-0.7, 0.7, 0.6]),
    ("large_orders", [0.2, 0.0, 1.2]),
    ("new", [-1.1, -0.7, -0.7]),
    ("occasional", [0.1, -0.3, -0.3]),
    ("at_risk", [0.7, 0.7, 0.6]),
    ("slipping", [0.4, -0.4, -0.2]),
    ("lapsed", [1.1, -0.6, -0.6]),
];

impl Segments {
    /// Groups members. Equal arguments give equal groups; the seed says which are drawn and where k-means begins.
    ///
    /// # Errors
    /// Fewer than 50 members, or k-means fails.
    pub fn learn(members: &[Trade], seed: u64) -> Result<Self, CustomersError> {
        if members.len() < MEMBERS_MIN {
            return Err(CustomersError::TooFew { what: "members", found: members.len(), needed: MEMBERS_MIN });
        }
        let logarithms: Vec<[f64; 3]> = members.iter().map(Trade::logarithms).collect();
        let scale = [0, 1, 2].map(|at| mean_and_spread(logarithms.iter().map(|row| row[at])));
        let mut rows: Vec<[f64; 3]> = logarithms.iter().map(|row| standardised(row, &scale)).collect();
        // The order of the rows is what the seed decides: k-means itself draws from a fixed one.
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        rows.truncate(LEARNED_FROM_MAX);
        let mut best: Option<(f64, Vec<[f64; 3]>)> = None;
        for count in SEGMENTS {
            let (silhouette, centres) = grouped(&rows, count)?;
            if best.as_ref().is_none_or(|(other, _)| silhouette > other + SILHOUETTE_TOLERANCE) {
                best = Some((silhouette, centres));
            }
        }
        let (silhouette, centres) = best.ok_or(CustomersError::NoMaximum("k-means"))?;
        let mut segments = Self { scale, groups: Vec::new(), silhouette };
        segments.groups = segments.named(centres);
        let mut counts = vec![0usize; segments.groups.len()];
        members.iter().for_each(|member| counts[segments.place_of(member)] += 1);
        for (group, count) in segments.groups.iter_mut().zip(counts) {
            group.share = count as f64 / members.len() as f64;
        }
        Ok(segments)
    }

    /// The groups, those with the most money first.
    pub fn groups(&self) -> &[Segment] {
        &self.groups
    }

    /// How much nearer members are to their own group than to the next, −1 to 1.
    pub const fn silhouette(&self) -> f64 {
        self.silhouette
    }

    /// The group of a member: that of the nearest centre.
    pub fn of(&self, member: &Trade) -> &Segment {
        &self.groups[self.place_of(member)]
    }

    /// Where in [`Segments::groups`] the group of a member stands.
    pub fn place_of(&self, member: &Trade) -> usize {
        let row = standardised(&member.logarithms(), &self.scale);
        let distances = self.groups.iter().map(|group| distance(&group.place, &row)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place)
    }

    /// Gives each centre the name that it is nearest to, the nearest pair first, each name once.
    fn named(&self, mut centres: Vec<[f64; 3]>) -> Vec<Segment> {
        centres.sort_by(|a, b| b[2].total_cmp(&a[2]).then(b[1].total_cmp(&a[1])).then(a[0].total_cmp(&b[0])));
        let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
        for (group, centre) in centres.iter().enumerate() {
            pairs.extend(NAMES.iter().enumerate().map(|(name, (_, place))| (distance(place, centre), group, name)));
        }
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let (mut name_of, mut given) = (vec![None; centres.len()], [false; NAMES.len()]);
        for (_, group, name) in pairs {
            if name_of[group].is_none() && !given[name] {
                (name_of[group], given[name]) = (Some(NAMES[name].0), true);
            }
        }
        let segment = |(place, name): ([f64; 3], Option<&str>)| {
            let plain = |at: usize| (self.scale[at].0 + place[at] * self.scale[at].1).exp_m1().max(0.0);
            let centre = Trade { days_since_last: plain(0), days: plain(1), money: plain(2) };
            Segment { name: name.unwrap_or("others").to_owned(), centre, share: 0.0, place }
        };
        centres.into_iter().zip(name_of).map(segment).collect()
    }
}

/// The silhouette and the centres of so many groups.
fn grouped(rows: &[[f64; 3]], count: usize) -> Result<(f64, Vec<[f64; 3]>), CustomersError> {
    let failed = |error: &dyn std::fmt::Display| CustomersError::Clustering(error.to_string());
    let table = |rows: &[[f64; 3]]| Array2::from_shape_fn((rows.len(), 3), |(row, at)| rows[row][at]);
    let found = KMeans::params(count)
        .n_runs(RUNS)
        .max_n_iterations(STEPS_MAX)
        .tolerance(1e-4)
        .fit(&DatasetBase::from(table(rows)))
        .map_err(|error| failed(&error))?;
    let sample = table(&rows[..rows.len().min(SILHOUETTE_SAMPLE)]);
    let groups = found.predict(&sample);
    let silhouette = DatasetBase::new(sample, groups).silhouette_score().map_err(|error| failed(&error))?;
    let centres = found.centroids().rows().into_iter().map(|row| [row[0], row[1], row[2]]).collect();
    // Members that all coincide have no silhouette.
    Ok((if silhouette.is_finite() { silhouette } else { -1.0 }, centres))
}

fn mean_and_spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let spread = (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    (mean, if spread > 1e-9 { spread } else { 1.0 })
}

fn standardised(row: &[f64; 3], scale: &[(f64, f64); 3]) -> [f64; 3] {
    [0, 1, 2].map(|at| (row[at] - scale[at].0) / scale[at].1)
}

fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// How much of what comes next a grouping explains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentQuality {
    /// Groups.
    pub segments: usize,
    /// The silhouette, −1 to 1.
    pub silhouette: f64,
    /// The share of the variance of the logarithm of what comes in the next days that the groups' means explain, on members
    /// whose next days were not looked at.
    pub explained: f64,
    /// The same of as many equally large groups by money alone.
    pub explained_by_money: f64,
}

/// A member at a cut, with what came in the days after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Followed {
    /// As of the cut.
    pub trade: Trade,
    /// Money in the days after it.
    pub next: f64,
}

/// Judges groups: the means of what comes next are taken of every second member, and judged on the others.
///
/// # Errors
/// Those of [`Segments::learn`].
pub fn judge_segments(members: &[Followed], seed: u64) -> Result<SegmentQuality, CustomersError> {
    let trades: Vec<Trade> = members.iter().map(|member| member.trade).collect();
    let segments = Segments::learn(&trades, seed)?;
    let count = segments.groups.len();
    let mut order: Vec<usize> = (0..members.len()).collect();
    order.sort_by(|a, b| trades[*a].money.total_cmp(&trades[*b].money).then(a.cmp(b)));
    let mut by_money = vec![0; members.len()];
    order.iter().enumerate().for_each(|(rank, member)| by_money[*member] = rank * count / members.len());
    let by_segment: Vec<usize> = trades.iter().map(|trade| segments.place_of(trade)).collect();
    Ok(SegmentQuality {
        segments: count,
        silhouette: segments.silhouette,
        explained: explained(members, &by_segment, count),
        explained_by_money: explained(members, &by_money, count),
    })
}

/// 1 − squared error of the groups' means ÷ squared error of one mean, both of the even members, on the odd ones.
fn explained(members: &[Followed], group_of: &[usize], count: usize) -> f64 {
    let next: Vec<f64> = members.iter().map(|member| member.next.max(0.0).ln_1p()).collect();
    let even = |at: &usize| at.is_multiple_of(2);
    let known: Vec<usize> = (0..members.len()).filter(even).collect();
    let all = known.iter().map(|at| next[*at]).sum::<f64>() / known.len() as f64;
    let mut sums = vec![(0.0, 0.0); count];
    for at in known {
        let (sum, members) = &mut sums[group_of[at]];
        (*sum, *members) = (*sum + next[at], *members + 1.0);
    }
    let mean = |group: usize| if sums[group].1 > 0.0 { sums[group].0 / sums[group].1 } else { all };
    let judged = (0..members.len()).filter(|at| !even(at));
    let (mut error, mut of_one) = (0.0, 0.0);
    for at in judged {
        error += (next[at] - mean(group_of[at])).powi(2);
        of_one += (next[at] - all).powi(2);
    }
    if of_one > 0.0 { 1.0 - error / of_one } else { 0.0 }
}
