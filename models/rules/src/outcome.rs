//! What came of evaluating a set of rules, and the hashes by which two runs are compared; how it is stored is the caller's.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dhow_events::DecisionId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::action::{Action, DecidedBy, Then};
use crate::rule::{ReasonCode, RuleId, action_byte};

/// 256 bits of BLAKE3; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let hash = blake3::Hash::from_hex(text);
        hash.map(|hash| Self(*hash.as_bytes())).map_err(|_| format!("`{text}` is not a hash of 64 hexadecimal digits"))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A rule whose condition held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fired {
    /// The rule.
    pub rule: RuleId,
    /// What it does.
    pub then: Then,
}

/// Why a rule gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Silence {
    /// A feature has no value.
    MissingFeature {
        /// Its name, without `features.`.
        name: Arc<str>,
    },
    /// The request lacks a field.
    MissingField {
        /// Its name, without `request.`.
        name: Arc<str>,
    },
    /// A whole number left the range of 64 bits.
    Overflow,
    /// A whole number was divided by zero.
    DivisionByZero,
    /// An order was asked of something that is no number, such as infinity minus infinity.
    NotComparable,
}

/// A rule that did not fire because its condition has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unanswered {
    /// The rule, live or in shadow.
    pub rule: RuleId,
    /// Why.
    #[serde(flatten)]
    pub silence: Silence,
}

/// What a set of rules makes of one decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The version of the set.
    pub version: Hash,
    /// What happens.
    pub action: Action,
    /// What that came from.
    pub decided_by: DecidedBy,
    /// What would happen were the shadow rules live.
    pub action_with_shadow: Action,
    /// Live rules that fired, in order of priority.
    pub fired: Vec<Fired>,
    /// Shadow rules that fired, in order of priority.
    pub shadow_fired: Vec<Fired>,
    /// Rules that gave no answer, in order of priority.
    pub unanswered: Vec<Unanswered>,
    /// Codes that live rules add to the reasons, in order of priority.
    pub reasons: Vec<ReasonCode>,
}

impl Outcome {
    /// The hash of this decision and all that was said of it.
    pub(crate) fn digest(&self, decision: DecisionId) -> Hash {
        let mut content = Canonical::new("dhow outcome 1");
        content.bytes(&decision.as_u128().to_be_bytes());
        content.bytes(&self.version.0);
        content.byte(action_byte(self.action));
        content.byte(action_byte(self.action_with_shadow));
        content.decided_by(&self.decided_by);
        for fired in [&self.fired, &self.shadow_fired] {
            content.count(fired.len());
            for Fired { rule, then } in fired {
                content.text(rule.as_str());
                content.then(then);
            }
        }
        content.count(self.unanswered.len());
        for Unanswered { rule, silence } in &self.unanswered {
            content.text(rule.as_str());
            content.silence(silence);
        }
        content.hash()
    }
}

/// One hash over many decisions and their outcomes, in order: equal where a backtest gives what was given live.
#[derive(Debug, Clone, Default)]
pub struct DecisionsHash(blake3::Hasher);

impl DecisionsHash {
    /// Over no decision.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with one more decision.
    pub fn add(&mut self, decision: DecisionId, outcome: &Outcome) {
        self.add_digest(outcome.digest(decision));
    }

    pub(crate) fn add_digest(&mut self, digest: Hash) {
        self.0.update(&digest.0);
    }

    /// The hash over what was added so far.
    pub fn hash(&self) -> Hash {
        Hash(*self.0.finalize().as_bytes())
    }
}

/// Writes values such that two different contents never give the same bytes: each is tagged or of known length.
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    pub(crate) fn new(purpose: &str) -> Self {
        let mut content = Self(Vec::with_capacity(256));
        content.text(purpose);
        content
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash(*blake3::hash(&self.0).as_bytes())
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.bytes(&(count as u64).to_le_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn then(&mut self, then: &Then) {
        match then {
            Then::Decide { action } => self.bytes(&[0, action_byte(*action)]),
            Then::Floor { action } => self.bytes(&[1, action_byte(*action)]),
            Then::AddReason { code } => {
                self.byte(2);
                self.text(code.as_str());
            }
        }
    }

    fn decided_by(&mut self, decided_by: &DecidedBy) {
        let (tag, name) = match decided_by {
            DecidedBy::BlockList { field } => (0, &**field),
            DecidedBy::AllowList { field } => (1, &**field),
            DecidedBy::Rule { rule } => (2, rule.as_str()),
            DecidedBy::Floor { rule } => (3, rule.as_str()),
            DecidedBy::Band => (4, ""),
        };
        self.byte(tag);
        self.text(name);
    }

    fn silence(&mut self, silence: &Silence) {
        let (tag, name) = match silence {
            Silence::MissingFeature { name } => (0, &**name),
            Silence::MissingField { name } => (1, &**name),
            Silence::Overflow => (2, ""),
            Silence::DivisionByZero => (3, ""),
            Silence::NotComparable => (4, ""),
        };
        self.byte(tag);
        self.text(name);
    }
}
