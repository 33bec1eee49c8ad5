//! A rule as people write it: its condition is text here, and is checked when a set is compiled.

use dhow_events::ShortText;
use serde::{Deserialize, Serialize};

use crate::action::{Action, Then};
use crate::outcome::{Canonical, Hash};

/// The longest name of a rule.
pub const MAX_NAME_BYTES: usize = 200;

/// A rule's name for machines, stable over versions: `new_card_large_amount`; at most 47 bytes.
pub type RuleId = ShortText<47>;

/// A stable code that other systems store, such as `RULE_NEW_CARD`; at most 47 bytes.
pub type ReasonCode = ShortText<47>;

/// How far a rule has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Being written: neither checked nor evaluated.
    Draft,
    /// Evaluated and recorded, without a say.
    Shadow,
    /// In force.
    Live,
    /// Kept for the record: neither checked nor evaluated.
    Retired,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique within a set.
    pub id: RuleId,
    /// Its name for people, at most [`MAX_NAME_BYTES`].
    pub name: String,
    /// The condition in CEL.
    pub when: String,
    /// What it does when the condition holds.
    pub then: Then,
    /// Lower comes first in the record of a decision; equals are ordered by id.
    pub priority: i32,
    /// How far it has come.
    pub state: State,
}

impl Rule {
    /// Whether it is evaluated.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.state, State::Shadow | State::Live)
    }
}

/// The version of a set: a hash over all that its rules say, in their order.
pub(crate) fn version_of(rules: &[Rule]) -> Hash {
    let mut content = Canonical::new("dhow rule set 1");
    content.count(rules.len());
    for rule in rules {
        content.text(rule.id.as_str());
        content.text(&rule.name);
        content.text(&rule.when);
        content.then(&rule.then);
        content.bytes(&rule.priority.to_le_bytes());
        content.byte(match rule.state {
            State::Draft => 0,
            State::Shadow => 1,
            State::Live => 2,
            State::Retired => 3,
        });
    }
    content.hash()
}

/// The byte that stands for an action in a hash.
pub(crate) fn action_byte(action: Action) -> u8 {
    match action {
        Action::Approve => 0,
        Action::Review => 1,
        Action::StepUp => 2,
        Action::Decline => 3,
    }
}
