//! How a record's schema changes while its old bytes stay readable: the declaration of one record, and its reader.
//!
//! # The rules
//! Every change of any record makes a new *generation*, a number that counts from 1. The version byte of a record in the
//! log is the generation in which its own schema changed last, so an older program still reads every record whose schema
//! did not change, and refuses by name what it cannot know. Records of all generations stay readable for ever.
//!
//! | Change | Declared as | Older bytes give | In JSON |
//! |---|---|---|---|
//! | a field is added | `field: Option<Type> [since 2]`, at any place | nothing | may be missing |
//! | a field is removed | after the field before it, `[until 3, field: Type]`, or `[until 3 since 2, field: Option<Type>]` where it was added later | the others; its value is passed over | is passed over |
//! | a field is retyped | `field: Type [since 2, was OldType]` | the value by [`Widen`], which loses none | is the new type |
//! | a kind is added | `Name "name" [since 2]`, behind all others | – | – |
//! | a field is renamed | not at all: add the new one and remove the old one | nothing | the old name is passed over |
//!
//! An added field must be an `Option`: nobody can say what its value was before it existed. A retyping that could lose
//! something has no [`Widen`] and so does not compile; it is an added and a removed field, as is the retyping of a field
//! that was not there from the beginning, or was retyped before. The first field routes an event to its partition, so it
//! stays. Fields that are neither declared nor removed are refused in JSON, with a pointer:
//! a misspelt field that vanishes quietly is worse than a refused event.

use std::ops::Range;

use postcard::de_flavors::Slice;
use serde::Deserialize;

use crate::ShortText;
use crate::value::{Column, Field};

/// What JSON may do about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be there and not be null.
    Required,
    /// It may be missing or null.
    Optional,
    /// It was removed: it may be there and is passed over.
    Removed,
}

/// A field's name and what JSON may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldRule {
    /// The name.
    pub name: &'static str,
    /// Whether it must be there.
    pub presence: Presence,
}

impl FieldRule {
    /// The rule of a field that is declared with type `T`.
    pub const fn declared<T: Field>(name: &'static str) -> Self {
        let presence = if T::COLUMNS[0].2 { Presence::Optional } else { Presence::Required };
        Self { name, presence }
    }

    /// The rule of a field that was removed.
    pub const fn removed(name: &'static str) -> Self {
        Self { name, presence: Presence::Removed }
    }
}

/// A value as the wider type that its field has now; nothing is lost.
pub trait Widen<To> {
    /// The value.
    fn widen(self) -> To;
}

impl Widen<i64> for bool {
    fn widen(self) -> i64 {
        i64::from(self)
    }
}

/// Exact to 2^53, nine times the largest amount that an event may hold.
impl Widen<f64> for i64 {
    fn widen(self) -> f64 {
        self as f64
    }
}

impl<const N: usize> Widen<String> for ShortText<N> {
    fn widen(self) -> String {
        self.as_str().to_owned()
    }
}

/// A field that had to be there may be missing now.
impl<T> Widen<Option<T>> for T {
    fn widen(self) -> Option<T> {
        Some(self)
    }
}

/// Why a record's bytes cannot be read.
pub type Unreadable = postcard::Error;

/// The fields of a record one after another, as one generation wrote them.
pub struct Fields<'a> {
    reader: postcard::Deserializer<'a, Slice<'a>>,
    generation: u8,
}

impl<'a> Fields<'a> {
    /// The fields that `bytes` hold.
    pub fn new(bytes: &'a [u8], generation: u8) -> Self {
        Self { reader: postcard::Deserializer::from_bytes(bytes), generation }
    }

    /// The next field.
    ///
    /// # Errors
    /// The bytes end, or are no value of this type.
    pub fn take<T: Deserialize<'a>>(&mut self) -> Result<T, Unreadable> {
        T::deserialize(&mut self.reader)
    }

    /// The next field, added in generation `since`; nothing where the record is older.
    ///
    /// # Errors
    /// Those of [`Fields::take`].
    pub fn added<T: Deserialize<'a>>(&mut self, since: u8) -> Result<Option<T>, Unreadable> {
        if self.generation < since { Ok(None) } else { self.take() }
    }

    /// The next field, which had the type `Old` before generation `since`.
    ///
    /// # Errors
    /// Those of [`Fields::take`].
    pub fn retyped<Old, New>(&mut self, since: u8) -> Result<New, Unreadable>
    where
        Old: Deserialize<'a> + Widen<New>,
        New: Deserialize<'a>,
    {
        if self.generation < since { self.take().map(Old::widen) } else { self.take() }
    }

    /// Passes over a field that only the generations `within` have.
    ///
    /// # Errors
    /// Those of [`Fields::take`].
    pub fn removed<T: Deserialize<'a>>(&mut self, within: Range<u8>) -> Result<(), Unreadable> {
        if within.contains(&self.generation) { self.take::<T>().map(drop) } else { Ok(()) }
    }

    /// How many bytes are left.
    ///
    /// # Errors
    /// None in practice: a slice knows its end; the reader's error is passed on.
    pub fn finish(self) -> Result<usize, Unreadable> {
        self.reader.finalize().map(<[u8]>::len)
    }
}

/// The latest of some generations, at least 1.
pub const fn latest(generations: &[u8]) -> u8 {
    let (mut latest, mut i) = (1, 0);
    while i < generations.len() {
        if generations[i] > latest {
            latest = generations[i];
        }
        i += 1;
    }
    latest
}

/// The sum of some widths.
pub const fn total(widths: &[usize]) -> usize {
    let (mut total, mut i) = (0, 0);
    while i < widths.len() {
        total += widths[i];
        i += 1;
    }
    total
}

/// Appends the columns of a field of type `T`.
pub fn push_columns<T: Field>(columns: &mut Vec<Column>, field: &'static str) {
    for (suffix, column_type, nullable) in T::COLUMNS {
        let name = match *suffix {
            "" => field,
            _ => money_column(field, suffix),
        };
        columns.push(Column { name, column_type: *column_type, nullable: *nullable });
    }
}

/// The names of the two columns of an amount; the fields are few, so their names stand here.
fn money_column(field: &'static str, suffix: &str) -> &'static str {
    match (field, suffix) {
        ("price", "_minor") => "price_minor",
        ("price", _) => "price_currency",
        ("unit_price", "_minor") => "unit_price_minor",
        ("unit_price", _) => "unit_price_currency",
        ("total", "_minor") => "total_minor",
        ("total", _) => "total_currency",
        (_, "_minor") => "amount_minor",
        (_, _) => "amount_currency",
    }
}

/// Declares a record: a flat struct with its columns and a reader of every generation of it; see [the rules](mod@crate::record).
#[macro_export]
macro_rules! record {
    ($(#[$doc:meta])* $name:ident $([since $born:literal])? { $(
        $(#[$field_doc:meta])* $field:ident: $type:ty
        $([since $since:literal $(, was $was:ty)?])?
        $([until $until:literal $(since $from:literal)?, $gone:ident: $gone_type:ty])*
    ,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $name {
            /// The generation in which this record changed last.
            pub(crate) const GENERATION: u8 =
                $crate::record::latest(&[$($born,)? $($($since,)? $($until,)*)*]);

            /// What JSON may do about each field.
            pub(crate) const FIELDS: &'static [$crate::record::FieldRule] = &[$(
                $crate::record::FieldRule::declared::<$type>(stringify!($field)),
                $($crate::record::FieldRule::removed(stringify!($gone)),)*
            )*];

            /// The columns, in the order of the fields.
            pub(crate) fn columns() -> Vec<$crate::Column> {
                let widths = const { $crate::record::total(&[$(<$type as $crate::Field>::COLUMNS.len(),)*]) };
                let mut columns = Vec::with_capacity(widths);
                $($crate::record::push_columns::<$type>(&mut columns, stringify!($field));)*
                columns
            }

            /// The value of a column by its number; nothing where there is no such column.
            pub(crate) fn value(&self, index: usize) -> $crate::Value<'_> {
                let mut index = index;
                $(
                    let width = <$type as $crate::Field>::COLUMNS.len();
                    if index < width {
                        return $crate::Field::value(&self.$field, index);
                    }
                    index -= width;
                )*
                let _ = index;
                $crate::Value::Null
            }

            /// The first present id among the fields; 0 where none is.
            pub(crate) fn routing_key(&self) -> u128 {
                $(if let Some(key) = $crate::Field::key(&self.$field) { return key; })*
                0
            }

            /// Reads what some generation wrote.
            pub(crate) fn read(fields: &mut $crate::record::Fields<'_>) -> Result<Self, $crate::record::Unreadable> {
                $(
                    let $field: $type = $crate::record!(@field fields, $([$since $(, $was)?])?)?;
                    $(fields.removed::<$gone_type>($crate::record::latest(&[$($from)?])..$until)?;)*
                )*
                Ok(Self { $($field,)* })
            }
        }
    };
    (@field $fields:ident,) => { $fields.take() };
    (@field $fields:ident, [$since:literal]) => { $fields.added($since) };
    (@field $fields:ident, [$since:literal, $was:ty]) => { $fields.retyped::<$was, _>($since) };
}
