//! Settings found by coordinate search on the last twentieth of each training part; half-lives are in spans of training.

use dhow_sessions::Settings;

use crate::load::DataSet;

/// Those of Diginetica; the whole-numbered ones are the same everywhere.
const BASE: Settings = Settings {
    neighbours: 288,
    sessions_per_item: 500,
    last_items: 5,
    query_decay: 0.72,
    query_rarity: 0.34,
    length_discount: 0.55,
    half_life: 1.5,
    forward_decay: 0.88,
    backward_decay: 0.86,
    backward_share: 0.76,
    rule_weight: 0.0058,
    popularity_discount: 0.22,
    keep_weight: 0.9,
    revisit_weight: 1.5,
    keep_evidence: 100.0,
    sessions_kept: 1 << 22,
};

pub const DIGINETICA: Settings = BASE;

pub const YOOCHOOSE: Settings = Settings {
    query_decay: 0.45,
    query_rarity: 0.59,
    length_discount: 0.49,
    half_life: 1.45,
    forward_decay: 0.53,
    backward_decay: 0.62,
    backward_share: 0.81,
    rule_weight: 0.021,
    popularity_discount: -0.03,
    keep_weight: 0.62,
    revisit_weight: 0.24,
    keep_evidence: 33.0,
    ..BASE
};

pub const SERENADE_EXAMPLE: Settings = Settings {
    query_decay: 0.66,
    query_rarity: 0.39,
    length_discount: 0.33,
    half_life: 1.3,
    forward_decay: 0.71,
    backward_decay: 0.68,
    backward_share: 0.94,
    rule_weight: 0.0077,
    popularity_discount: 0.19,
    keep_weight: 0.53,
    revisit_weight: 7.5,
    keep_evidence: 41.0,
    ..BASE
};

/// The settings with their half-life in the data's unit of time.
pub fn with_span(settings: &Settings, data: &DataSet) -> Settings {
    let span = data.train.last().map_or(0.0, |(_, last)| (last - data.train[0].1) as f64);
    Settings { half_life: settings.half_life * span, ..*settings }
}
