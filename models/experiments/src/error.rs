//! What can be wrong with an experiment's settings or data, said with the place and what would be right.

/// Why an experiment, a comparison, an off-policy evaluation or a bandit refuses its input.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ExperimentError {
    /// A name is empty or too long.
    #[error("{what} has a name of {bytes} bytes; give 1 to {limit}")]
    Name {
        /// Whose name.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The longest one allowed.
        limit: usize,
    },
    /// Two arms have one name.
    #[error("two arms are called `{0}`; give each arm its own name")]
    RepeatedArm(String),
    /// Too few or too many.
    #[error("{found} {what}; give {rule}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// What would be right.
        rule: &'static str,
    },
    /// A number of a list is out of its range.
    #[error("{what} {at} is {value}; it must be {rule}")]
    Value {
        /// Which list.
        what: &'static str,
        /// The place in it, from 0.
        at: usize,
        /// The number found.
        value: f64,
        /// What would be right.
        rule: &'static str,
    },
    /// A setting is out of its range.
    #[error("{name} is {value}; it must be {rule}")]
    Setting {
        /// Which setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What would be right.
        rule: &'static str,
    },
    /// A list has another length than those it belongs to.
    #[error("{what} has {found} values; it must have {expected}, one for each place of each choice")]
    Length {
        /// Which list.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The right length.
        expected: usize,
    },
    /// The estimator needs predictions of a reward model.
    #[error("a doubly robust estimate needs predictions; give them, or choose another estimator")]
    NoPredictions,
}

/// Refuses the first value that `right` does not accept.
pub(crate) fn check_all(
    what: &'static str,
    values: &[f64],
    rule: &'static str,
    right: impl Fn(f64) -> bool,
) -> Result<(), ExperimentError> {
    match values.iter().position(|value| !right(*value)) {
        Some(at) => Err(ExperimentError::Value { what, at, value: values[at], rule }),
        None => Ok(()),
    }
}

/// Refuses a setting that is not `right`.
pub(crate) fn check_setting(
    name: &'static str,
    value: f64,
    rule: &'static str,
    right: bool,
) -> Result<(), ExperimentError> {
    if right { Ok(()) } else { Err(ExperimentError::Setting { name, value, rule }) }
}
