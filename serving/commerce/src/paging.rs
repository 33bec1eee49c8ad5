//! Lists in pages by keyset: page size, opaque cursor, page; it reads nothing.

use dhow_events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CommerceError, FieldProblem};

/// The most items of one page.
pub const PAGE_LIMIT_MAX: u32 = 100;

/// A cursor that was not made by the list that it is given to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor of this list; give back the `next` of its previous page unchanged")]
pub struct CursorError(pub String);

/// The place after an item: lists are ordered by creation, then by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// When the item was created.
    pub created_at: Timestamp,
    /// Its id, prefix included.
    pub id: String,
}

impl Cursor {
    /// The opaque text.
    pub fn encode(&self) -> String {
        let plain = format!("{}:{}", self.created_at.micros(), self.id);
        plain.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Cursor::encode`] wrote for an item whose ids begin with `prefix`.
    ///
    /// # Errors
    /// Any other text.
    pub fn decode(text: &str, prefix: &str) -> Result<Self, CursorError> {
        Self::try_decode(text)
            .filter(|cursor| cursor.id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_')))
            .ok_or_else(|| CursorError(text.to_owned()))
    }

    fn try_decode(text: &str) -> Option<Self> {
        let digits = text.as_bytes().chunks(2).map(std::str::from_utf8);
        let bytes: Option<Vec<u8>> = digits.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect();
        let plain = String::from_utf8(bytes?).ok()?;
        let (micros, id) = plain.split_once(':')?;
        Some(Self { created_at: Timestamp::from_micros(micros.parse().ok()?), id: id.to_owned() })
    }
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    limit: u32,
    after: Option<Cursor>,
}

impl PageRequest {
    /// A page of at most `limit` items after the cursor text `after`; `prefix` is that of the listed ids (`prd`).
    ///
    /// # Errors
    /// A limit outside 1 to [`PAGE_LIMIT_MAX`], or a foreign cursor.
    pub fn new(limit: u32, after: Option<&str>, prefix: &str) -> Result<Self, CommerceError> {
        let mut problems = Vec::new();
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            problems.push(FieldProblem::new("/limit", format!("is {limit}; it must be from 1 to {PAGE_LIMIT_MAX}")));
        }
        let after = after.map(|text| Cursor::decode(text, prefix)).transpose().unwrap_or_else(|error| {
            problems.push(FieldProblem::new("/cursor", error.to_string()));
            None
        });
        if problems.is_empty() { Ok(Self { limit, after }) } else { Err(CommerceError::Invalid(problems)) }
    }

    /// The most items.
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The place after which the page begins; nothing for the first page.
    pub const fn after(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; nothing where this is the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page out of up to `limit + 1` items: the extra one only shows that there is a next page.
    pub fn from_items(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|last| cursor(last).encode());
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_a_foreign_one_is_refused() {
        let cursor = Cursor { created_at: Timestamp::from_micros(-5), id: "prd_7".to_owned() };
        assert_eq!(Cursor::decode(&cursor.encode(), "prd"), Ok(cursor.clone()));
        for (text, prefix) in
            [(cursor.encode().as_str(), "ord"), ("zz", "prd"), ("é", "prd"), ("", "prd"), ("3", "prd")]
        {
            assert_eq!(Cursor::decode(text, prefix), Err(CursorError(text.to_owned())));
        }
        assert!(PageRequest::new(0, None, "prd").is_err() && PageRequest::new(101, None, "prd").is_err());
    }
}
