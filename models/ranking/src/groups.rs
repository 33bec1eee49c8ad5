//! Lists of candidates with what came of them, in time order: what a ranker learns from and is judged by.

use crate::RankingError;
use crate::error::{check_count, check_range};

/// The most features of a row.
pub const MAX_FEATURES: usize = 1_024;
/// The most rows of one group.
pub const MAX_GROUP_ROWS: usize = 10_000;
/// The most numbers that a set of groups holds: rows times features, 2 GiB.
pub const MAX_VALUES: usize = 1 << 28;

/// Groups in time order. A group is a list that was, or could have been, shown: a row of features and a gain for each item.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingGroups {
    feature_names: Vec<String>,
    rows: Vec<f64>,
    gains: Vec<f64>,
    /// Where each group's gains end.
    ends: Vec<usize>,
    weights: Vec<f64>,
    times_us: Vec<i64>,
}

impl RankingGroups {
    /// No groups yet, with the names of the features in their order.
    ///
    /// # Errors
    /// No feature, or more than [`MAX_FEATURES`].
    pub fn new(feature_names: Vec<String>) -> Result<Self, RankingError> {
        check_range("number of features", feature_names.len() as f64, 1.0..=MAX_FEATURES as f64, "1 to 1,024")?;
        let (rows, gains, ends, weights, times_us) = Default::default();
        Ok(Self { feature_names, rows, gains, ends, weights, times_us })
    }

    /// Adds a group: when it was shown, how much it counts (1 is usual), its rows one after the other (NaN where a feature is
    /// missing), and the gain of each row (0: nothing came of it).
    ///
    /// # Errors
    /// An empty or too long group, rows that do not fit, an infinite feature, a bad gain or weight, a group older than the last.
    pub fn push(&mut self, time_us: i64, weight: f64, rows: &[f64], gains: &[f64]) -> Result<(), RankingError> {
        let group = self.len();
        self.check(group, weight, rows, gains)?;
        if self.times_us.last().is_some_and(|last| *last > time_us) {
            return Err(RankingError::NotInTimeOrder { group });
        }
        self.rows.extend_from_slice(rows);
        self.gains.extend_from_slice(gains);
        self.ends.push(self.gains.len());
        self.weights.push(weight);
        self.times_us.push(time_us);
        Ok(())
    }

    fn check(&self, group: usize, weight: f64, rows: &[f64], gains: &[f64]) -> Result<(), RankingError> {
        if gains.is_empty() {
            return Err(RankingError::EmptyGroup { group });
        }
        check_count("rows in a group", gains.len(), MAX_GROUP_ROWS)?;
        check_count("numbers in the groups", self.rows.len() + rows.len(), MAX_VALUES)?;
        if rows.len() != gains.len() * self.width() {
            let expected = format!("{} rows of {} features", gains.len(), self.width());
            return Err(RankingError::WrongLength { what: "the rows of a group", got: rows.len(), expected });
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(RankingError::BadWeight { group, weight });
        }
        if let Some(row) = gains.iter().position(|gain| !(gain.is_finite() && *gain >= 0.0)) {
            return Err(RankingError::BadGain { group, row, gain: gains[row] });
        }
        if let Some(at) = rows.iter().position(|value| value.is_infinite()) {
            let (row, feature) = (at / self.width(), self.feature_names[at % self.width()].clone());
            return Err(RankingError::InfiniteFeature { group, row, feature, value: rows[at] });
        }
        Ok(())
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many features a row has.
    pub fn width(&self) -> usize {
        self.feature_names.len()
    }

    /// The features' names, in their order.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// All rows of all groups, one after the other.
    pub(crate) fn all_rows(&self) -> &[f64] {
        &self.rows
    }

    /// The rows of a group, one after the other; none for a group that there is not.
    pub fn rows(&self, group: usize) -> &[f64] {
        let (start, end) = self.span(group);
        &self.rows[start * self.width()..end * self.width()]
    }

    /// The gains of a group's rows; none for a group that there is not.
    pub fn gains(&self, group: usize) -> &[f64] {
        let (start, end) = self.span(group);
        &self.gains[start..end]
    }

    /// How much a group counts; 0 for a group that there is not.
    pub fn weight(&self, group: usize) -> f64 {
        self.weights.get(group).copied().unwrap_or(0.0)
    }

    /// Whether every group is newer than every group of `earlier`.
    pub(crate) fn is_after(&self, earlier: &Self) -> bool {
        match (earlier.times_us.last(), self.times_us.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        }
    }

    fn span(&self, group: usize) -> (usize, usize) {
        let Some(&end) = self.ends.get(group) else { return (0, 0) };
        (group.checked_sub(1).map_or(0, |before| self.ends[before]), end)
    }

    /// The groups that say something about order: one gain above another.
    pub(crate) fn usable(&self, purpose: &'static str, needed: usize) -> Result<Vec<usize>, RankingError> {
        let differs = |group: &usize| self.gains(*group).iter().any(|gain| *gain != self.gains(*group)[0]);
        let usable: Vec<usize> = (0..self.len()).filter(differs).collect();
        if usable.len() < needed {
            return Err(RankingError::TooFewGroups { purpose, groups: self.len(), usable: usable.len(), needed });
        }
        Ok(usable)
    }

    /// Cuts the newest `share` (0 to 1) of the groups off, for validation; groups of one time stay together, so every group
    /// before the cut is older than every one after it.
    ///
    /// # Errors
    /// A share out of range; a cut that leaves one side empty.
    pub fn split_newest(&self, share: f64) -> Result<(Self, Self), RankingError> {
        check_range("share of the newest groups", share, 0.0..=1.0, "0 to 1")?;
        let wanted = self.len() - (share * self.len() as f64) as usize;
        let cut = self.times_us.get(wanted).map_or(self.len(), |time| self.times_us.partition_point(|t| t < time));
        if cut == 0 || cut == self.len() {
            let (groups, usable) = (self.len(), cut.min(self.len() - cut));
            return Err(RankingError::TooFewGroups { purpose: "one side of the cut", groups, usable, needed: 1 });
        }
        Ok((self.part(0, cut), self.part(cut, self.len())))
    }

    fn part(&self, from: usize, to: usize) -> Self {
        let (start, end) = (from.checked_sub(1).map_or(0, |before| self.ends[before]), self.ends[to - 1]);
        Self {
            feature_names: self.feature_names.clone(),
            rows: self.rows[start * self.width()..end * self.width()].to_vec(),
            gains: self.gains[start..end].to_vec(),
            ends: self.ends[from..to].iter().map(|group_end| group_end - start).collect(),
            weights: self.weights[from..to].to_vec(),
            times_us: self.times_us[from..to].to_vec(),
        }
    }
}
