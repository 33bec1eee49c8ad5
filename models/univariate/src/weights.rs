//! Weights of the learned combination, written by the example `learn`; nothing is computed here.

use crate::weighted::{FEATURES, MEMBERS};

/// One row for each member: its logit's factors for each feature.
pub(crate) const WEIGHTS: [[f64; FEATURES]; MEMBERS] = [[0.0; FEATURES]; MEMBERS];
