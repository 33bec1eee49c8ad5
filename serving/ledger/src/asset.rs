//! What amounts are counted in: ISO 4217 currencies and four crypto assets, each with one declared unit; it converts nothing.

use std::fmt;
use std::str::FromStr;

use dhow_events::Currency;
use serde::{Deserialize, Serialize};

/// The decimals of the crypto assets. Ether is kept in gwei: 18 decimals would leave nine whole ether in an `i64`.
const CRYPTO: [(&str, u32); 4] = [("BTC", 8), ("ETH", 9), ("USDC", 6), ("USDT", 6)];

/// A currency or a crypto asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Asset {
    /// An active ISO 4217 currency, counted in its minor unit (0, 2, 3 or 4 decimals).
    Currency(Currency),
    /// Bitcoin, counted in satoshi (8 decimals).
    Btc,
    /// Ether, counted in gwei (9 decimals).
    Eth,
    /// USD Coin, 6 decimals.
    Usdc,
    /// Tether, 6 decimals.
    Usdt,
}

/// Why a code or an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssetError {
    /// No asset has this code.
    #[error("`{0}` is no asset: it is an ISO 4217 code such as NGN, or BTC, ETH, USDC or USDT")]
    Code(String),
    /// Not a decimal number.
    #[error("`{0}` is not a decimal number such as 12.34")]
    Number(String),
    /// More decimals than the asset's unit has.
    #[error("`{text}` is finer than {asset} is kept: it has {decimals} decimals")]
    Finer {
        /// The amount as it was written.
        text: String,
        /// The asset.
        asset: Asset,
        /// The decimals of its unit.
        decimals: u32,
    },
    /// Beyond what 64 bits hold.
    #[error("`{text}` {asset} is more than the books can hold")]
    Range {
        /// The amount as it was written.
        text: String,
        /// The asset.
        asset: Asset,
    },
}

impl Asset {
    /// The letters.
    pub fn code(&self) -> &str {
        match self {
            Self::Currency(currency) => currency.code(),
            Self::Btc => "BTC",
            Self::Eth => "ETH",
            Self::Usdc => "USDC",
            Self::Usdt => "USDT",
        }
    }

    /// How many decimals its unit has.
    pub fn decimals(&self) -> u32 {
        match self {
            Self::Currency(currency) => currency.exponent(),
            crypto => CRYPTO.iter().find(|(code, _)| *code == crypto.code()).map_or(0, |(_, decimals)| *decimals),
        }
    }

    /// Units in an amount that is written in whole assets: `12.5` USD is 1250.
    ///
    /// # Errors
    /// No number, one that is finer than the unit, or one beyond 64 bits. Nothing is rounded; zeros behind the last decimal
    /// are no finer.
    pub fn amount(self, text: &str) -> Result<i64, AssetError> {
        let number = || AssetError::Number(text.to_owned());
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) {
            return Err(number());
        }
        let fraction = fraction.trim_end_matches('0');
        let decimals = self.decimals();
        if fraction.len() > decimals as usize {
            return Err(AssetError::Finer { text: text.to_owned(), asset: self, decimals });
        }
        let digits =
            format!("{}{whole}{fraction:0<width$}", if negative { "-" } else { "" }, width = decimals as usize);
        digits.parse().map_err(|_| AssetError::Range { text: text.to_owned(), asset: self })
    }

    /// An amount in whole assets: 1250 units of USD are `12.50`.
    pub fn shown(self, amount: i64) -> String {
        let decimals = self.decimals() as usize;
        let (sign, digits) = (if amount < 0 { "-" } else { "" }, amount.unsigned_abs().to_string());
        let digits = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

impl From<Currency> for Asset {
    fn from(currency: Currency) -> Self {
        Self::Currency(currency)
    }
}

impl FromStr for Asset {
    type Err = AssetError;
    fn from_str(code: &str) -> Result<Self, AssetError> {
        Ok(match code {
            "BTC" => Self::Btc,
            "ETH" => Self::Eth,
            "USDC" => Self::Usdc,
            "USDT" => Self::Usdt,
            code => Self::Currency(Currency::new(code).map_err(|_| AssetError::Code(code.to_owned()))?),
        })
    }
}

impl TryFrom<String> for Asset {
    type Error = AssetError;
    fn try_from(code: String) -> Result<Self, AssetError> {
        code.parse()
    }
}

impl From<Asset> for String {
    fn from(asset: Asset) -> Self {
        asset.code().to_owned()
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
