//! What this person likes over months: implicit-feedback factors, item regressions and ordered neighbours; no IO, no clock.
//!
//! [`Interactions`] holds who took which item, in time order, by dense numbers. From it are fitted, each told in steps in
//! its own file:
//!
//! - [`FactorModel`], implicit-feedback matrix factorisation (iALS, Hu, Koren and Volinsky 2008, with the
//!   frequency-scaled regularisation of Rendle et al. 2021):
//!   1. the other side's Gramian G is decomposed and that side turned into its eigenbasis, where `α₀G + λI` is a
//!      diagonal D for every λ that a row has;
//!   2. each row's system is D plus one rank-one term per entry. It is solved exactly, by Cholesky, in as many unknowns as
//!      the row has entries or the model has dimensions, whichever is less ([`Solver::Exact`]), or improved from what the
//!      row was: by a few steps of conjugate gradients, where D is the preconditioner
//!      ([`Solver::ConjugateGradients`]), or block by block of dimensions (iALS++, Rendle et al. 2021,
//!      [`Solver::Subspace`]);
//!   3. the sides take turns. [`FactorModel::fit_from`] begins at an earlier model.
//!   4. [`FoldIn`], what serving keeps of a model, does step 2 exactly for a person who is not in it, with the spectrum
//!      kept from fitting.
//! - [`Ease`], the item regression of Steck 2019, where the square of the catalogue fits in memory.
//! - [`Neighbours`], item neighbours that know order, age and popularity; BM25's are there as a baseline.
//! - [`Blend`], a weighted sum of any of them, with weights and recency learned on a validation part cut from train.
//! - [`AttributeRegression`], which attributes lead to which.
//! - [`ColdItems`], which ranks the items that nobody has taken yet: that regression, and the neighbours of items alike.
//! - [`ContentMap`], attributes to factors by ridge regression for items without behaviour, with trust n/(n + k).
//!
//! [`ItemIndex`] finds the best items of a factor model exactly, with filters: 8 bits first and f32 for what is left, or for
//! many persons at once by tiles of a product; of more than [`MAX_EXACT_ITEMS`] items by walking a graph of near ones.
//! [`evaluate_interactions`] runs the whole interactions protocol, tuning and baselines included; [`evaluate`] and
//! [`evaluate_cold`] judge a single model on a split.
//!
//! Everything is seeded, and results do not depend on the number of threads. The f32 kernels are compiled for several
//! instruction sets, of which the machine's widest is chosen when the program runs; bits may differ between machines of
//! different instruction sets.

mod attribute_regression;
mod blend;
mod cold;
mod cold_items;
mod content;
mod ease;
mod eigen;
mod error;
mod evaluation;
mod fold_in;
mod gradients;
mod graph;
mod ials;
mod interactions;
mod intervals;
mod kernels;
mod matrix;
mod neighbours;
mod protocol;
mod score;
mod solve;
mod top_k;
mod tuning;

pub use attribute_regression::{AttributeRegression, AttributeSettings, MAX_FEATURES};
pub use blend::{Blend, MAX_LEARNING_PEOPLE, Part, validation_of};
pub use cold::{ColdMethod, ColdReport, evaluate_cold_items};
pub use cold_items::{ColdItems, ColdSettings};
pub use content::{ContentMap, MAX_ATTRIBUTES};
pub use ease::{Ease, MAX_EASE_ITEMS};
pub use error::FactorsError;
pub use evaluation::{
    Accuracy, ColdSplit, EvaluationOfCold, EvaluationReport, Segment, Split, evaluate, evaluate_cold, split_cold,
    split_last_fifth, split_leave_last,
};
pub use fold_in::FoldIn;
pub use ials::{FactorModel, FactorSettings, MAX_DIMENSIONS, MAX_ITERATIONS, MAX_STEPS, Solver};
pub use interactions::{Interaction, Interactions, MAX_INTERACTIONS};
pub use intervals::{Estimate, MAX_RESAMPLES, lift_estimate, mean_estimate};
pub use matrix::Matrix;
pub use neighbours::{Bm25Settings, MAX_NEIGHBOURS, Neighbours, OrderedSettings};
pub use protocol::{
    ChosenPart, InteractionData, InteractionsReport, MAX_TRIALS, Method, ProtocolSettings, evaluate_interactions,
};
pub use score::{Popularity, Scorer, recency_weights};
pub use top_k::{Answer, IndexSettings, ItemIndex, ItemSet, MAX_EXACT_ITEMS, MAX_TOP, Pass, Scored};
