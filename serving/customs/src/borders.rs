//! All that is known of borders: a consignment's quote and what the rules ask of it, in one answer; it keeps nothing.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::{
    ComplianceRules, Country, CustomsQuote, Finding, Goods, HsCode, HsTable, QuoteError, TariffTable, TariffTables,
};

/// Tariff tables and compliance rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Borders {
    /// What goods cost.
    pub tariffs: TariffTables,
    /// What may cross, and with which papers.
    pub rules: ComplianceRules,
    /// The international codes that there are; where it is empty, any code may be.
    pub codes: HsTable,
}

/// What crossing a border costs and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// Duty and tax with their reasons.
    pub quote: CustomsQuote,
    /// Every rule that applies, with whether the papers meet it.
    pub findings: Vec<Finding>,
}

impl Assessment {
    /// Whether every rule that applies is met.
    pub fn may_cross(&self) -> bool {
        self.findings.iter().all(|finding| finding.met)
    }
}

/// Why a consignment is not assessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssessmentError {
    /// No table covers the destination on that day; nothing is free for that.
    #[error("there is no tariff table of {destination} for {on}")]
    NoTable {
        /// Where the goods would come to.
        destination: Country,
        /// The day.
        on: Date,
    },
    /// A code that the table of codes does not have.
    #[error("line {line}: there is no code {hs}")]
    NoCode {
        /// Which line, from 0.
        line: usize,
        /// The code.
        hs: HsCode,
    },
    /// The table has no answer.
    #[error(transparent)]
    Quote(#[from] QuoteError),
}

impl Borders {
    /// The table of a destination on a day.
    ///
    /// # Errors
    /// There is none.
    pub fn table(&self, destination: Country, on: Date) -> Result<&TariffTable, AssessmentError> {
        self.tariffs.at(destination, on).ok_or(AssessmentError::NoTable { destination, on })
    }

    /// What goods cost that come to `destination` on a day with papers of these kinds, and what the rules ask of them.
    ///
    /// # Errors
    /// A code that there is not, no table for the day, amounts out of bounds, a code without a duty.
    pub fn assess(
        &self,
        goods: &[Goods],
        destination: Country,
        on: Date,
        documents: &BTreeSet<&str>,
    ) -> Result<Assessment, AssessmentError> {
        let known = |goods: &Goods| self.codes.is_empty() || self.codes.description(&goods.hs).is_some();
        if let Some((line, unknown)) = goods.iter().enumerate().find(|(_, goods)| !known(goods)) {
            return Err(AssessmentError::NoCode { line, hs: unknown.hs.clone() });
        }
        let quote = self.table(destination, on)?.quote(goods, on)?;
        let findings = self.rules.check(goods, destination, on, documents);
        Ok(Assessment { quote, findings })
    }
}
