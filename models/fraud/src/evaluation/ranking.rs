//! Scores sorted once, from which every measure of ranking and calibration is read; it draws no conclusions.

use super::{CALIBRATION_BINS, EvaluationError};

/// Rows sorted by falling score, with the borders of tied groups.
pub(super) struct Ranking {
    order: Vec<(usize, bool)>,
    /// One past the last position of each group of equal scores.
    group_ends: Vec<usize>,
}

/// The points of the ROC and precision–recall curves: frauds and genuine rows flagged at each distinct score, falling.
pub(super) struct Curve {
    points: Vec<(u64, u64)>,
    frauds: u64,
    genuine: u64,
}

pub(super) fn check(scores: &[f64], labels: &[bool]) -> Result<(), EvaluationError> {
    if scores.len() != labels.len() {
        return Err(EvaluationError::WrongLength { scores: scores.len(), column: "labels", found: labels.len() });
    }
    if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
        return Err(EvaluationError::BadScore { row, value: scores[row] });
    }
    let frauds = labels.iter().filter(|&&label| label).count();
    if frauds == 0 || frauds == labels.len() {
        return Err(EvaluationError::OneClass { rows: labels.len(), frauds });
    }
    Ok(())
}

impl Ranking {
    pub(super) fn new(scores: &[f64], labels: &[bool]) -> Result<Self, EvaluationError> {
        check(scores, labels)?;
        let mut rows: Vec<usize> = (0..scores.len()).collect();
        rows.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        // Compared as numbers, so that −0 and 0 are one score.
        let group_ends =
            (1..=rows.len()).filter(|&end| end == rows.len() || scores[rows[end]] != scores[rows[end - 1]]).collect();
        Ok(Self { order: rows.into_iter().map(|row| (row, labels[row])).collect(), group_ends })
    }

    /// The curve where row i counts `counts[i]` times.
    pub(super) fn curve(&self, counts: &[u32]) -> Curve {
        let (mut frauds, mut genuine, mut start) = (0, 0, 0);
        let mut points = Vec::with_capacity(self.group_ends.len());
        for &end in &self.group_ends {
            for &(row, label) in &self.order[start..end] {
                let flagged = if label { &mut frauds } else { &mut genuine };
                *flagged += u64::from(counts[row]);
            }
            points.push((frauds, genuine));
            start = end;
        }
        Curve { points, frauds, genuine }
    }

    /// The middle between the scores of the last flagged group and the next one, where `flagged` groups are flagged; nothing
    /// is above the middle where none is, and everything where all are.
    pub(super) fn threshold(&self, flagged: usize, scores: &[f64]) -> f64 {
        let last_of = |group: usize| self.group_ends.get(group).map(|end| scores[self.order[end - 1].0]);
        match (flagged.checked_sub(1).and_then(last_of), last_of(flagged)) {
            (Some(last), Some(next)) => f64::midpoint(last, next),
            (None, Some(highest)) => highest,
            (Some(lowest), None) => lowest.next_down(),
            (None, None) => f64::INFINITY,
        }
    }

    /// Rows, mean probability and share of frauds of the same groups as in the calibration error; those without rows are
    /// left out.
    pub(super) fn reliability(&self, probabilities: &[f64], labels: &[bool]) -> Vec<super::Reliability> {
        let mut groups = [(0_u64, 0.0, 0_u64); CALIBRATION_BINS];
        let mut start = 0;
        for &end in &self.group_ends {
            let (rows, expected, frauds) = &mut groups[start * CALIBRATION_BINS / self.order.len()];
            for &(row, _) in &self.order[start..end] {
                (*rows, *expected) = (*rows + 1, *expected + probabilities[row]);
                *frauds += u64::from(labels[row]);
            }
            start = end;
        }
        let present = groups.into_iter().rev().filter(|(rows, ..)| *rows > 0);
        present.map(|(rows, expected, frauds)| super::Reliability { rows, expected_frauds: expected, frauds }).collect()
    }

    /// Σ over groups of |Σ probability − frauds| / rows; a tied group belongs where it begins.
    pub(super) fn calibration_error(&self, probabilities: &[f64], labels: &[bool]) -> f64 {
        let mut gaps = [0.0; CALIBRATION_BINS];
        let mut start = 0;
        for &end in &self.group_ends {
            let bin = start * CALIBRATION_BINS / self.order.len();
            for &(row, _) in &self.order[start..end] {
                gaps[bin] += probabilities[row] - f64::from(u8::from(labels[row]));
            }
            start = end;
        }
        gaps.iter().map(|gap| gap.abs()).sum::<f64>() / self.order.len() as f64
    }
}

impl Curve {
    /// Trapezoids under the ROC curve: within a tied group half the pairs count.
    pub(super) fn roc_auc(&self) -> f64 {
        let (mut twice_area, mut frauds_before, mut genuine_before) = (0.0, 0, 0);
        for &(frauds, genuine) in &self.points {
            twice_area += (genuine - genuine_before) as f64 * (frauds + frauds_before) as f64;
            (frauds_before, genuine_before) = (frauds, genuine);
        }
        twice_area / (2.0 * self.frauds as f64 * self.genuine as f64)
    }

    pub(super) fn average_precision(&self) -> f64 {
        let (mut sum, mut frauds_before) = (0.0, 0);
        for &(frauds, genuine) in &self.points {
            if frauds > frauds_before {
                let precision = frauds as f64 / (frauds + genuine) as f64;
                sum += (frauds - frauds_before) as f64 * precision;
                frauds_before = frauds;
            }
        }
        sum / self.frauds as f64
    }

    /// How many groups are flagged where F1, the harmonic mean of precision and recall, is highest; of equal ones the fewest.
    pub(super) fn groups_of_best_f1(&self) -> usize {
        let f1 = |(frauds, genuine): (u64, u64)| 2.0 * frauds as f64 / (frauds + genuine + self.frauds) as f64;
        let mut best = (0.0, 0);
        for (group, point) in self.points.iter().enumerate() {
            if f1(*point) > best.0 {
                best = (f1(*point), group + 1);
            }
        }
        best.1
    }

    /// How many groups can be flagged while at most the share `rate` of the genuine rows is.
    pub(super) fn groups_within(&self, rate: f64) -> usize {
        let allowed = rate * self.genuine as f64;
        self.points.partition_point(|&(_, genuine)| genuine as f64 <= allowed)
    }

    pub(super) fn recall_at(&self, rate: f64) -> f64 {
        let flagged = self.groups_within(rate).checked_sub(1).map_or(0, |last| self.points[last].0);
        flagged as f64 / self.frauds as f64
    }
}
