//! Short inline texts that are copied, not allocated: tenants, regions, categories; it holds no list of valid regions.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a short text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text has no characters.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than its type holds.
    #[error("`{text}` has {found} bytes; at most {limit} are allowed")]
    TooLong {
        /// The refused text.
        text: String,
        /// Its length in bytes.
        found: usize,
        /// The longest length in bytes.
        limit: usize,
    },
    /// A character outside `a–z A–Z 0–9 _ - . / &` and space.
    #[error("`{text}` holds the character `{character}`; letters, digits, space and `_-./&` are allowed")]
    Character {
        /// The refused text.
        text: String,
        /// The first refused character.
        character: char,
    },
    /// A tenant that does not begin with `ten_`.
    #[error("tenant `{0}` must begin with `ten_`, for example `ten_default`")]
    TenantPrefix(String),
}

/// ASCII text of at most `N` bytes, stored in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShortText<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> ShortText<N> {
    /// Checks and stores `text`.
    ///
    /// # Errors
    /// Empty, too long, or a character outside the allowed ones.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.len() > N {
            return Err(TextError::TooLong { text: text.to_owned(), found: text.len(), limit: N });
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || " _-./&".contains(*c);
        if let Some(character) = text.chars().find(|c| !allowed(c)) {
            return Err(TextError::Character { text: text.to_owned(), character });
        }
        let mut bytes = [0; N];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self { bytes, length: text.len() as u8 })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // The constructor admits ASCII only, so the slice is always valid UTF-8.
        std::str::from_utf8(&self.bytes[..self.length as usize]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for ShortText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for ShortText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl<const N: usize> FromStr for ShortText<N> {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<const N: usize> Serialize for ShortText<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

struct ShortTextVisitor<const N: usize>;

impl<const N: usize> Visitor<'_> for ShortTextVisitor<N> {
    type Value = ShortText<N>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of 1 to {N} plain characters")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<ShortText<N>, E> {
        ShortText::new(text).map_err(E::custom)
    }
}

impl<'de, const N: usize> Deserialize<'de> for ShortText<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ShortTextVisitor::<N>)
    }
}

/// A place: `country[-part…]`, for example `GB` or `NG-LA`; at most 15 bytes.
pub type Region = ShortText<15>;

/// A product category as a path of words, for example `home/kitchen`; at most 39 bytes.
pub type Category = ShortText<39>;

/// Who owns a piece of data: `ten_` and a name, at most 23 bytes. Every event, row, feature key, alias and decision has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize)]
#[serde(transparent)]
pub struct TenantId(ShortText<23>);

impl TenantId {
    /// Checks that `text` is `ten_` and a name.
    ///
    /// # Errors
    /// A missing prefix, or what [`ShortText::new`] refuses.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if !text.starts_with("ten_") || text.len() < 5 {
            return Err(TextError::TenantPrefix(text.to_owned()));
        }
        ShortText::new(text).map(Self)
    }

    /// The text, prefix included.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for TenantId {
    /// `ten_default`, the tenant of an installation that has only one.
    fn default() -> Self {
        let mut bytes = [0; 23];
        let name = b"ten_default";
        bytes[..name.len()].copy_from_slice(name);
        Self(ShortText { bytes, length: name.len() as u8 })
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TenantId {
    type Err = TextError;
    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = ShortText::<23>::deserialize(deserializer)?;
        TenantId::new(text.as_str()).map_err(de::Error::custom)
    }
}
