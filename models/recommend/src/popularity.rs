//! What is popular overall, by category, by region and by both, fading with time; clicks after training are in `live`.

use dhow_events::{Region, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::items::Items;
use crate::lists::Lists;
use crate::neighbours::best;
use crate::places::region_and_around;
use crate::sequences::{Action, half_life_decay};

/// A region's list keeps at most so many products.
pub const MAX_REGION_PRODUCTS: usize = 1000;
/// The list of a category within a region keeps at most so many products.
pub const MAX_REGION_CATEGORY_PRODUCTS: usize = 200;

/// A product and its faded count of actions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Popular {
    pub(crate) item: u32,
    pub(crate) score: f32,
}

/// A region, or a category (by number) within a region.
type Segment = (Region, Option<u32>);

/// Ranked lists, best first. `overall` and `by_category` hold every product, sold or not, so that a slate can always be filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Popularity {
    pub(crate) overall: Vec<Popular>,
    by_category: Lists<Popular>,
    segments: Vec<Segment>,
    by_segment: Lists<Popular>,
}

impl Popularity {
    pub(crate) fn new(sorted_actions: &[Action], items: &Items, trained_until: Timestamp, settings: &Settings) -> Self {
        let mut counts = vec![0.0; items.len()];
        let mut regional: FxHashMap<(Region, u32), f64> = FxHashMap::default();
        for action in sorted_actions {
            let age_micros = trained_until.micros_since(action.time);
            let amount =
                settings.kind_weights.of(action.kind) * half_life_decay(age_micros, settings.popularity_half_life_days);
            counts[action.item as usize] += amount;
            for region in action.region.into_iter().flat_map(region_and_around) {
                *regional.entry((region, action.item)).or_default() += amount;
            }
        }
        let all = counts.iter().enumerate().map(|(item, count)| Popular { item: item as u32, score: *count as f32 });
        let overall = ranked(all.collect(), items.len());
        let by_category = by_category(&overall, items);
        let (segments, by_segment) = by_segment(&regional, items);
        Self { overall, by_category, segments, by_segment }
    }

    pub(crate) fn of_category(&self, category: u32) -> &[Popular] {
        self.by_category.row(category as usize)
    }

    /// The list of a region, or of a category in it; empty when nothing happened there.
    pub(crate) fn of_segment(&self, region: Region, category: Option<u32>) -> &[Popular] {
        match self.segments.binary_search(&(region, category)) {
            Ok(row) => self.by_segment.row(row),
            Err(_) => &[],
        }
    }

    pub(crate) fn is_sound(&self, items: &Items) -> bool {
        let known = |popular: &Popular| (popular.item as usize) < items.len() && popular.score.is_finite();
        self.overall.len() == items.len()
            && self.overall.iter().all(known)
            && self.by_category.is_sound(items.category_count(), known)
            && self.segments.is_sorted_by(|a, b| a < b)
            && self.by_segment.is_sound(self.segments.len(), known)
    }
}

pub(crate) fn ranked(entries: Vec<Popular>, limit: usize) -> Vec<Popular> {
    best(entries, limit, |p| (p.score, p.item))
}

/// The overall ranking dealt out to each category and its parents.
fn by_category(overall: &[Popular], items: &Items) -> Lists<Popular> {
    let mut rows = vec![Vec::new(); items.category_count()];
    for popular in overall {
        for category in items.categories_of(popular.item) {
            rows[*category as usize].push(*popular);
        }
    }
    Lists::from_rows(rows)
}

fn by_segment(regional: &FxHashMap<(Region, u32), f64>, items: &Items) -> (Vec<Segment>, Lists<Popular>) {
    let mut rows: FxHashMap<Segment, Vec<Popular>> = FxHashMap::default();
    for (&(region, item), &count) in regional {
        let categories = items.categories_of(item).iter().map(|category| Some(*category));
        for category in categories.chain([None]) {
            rows.entry((region, category)).or_default().push(Popular { item, score: count as f32 });
        }
    }
    let mut rows: Vec<(Segment, Vec<Popular>)> = rows.into_iter().collect();
    rows.sort_unstable_by_key(|(segment, _)| *segment);
    let mut segments = Vec::with_capacity(rows.len());
    let mut lists = Lists::default();
    for (segment, row) in rows {
        let limit = if segment.1.is_some() { MAX_REGION_CATEGORY_PRODUCTS } else { MAX_REGION_PRODUCTS };
        segments.push(segment);
        lists.push(ranked(row, limit));
    }
    (segments, lists)
}
