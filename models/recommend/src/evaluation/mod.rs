//! How good are the answers: ranking metrics, the next-item protocol with baselines, and settings chosen on validation data.

mod choose;
mod metrics;
mod sessions;

pub use choose::{Axis, Choice, SettingsGrid, Trial, choose_settings};
pub use metrics::{Metrics, MetricsSum};
pub use sessions::{
    ChainPredictor, MarkovBaseline, PopularityBaseline, Repeats, SessionPredictor, TimeSplit, Visit, evaluate_sessions,
    split_by_time, visits_of,
};
