//! The keys of entities: always with their tenant, 16 bytes for the values; it does not say where state lies.

use dhow_events::{TenantId, Value};
use serde::{Deserialize, Serialize};

use crate::Row;

/// Whose state, of which view, for which entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntityKey {
    /// The tenant; two tenants never share state, whatever their ids.
    pub tenant: TenantId,
    /// The number of the view in its set.
    pub view: u16,
    /// The entity, as [`entity_id`] gives it.
    pub id: u128,
}

/// The 128 bits that stand for the values of `columns` in `row`: those of an id or an integer itself, otherwise a
/// hash. Nothing where a value is missing.
pub fn entity_id<R: Row>(row: &R, columns: &[usize]) -> Option<u128> {
    if let [column] = columns {
        return match row.value(*column) {
            Value::Null => None,
            value => Some(token(value)),
        };
    }
    let mut hasher = blake3::Hasher::new();
    for &column in columns {
        match row.value(column) {
            Value::Null => return None,
            value => hasher.update(&token(value).to_le_bytes()),
        };
    }
    Some(first_half(&hasher.finalize()))
}

/// The 128 bits that tell a value from every other of its column: the value itself, or the hash of a text.
pub(crate) fn token(value: Value<'_>) -> u128 {
    match value {
        Value::Null => 0,
        Value::Int(number) => number as u64 as u128,
        Value::Float(number) => u128::from(number.to_bits()),
        Value::Bool(flag) => u128::from(flag),
        Value::Time(time) => time.micros() as u64 as u128,
        Value::Id(id) => id,
        Value::Text(text) => first_half(&blake3::hash(text.as_bytes())),
    }
}

fn first_half(hash: &blake3::Hash) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}
