//! Money as integer minor units of an ISO 4217 currency; it converts nothing between currencies.

use std::fmt;
use std::str::FromStr;

use serde::de;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why an amount or a currency was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an active ISO 4217 code.
    #[error("`{0}` is not an ISO 4217 currency code such as NGN, USD or JPY")]
    Currency(String),
    /// Not a whole number of minor units.
    #[error("`{0}` is not a whole number of minor units written as a string, such as \"12345\"")]
    Amount(String),
}

/// Codes whose minor unit has 0 decimals.
const EXPONENT_ZERO: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
/// Codes whose minor unit has 2 decimals.
const EXPONENT_TWO: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG";
/// Codes whose minor unit has 3 decimals.
const EXPONENT_THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
/// Codes whose minor unit has 4 decimals.
const EXPONENT_FOUR: &str = "CLF UYW";

/// An active ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The United States dollar, in which amounts of different currencies are compared.
    pub const USD: Self = Self(*b"USD");
    /// The pound sterling.
    pub const GBP: Self = Self(*b"GBP");
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// Checks a three-letter code.
    ///
    /// # Errors
    /// A code that ISO 4217 does not list as active, or lists without a minor unit.
    pub fn new(code: &str) -> Result<Self, MoneyError> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| MoneyError::Currency(code.to_owned()))?;
        exponent_of(code).map(|_| Self(bytes)).ok_or_else(|| MoneyError::Currency(code.to_owned()))
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals the minor unit has: 0, 2, 3 or 4.
    pub fn exponent(&self) -> u32 {
        exponent_of(self.code()).unwrap_or_default()
    }
}

fn exponent_of(code: &str) -> Option<u32> {
    let lists = [(EXPONENT_TWO, 2), (EXPONENT_ZERO, 0), (EXPONENT_THREE, 3), (EXPONENT_FOUR, 4)];
    lists.into_iter().find(|(list, _)| list.split(' ').any(|listed| listed == code)).map(|(_, exponent)| exponent)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::new(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.code())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
        } else {
            // The log holds only what was checked on the way in, so the three letters are taken as they are.
            <[u8; 3]>::deserialize(deserializer).map(Self)
        }
    }
}

/// An amount of one currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Whole minor units (cents, kobo, yen); may be negative in ledger entries.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `amount_minor` minor units of `currency`.
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// `amount_minor` United States cents.
    pub const fn usd(amount_minor: i64) -> Self {
        Self::new(amount_minor, Currency::USD)
    }
}

impl fmt::Display for Money {
    /// Major units with the currency's decimals: `123.45 NGN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = self.currency.exponent();
        let unit = 10_u64.pow(exponent);
        let (sign, amount) = (if self.amount_minor < 0 { "-" } else { "" }, self.amount_minor.unsigned_abs());
        match exponent {
            0 => write!(f, "{sign}{amount} {}", self.currency),
            _ => write!(
                f,
                "{sign}{}.{:0width$} {}",
                amount / unit,
                amount % unit,
                self.currency,
                width = exponent as usize
            ),
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Money")]
struct MoneyText {
    amount: String,
    currency: Currency,
}

impl Serialize for Money {
    /// `{"amount":"12345","currency":"NGN"}` for people, two fields for the log.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            MoneyText { amount: self.amount_minor.to_string(), currency: self.currency }.serialize(serializer)
        } else {
            (self.amount_minor, self.currency).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = MoneyText::deserialize(deserializer)?;
            let amount = text.amount.parse().map_err(|_| de::Error::custom(MoneyError::Amount(text.amount)))?;
            Ok(Self::new(amount, text.currency))
        } else {
            <(i64, Currency)>::deserialize(deserializer).map(|(amount, currency)| Self::new(amount, currency))
        }
    }
}
