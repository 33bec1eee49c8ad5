//! A split as cuts of the number line, asked one after the other by `<=` or `<` with `f32` thresholds; trees are not seen here.

use crate::forest::{Missing, Rule};
use crate::walk::{ZERO_REACH, goes_left};

/// The most cuts that one split is written as: about half as many runs of neighbouring categories.
pub const MAX_CUTS: usize = 1 << 10;

/// A value that keeps the bound, and none of the cuts before, goes to `left` or else right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    pub bound: Bound,
    pub left: bool,
    /// NaN takes this cut; at the others it goes on.
    pub missing: bool,
}

/// How a value keeps a cut's bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtMost(f32),
    Below(f32),
}

/// The cuts that send every `f32`, infinite and NaN ones as well, where the rule sends it; what keeps none goes right.
///
/// `x <= t` is asked as `x <= t'` with the highest `f32` `t'` not above `t`, and `x < t` as `x < t'` with the lowest not below
/// it: no `f32` lies between `t` and `t'`, so the answers are the same. There is at least one cut.
pub fn cuts(rule: &Rule, missing: Missing) -> Vec<Cut> {
    let mut cuts = match rule {
        Rule::AtMost(threshold) => vec![cut(Bound::AtMost(highest_at_most(*threshold)), true)],
        Rule::Below(threshold) => vec![cut(Bound::Below(lowest_at_least(*threshold)), true)],
        Rule::OneOf(categories) => category_cuts(categories),
    };
    match missing {
        Missing::ZeroLeft => overlay_zero(&mut cuts, true),
        Missing::ZeroRight => overlay_zero(&mut cuts, false),
        Missing::Left | Missing::Right | Missing::AsZero => {}
    }
    if goes_left(f64::NAN, rule, missing) {
        match cuts.iter_mut().find(|cut| cut.left) {
            Some(cut) => cut.missing = true,
            None => cuts.push(Cut { missing: true, ..cut(NOTHING, true) }),
        }
    }
    if cuts.is_empty() {
        cuts.push(cut(NOTHING, true));
    }
    cuts
}

/// A bound that no value keeps.
const NOTHING: Bound = Bound::Below(f32::NEG_INFINITY);

fn cut(bound: Bound, left: bool) -> Cut {
    Cut { bound, left, missing: false }
}

fn highest_at_most(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold { nearest.next_down() } else { nearest }
}

fn lowest_at_least(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) < threshold { nearest.next_up() } else { nearest }
}

/// Two cuts for each run of neighbouring categories: values from its first on that lie below its last plus 1 go left.
fn category_cuts(categories: &[u32]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for run in categories.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        let (first, end) = (f64::from(run[0]), f64::from(run[run.len() - 1]) + 1.0);
        // What lies above -1 is truncated to 0.
        let start = if run[0] == 0 { Bound::AtMost(-1.0) } else { Bound::Below(lowest_at_least(first)) };
        cuts.push(cut(start, false));
        cuts.push(cut(Bound::Below(lowest_at_least(end)), true));
    }
    cuts
}

/// Sends the values within [`ZERO_REACH`] of 0 to one side, whatever the cuts say.
fn overlay_zero(cuts: &mut Vec<Cut>, left: bool) {
    // The reach is an f32 widened, so that narrowing it is exact.
    let reach = ZERO_REACH as f32;
    let below = cuts.iter().position(|cut| keeps(-reach.next_up(), cut.bound)).unwrap_or(cuts.len());
    let above = cuts.iter().position(|cut| keeps(reach.next_up(), cut.bound)).unwrap_or(cuts.len());
    let side_below = cuts.get(below).is_some_and(|cut| cut.left);
    let zero = [cut(Bound::Below(-reach), side_below), cut(Bound::AtMost(reach), left)];
    cuts.splice(below..above, zero);
    drop_needless(cuts);
}

/// Drops the cuts after which values go where they would go without them.
fn drop_needless(cuts: &mut Vec<Cut>) {
    let mut side_after = false;
    cuts.reverse();
    cuts.retain(|cut| std::mem::replace(&mut side_after, cut.left) != cut.left);
    cuts.reverse();
}

fn keeps(value: f32, bound: Bound) -> bool {
    match bound {
        Bound::AtMost(threshold) => value <= threshold,
        Bound::Below(threshold) => value < threshold,
    }
}
