//! Approvals by several people: levels by what is spent, who agreed so far, and whether that suffices; budgets are in `reorders`.

use std::collections::BTreeSet;

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommerceError, FieldProblem, PERSON_BYTES_MAX};

/// The most levels of a tenant.
pub const APPROVAL_LEVELS_MAX: usize = 10;
/// The most people that a level asks for.
pub const APPROVALS_MAX: u32 = 10;
/// The most people that a level names.
pub const APPROVERS_MAX: usize = 50;

/// What approvals it takes from some cost on, up to the next level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalLevel {
    /// The cost from which on it counts, in cents of USD.
    pub from_usd_minor: i64,
    /// How many different people, 1 to [`APPROVALS_MAX`].
    pub approvals: u32,
    /// One of them is among these; anybody where it is empty.
    #[serde(default)]
    pub approvers: Vec<String>,
}

/// That a person agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub person: String,
    /// When.
    pub at: Timestamp,
}

/// Every field of levels that is wrong, below `/approval_levels`.
pub(crate) fn check_levels(levels: &[ApprovalLevel]) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    let mut wrong = |is_wrong: bool, pointer: String, message: String| {
        if is_wrong {
            problems.push(FieldProblem::new(format!("/approval_levels{pointer}"), message));
        }
    };
    let count = levels.len();
    wrong(
        count > APPROVAL_LEVELS_MAX,
        String::new(),
        format!("are {count}; at most {APPROVAL_LEVELS_MAX} are allowed"),
    );
    for (index, level) in levels.iter().enumerate().take(APPROVAL_LEVELS_MAX) {
        let least = index.checked_sub(1).map_or(0, |before| levels[before].from_usd_minor.saturating_add(1));
        let message = format!("is {}; it must be at least {least}, above the level before", level.from_usd_minor);
        wrong(level.from_usd_minor < least, format!("/{index}/from_usd_minor"), message);
        let message = format!("is {}; it must be from 1 to {APPROVALS_MAX}", level.approvals);
        wrong(!(1..=APPROVALS_MAX).contains(&level.approvals), format!("/{index}/approvals"), message);
        let named = level.approvers.len();
        let message = format!("has {named} names; at most {APPROVERS_MAX} are allowed");
        wrong(named > APPROVERS_MAX, format!("/{index}/approvers"), message);
        for (place, name) in level.approvers.iter().enumerate().take(APPROVERS_MAX) {
            let is_name = (1..=PERSON_BYTES_MAX).contains(&name.trim().len()) && name.len() <= PERSON_BYTES_MAX;
            let message = format!("must have 1 to {PERSON_BYTES_MAX} bytes");
            wrong(!is_name, format!("/{index}/approvers/{place}"), message);
        }
    }
    problems
}

/// Adds that `person` agrees to spending `cost_usd_minor`. Gives whether that suffices.
///
/// # Errors
/// The same person agreed before.
pub(crate) fn agree(
    approvals: &mut Vec<Approval>,
    person: &str,
    levels: &[ApprovalLevel],
    cost_usd_minor: i64,
    at: Timestamp,
) -> Result<bool, CommerceError> {
    if approvals.iter().any(|approval| approval.person == person) {
        return Err(CommerceError::AnotherPersonNeeded { person: person.to_owned() });
    }
    approvals.push(Approval { person: person.to_owned(), at });
    let level = levels.iter().rev().find(|level| level.from_usd_minor <= cost_usd_minor);
    Ok(level.is_none_or(|level| {
        let people: BTreeSet<&str> = approvals.iter().map(|approval| approval.person.as_str()).collect();
        let has_named = level.approvers.is_empty() || level.approvers.iter().any(|name| people.contains(name.as_str()));
        people.len() >= level.approvals as usize && has_named
    }))
}
