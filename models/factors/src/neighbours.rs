//! Item-to-item neighbours: those that know order, and BM25's as the baseline that does not; both keep each item's best.
//!
//! Ordered neighbours, in steps:
//! 1. every person's pair of items (i, then j, g places later, g ≤ window) adds `g^-γ` to i → j and β times that to j → i;
//! 2. i → j is divided by `(nᵢ + 1)^a (nⱼ + 1)^b`, n being the number of persons;
//! 3. of each i the strongest j are kept; a history adds its items' rows, each weighted by its age.
//!
//! This is item-kNN (Sarwar et al. 2001) with the gap-decayed, directed counts of sequential rules (Ludewig and Jannach
//! 2018). BM25 neighbours weight the pairs as Okapi BM25 weights terms (Robertson and Zaragoza 2009), items as documents.

use crate::error::{FactorsError, check_setting};
use crate::interactions::Interactions;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most neighbours kept of one item.
pub const MAX_NEIGHBOURS: usize = 100_000;

/// Settings of [`Neighbours::ordered`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OrderedSettings {
    /// γ: how fast a pair's strength falls with the places between its items; 0 to 5.
    pub gap_exponent: f32,
    /// β: strength against the direction of time; 0 to 1.
    pub backward_share: f32,
    /// Pairs further apart than this many places do not count; at least 1.
    pub window: usize,
    /// a: how much the popularity of the item taken is divided out; 0 to 1.
    pub source_damping: f32,
    /// b: how much the popularity of the neighbour is divided out; 0 to 1.
    pub target_damping: f32,
    /// Neighbours kept of each item, 1 to [`MAX_NEIGHBOURS`].
    pub neighbours: usize,
}

impl Default for OrderedSettings {
    fn default() -> Self {
        Self {
            gap_exponent: 0.5,
            backward_share: 0.5,
            window: 30,
            source_damping: 0.3,
            target_damping: 0.5,
            neighbours: 500,
        }
    }
}

/// Settings of [`Neighbours::bm25`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bm25Settings {
    /// Saturation, above zero.
    pub k1: f32,
    /// How much a popular item is damped; 0 to 1.
    pub b: f32,
    /// Neighbours kept of each item, 1 to [`MAX_NEIGHBOURS`].
    pub neighbours: usize,
}

impl Default for Bm25Settings {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75, neighbours: 200 }
    }
}

/// Every item's strongest neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    rows: Vec<Vec<(u32, f32)>>,
}

impl Neighbours {
    /// Neighbours by directed, gap-decayed co-occurrence.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn ordered(interactions: &Interactions, settings: &OrderedSettings) -> Result<Self, FactorsError> {
        check_setting("gap_exponent", settings.gap_exponent.into(), 0.0..=5.0, "0 to 5")?;
        check_setting("backward_share", settings.backward_share.into(), 0.0..=1.0, "0 to 1")?;
        check_setting("window", settings.window as f64, 1.0..=f64::from(u32::MAX), "at least 1")?;
        check_setting("source_damping", settings.source_damping.into(), 0.0..=1.0, "0 to 1")?;
        check_setting("target_damping", settings.target_damping.into(), 0.0..=1.0, "0 to 1")?;
        let longest = interactions.by_person.longest_row();
        let decay: Vec<f32> =
            (0..=settings.window.min(longest)).map(|gap| (gap.max(1) as f32).powf(-settings.gap_exponent)).collect();
        let damping = |exponent: f32| -> Vec<f32> {
            (0_u32..)
                .take(interactions.items())
                .map(|item| (interactions.support(item) as f32 + 1.0).powf(-exponent))
                .collect()
        };
        let (source, target) = (damping(settings.source_damping), damping(settings.target_damping));
        Self::gather(interactions, settings.neighbours, |item, sums| {
            for person in interactions.by_item.row(item as usize).columns {
                let history = interactions.history(*person);
                let Some(place) = history.iter().position(|other| *other == item) else { continue };
                let from = place.saturating_sub(settings.window);
                let until = history.len().min(place + settings.window + 1);
                for (other, at) in history[from..until].iter().zip(from..) {
                    let direction = if at > place { 1.0 } else { settings.backward_share };
                    let scale = source[item as usize] * target[*other as usize];
                    sums.add(*other, direction * decay[at.abs_diff(place)] * scale);
                }
            }
        })
    }

    /// Neighbours by BM25-weighted co-occurrence, as the package `implicit` computes them.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn bm25(interactions: &Interactions, settings: &Bm25Settings) -> Result<Self, FactorsError> {
        let positive = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        check_setting("k1", settings.k1.into(), positive, "a finite number above zero")?;
        check_setting("b", settings.b.into(), 0.0..=1.0, "0 to 1")?;
        let items = interactions.items();
        let inverse_frequency: Vec<f32> = (0..interactions.people())
            .map(|person| {
                let length = interactions.by_person.row(person).columns.len();
                (items as f32).ln() - (length as f32).ln_1p()
            })
            .collect();
        let average = interactions.pairs() as f32 / items as f32;
        let weight = |item: u32| {
            let length = (1.0 - settings.b) + settings.b * interactions.support(item) as f32 / average;
            (settings.k1 + 1.0) / (settings.k1 * length + 1.0)
        };
        let weights: Vec<f32> = (0_u32..).take(items).map(weight).collect();
        Self::gather(interactions, settings.neighbours, |item, sums| {
            for person in interactions.by_item.row(item as usize).columns {
                let shared = inverse_frequency[*person as usize].powi(2) * weights[item as usize];
                for other in interactions.history(*person) {
                    sums.add(*other, shared * weights[*other as usize]);
                }
            }
        })
    }

    /// Sums each item's row by `fill` and keeps its best.
    fn gather(
        interactions: &Interactions,
        neighbours: usize,
        fill: impl Fn(u32, &mut Sums) + Sync,
    ) -> Result<Self, FactorsError> {
        check_setting("neighbours", neighbours as f64, 1.0..=MAX_NEIGHBOURS as f64, "1 to 100000")?;
        let items = interactions.items();
        let rows = (0..items as u32)
            .into_par_iter()
            .map_init(
                || Sums { values: vec![0.0; items], touched: Vec::new() },
                |sums, item| {
                    fill(item, sums);
                    sums.take_best(item, neighbours)
                },
            )
            .collect();
        Ok(Self { rows })
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.rows.len()
    }

    /// An item's neighbours, strongest first; empty for an unknown item.
    pub fn of(&self, item: u32) -> &[(u32, f32)] {
        self.rows.get(item as usize).map_or(&[], Vec::as_slice)
    }

    /// Adds the scores of a history of items and weights to `scores`, one per item.
    ///
    /// # Errors
    /// An unknown item, a weight that is not finite and above zero, or scores of another length.
    pub fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        crate::score::check_request(history, self.items(), scores)?;
        for (item, weight) in history {
            for (other, strength) in self.of(*item) {
                scores[*other as usize] += weight * strength;
            }
        }
        Ok(())
    }
}

/// A row under construction: dense values, and which of them are not zero.
struct Sums {
    values: Vec<f32>,
    touched: Vec<u32>,
}

impl Sums {
    fn add(&mut self, item: u32, value: f32) {
        let sum = &mut self.values[item as usize];
        if *sum == 0.0 {
            self.touched.push(item);
        }
        *sum += value;
    }

    /// The strongest entries but the item itself, equal ones by number; the row is empty again afterwards.
    fn take_best(&mut self, item: u32, count: usize) -> Vec<(u32, f32)> {
        let mut entries = Vec::with_capacity(self.touched.len());
        for other in self.touched.drain(..) {
            let value = std::mem::take(&mut self.values[other as usize]);
            if other != item && value > 0.0 {
                entries.push((other, value));
            }
        }
        entries.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        entries.truncate(count);
        entries.shrink_to_fit();
        entries
    }
}
