//! By how much a bid must raise a price: bands of prices with their steps, by currency, as data; it knows no auction.

use std::collections::BTreeMap;

use dhow_events::Currency;
use serde::{Deserialize, Serialize};

/// The most bands of a table.
pub const BANDS_MAX: usize = 50;
/// The built-in tables.
const MARKETPLACE: &str = include_str!("increments.toml");

/// Why bands are not a table of increments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncrementError {
    /// None, or more than [`BANDS_MAX`].
    #[error("has {0} bands; it must have from 1 to {BANDS_MAX}, the first from 0")]
    Count(usize),
    /// A band that does not begin above the one before, or whose step is not at least that of the one before.
    #[error("band {0} must begin above the one before it and have a step of at least its step and of at least 1")]
    Order(usize),
    /// A file that is no table.
    #[error("{0}")]
    File(String),
}

/// The step of prices from a price on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The first price of the band, in minor units.
    pub from_minor: i64,
    /// By how much a bid must raise a price of the band, in minor units, at least 1.
    pub step_minor: i64,
}

/// Bands that begin at 0 and rise, with steps that never fall: what a higher price asks for is higher too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Band>", into = "Vec<Band>")]
pub struct Increments(Vec<Band>);

impl Increments {
    /// A table of these bands.
    ///
    /// # Errors
    /// No band or too many, the first not from 0, or bands or steps that fall.
    pub fn new(bands: Vec<Band>) -> Result<Self, IncrementError> {
        let begins_at_zero = bands.first().is_some_and(|first| first.from_minor == 0);
        if bands.len() > BANDS_MAX || !begins_at_zero {
            return Err(IncrementError::Count(bands.len()));
        }
        if bands[0].step_minor < 1 {
            return Err(IncrementError::Order(0));
        }
        let falls = |pair: &[Band]| pair[1].from_minor <= pair[0].from_minor || pair[1].step_minor < pair[0].step_minor;
        match bands.windows(2).position(falls) {
            Some(index) => Err(IncrementError::Order(index + 1)),
            None => Ok(Self(bands)),
        }
    }

    /// The step at `price_minor`.
    pub fn step(&self, price_minor: i64) -> i64 {
        let after = self.0.partition_point(|band| band.from_minor <= price_minor);
        self.0[after.saturating_sub(1)].step_minor
    }

    /// The price and one step; it stays at the largest number where there is none above.
    pub fn above(&self, price_minor: i64) -> i64 {
        price_minor.saturating_add(self.step(price_minor))
    }

    /// The bands, lowest first.
    pub fn bands(&self) -> &[Band] {
        &self.0
    }
}

impl TryFrom<Vec<Band>> for Increments {
    type Error = IncrementError;
    fn try_from(bands: Vec<Band>) -> Result<Self, IncrementError> {
        Self::new(bands)
    }
}

impl From<Increments> for Vec<Band> {
    fn from(increments: Increments) -> Self {
        increments.0
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: i64,
    currencies: BTreeMap<String, Vec<(i64, i64)>>,
}

/// Tables by currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementTables {
    version: i64,
    tables: BTreeMap<Currency, Increments>,
}

impl IncrementTables {
    /// The tables that come with the marketplace.
    ///
    /// # Errors
    /// The built-in file is wrong; a test holds that it is not.
    pub fn marketplace() -> Result<Self, IncrementError> {
        Self::parse(MARKETPLACE)
    }

    /// Tables from TOML: `version`, and under `currencies` each code with its `[from, step]` pairs in minor units.
    ///
    /// # Errors
    /// No such TOML, an unknown currency, or bands that make no table.
    pub fn parse(text: &str) -> Result<Self, IncrementError> {
        let file: File = toml::from_str(text).map_err(|error| IncrementError::File(error.to_string()))?;
        let table = |(code, pairs): (String, Vec<(i64, i64)>)| {
            let currency =
                code.parse().map_err(|error: dhow_events::MoneyError| IncrementError::File(error.to_string()))?;
            let bands = pairs.into_iter().map(|(from_minor, step_minor)| Band { from_minor, step_minor }).collect();
            Ok((currency, Increments::new(bands)?))
        };
        let tables = file.currencies.into_iter().map(table).collect::<Result<_, IncrementError>>()?;
        Ok(Self { version: file.version, tables })
    }

    /// The version of the file.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// The table of a currency; nothing where there is none.
    pub fn of(&self, currency: Currency) -> Option<&Increments> {
        self.tables.get(&currency)
    }
}
