//! Facts seen as rows: typed columns and borrowed values; it does not say how a table is stored.

use crate::ids::*;
use crate::{Category, Currency, Money, Region, SaleRegions, Timestamp};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// True or false.
    Bool,
    /// UTF-8 text.
    Text,
    /// An instant.
    Time,
    /// An id of a kind.
    Id(IdKind),
}

/// A column of a fact's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The field's name; an amount of money has two columns, `<field>_minor` and `<field>_currency`.
    pub name: &'static str,
    /// The type of its values.
    pub column_type: ColumnType,
    /// Whether a value can be missing.
    pub nullable: bool,
}

/// One cell, borrowed from a fact.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing is known.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// UTF-8 text.
    Text(&'a str),
    /// An instant.
    Time(Timestamp),
    /// The bits of an id; the column says of which kind.
    Id(u128),
}

impl Value<'_> {
    /// The value as a number: booleans count 0 or 1, instants in microseconds; texts, ids and nothing give `None`.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Time(time) => Some(time.micros() as f64),
            Self::Null | Self::Text(_) | Self::Id(_) => None,
        }
    }
}

/// A type that a fact's field may have.
pub trait Field {
    /// Suffix, type and nullability of each column that the field takes.
    const COLUMNS: &'static [(&'static str, ColumnType, bool)];

    /// The value of its column number `index`, below `COLUMNS.len()`.
    fn value(&self, index: usize) -> Value<'_>;

    /// The bits that route an event by this field, where it is a present id.
    fn key(&self) -> Option<u128> {
        match self.value(0) {
            Value::Id(id) => Some(id),
            _ => None,
        }
    }
}

macro_rules! plain_fields {
    ($($type:ty, $column:expr, $self:ident => $value:expr;)*) => {$(
        impl Field for $type {
            const COLUMNS: &'static [(&'static str, ColumnType, bool)] = &[("", $column, false)];
            fn value(&$self, _: usize) -> Value<'_> {
                $value
            }
        }
        impl Field for Option<$type> {
            const COLUMNS: &'static [(&'static str, ColumnType, bool)] = &[("", $column, true)];
            fn value(&self, index: usize) -> Value<'_> {
                self.as_ref().map_or(Value::Null, |present| present.value(index))
            }
        }
    )*};
}

plain_fields! {
    i64, ColumnType::Int, self => Value::Int(*self);
    f64, ColumnType::Float, self => Value::Float(*self);
    bool, ColumnType::Bool, self => Value::Bool(*self);
    String, ColumnType::Text, self => Value::Text(self);
    Region, ColumnType::Text, self => Value::Text(self.as_str());
    Category, ColumnType::Text, self => Value::Text(self.as_str());
    SaleRegions, ColumnType::Text, self => Value::Text(self.as_str());
    Timestamp, ColumnType::Time, self => Value::Time(*self);
}

macro_rules! id_fields {
    ($($type:ty)*) => { plain_fields! { $($type, ColumnType::Id(<$type>::KIND), self => Value::Id(self.as_u128());)* } };
}

id_fields! {
    BuyerId SellerId ProductId SessionId CheckoutId OrderId PaymentId TransferId ShipmentId ReturnId ReviewId PromotionId DeviceId CardId AddressId PayoutAccountId CarrierId DecisionId PlanId AuctionId DisputeId AgreementId SavedSearchId PriceAlertId DeclarationId
}

impl Field for Money {
    const COLUMNS: &'static [(&'static str, ColumnType, bool)] =
        &[("_minor", ColumnType::Int, false), ("_currency", ColumnType::Text, false)];
    fn value(&self, index: usize) -> Value<'_> {
        if index == 0 { Value::Int(self.amount_minor) } else { Value::Text(Currency::code(&self.currency)) }
    }
}
