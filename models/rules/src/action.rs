//! What rules may do to a decision, and how their wishes, the lists and the model's band become one action; conditions are elsewhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::outcome::Fired;
use crate::rule::{ReasonCode, RuleId};

/// What happens to an order, payment, sign-in or return; the stricter is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Let it pass.
    Approve,
    /// Hold it for a person.
    Review,
    /// Ask the buyer for more proof before it goes on.
    StepUp,
    /// Refuse it.
    Decline,
}

impl Action {
    /// All actions, the mildest first.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Review, Self::StepUp, Self::Decline];
}

/// What a rule does when its condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Then {
    /// Decides in place of the model's band; of several such rules the strictest wins.
    Decide {
        /// The action.
        action: Action,
    },
    /// Makes the action at least as strict as this, whatever the band or other rules say.
    Floor {
        /// The mildest action that is still allowed.
        action: Action,
    },
    /// Adds a reason to the decision and changes no action.
    AddReason {
        /// The reason's stable code.
        code: ReasonCode,
    },
}

impl Then {
    /// The reason that it adds.
    pub(crate) fn code(self) -> Option<ReasonCode> {
        match self {
            Self::AddReason { code } => Some(code),
            Self::Decide { .. } | Self::Floor { .. } => None,
        }
    }
}

/// What the action came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum DecidedBy {
    /// A blocked key of the request.
    BlockList {
        /// The field of the request.
        field: Arc<str>,
    },
    /// An allowed key that names a person or their means of payment.
    AllowList {
        /// The field of the request.
        field: Arc<str>,
    },
    /// A rule that decides.
    Rule {
        /// The first by priority of those that wanted this action.
        rule: RuleId,
    },
    /// A rule that sets a floor.
    Floor {
        /// The first by priority of those that wanted this floor.
        rule: RuleId,
    },
    /// The model's score and the thresholds.
    Band,
}

/// The one action, in this order: a block list declines; an allow list approves; else the strictest deciding rule that fired
/// replaces the model's band; then floors raise it. `fired` comes in order of priority.
pub(crate) fn combine(
    band: Action,
    by_list: Option<(Action, DecidedBy)>,
    fired: impl Iterator<Item = Fired>,
) -> (Action, DecidedBy) {
    if let Some(decided) = by_list {
        return decided;
    }
    let (mut decided, mut floor) = (None::<(Action, RuleId)>, None::<(Action, RuleId)>);
    for Fired { rule, then } in fired {
        let (strictest, action) = match then {
            Then::Decide { action } => (&mut decided, action),
            Then::Floor { action } => (&mut floor, action),
            Then::AddReason { .. } => continue,
        };
        if strictest.is_none_or(|(already, _)| action > already) {
            *strictest = Some((action, rule));
        }
    }
    let base = decided.map_or((band, DecidedBy::Band), |(action, rule)| (action, DecidedBy::Rule { rule }));
    match floor {
        Some((action, rule)) if action > base.0 => (action, DecidedBy::Floor { rule }),
        _ => base,
    }
}
