//! The names and types that a rule may use; their values are [`Facts`](crate::Facts).

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::lists::ListKind;

/// The most fields of a request, so that the lists that they are on fit two words.
pub const MAX_FIELDS: usize = 64;

/// The type of a field of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// True or false.
    Boolean,
    /// A whole number, such as an amount in minor units.
    Integer,
    /// A number.
    Double,
    /// A text, such as a currency.
    Text,
    /// A text that may be on the lists of this kind.
    Key(ListKind),
}

/// A field of the request: a rule calls it `request.<name>`. Any field may be missing from a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub field_type: FieldType,
}

impl Field {
    /// A field of this name and type.
    pub fn new(name: &str, field_type: FieldType) -> Self {
        Self { name: name.into(), field_type }
    }
}

/// Why names cannot make a schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// Two features or two fields have one name.
    #[error("`{0}` is declared twice; each name stands for one value")]
    Duplicate(String),
    /// A name without a letter.
    #[error("a name is empty")]
    Empty,
    /// More fields than fit.
    #[error("{found} fields of the request; at most {MAX_FIELDS} are allowed")]
    TooManyFields {
        /// How many were given.
        found: usize,
    },
}

/// What a name stands for: a place in [`Facts`](crate::Facts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Feature(usize),
    Field(usize),
}

/// The names that rules may use. Rules compiled against it read facts by place, so facts have its order.
#[derive(Debug, Clone)]
pub struct Schema {
    features: Vec<Arc<str>>,
    fields: Vec<Field>,
    feature_places: FxHashMap<Arc<str>, usize>,
    field_places: FxHashMap<Arc<str>, usize>,
}

impl Schema {
    /// A schema of these features (all double, in the order of the feature vector) and fields of the request. A name that is
    /// no identifier is written between backticks in a rule.
    ///
    /// # Errors
    /// A duplicate or empty name, or too many fields.
    pub fn new<'a>(features: impl IntoIterator<Item = &'a str>, fields: Vec<Field>) -> Result<Self, SchemaError> {
        if fields.len() > MAX_FIELDS {
            return Err(SchemaError::TooManyFields { found: fields.len() });
        }
        let features: Vec<Arc<str>> = features.into_iter().map(Arc::from).collect();
        let feature_places = places(features.iter())?;
        let field_places = places(fields.iter().map(|field| &field.name))?;
        Ok(Self { features, fields, feature_places, field_places })
    }

    /// The features' names, in order.
    pub fn features(&self) -> &[Arc<str>] {
        &self.features
    }

    /// The request's fields, in order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn feature(&self, name: &str) -> Option<usize> {
        self.feature_places.get(name).copied()
    }

    pub(crate) fn field(&self, name: &str) -> Option<(usize, FieldType)> {
        let place = *self.field_places.get(name)?;
        Some((place, self.fields[place].field_type))
    }

    /// The name of a place, without its group.
    pub(crate) fn name(&self, slot: Slot) -> &Arc<str> {
        match slot {
            Slot::Feature(place) => &self.features[place],
            Slot::Field(place) => &self.fields[place].name,
        }
    }
}

fn places<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Result<FxHashMap<Arc<str>, usize>, SchemaError> {
    let mut places = FxHashMap::default();
    for (place, name) in names.enumerate() {
        if name.is_empty() {
            return Err(SchemaError::Empty);
        }
        if places.insert(name.clone(), place).is_some() {
            return Err(SchemaError::Duplicate(name.to_string()));
        }
    }
    Ok(places)
}
