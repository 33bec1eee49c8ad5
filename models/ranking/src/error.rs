//! What can be wrong with a request, a policy or training data; nothing else.

/// Why a request, settings or data were refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RankingError {
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
    /// A price band whose ends are the wrong way round.
    #[error("the price band {from_minor} to {to_minor} is empty: give from <= to")]
    EmptyPriceBand {
        /// The lower end.
        from_minor: i64,
        /// The upper end.
        to_minor: i64,
    },
    /// An offer names a campaign without a budget.
    #[error("offer {offer} is of campaign {campaign}, but there are budgets of {campaigns} campaigns only")]
    UnknownCampaign {
        /// Place of the offer, from zero.
        offer: usize,
        /// The number given.
        campaign: u32,
        /// How many budgets there are.
        campaigns: usize,
    },
    /// An offer with a negative bid.
    #[error("offer {offer} bids {bid_minor}; a bid is at least 0")]
    NegativeBid {
        /// Place of the offer, from zero.
        offer: usize,
        /// The bid given.
        bid_minor: i64,
    },
    /// A slice is not of the size that belongs to it.
    #[error("{what} has {got} entries, expected {expected}")]
    WrongLength {
        /// Which input.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What fits, in words.
        expected: String,
    },
    /// A group without rows.
    #[error("group {group} is empty; a group is a list of at least one candidate")]
    EmptyGroup {
        /// Place of the group, from zero.
        group: usize,
    },
    /// A gain that is not a number of at least 0.
    #[error("group {group}, row {row}: gain {gain} is not a finite number of at least 0")]
    BadGain {
        /// Place of the group, from zero.
        group: usize,
        /// Place of the row in its group, from zero.
        row: usize,
        /// The gain given.
        gain: f64,
    },
    /// A weight that is not a number above 0.
    #[error("group {group}: weight {weight} is not a finite number above 0")]
    BadWeight {
        /// Place of the group, from zero.
        group: usize,
        /// The weight given.
        weight: f64,
    },
    /// An infinite feature. NaN is allowed: it stands for a missing value.
    #[error(
        "group {group}, row {row}: feature `{feature}` is {value}; give a finite number, or NaN where it is missing"
    )]
    InfiniteFeature {
        /// Place of the group, from zero.
        group: usize,
        /// Place of the row in its group, from zero.
        row: usize,
        /// The feature's name.
        feature: String,
        /// The value given.
        value: f64,
    },
    /// A group older than the one before it.
    #[error("group {group} is older than the group before it; give groups in the order of their times")]
    NotInTimeOrder {
        /// Place of the group, from zero.
        group: usize,
    },
    /// Too little to learn from, or to judge by.
    #[error("{usable} of the {groups} groups for {purpose} have a gain above 0 and one below it; {needed} are needed")]
    TooFewGroups {
        /// What the groups were for.
        purpose: &'static str,
        /// How many groups there are.
        groups: usize,
        /// How many of them say anything about order.
        usable: usize,
        /// How many are needed.
        needed: usize,
    },
    /// Validation groups that are not newer than the training groups.
    #[error("the first validation group is not newer than the last training group; cut both from one set by time")]
    ValidationNotNewer,
    /// Two sets of groups, or a ranker and a set, differ in their features.
    #[error("the features of {what} differ from those of the training groups")]
    OtherFeatures {
        /// Which set.
        what: &'static str,
    },
    /// Trees could not be learned.
    #[error("the trees cannot be learned: {0}")]
    Trees(#[from] dhow_trees::LearnError),
    /// A forest that is not sound.
    #[error("the ranker's trees are damaged: {0}")]
    Forest(#[from] dhow_trees::ForestError),
    /// Training ran into numbers that are not finite.
    #[error("training diverged in epoch {epoch}: lower the learning rate, which is {learning_rate}")]
    Diverged {
        /// The epoch, from one.
        epoch: usize,
        /// The rate in use.
        learning_rate: f64,
    },
}

/// Refuses a number that is not within `range`, NaN among them.
pub(crate) fn check_range(
    name: &'static str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    expected: &'static str,
) -> Result<(), RankingError> {
    if range.contains(&value) { Ok(()) } else { Err(RankingError::BadSetting { name, value, expected }) }
}

/// Refuses more than `limit` of something.
pub(crate) fn check_count(what: &'static str, count: usize, limit: usize) -> Result<(), RankingError> {
    if count <= limit { Ok(()) } else { Err(RankingError::TooMany { what, count, limit }) }
}
