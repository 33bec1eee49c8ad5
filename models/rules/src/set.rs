//! A checked set of rules of one version, and what it makes of facts; publishing and storing it are elsewhere.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::action::{Action, DecidedBy, combine};
use crate::card_numbers::contains_card_number;
use crate::check::compile;
use crate::facts::{Facts, FactsError};
use crate::outcome::{Fired, Hash, Outcome, Silence, Unanswered};
use crate::problem::ExpressionError;
use crate::program::{Boolean, Halt};
use crate::rule::{MAX_NAME_BYTES, Rule, RuleId, State, version_of};
use crate::schema::{FieldType, Schema, Slot};

/// The most rules of a set.
pub const MAX_RULES: usize = 500;

/// What is wrong with one rule.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum RuleFault {
    /// Its condition cannot be published.
    #[error(transparent)]
    Condition(ExpressionError),
    /// Its name is empty or too long.
    #[error("the name has {found} bytes; 1 to {MAX_NAME_BYTES} are allowed")]
    NameLength {
        /// Its length.
        found: usize,
    },
    /// Its name or condition holds what looks like a card's number.
    #[error("the {field} holds what looks like a card number; card numbers are never stored, use the card's token")]
    CardNumberRefused {
        /// `name`, `condition`, `id` or `reason`.
        field: String,
    },
    /// Another rule has its id.
    #[error("another rule of the set has this id; each needs its own")]
    DuplicateId,
}

/// One wrong rule.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("rule `{rule}`: {fault}")]
pub struct RuleError {
    /// The rule.
    pub rule: RuleId,
    /// What is wrong with it.
    pub fault: RuleFault,
}

/// Why rules cannot be a set.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleSetError {
    /// More rules than allowed.
    #[error("{found} rules; a set has at most {MAX_RULES}")]
    TooMany {
        /// How many were given.
        found: usize,
    },
    /// Every wrong rule.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<RuleError>),
}

/// A rule that is evaluated.
#[derive(Debug)]
struct Running {
    fired: Fired,
    live: bool,
    condition: Boolean,
}

/// A checked set of rules. It never changes: another set has another version.
#[derive(Debug)]
pub struct RuleSet {
    version: Hash,
    rules: Vec<Rule>,
    running: Vec<Running>,
    schema: Arc<Schema>,
    /// Fields whose allow list approves by itself.
    approving_fields: u64,
}

impl RuleSet {
    /// Checks rules against a schema. Conditions of draft and retired rules are not looked at, so that a half-written rule can
    /// be kept. The version is the same whatever order the rules come in.
    ///
    /// # Errors
    /// Too many rules, or all rules with something wrong, in order of priority.
    pub fn compile(mut rules: Vec<Rule>, schema: Arc<Schema>) -> Result<Self, RuleSetError> {
        if rules.len() > MAX_RULES {
            return Err(RuleSetError::TooMany { found: rules.len() });
        }
        rules.sort_by_key(|rule| (rule.priority, rule.id));
        let (mut running, mut errors, mut ids) = (Vec::new(), Vec::new(), FxHashSet::default());
        for rule in &rules {
            let checked = check_words(rule).and_then(|()| match ids.insert(rule.id) {
                true if rule.runs() => compile(&rule.when, &schema).map(Some).map_err(RuleFault::Condition),
                true => Ok(None),
                false => Err(RuleFault::DuplicateId),
            });
            match checked {
                Ok(Some(condition)) => {
                    let fired = Fired { rule: rule.id, then: rule.then };
                    running.push(Running { fired, live: rule.state == State::Live, condition });
                }
                Ok(None) => {}
                Err(fault) => errors.push(RuleError { rule: rule.id, fault }),
            }
        }
        if !errors.is_empty() {
            return Err(RuleSetError::Rules(errors));
        }
        let approves = |field_type| matches!(field_type, FieldType::Key(kind) if kind.approves_alone());
        let places = schema.fields().iter().enumerate().filter(|(_, field)| approves(field.field_type));
        let approving_fields = places.fold(0, |places, (place, _)| places | 1 << place);
        Ok(Self { version: version_of(&rules), rules, running, schema, approving_fields })
    }

    /// The version: a hash over all that the rules say.
    pub fn version(&self) -> Hash {
        self.version
    }

    /// All rules, in order of priority and then of id.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The names that the rules may use, in the order that facts must have.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What the set makes of one decision. In this order: a blocked key declines; an allowed card, device, buyer or e-mail
    /// approves; else the strictest deciding live rule that fired replaces the model's band; then live floors raise it.
    ///
    /// # Errors
    /// Facts that do not fit the schema.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<Outcome, FactsError> {
        self.schema.check(facts)?;
        let (mut fired, mut shadow_fired, mut unanswered) = (Vec::new(), Vec::new(), Vec::new());
        // Both kinds together keep their order of priority.
        let mut all_fired = Vec::new();
        for rule in &self.running {
            match rule.condition.evaluate(facts) {
                Ok(false) => {}
                Ok(true) => {
                    all_fired.push(rule.fired);
                    if rule.live { &mut fired } else { &mut shadow_fired }.push(rule.fired);
                }
                Err(halt) => unanswered.push(Unanswered { rule: rule.fired.rule, silence: self.silence(halt) }),
            }
        }
        let by_list = self.decided_by_list(facts);
        let (action, decided_by) = combine(facts.band, by_list.clone(), fired.iter().copied());
        let (action_with_shadow, _) = combine(facts.band, by_list, all_fired.into_iter());
        let reasons = fired.iter().filter_map(|fired| fired.then.code()).collect();
        let version = self.version;
        Ok(Outcome { version, action, decided_by, action_with_shadow, fired, shadow_fired, unanswered, reasons })
    }

    /// What the lists decide alone, named by the first such field.
    fn decided_by_list(&self, facts: &Facts<'_>) -> Option<(Action, DecidedBy)> {
        let field =
            |bits: u64| self.schema.fields().get(bits.trailing_zeros() as usize).map(|field| field.name.clone());
        let blocked = || field(facts.listed.blocked).map(|field| (Action::Decline, DecidedBy::BlockList { field }));
        let allowed = || {
            let field = field(facts.listed.allowed & self.approving_fields)?;
            Some((Action::Approve, DecidedBy::AllowList { field }))
        };
        blocked().or_else(allowed)
    }

    fn silence(&self, halt: Halt) -> Silence {
        match halt {
            Halt::Missing(slot @ Slot::Feature(_)) => Silence::MissingFeature { name: self.schema.name(slot).clone() },
            Halt::Missing(slot @ Slot::Field(_)) => Silence::MissingField { name: self.schema.name(slot).clone() },
            Halt::Overflow => Silence::Overflow,
            Halt::DivisionByZero => Silence::DivisionByZero,
            Halt::NotComparable => Silence::NotComparable,
        }
    }

    /// Ids and states of the rules that are evaluated, in order of priority.
    pub(crate) fn running(&self) -> impl Iterator<Item = (RuleId, bool)> {
        self.running.iter().map(|rule| (rule.fired.rule, rule.live))
    }
}

fn check_words(rule: &Rule) -> Result<(), RuleFault> {
    if rule.name.is_empty() || rule.name.len() > MAX_NAME_BYTES {
        return Err(RuleFault::NameLength { found: rule.name.len() });
    }
    let code = rule.then.code();
    let code = code.as_ref().map_or("", |code| code.as_str());
    let words = [("name", rule.name.as_str()), ("condition", &rule.when), ("id", rule.id.as_str()), ("reason", code)];
    match words.into_iter().find(|(_, text)| contains_card_number(text)) {
        Some((field, _)) => Err(RuleFault::CardNumberRefused { field: field.to_owned() }),
        None => Ok(()),
    }
}
