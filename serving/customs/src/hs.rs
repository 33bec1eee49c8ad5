//! Codes of the Harmonized System with their national digits, and a table of the international ones; it classifies nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RowError;
use crate::matching::rows;

/// The most rows of a table of codes.
pub const HS_ROWS_MAX: usize = 100_000;

/// Why a text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HsCodeError {
    /// Not 6 to 10 digits, with single dots between digits at most.
    #[error("`{0}` is not an HS code of 6 to 10 digits such as 851713 or 8517.13.00")]
    Digits(String),
    /// A chapter that holds no goods.
    #[error("`{0}` lies in chapter {1}; goods are in chapters 01 to 97 without 77")]
    Chapter(String, String),
    /// A heading that cannot be.
    #[error("`{0}` has heading 00 of its chapter; headings begin at 01")]
    Heading(String),
}

/// What goods are: the six digits of the Harmonized System, and up to four of the country's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HsCode(String);

impl HsCode {
    /// All digits, without dots.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// The first two digits.
    pub fn chapter(&self) -> &str {
        &self.0[..2]
    }

    /// The first four digits.
    pub fn heading(&self) -> &str {
        &self.0[..4]
    }

    /// The six digits that are the same in every country.
    pub fn subheading(&self) -> &str {
        &self.0[..6]
    }
}

impl FromStr for HsCode {
    type Err = HsCodeError;

    fn from_str(text: &str) -> Result<Self, HsCodeError> {
        let wrong = || HsCodeError::Digits(text.chars().take(32).collect());
        let groups: Vec<&str> = text.split('.').collect();
        if groups.iter().any(|group| group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(wrong());
        }
        let digits = groups.concat();
        if !(6..=10).contains(&digits.len()) {
            return Err(wrong());
        }
        let code = Self(digits);
        if matches!(code.chapter(), "00" | "77" | "98" | "99") {
            return Err(HsCodeError::Chapter(text.to_owned(), code.chapter().to_owned()));
        }
        if code.heading().ends_with("00") {
            return Err(HsCodeError::Heading(text.to_owned()));
        }
        Ok(code)
    }
}

impl TryFrom<String> for HsCode {
    type Error = HsCodeError;
    fn try_from(text: String) -> Result<Self, HsCodeError> {
        text.parse()
    }
}

impl From<HsCode> for String {
    fn from(code: HsCode) -> Self {
        code.0
    }
}

impl fmt::Display for HsCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Digits of a chapter, a heading and a subheading.
pub const HS_LEVELS: [usize; 3] = [2, 4, 6];
/// The most rows of a table of labelled goods.
pub const LABELLED_ROWS_MAX: usize = 200_000;

#[derive(Deserialize)]
struct LabelledRow {
    #[serde(alias = "hscode", alias = "hts8")]
    code: String,
    #[serde(alias = "description", alias = "brief_description")]
    text: String,
}

/// Reads goods with their codes from CSV: a column `code` (or `hscode`, `hts8`) and a column `text` (or `description`,
/// `brief_description`). Chapters, headings and special codes that hold no goods are passed over, and rows without words.
///
/// # Errors
/// A row that cannot be read, more than [`LABELLED_ROWS_MAX`] rows.
pub fn labelled_goods(text: &str) -> Result<Vec<(HsCode, String)>, RowError> {
    let rows = rows::<LabelledRow>(text, LABELLED_ROWS_MAX)?.into_iter();
    let of = |(_, LabelledRow { code, text }): (u64, LabelledRow)| Some((code.parse().ok()?, text));
    Ok(rows.filter_map(of).filter(|(_, text)| !text.is_empty()).collect())
}

/// The international codes of one edition of the Harmonized System.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HsTable(BTreeMap<String, String>);

#[derive(Deserialize)]
struct HsRow {
    hscode: String,
    description: String,
}

impl HsTable {
    /// Reads a CSV table with at least the columns `hscode` and `description`; rows of chapters and headings, and those of
    /// special codes that hold no goods, are passed over.
    ///
    /// # Errors
    /// A row that cannot be read, a code twice, more than [`HS_ROWS_MAX`] rows.
    pub fn from_csv(text: &str) -> Result<Self, RowError> {
        let mut table = BTreeMap::new();
        for (line, row) in rows::<HsRow>(text, HS_ROWS_MAX)? {
            if row.hscode.len() != 6 || row.hscode.parse::<HsCode>().is_err() {
                continue;
            }
            if let Some(earlier) = table.insert(row.hscode.clone(), row.description) {
                return Err(RowError::new(line, format!("{} stands there already: {earlier}", row.hscode)));
            }
        }
        Ok(Self(table))
    }

    /// The words of the international part of a code; nothing where this edition has no such code.
    pub fn description(&self, code: &HsCode) -> Option<&str> {
        self.0.get(code.subheading()).map(String::as_str)
    }

    /// How many codes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
