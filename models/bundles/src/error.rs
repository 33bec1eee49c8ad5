//! What can be wrong with baskets, settings and questions; nothing else.

/// Why baskets, settings or a question were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BundlesError {
    /// There is nothing to learn from.
    #[error("no basket holds an item; at least one is needed")]
    NoBaskets,
    /// A number is out of its range.
    #[error("{name} is {value}, expected {expected}")]
    BadSetting {
        /// What the number is.
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
    /// An item beyond the declared number.
    #[error("{what} {at} names item {item}; items are numbered below {items}")]
    UnknownItem {
        /// What names it.
        what: &'static str,
        /// Its place, from zero.
        at: usize,
        /// The number given.
        item: u32,
        /// How many items there are.
        items: usize,
    },
    /// A bundle that is not an anchor with other items, each named once.
    #[error("bundle {bundle} names item {item} twice; an anchor and its complements are distinct")]
    RepeatedItem {
        /// Place of the bundle, from zero.
        bundle: usize,
        /// The item.
        item: u32,
    },
    /// A bundle without complements.
    #[error("bundle {bundle} is of item {anchor} alone; a bundle has 1 to 9 complements")]
    NoComplement {
        /// Place of the bundle, from zero.
        bundle: usize,
        /// Its anchor.
        anchor: u32,
    },
    /// Two bundles of one anchor, which a showing could not tell apart.
    #[error("bundles {first} and {second} have the same anchor {anchor}; give one bundle for each anchor")]
    RepeatedAnchor {
        /// Place of the first, from zero.
        first: usize,
        /// Place of the second, from zero.
        second: usize,
        /// Their anchor.
        anchor: u32,
    },
}

/// Refuses a number that is not within `range`, NaN among them.
pub(crate) fn check_range(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), BundlesError> {
    if range.contains(&value) { Ok(()) } else { Err(BundlesError::BadSetting { name, value, expected }) }
}

/// Refuses more than `limit` of something.
pub(crate) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), BundlesError> {
    if count <= limit { Ok(()) } else { Err(BundlesError::TooMany { what, count, limit }) }
}
