//! What became of bundles in later baskets: bought whole or partly, attach rates, revenue, and what showing them changed.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::BundlesError;
use crate::error::check_count;

/// The most bundles of one follow-up.
pub const MAX_BUNDLES: usize = 100_000;
/// The most items of one bundle.
pub const MAX_BUNDLE_ITEMS: usize = 10;
/// The most later baskets of one follow-up.
pub const MAX_LATER_BASKETS: usize = 10_000_000;
/// The highest price of an item; with it no sum of revenues overflows.
pub const MAX_PRICE_MINOR: i64 = 100_000_000_000;
/// Standard normal quantile of .975, for two-sided intervals of 95 %.
const Z_95: f64 = 1.959_963_984_540_054;

/// An anchor with complements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// What the bundle is for.
    pub anchor: u32,
    /// What goes with it, distinct, 1 to 9.
    pub complements: Vec<u32>,
}

/// A basket that was bought after the bundles were made.
#[derive(Debug, Clone, Copy)]
pub struct LaterBasket<'a> {
    /// What was bought; duplicates count once.
    pub items: &'a [u32],
    /// The anchors whose bundles were shown before.
    pub shown_anchors: &'a [u32],
}

/// Two means and the 95 % interval of their difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The mean on the side that the field names.
    pub with: f64,
    /// Baskets on that side.
    pub with_baskets: usize,
    /// The mean on the other side.
    pub without: f64,
    /// Baskets on the other side.
    pub without_baskets: usize,
    /// `with` − `without`.
    pub difference: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What became of one bundle. A basket's revenue is the sum of the prices of its distinct items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleOutcome {
    /// The bundle's anchor.
    pub anchor: u32,
    /// Baskets with the anchor.
    pub anchor_baskets: usize,
    /// Baskets with the anchor and all complements.
    pub whole: usize,
    /// Baskets with the anchor and some complements, not all.
    pub partly: usize,
    /// Share of the baskets with the anchor that hold a complement, 0 to 1; none without such baskets.
    pub attach_rate: Option<f64>,
    /// Revenue of the complements in baskets with the anchor, as a sum.
    pub attached_revenue_minor: i64,
    /// Mean revenue of the baskets with the anchor and a complement.
    pub revenue_with_minor: Option<f64>,
    /// Mean revenue of the baskets with the anchor and no complement.
    pub revenue_without_minor: Option<f64>,
    /// How many times more often a complement is bought with the anchor than without it; none without a complement there.
    pub lift: Option<f64>,
    /// Share of baskets with a complement: in baskets with the anchor beside all others. An association, not an effect.
    pub association: Option<Difference>,
    /// Attach rate where the bundle was shown beside where it was not, in baskets with the anchor. What showing changed,
    /// if chance decided who was shown it.
    pub shown_attach: Option<Difference>,
    /// Mean revenue of baskets with the anchor, likewise.
    pub shown_revenue_minor: Option<Difference>,
}

/// Counts of one bundle.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    whole: usize,
    attached: usize,
    attached_revenue_minor: i64,
    /// Baskets with a complement and without the anchor.
    complement_alone: usize,
    /// Revenue of anchor baskets, by whether a complement was bought and whether the bundle was shown.
    revenue: [[Moments; 2]; 2],
}

/// Number, sum and sum of squares.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The squared standard error of the mean; 0 for one value, whose spread is not known.
    fn squared_error(self) -> f64 {
        let (n, mean) = (self.count as f64, self.mean().unwrap_or(0.0));
        if self.count < 2 { 0.0 } else { ((self.squares - n * mean * mean) / (n - 1.0)).max(0.0) / n }
    }
}

/// Counts in later baskets what became of each bundle, in the bundles' order. `prices_minor` has the price of every item.
///
/// Intervals of shares are Newcombe's (1998, method 10), intervals of revenue are by the normal distribution with unequal
/// variances (Welch). A difference with an empty side is none, a revenue with fewer than 2 baskets on a side too.
///
/// # Errors
/// A bundle without complements, with an item twice or with too many items; two bundles of one anchor; an unknown item; a
/// price below 0 or above [`MAX_PRICE_MINOR`]; more than [`MAX_LATER_BASKETS`].
pub fn follow_up<'a>(
    bundles: &[Bundle],
    baskets: impl IntoIterator<Item = LaterBasket<'a>>,
    prices_minor: &[i64],
) -> Result<Vec<BundleOutcome>, BundlesError> {
    let of_anchor = check_bundles(bundles, prices_minor.len())?;
    if let Some(price) = prices_minor.iter().find(|price| !(0..=MAX_PRICE_MINOR).contains(*price)) {
        let (name, value) = ("price in minor units", *price as f64);
        return Err(BundlesError::BadSetting { name, value, expected: "0 to 100,000,000,000" });
    }
    let mut of_complement: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for (at, bundle) in bundles.iter().enumerate() {
        for complement in &bundle.complements {
            of_complement.entry(*complement).or_default().push(at as u32);
        }
    }
    let mut tallies = vec![Tally::default(); bundles.len()];
    let mut total = 0;
    let (mut distinct, mut touched): (Vec<u32>, Vec<u32>) = Default::default();
    for (at, basket) in baskets.into_iter().enumerate() {
        check_count("later baskets", at + 1, MAX_LATER_BASKETS)?;
        let items = prices_minor.len();
        if let Some(&item) = basket.items.iter().find(|item| **item as usize >= items) {
            return Err(BundlesError::UnknownItem { what: "later basket", at, item, items });
        }
        distinct.clear();
        distinct.extend_from_slice(basket.items);
        distinct.sort_unstable();
        distinct.dedup();
        total += usize::from(!distinct.is_empty());
        touched.clear();
        touched.extend(distinct.iter().filter_map(|item| of_anchor.get(item)));
        touched.extend(distinct.iter().filter_map(|item| of_complement.get(item)).flatten());
        touched.sort_unstable();
        touched.dedup();
        for &bundle in &touched {
            let shown = basket.shown_anchors.contains(&bundles[bundle as usize].anchor);
            tallies[bundle as usize].add(&bundles[bundle as usize], &distinct, shown, prices_minor);
        }
    }
    Ok(bundles.iter().zip(tallies).map(|(bundle, tally)| tally.outcome(bundle.anchor, total)).collect())
}

/// The bundle of each anchor.
fn check_bundles(bundles: &[Bundle], items: usize) -> Result<FxHashMap<u32, u32>, BundlesError> {
    check_count("bundles", bundles.len(), MAX_BUNDLES)?;
    let mut of_anchor: FxHashMap<u32, u32> = FxHashMap::default();
    for (at, Bundle { anchor, complements }) in bundles.iter().enumerate() {
        check_count("items in a bundle", complements.len() + 1, MAX_BUNDLE_ITEMS)?;
        if complements.is_empty() {
            return Err(BundlesError::NoComplement { bundle: at, anchor: *anchor });
        }
        for (place, &item) in complements.iter().chain([anchor]).enumerate() {
            if item as usize >= items {
                return Err(BundlesError::UnknownItem { what: "bundle", at, item, items });
            }
            if complements[..place].contains(&item) {
                return Err(BundlesError::RepeatedItem { bundle: at, item });
            }
        }
        if let Some(first) = of_anchor.insert(*anchor, at as u32) {
            return Err(BundlesError::RepeatedAnchor { first: first as usize, second: at, anchor: *anchor });
        }
    }
    Ok(of_anchor)
}

impl Tally {
    /// Counts a basket, given as distinct ascending items, that holds at least one item of the bundle.
    fn add(&mut self, bundle: &Bundle, basket: &[u32], shown: bool, prices_minor: &[i64]) {
        let holds = |item: &u32| basket.binary_search(item).is_ok();
        let price = |item: &u32| prices_minor[*item as usize];
        let bought = || bundle.complements.iter().filter(|item| holds(item));
        let attached = bought().next().is_some();
        if !holds(&bundle.anchor) {
            self.complement_alone += usize::from(attached);
            return;
        }
        self.whole += usize::from(bought().count() == bundle.complements.len());
        self.attached += usize::from(attached);
        self.attached_revenue_minor += bought().map(price).sum::<i64>();
        let revenue_minor: i64 = basket.iter().map(price).sum();
        self.revenue[usize::from(attached)][usize::from(shown)].add(revenue_minor as f64);
    }

    fn outcome(&self, anchor: u32, baskets: usize) -> BundleOutcome {
        let [[alone_unseen, alone_shown], [attached_unseen, attached_shown]] = self.revenue;
        let (unseen, shown) = (alone_unseen.plus(attached_unseen), alone_shown.plus(attached_shown));
        let anchor_baskets = unseen.count + shown.count;
        let association =
            difference_of_shares((self.attached, anchor_baskets), (self.complement_alone, baskets - anchor_baskets));
        BundleOutcome {
            anchor,
            anchor_baskets,
            whole: self.whole,
            partly: self.attached - self.whole,
            attach_rate: (anchor_baskets > 0).then(|| self.attached as f64 / anchor_baskets as f64),
            attached_revenue_minor: self.attached_revenue_minor,
            revenue_with_minor: attached_unseen.plus(attached_shown).mean(),
            revenue_without_minor: alone_unseen.plus(alone_shown).mean(),
            lift: association.filter(|rates| rates.without > 0.0).map(|rates| rates.with / rates.without),
            association,
            shown_attach: difference_of_shares(
                (attached_shown.count, shown.count),
                (attached_unseen.count, unseen.count),
            ),
            shown_revenue_minor: difference_of_means(shown, unseen),
        }
    }
}

/// Newcombe's interval: the distances of the shares from the ends of their Wilson intervals, added as squares.
fn difference_of_shares(with: (usize, usize), without: (usize, usize)) -> Option<Difference> {
    if with.1 == 0 || without.1 == 0 {
        return None;
    }
    let share = |(hits, of): (usize, usize)| hits as f64 / of as f64;
    let (p, q) = (share(with), share(without));
    let ((p_low, p_high), (q_low, q_high)) = (wilson(p, with.1), wilson(q, without.1));
    Some(Difference {
        with: p,
        with_baskets: with.1,
        without: q,
        without_baskets: without.1,
        difference: p - q,
        low: p - q - (p - p_low).hypot(q_high - q),
        high: p - q + (p_high - p).hypot(q - q_low),
    })
}

/// Wilson's interval of a share (1927).
fn wilson(share: f64, of: usize) -> (f64, f64) {
    let (n, squared) = (of as f64, Z_95 * Z_95);
    let centre = share + squared / (2.0 * n);
    let half = Z_95 * (share * (1.0 - share) / n + squared / (4.0 * n * n)).sqrt();
    let scale = 1.0 + squared / n;
    ((centre - half) / scale, (centre + half) / scale)
}

fn difference_of_means(with: Moments, without: Moments) -> Option<Difference> {
    if with.count < 2 || without.count < 2 {
        return None;
    }
    let (a, b) = (with.mean()?, without.mean()?);
    let half = Z_95 * (with.squared_error() + without.squared_error()).sqrt();
    Some(Difference {
        with: a,
        with_baskets: with.count,
        without: b,
        without_baskets: without.count,
        difference: a - b,
        low: a - b - half,
        high: a - b + half,
    })
}
