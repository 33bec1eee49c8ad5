//! Numbers of freight containers by ISO 6346 with their check digit; it knows no owners.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerCategory {
    /// `U`: a freight container.
    Container,
    /// `J`: equipment that comes off a container.
    Equipment,
    /// `Z`: a trailer or chassis.
    Trailer,
}

/// Why a text is no number of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// Not three letters, one of U, J and Z, and seven digits.
    #[error("`{0}` is not three capital letters, U, J or Z, and seven digits such as CSQU3054383")]
    Form(String),
    /// A check digit that does not fit.
    #[error("the check digit of `{number}` is {found}; it must be {expected}")]
    CheckDigit {
        /// The number.
        number: String,
        /// The last digit.
        found: u32,
        /// The digit that fits.
        expected: u32,
    },
}

/// The number of a container: owner, category, serial number and check digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerNumber(String);

impl ContainerNumber {
    /// The three letters of the owner.
    pub fn owner(&self) -> &str {
        &self.0[..3]
    }

    /// What it is.
    pub fn category(&self) -> ContainerCategory {
        match self.0.as_bytes()[3] {
            b'J' => ContainerCategory::Equipment,
            b'Z' => ContainerCategory::Trailer,
            _ => ContainerCategory::Container,
        }
    }

    /// All eleven characters.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What a character counts: digits themselves; letters from 10 on, without the multiples of 11.
fn value(byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A' => Some(10),
        b'B'..=b'K' => Some(u32::from(byte - b'B') + 12),
        b'L'..=b'U' => Some(u32::from(byte - b'L') + 23),
        b'V'..=b'Z' => Some(u32::from(byte - b'V') + 34),
        _ => None,
    }
}

impl FromStr for ContainerNumber {
    type Err = ContainerError;

    fn from_str(text: &str) -> Result<Self, ContainerError> {
        let wrong = || ContainerError::Form(text.chars().take(32).collect());
        let bytes: &[u8; 11] = text.as_bytes().try_into().map_err(|_| wrong())?;
        let letters = bytes[..3].iter().all(u8::is_ascii_uppercase) && matches!(bytes[3], b'U' | b'J' | b'Z');
        if !letters || !bytes[4..].iter().all(u8::is_ascii_digit) {
            return Err(wrong());
        }
        let mut sum = 0;
        for (place, &byte) in bytes[..10].iter().enumerate() {
            sum += value(byte).ok_or_else(wrong)? << place;
        }
        // A remainder of 10 is written as 0.
        let (found, expected) = (u32::from(bytes[10] - b'0'), sum % 11 % 10);
        if found != expected {
            return Err(ContainerError::CheckDigit { number: text.to_owned(), found, expected });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ContainerNumber {
    type Error = ContainerError;
    fn try_from(text: String) -> Result<Self, ContainerError> {
        text.parse()
    }
}

impl From<ContainerNumber> for String {
    fn from(number: ContainerNumber) -> Self {
        number.0
    }
}

impl fmt::Display for ContainerNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
