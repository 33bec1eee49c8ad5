//! Rules about what may cross a border and with which papers, read from CSV; they decide nothing that a person must.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::matching::{Scope, countries, rows};
use crate::{Country, Goods, RowError};

/// The most rules of a table.
pub const RULES_MAX: usize = 50_000;

/// What a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// It does not cross.
    Prohibited,
    /// A person must look at it first.
    Restricted,
    /// A licence, with its number.
    Licence,
    /// A document of any other kind.
    Document,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    kind: RuleKind,
    id: String,
    destinations: Vec<Country>,
    document: String,
    reason: String,
    scope: Scope,
}

#[derive(Deserialize)]
struct Row {
    kind: RuleKind,
    id: String,
    hs: String,
    origins: String,
    destinations: String,
    from: String,
    until: String,
    document: String,
    reason: String,
}

/// What a rule says of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which line, from 0.
    pub line: usize,
    /// The rule.
    pub id: String,
    /// What it asks for.
    pub kind: RuleKind,
    /// The kind of document or licence; empty where it asks for none.
    pub document: String,
    /// Why.
    pub reason: String,
    /// Whether the papers that are there meet it; never for what is prohibited or restricted.
    pub met: bool,
}

/// The rules of every border that a marketplace sells over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ComplianceRules(Vec<Rule>);

impl ComplianceRules {
    /// Reads rules with the columns `kind,id,hs,origins,destinations,from,until,document,reason`; `*` stands for all goods,
    /// origins or destinations, and the document is named for `licence` and `document` only.
    ///
    /// # Errors
    /// A row that cannot be read, an id twice, more than [`RULES_MAX`] rows.
    pub fn from_csv(text: &str) -> Result<Self, RowError> {
        let mut ids = BTreeSet::new();
        let mut rules = Vec::new();
        for (line, row) in rows::<Row>(text, RULES_MAX)? {
            let needs_paper = matches!(row.kind, RuleKind::Licence | RuleKind::Document);
            if needs_paper == row.document.is_empty() || row.id.is_empty() || row.reason.is_empty() {
                let message = "a rule has an id and a reason; a document is named by licence and document rules alone";
                return Err(RowError::new(line, message));
            }
            if !ids.insert(row.id.clone()) {
                return Err(RowError::new(line, format!("{} stands there already", row.id)));
            }
            let scope = Scope::read(line, &row.hs, &row.origins, (&row.from, &row.until))?;
            let destinations = countries(line, &row.destinations)?;
            rules.push(Rule {
                kind: row.kind,
                id: row.id,
                destinations,
                document: row.document,
                reason: row.reason,
                scope,
            });
        }
        Ok(Self(rules))
    }

    /// Every rule that applies to a consignment on a day, line by line, with whether `documents` meet it.
    pub fn check(&self, goods: &[Goods], destination: Country, on: Date, documents: &BTreeSet<&str>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (line, goods) in goods.iter().enumerate() {
            let applies = |rule: &&Rule| {
                let here = rule.destinations.is_empty() || rule.destinations.contains(&destination);
                here && rule.scope.applies(&goods.hs, goods.origin, on)
            };
            findings.extend(self.0.iter().filter(applies).map(|rule| Finding {
                line,
                id: rule.id.clone(),
                kind: rule.kind,
                document: rule.document.clone(),
                reason: rule.reason.clone(),
                met: documents.contains(rule.document.as_str()),
            }));
        }
        findings
    }
}
