//! What can be wrong with a condition, said with its place, what was found and what would be right.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::check::{MAX_EXPRESSION_BYTES, MAX_NESTING};

/// A condition that cannot be published.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("line {line}, column {column}: {problem}")]
pub struct ExpressionError {
    /// Line, from 1.
    pub line: usize,
    /// Character within the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// It is no CEL.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// It is too long.
    #[error("the condition has {found} bytes; at most {MAX_EXPRESSION_BYTES} are allowed")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// It nests too deeply.
    #[error(
        "the condition nests more than {MAX_NESTING} deep; split it into several rules, or use `in` instead of a chain"
    )]
    TooDeep,
    /// A name that the schema does not have.
    #[error("`{name}` is not known{}", did_you_mean(nearest))]
    UnknownName {
        /// The name as written.
        name: String,
        /// The declared name that is most like it.
        nearest: Option<String>,
    },
    /// A function that conditions do not have.
    #[error("there is no function `{name}`{}", did_you_mean(nearest))]
    UnknownFunction {
        /// The name as written.
        name: String,
        /// The function that is most like it.
        nearest: Option<String>,
    },
    /// A function was called with too many or too few arguments, or in the wrong form.
    #[error("`{function}` was given {found} arguments; write `{usage}`")]
    WrongArity {
        /// The function.
        function: String,
        /// How it is called.
        usage: String,
        /// How many arguments were given.
        found: usize,
    },
    /// An operand has the wrong type.
    #[error("{place} is {found}, but must be {wanted}")]
    WrongType {
        /// Which operand of what.
        place: String,
        /// Its type.
        found: String,
        /// The right type.
        wanted: String,
    },
    /// Two operands do not go together.
    #[error("`{operator}` cannot take {left} and {right}; {advice}")]
    Mismatch {
        /// The operator.
        operator: String,
        /// Type of the left operand.
        left: String,
        /// Type of the right operand.
        right: String,
        /// What would be right.
        advice: String,
    },
    /// The right side of `in` is no list that goes with the left.
    #[error("{message}")]
    BadMembership {
        /// What is wrong and what would be right.
        message: String,
    },
    /// CEL that conditions do not have.
    #[error("{what} cannot be used in a rule; {advice}")]
    Unsupported {
        /// What was used.
        what: String,
        /// What to write instead.
        advice: String,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}
