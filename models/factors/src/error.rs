//! What can be wrong with training data, settings and requests; nothing else.

/// Why data, settings or a request were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FactorsError {
    /// There is nothing to learn from.
    #[error("no interactions: a model needs at least one person who took one item")]
    NoInteractions,
    /// A row names a person beyond the declared number.
    #[error("row {row}: person {person} is unknown, persons are numbered below {people}")]
    UnknownPerson {
        /// Place of the row, from zero.
        row: usize,
        /// The number given.
        person: u32,
        /// How many persons there are.
        people: usize,
    },
    /// A row or a history names an item beyond the declared number.
    #[error("row {row}: item {item} is unknown, items are numbered below {items}")]
    UnknownItem {
        /// Place of the row, from zero.
        row: usize,
        /// The number given.
        item: u32,
        /// How many items there are.
        items: usize,
    },
    /// A weight is not a positive finite number.
    #[error("row {row}: weight {weight} is not a finite number above zero")]
    BadWeight {
        /// Place of the row, from zero.
        row: usize,
        /// The weight given.
        weight: f32,
    },
    /// A setting is out of its range.
    #[error("setting {name} is {value}, expected {expected}")]
    BadSetting {
        /// The field's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        expected: &'static str,
    },
    /// More than a bound allows.
    #[error("{count} {what}, at most {limit} are supported")]
    TooMany {
        /// What there was too much of.
        what: &'static str,
        /// How much.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// Two inputs that belong together differ in size.
    #[error("{what} has {got} entries, expected {expected}")]
    WrongLength {
        /// Which input.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A row of a matrix that was read from bytes holds a number that is not finite, or something in its padding.
    #[error("row {row} of a matrix holds a number that is not finite, or is not padded with zeros")]
    BadMatrix {
        /// The row, from zero.
        row: usize,
    },
    /// A linear system had no solution in f32.
    #[error("the system of {what} is not positive definite in 32 bits: raise its regularisation")]
    NotPositiveDefinite {
        /// Which system.
        what: &'static str,
    },
}

/// Refuses a setting that is not within `range`, NaN among them.
pub(crate) fn check_setting(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), FactorsError> {
    if range.contains(&value) { Ok(()) } else { Err(FactorsError::BadSetting { name, value, expected }) }
}
