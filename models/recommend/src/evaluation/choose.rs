//! Chooses settings by their figures on validation sessions, one setting after another; it never sees a test part.

use super::{ChainPredictor, Metrics, Visit, evaluate_sessions};
use crate::model::TrainError;
use crate::{CatalogueItem, Interaction, Seen, Settings, train};

/// A setting that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// [`Settings::sequence_half_life_days`].
    SequenceHalfLifeDays,
    /// [`Settings::gap_decay`].
    GapDecay,
    /// [`Settings::reverse_share`].
    ReverseShare,
    /// [`Settings::popularity_discount`].
    PopularityDiscount,
    /// [`Settings::shrinkage`].
    Shrinkage,
    /// [`Settings::session_seeds`]; the value is rounded.
    SessionSeeds,
    /// [`Settings::session_decay`].
    SessionDecay,
    /// [`Settings::revisit_weight`].
    RevisitWeight,
}

impl Axis {
    fn apply(self, mut settings: Settings, value: f64) -> Settings {
        match self {
            Self::SequenceHalfLifeDays => settings.sequence_half_life_days = value,
            Self::GapDecay => settings.gap_decay = value,
            Self::ReverseShare => settings.reverse_share = value,
            Self::PopularityDiscount => settings.popularity_discount = value,
            Self::Shrinkage => settings.shrinkage = value,
            Self::SessionSeeds => settings.session_seeds = value.round() as usize,
            Self::SessionDecay => settings.session_decay = value,
            Self::RevisitWeight => settings.revisit_weight = value,
        }
        settings
    }
}

/// Values to try, axis by axis in this order; each axis keeps the best value before the next is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsGrid(pub Vec<(Axis, Vec<f64>)>);

impl Default for SettingsGrid {
    /// Twenty-four trials around the default settings.
    fn default() -> Self {
        Self(vec![
            (Axis::RevisitWeight, vec![0.0, 0.05, 0.1, 0.5]),
            (Axis::PopularityDiscount, vec![0.0, 0.25]),
            (Axis::Shrinkage, vec![2.0, 5.0, 20.0, 50.0]),
            (Axis::SessionDecay, vec![0.35, 0.65, 0.8]),
            (Axis::SessionSeeds, vec![4.0, 20.0]),
            (Axis::GapDecay, vec![0.4, 0.8, 1.0]),
            (Axis::ReverseShare, vec![0.25, 0.75, 1.0]),
            (Axis::SequenceHalfLifeDays, vec![5.0, 10.0, 60.0]),
        ])
    }
}

/// Settings that were tried and what they reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The settings.
    pub settings: Settings,
    /// Their figures on the validation sessions.
    pub metrics: Metrics,
}

/// The outcome of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The settings of the highest MRR; the earlier trial wins a tie.
    pub best: Trial,
    /// All trials in order; the first is the start.
    pub trials: Vec<Trial>,
}

/// Trains with the start's settings and those of the grid, and keeps the best by MRR at `k` on `validation` sessions.
///
/// # Errors
/// What [`train`] refuses, a `k` outside 1 to [`crate::MAX_COUNT`], or validation sessions without a single pair of actions.
pub fn choose_settings(
    interactions: &[Interaction],
    catalogue: &[CatalogueItem],
    validation: &[Visit],
    start: &Settings,
    grid: &SettingsGrid,
    k: usize,
) -> Result<Choice, TrainError> {
    if !validation.iter().any(|visit| visit.products.len() > 1) {
        return Err(TrainError::NoValidation);
    }
    let attempt = |settings: Settings| -> Result<Trial, TrainError> {
        let model = train(interactions, catalogue, &settings)?;
        let predictor = ChainPredictor { recommender: &model, seen: Seen::HideCurrent };
        let metrics = evaluate_sessions(&predictor, validation, k, catalogue.len())?;
        Ok(Trial { settings, metrics })
    };
    let mut best = attempt(*start)?;
    let mut trials = vec![best];
    for (axis, values) in &grid.0 {
        for settings in values.iter().map(|value| axis.apply(best.settings, *value)).collect::<Vec<_>>() {
            let trial = attempt(settings)?;
            trials.push(trial);
            if trial.metrics.mrr > best.metrics.mrr {
                best = trial;
            }
        }
    }
    Ok(Choice { best, trials })
}
