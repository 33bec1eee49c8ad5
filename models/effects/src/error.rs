//! Why effects cannot be measured or applied, each with what would be right.

/// Why effects cannot be measured or applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EffectError {
    /// A list of a product has the wrong length.
    #[error("product {product}: {found} values of {what}; {expected} are needed, one for each day")]
    Length {
        /// Its place in the panel.
        product: usize,
        /// Which list.
        what: &'static str,
        /// Values given.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// A value is out of its range.
    #[error("{name} is {found}; it must be {range}")]
    Value {
        /// Which.
        name: &'static str,
        /// What it is.
        found: f64,
        /// What would be right.
        range: &'static str,
    },
    /// A forecast's quantiles cannot be drawn from.
    #[error("the forecast cannot be drawn from: {reason}")]
    Draws {
        /// Why.
        reason: String,
    },
}

/// Refuses a value that is out of its range.
pub(crate) fn check(name: &'static str, found: f64, range: &'static str, is_right: bool) -> Result<(), EffectError> {
    if is_right { Ok(()) } else { Err(EffectError::Value { name, found, range }) }
}
