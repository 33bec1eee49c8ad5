//! Forecasts that add up: grouped structures of series and their reconciliation by sparse solves; it makes no forecast.
//!
//! A [`Hierarchy`] is built from bottom rows, each with one label per [`Dimension`] (a product, a region), and from
//! [`Grouping`]s that say how labels are summed up (product → category → all, product → seller → all, region → all). Every
//! combination of the dimensions' labels that some row falls under is a node: an index list of bottom rows.
//!
//! Base forecasts of the nodes, made apart, rarely add up. With the nodes' sums S = [A; I] over the bottom rows and a
//! positive definite W, the coherent forecast nearest to the base ŷ in the metric of W⁻¹ is (Wickramasuriya, Athanasopoulos
//! and Hyndman 2019, equations 9 and 10)
//! `ỹ = S (SᵀW⁻¹S)⁻¹ SᵀW⁻¹ ŷ = ŷ − W Cᵀ (C W Cᵀ)⁻¹ C ŷ` with `C = [I, −A]`.
//! [`Reconciler`] solves the second form, whose system has one row per upper node, by preconditioned conjugate gradients
//! over the index lists, so that memory and time grow with the lists and not with the square of the nodes. [`Weights`] says
//! what W is: equal, structural, variances, or a covariance that is shrunk towards its diagonal. [`bottom_up`] and
//! [`top_down`] are the simple ways.
//!
//! ```
//! use dhow_hierarchy::{Dimension, Grouping, Hierarchy, Reconciler, Weights};
//! let category = Grouping::new("category", [("mug", "kitchen"), ("pan", "kitchen"), ("kitchen", "all")])?;
//! let products = Dimension::new("product", vec![category]);
//! let hierarchy = Hierarchy::new(&[products], &[["mug"], ["pan"]])?;
//! let total = hierarchy.find(&["all"]).unwrap_or_default();
//! let reconciler = Reconciler::new(&hierarchy, &Weights::Structural)?;
//! let base = vec![10.0; hierarchy.nodes()];
//! let coherent = reconciler.reconcile(&base)?;
//! assert!((coherent[total] - coherent[hierarchy.uppers()] - coherent[hierarchy.uppers() + 1]).abs() < 1e-9);
//! # Ok::<(), dhow_hierarchy::HierarchyError>(())
//! ```

mod covariance;
mod error;
mod grouping;
mod nonnegative;
mod reconcile;
mod simple;
mod solve;
mod structure;

pub use covariance::{MAX_RESIDUALS, MIN_SHRINKAGE, Weights, shrinkage};
pub use error::HierarchyError;
pub use grouping::{Dimension, Grouping};
pub use nonnegative::MAX_PIVOTS;
pub use reconcile::Reconciler;
pub use simple::{Proportions, bottom_up, proportions, top_down};
pub use solve::MAX_ITERATIONS;
pub use structure::{Hierarchy, MAX_DIMENSIONS, MAX_ENTRIES};
