//! Regions and categories contain each other by their text (`NG` holds `NG-LA`, `home` holds `home/kitchen`); no list of them is kept here.

use dhow_events::{Category, Region};

/// The region and those around it, nearest first: `NG-LA`, `NG`.
pub(crate) fn region_and_around(region: Region) -> impl Iterator<Item = Region> {
    std::iter::successors(Some(region), |inner| {
        inner.as_str().rsplit_once('-').and_then(|(outer, _)| Region::new(outer).ok())
    })
}

/// The category and its parents, nearest first: `home/kitchen`, `home`.
pub(crate) fn category_and_parents(category: Category) -> impl Iterator<Item = Category> {
    std::iter::successors(Some(category), |inner| {
        inner.as_str().rsplit_once('/').and_then(|(outer, _)| Category::new(outer).ok())
    })
}
