//! The best split of a node from its histograms: thresholds, category sets, the way of missing values, monotone bounds.

use crate::bins::{BINS, Binned, MISSING_BIN, Scale};
use crate::data::Kind;
use crate::histogram::{Packed, Quantised};
use crate::settings::Settings;

/// The values that a node's leaves may have, narrowed by monotone splits above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    pub low: f64,
    pub high: f64,
}

impl Bounds {
    pub const FREE: Bounds = Bounds { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// The bounds of the children: under a monotone split neither passes the middle of the two values.
    pub fn of_children(self, kind: Kind, left: f64, right: f64) -> (Bounds, Bounds) {
        let middle = f64::midpoint(left, right);
        match kind {
            Kind::Increasing => (Bounds { high: middle, ..self }, Bounds { low: middle, ..self }),
            Kind::Decreasing => (Bounds { low: middle, ..self }, Bounds { high: middle, ..self }),
            Kind::Number | Kind::Category => (self, self),
        }
    }
}

/// A way to split a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    /// How much the loss falls, twice the second-order estimate, as LightGBM and XGBoost count it.
    pub gain: f64,
    pub feature: usize,
    /// Which bins go left.
    pub left_bins: BinSet,
    pub missing_left: bool,
    /// The sums of the rows that go left.
    pub left: Packed,
    pub right: Packed,
}

impl Candidate {
    /// The better of two: the higher gain, then the lower feature.
    pub fn better(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
        match (one, other) {
            (Some(one), Some(other)) => {
                let other_wins = other.gain > one.gain || (other.gain == one.gain && other.feature < one.feature);
                Some(if other_wins { other } else { one })
            }
            (one, other) => one.or(other),
        }
    }
}

/// Some of a feature's bins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct BinSet([u64; BINS / 64]);

impl BinSet {
    pub fn insert(&mut self, bin: u8) {
        self.0[usize::from(bin >> 6)] |= 1 << (bin & 63);
    }

    pub fn contains(&self, bin: u8) -> bool {
        self.0[usize::from(bin >> 6)] >> (bin & 63) & 1 == 1
    }

    /// The bins up to `last`.
    fn up_to(last: u8) -> BinSet {
        let mut bins = BinSet::default();
        (0..=last).for_each(|bin| bins.insert(bin));
        bins
    }

    /// For each bin whether it is in the set.
    pub fn table(&self) -> [bool; BINS] {
        std::array::from_fn(|bin| self.contains(bin as u8))
    }
}

/// Finds splits of nodes.
pub(crate) struct Splitter<'a> {
    pub settings: &'a Settings,
    pub binned: &'a Binned,
    pub kinds: &'a [Kind],
    pub quantised: &'a Quantised,
}

/// A node as the search for its split sees it.
#[derive(Clone, Copy)]
pub(crate) struct NodeSums {
    pub total: Packed,
    pub bounds: Bounds,
}

/// The best cut of a feature so far.
struct Best {
    /// The sum of the children's scores that is to be beaten.
    score: f64,
    found: Option<(Cut, bool, Packed)>,
}

#[derive(Clone, Copy)]
enum Cut {
    UpTo(u8),
    Set(BinSet),
}

impl Splitter<'_> {
    /// The best split of a node by one feature, if any gains more than the settings ask.
    pub fn best(&self, node: NodeSums, feature: usize, sums: &[Packed; BINS]) -> Option<Candidate> {
        let kind = self.kinds[feature];
        let own = self.score(node.total, node.bounds, self.settings.l2);
        let mut best = Best { score: own + self.settings.min_gain, found: None };
        let missing = sums[usize::from(MISSING_BIN)];
        match &self.binned.scales[feature] {
            Scale::Cuts(cuts) => {
                let present = &sums[..cuts.len() + 1];
                self.scan_numbers(node, kind, present, (0, false), &mut best);
                if missing != 0 {
                    self.scan_numbers(node, kind, present, (missing, true), &mut best);
                }
            }
            Scale::Categories(categories) => self.scan_categories(node, &sums[..categories.len()], missing, &mut best),
        }
        let (cut, missing_left, left) = best.found?;
        let left_bins = match cut {
            Cut::UpTo(last) => BinSet::up_to(last),
            Cut::Set(bins) => bins,
        };
        let right = node.total.wrapping_sub(left);
        // Without missing rows to learn from, missing values follow the heavier side.
        let missing_left = if missing == 0 { left as u32 >= right as u32 } else { missing_left };
        Some(Candidate { gain: best.score - own, feature, left_bins, missing_left, left, right })
    }

    /// The value of a leaf with these sums, before the learning rate: the minimum of the second-order estimate of the
    /// loss, within the bounds.
    pub fn leaf_value(&self, sum: Packed, bounds: Bounds) -> f64 {
        self.value(self.quantised.gradient(sum), self.quantised.hessian(sum), bounds, self.settings.l2)
    }

    fn value(&self, gradient: f64, hessian: f64, bounds: Bounds, l2: f64) -> f64 {
        (-self.shrunk(gradient) / (hessian + l2)).max(bounds.low).min(bounds.high)
    }

    /// The gradient after the L1 penalty.
    fn shrunk(&self, gradient: f64) -> f64 {
        (gradient.abs() - self.settings.l1).max(0.0).copysign(gradient)
    }

    /// How much the best leaf with these sums lowers the loss, twice the second-order estimate.
    fn score(&self, sum: Packed, bounds: Bounds, l2: f64) -> f64 {
        let (gradient, hessian) = (self.quantised.gradient(sum), self.quantised.hessian(sum));
        let shrunk = self.shrunk(gradient);
        if bounds == Bounds::FREE {
            return shrunk * shrunk / (hessian + l2);
        }
        let value = self.value(gradient, hessian, bounds, l2);
        -(2.0 * (gradient * value + self.settings.l1 * value.abs()) + (hessian + l2) * value * value)
    }

    /// Takes a cut as the best, where it is allowed and better.
    #[inline]
    fn offer(
        &self,
        node: NodeSums,
        kind: Kind,
        l2: f64,
        (cut, missing_left, left): (Cut, bool, Packed),
        best: &mut Best,
    ) {
        let right = node.total.wrapping_sub(left);
        let least = self.settings.min_child_weight;
        if self.quantised.hessian(left) < least || self.quantised.hessian(right) < least {
            return;
        }
        let score = self.score(left, node.bounds, l2) + self.score(right, node.bounds, l2);
        if score > best.score && self.keeps_order(kind, node.bounds, left, right) {
            *best = Best { score, found: Some((cut, missing_left, left)) };
        }
    }

    fn keeps_order(&self, kind: Kind, bounds: Bounds, left: Packed, right: Packed) -> bool {
        match kind {
            Kind::Number | Kind::Category => true,
            Kind::Increasing => self.leaf_value(left, bounds) <= self.leaf_value(right, bounds),
            Kind::Decreasing => self.leaf_value(left, bounds) >= self.leaf_value(right, bounds),
        }
    }

    /// Every threshold, with `start` (the missing rows, or none) on the left. Empty bins give no new split.
    fn scan_numbers(&self, node: NodeSums, kind: Kind, sums: &[Packed], start: (Packed, bool), best: &mut Best) {
        let (mut left, missing_left) = start;
        for (bin, sum) in sums.iter().enumerate() {
            if *sum == 0 {
                continue;
            }
            left = left.wrapping_add(*sum);
            if left == node.total {
                break;
            }
            self.offer(node, kind, self.settings.l2, (Cut::UpTo(bin as u8), missing_left, left), best);
        }
    }

    /// Sets of categories that have the lowest, or the highest, ratios of gradient to hessian (Fisher 1958): for a
    /// convex loss the best of all sets is among them. Categories without a bin of their own always go right.
    fn scan_categories(&self, node: NodeSums, sums: &[Packed], missing: Packed, best: &mut Best) {
        let ratio = |sum: Packed| {
            self.quantised.gradient(sum) / (self.quantised.hessian(sum) + self.settings.category_smoothing)
        };
        let present = sums.iter().enumerate().filter(|(_, sum)| **sum != 0);
        let mut ordered: Vec<(f64, u8, Packed)> = present.map(|(bin, sum)| (ratio(*sum), bin as u8, *sum)).collect();
        ordered.sort_by(|one, other| one.0.total_cmp(&other.0));
        let l2 = self.settings.l2 + self.settings.category_l2;
        let starts: &[(Packed, bool)] = if missing == 0 { &[(0, false)] } else { &[(0, false), (missing, true)] };
        for (start, missing_left) in starts {
            for from_high in [false, true] {
                let (mut left, mut bins) = (*start, BinSet::default());
                for place in 0..ordered.len().min(self.settings.max_categories) {
                    let (_, bin, sum) = ordered[if from_high { ordered.len() - 1 - place } else { place }];
                    left = left.wrapping_add(sum);
                    bins.insert(bin);
                    if left == node.total {
                        break;
                    }
                    self.offer(node, Kind::Category, l2, (Cut::Set(bins), *missing_left, left), best);
                }
            }
        }
    }
}
