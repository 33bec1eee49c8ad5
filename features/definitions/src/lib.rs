//! What a feature is and means: views, aggregates, windows, request vectors and the naive oracle; it does no IO and keeps no state.
//!
//! # The meaning
//! An event has an *event time* (when it happened) and a *known time* (when the log acknowledged it). A [`Window`] of
//! length `w`, hop `h` and delay `d`, read at an instant `t`, holds the events with `start <= event_time < t - d` and
//! `known_time <= t`, where `start = floor((t - d - w) / h) * h`. So an event never counts towards a vector that is
//! read at its own event time. Two events of one tenant with one id are the same event: the first acknowledged counts.
//! An event without a value in an entity column counts for no entity of that view; see [`Aggregate`] for missing values.
//!
//! # The parts
//! A [`FeatureSet`] (from TOML or built in code) holds [`View`]s, each of one [`Source`] (a kind of fact, or a table of
//! the user's own whose rows are read as events), one entity and its [`Feature`]s. Executors keep the [`Cell`]s of each event, fold them into [`Accumulator`]s, one for each [`Slot`], and
//! finish those into floats: NaN means that there is no value. A [`VectorPlan`] says which entities of which views a
//! model's request reads, and in which order the numbers stand. [`oracle`] is the definition in its plainest form,
//! against which every executor is tested bit for bit.

mod accumulator;
mod aggregate;
mod exact;
mod filter;
mod key;
pub mod oracle;
mod parse;
mod plan;
mod set;
mod sketch;
mod source;
mod view;
mod window;

pub use accumulator::{Accumulator, Cell, MAX_FLOAT_MAGNITUDE, MIN_FLOAT_MAGNITUDE, RISE};
pub use aggregate::{Aggregate, MAX_HALF_LIVES, MAX_LAST, MAX_TOP, STEPS_PER_HALF_LIFE};
pub use exact::ExactSum;
pub use filter::{Filter, Operand, Operator};
pub use key::{EntityKey, entity_id};
pub use plan::{PlannedView, VectorPlan};
pub use set::{FeatureSet, MARKETPLACE, MAX_VIEWS, Ratio, RequestFlag};
pub use sketch::{HyperLogLog, quantile_level};
pub use source::{MAX_TABLE_COLUMNS, Row, Source, SourceColumn, TableSchema};
pub use view::{CellKind, Feature, FeatureSpec, MAX_ENTITY_COLUMNS, MAX_FEATURES_PER_VIEW, RatioParts, Slot, View};
pub use window::{MAX_DURATION_MICROS, Span, Window};

/// Why a definition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The text of a definition file is wrong at a place: its syntax, an unknown key, or what it means.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong and what would be right.
        message: String,
    },
    /// A definition built in code is wrong, or does not fit what is asked of it.
    #[error("{0}")]
    Meaning(String),
}
