//! A declaration from draft to clearance: its papers, the quote that it was submitted with, the authority's answers; it sends nothing.
//!
//! ```text
//! draft ─► submitted ─► cleared
//!   │         │  ▲ └──► refused ◄┐
//!   │         ▼  │              │
//!   │        held ─► cleared, refused
//!   └► withdrawn ◄─ submitted, held
//! ```

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{ComplianceRules, Country, CustomsQuote, Finding, Goods, QuoteError, RuleKind, TariffTables};

/// The most documents of a declaration.
pub const DOCUMENTS_MAX: usize = 100;
/// The longest kind or reference of a document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 200;

/// Where a declaration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclarationState {
    /// Being made; documents can be added.
    Draft,
    /// With the authority.
    Submitted,
    /// The authority asks for something, or looks at the goods; documents can be added.
    Held,
    /// The goods may go on.
    Cleared,
    /// The goods may not go on.
    Refused,
    /// Taken back before an end.
    Withdrawn,
}

impl DeclarationState {
    /// Each state with those that may follow; a state that is missing is final.
    pub const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Draft, &[Self::Submitted, Self::Withdrawn]),
        (Self::Submitted, &[Self::Held, Self::Cleared, Self::Refused, Self::Withdrawn]),
        (Self::Held, &[Self::Submitted, Self::Cleared, Self::Refused, Self::Withdrawn]),
    ];

    /// Whether `to` may follow.
    pub fn leads_to(self, to: Self) -> bool {
        Self::TRANSITIONS.iter().any(|(from, following)| *from == self && following.contains(&to))
    }
}

impl fmt::Display for DeclarationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Held => "held",
            Self::Cleared => "cleared",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        })
    }
}

/// A paper that goes with a declaration; it is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What it is, in the word of the compliance rules: `commercial_invoice`.
    pub kind: String,
    /// Its number or address.
    pub reference: String,
}

/// What happens to a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclarationStep<'a> {
    /// A paper is added.
    Attach(Document),
    /// A person has looked at what is restricted and lets it go on.
    Review,
    /// It goes to the authority, by the tables and rules of the day.
    Submit {
        /// The tables.
        tables: &'a TariffTables,
        /// The rules.
        rules: &'a ComplianceRules,
        /// The day of entry.
        on: Date,
    },
    /// The authority answers, or the declaration is taken back: `held`, `cleared`, `refused` or `withdrawn`.
    Answer(DeclarationState),
}

/// Why a step is not taken; the declaration stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// A step that the states do not allow.
    #[error("the declaration is `{from}` and cannot become `{to}`")]
    State {
        /// Its state.
        from: DeclarationState,
        /// The state that was asked for.
        to: DeclarationState,
    },
    /// Papers are added to drafts and to what is held.
    #[error("the declaration is `{0}`; only a draft, or one that is held, is changed")]
    Fixed(DeclarationState),
    /// A paper without a kind or reference, or too many.
    #[error(
        "a declaration has at most {DOCUMENTS_MAX} documents, each with a kind and a reference of 1 to {DOCUMENT_BYTES_MAX} bytes"
    )]
    Document,
    /// No table for the destination on the day.
    #[error("no tariff table covers {destination} on {on}")]
    NoTable {
        /// The destination.
        destination: Country,
        /// The day.
        on: Date,
    },
    /// There is no sum.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// Rules are not met: what is prohibited, what nobody has looked at, papers that lack.
    #[error("{} rules are not met; the first: {}", .0.len(), .0.first().map_or("", |finding| finding.reason.as_str()))]
    Unmet(Vec<Finding>),
}

/// What is told to the authority of a consignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declaration {
    /// Where the goods come to.
    pub destination: Country,
    /// The goods.
    pub goods: Vec<Goods>,
    /// Where it stands.
    pub state: DeclarationState,
    /// The papers.
    pub documents: Vec<Document>,
    /// Whether a person has let go on what is restricted.
    pub reviewed: bool,
    /// What it costs, as of the last time that it was submitted.
    pub quote: Option<CustomsQuote>,
    /// Counts its changes from 1.
    pub version: u64,
}

impl Declaration {
    /// A draft.
    pub fn draft(destination: Country, goods: Vec<Goods>) -> Self {
        let state = DeclarationState::Draft;
        Self { destination, goods, state, documents: Vec::new(), reviewed: false, quote: None, version: 1 }
    }

    /// Takes a step; gives whether anything changed. One that was taken already changes nothing.
    ///
    /// # Errors
    /// See [`DeclarationError`].
    pub fn take(&mut self, step: DeclarationStep<'_>) -> Result<bool, DeclarationError> {
        let changed = match step {
            DeclarationStep::Attach(document) => self.attach(document)?,
            DeclarationStep::Review => {
                self.check_open()?;
                !std::mem::replace(&mut self.reviewed, true)
            }
            DeclarationStep::Submit { tables, rules, on } => self.submit(tables, rules, on)?,
            // To submit is a step of its own, with its checks.
            DeclarationStep::Answer(to @ (DeclarationState::Submitted | DeclarationState::Draft)) => {
                return Err(DeclarationError::State { from: self.state, to });
            }
            DeclarationStep::Answer(to) => self.come_to(to)?,
        };
        self.version += u64::from(changed);
        Ok(changed)
    }

    fn check_open(&self) -> Result<(), DeclarationError> {
        let open = matches!(self.state, DeclarationState::Draft | DeclarationState::Held);
        if open { Ok(()) } else { Err(DeclarationError::Fixed(self.state)) }
    }

    fn attach(&mut self, document: Document) -> Result<bool, DeclarationError> {
        self.check_open()?;
        if self.documents.contains(&document) {
            return Ok(false);
        }
        let fits = |text: &str| (1..=DOCUMENT_BYTES_MAX).contains(&text.len());
        if self.documents.len() == DOCUMENTS_MAX || !fits(&document.kind) || !fits(&document.reference) {
            return Err(DeclarationError::Document);
        }
        self.documents.push(document);
        Ok(true)
    }

    fn submit(&mut self, tables: &TariffTables, rules: &ComplianceRules, on: Date) -> Result<bool, DeclarationError> {
        let (from, to) = (self.state, DeclarationState::Submitted);
        if from == to {
            return Ok(false);
        }
        if !from.leads_to(to) {
            return Err(DeclarationError::State { from, to });
        }
        let destination = self.destination;
        let table = tables.at(destination, on).ok_or(DeclarationError::NoTable { destination, on })?;
        let quote = table.quote(&self.goods, on)?;
        let kinds: BTreeSet<&str> = self.documents.iter().map(|document| document.kind.as_str()).collect();
        let mut unmet = rules.check(&self.goods, destination, on, &kinds);
        let is_reviewed = |finding: &Finding| self.reviewed && finding.kind == RuleKind::Restricted;
        unmet.retain(|finding| !finding.met && !is_reviewed(finding));
        if !unmet.is_empty() {
            return Err(DeclarationError::Unmet(unmet));
        }
        (self.quote, self.state) = (Some(quote), to);
        Ok(true)
    }

    fn come_to(&mut self, to: DeclarationState) -> Result<bool, DeclarationError> {
        let from = self.state;
        if from == to {
            return Ok(false);
        }
        if !from.leads_to(to) {
            return Err(DeclarationError::State { from, to });
        }
        self.state = to;
        Ok(true)
    }
}
