//! Reads the tariff tables, rules and codes that the configuration names; it quotes nothing.

use std::path::{Path, PathBuf};

use dhow_customs::{Borders, ComplianceRules, Country, HsTable, RowError, TariffHead, TariffTable};
use dhow_events::Currency;
use jiff::civil::Date;
use serde::Deserialize;

use crate::failure::Failure;

/// The largest file of a table, in bytes.
const TABLE_BYTES_MAX: u64 = 256 << 20;

/// `[customs]` of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomsSection {
    #[serde(default)]
    tariffs: Vec<TariffFile>,
    rules: Option<PathBuf>,
    codes: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TariffFile {
    version: String,
    destination: Country,
    currency: Currency,
    from: String,
    until: String,
    file: PathBuf,
}

/// What the configured files say of borders.
///
/// # Errors
/// A file that cannot be read, or a row of it that is wrong, by file and line; tables that cover the same days.
pub fn borders(section: &CustomsSection) -> Result<Borders, Failure> {
    let mut borders = Borders::default();
    for tariff in &section.tariffs {
        let head = TariffHead {
            version: tariff.version.clone(),
            destination: tariff.destination,
            currency: tariff.currency,
            from: day("from", &tariff.from)?,
            until: day("until", &tariff.until)?,
        };
        let table = parsed(&tariff.file, |text| TariffTable::from_csv(head, text))?;
        borders.tariffs.add(table).map_err(|error| wrong(&tariff.file, &error))?;
    }
    if let Some(file) = &section.rules {
        borders.rules = parsed(file, ComplianceRules::from_csv)?;
    }
    if let Some(file) = &section.codes {
        borders.codes = parsed(file, HsTable::from_csv)?;
    }
    Ok(borders)
}

fn day(key: &str, text: &str) -> Result<Date, Failure> {
    let wrong = |_| Failure::Input(format!("customs.tariffs.{key}: `{text}` is not a day such as 2025-04-05"));
    text.parse().map_err(wrong)
}

fn parsed<T>(file: &Path, parse: impl FnOnce(&str) -> Result<T, RowError>) -> Result<T, Failure> {
    let unread = |error| Failure::Input(format!("{}: {error}", file.display()));
    let bytes = std::fs::metadata(file).map_err(unread)?.len();
    if bytes > TABLE_BYTES_MAX {
        return Err(Failure::Input(format!(
            "{} has {bytes} bytes; at most {TABLE_BYTES_MAX} are read",
            file.display()
        )));
    }
    parse(&std::fs::read_to_string(file).map_err(unread)?).map_err(|error| wrong(file, &error))
}

fn wrong(file: &Path, error: &RowError) -> Failure {
    Failure::Input(format!("{}: {error}", file.display()))
}
