//! Trust in data: drift between two samples, with thresholds that know their sizes, and expectations on columns; it reads no files.
//!
//! [`drift`] compares a column's values now with those of a reference by the population stability index and the
//! Kolmogorov-Smirnov distance. [`Expectations`] say what a column must be: its range, how much of it may be missing, how
//! many values it has, how old its newest may be.

mod drift;
mod expectations;

pub use drift::{BINS, Drift, DriftError, DriftSettings, drift};
pub use expectations::{Column, Expectations, ExpectationsError, Violation};
