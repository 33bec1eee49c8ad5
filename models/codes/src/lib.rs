//! Which code of a nomenclature a text falls under, by labelled texts of nearly the same meaning; it makes no vector and reads no file.
//!
//! A nomenclature is a tree in its codes' digits: of the Harmonized System the first two are a chapter, four a heading, six a
//! subheading. Each labelled text ([`Example`]) comes with its vector of unit length. A new text takes the share of every
//! prefix among all examples, each weighted by `exp(likeness / temperature)`: the Nadaraya–Watson classifier. The likeness is
//! the cosine of the meanings mixed with that of the words, as much of each as suits validation best. The temperature is fitted at every level by the likelihood of texts that were left out
//! (Guo et al., "On Calibration of Modern Neural Networks", 2017), so that a share can be read as a probability. Where no level
//! reaches the confidence that was asked for, the answer is that none is suggested.
//!
//! [`learn`] splits, fits, judges beside trivial methods and gives the model of all examples; [`CodeModel::suggest`] answers.

mod learn;
mod model;
mod words;

pub use learn::{CodeReport, LearnSettings, Learned, LevelReport, learn};
pub use model::{CodeModel, Guess, LevelGuess, Suggestion};

/// The most examples of a model.
pub const EXAMPLES_MAX: usize = 200_000;
/// The most dimensions of a vector.
pub const DIMENSIONS_MAX: usize = 4_096;

/// A text whose code is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// All digits of its code: as many as the deepest level has.
    pub code: String,
    /// The text.
    pub text: String,
    /// What it means, as a vector of unit length.
    pub vector: Vec<f32>,
}

/// Why a model cannot be learned, asked or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodesError {
    /// The levels do not rise, or there is none.
    #[error("the levels must be 1 to 8 rising numbers of digits; they are {0:?}")]
    Levels(Vec<usize>),
    /// An example's code has another length, or is no digits.
    #[error("example {index} has the code `{code}`; it must be {digits} digits")]
    Code {
        /// Its place, from 0.
        index: usize,
        /// The refused code.
        code: String,
        /// How many it must be.
        digits: usize,
    },
    /// An example's vector, or the one that is asked about, has another length than the first, or not the length one.
    #[error("vector {index} has {found} dimensions and the length {length}; it must have {wanted} and the length 1")]
    Vector {
        /// Its place, from 0.
        index: usize,
        /// Its dimensions.
        found: usize,
        /// Its length, as a text.
        length: String,
        /// The dimensions of the others.
        wanted: usize,
    },
    /// Too few, or too many.
    #[error(
        "there are {found} examples, of which {judged} can be left out to judge by; at least {least} of them are needed, and at most {EXAMPLES_MAX} examples may be"
    )]
    Examples {
        /// How many there are.
        found: usize,
        /// How many of them have another example of their code.
        judged: usize,
        /// How many of these are needed.
        least: usize,
    },
    /// Bytes that are no model of this version.
    #[error("it is no model of codes: {0}")]
    Corrupt(String),
}
