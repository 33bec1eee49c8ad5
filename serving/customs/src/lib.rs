//! Customs of a consignment: what duty and tax it costs and why, what papers it needs, where its declaration stands; it reads no file and no clock.
//!
//! # From goods to a sum
//! 1. An [`HsCode`] says what goods are; an [`HsTable`] says whether the international part of it exists.
//! 2. [`TariffTables`] holds dated versions of [`TariffTable`]s, which are read from CSV. A code without a rate is refused: no
//!    table, no sum.
//! 3. [`TariffTable::quote`] gives for every line the **duty** of the longest matching prefix (a rate for the origin before one
//!    for all), every **extra** duty that matches and is not lifted by another provision, each on the customs value, and the
//!    **tax** on value and duties. Each part carries the provision's id and reason, those that were lifted too. Amounts are
//!    rounded to the minor unit, a half away from zero: a part's share of the value, and what it costs by weight or number.
//! 4. A consignment worth no more than the **de minimis** amount of a line's origin costs that line nothing, or tax only.
//! 5. [`ComplianceRules`] say what is prohibited, what a person must look at, which licences and documents are needed.
//! 6. [`Borders`] has tables and rules together and gives one [`Assessment`].
//! 7. A [`Declaration`] freezes the quote when it is submitted and follows the authority's answers.

mod borders;
mod compliance;
mod declaration;
mod duty;
mod hs;
mod matching;
mod tariff;

pub use borders::{Assessment, AssessmentError, Borders};
pub use compliance::{ComplianceRules, Finding, RULES_MAX, RuleKind};
pub use declaration::{DOCUMENTS_MAX, Declaration, DeclarationError, DeclarationState, DeclarationStep, Document};
pub use duty::{CustomsQuote, Goods, LINES_MAX, LineQuote, Part, PartKind, QuoteError, VALUE_MINOR_MAX};
pub use hs::{HS_LEVELS, HS_ROWS_MAX, HsCode, HsCodeError, HsTable, LABELLED_ROWS_MAX, labelled_goods};
pub use matching::{Country, RowError};
pub use tariff::{
    PROVISIONS_MAX, Provision, ProvisionKind, RATE_PPM_MAX, SpecificRate, SpecificUnit, TariffHead, TariffTable,
    TariffTables,
};
