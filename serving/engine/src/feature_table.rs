//! Features of many entities in one answer: every value of one consistent cut of the log, with how fresh its entity is.

use std::collections::BTreeMap;

use dhow_commerce::{AppliedOffset, FieldProblem};
use dhow_definitions::{Row, View, entity_id};
use dhow_events::{ColumnType, TenantId, Timestamp, Value};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::Value as Json;

use crate::cuts::applied_offsets;
use crate::error::unread;
use crate::{Engine, EngineError};

/// The most values of one answer: entities times features.
pub const FEATURE_VALUES_MAX: usize = 100_000;

/// A question for features: each of `features` for each of `entities`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureAsk {
    /// Names of features.
    pub features: Vec<String>,
    /// For each entity the values of the columns that the features' views are keyed by, such as `buyer`.
    pub entities: Vec<BTreeMap<String, Json>>,
}

/// The values of one entity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureRow {
    /// One for each feature; nothing where there is none.
    pub values: Vec<Option<f64>>,
    /// One for each view: when the latest event that counts for this entity, or did, happened; nothing where none is kept.
    pub event_times: Vec<Option<Timestamp>>,
}

/// Features of many entities.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureTable {
    /// The time that all are as of.
    pub at: Timestamp,
    /// The features, in the order of the question.
    pub features: Vec<String>,
    /// The views that they are of.
    pub views: Vec<String>,
    /// For each feature the place of its view in `views`.
    pub view_of: Vec<usize>,
    /// The rows, in the order of the question.
    pub rows: Vec<FeatureRow>,
    /// How far each partition of the log was applied: recomputing as of these offsets gives the same values.
    pub applied_offsets: Vec<AppliedOffset>,
}

/// The features of one view that are asked for.
struct Asked<'a> {
    number: usize,
    view: &'a View,
    /// The columns of its entity with their types.
    entity: Vec<(&'a str, ColumnType)>,
    /// Where each of its features goes, and its place in the view.
    places: Vec<(usize, usize)>,
}

impl Engine {
    /// Reads features of many entities at once.
    ///
    /// # Errors
    /// An unknown feature, an entity without a column that a feature needs or with a value of another type, no feature or
    /// entity, or more than [`FEATURE_VALUES_MAX`] values.
    pub fn feature_table(&self, tenant: TenantId, ask: FeatureAsk) -> Result<FeatureTable, EngineError> {
        let count = ask.features.len() * ask.entities.len();
        if count == 0 || count > FEATURE_VALUES_MAX {
            let message =
                format!("asks for {count} values, entities times features; 1 to {FEATURE_VALUES_MAX} are allowed");
            return Err(EngineError::invalid("/entities", message));
        }
        let at = self.clock().now();
        let views = resolve(self.features().views(), &ask.features)?;
        let keys = entity_keys(&views, &ask.entities)?;
        let mut values = Vec::new();
        let read =
            self.shared().reading(|features| features.read_many(tenant, &keys, at, &mut values)).map_err(unread)?;

        let mut rows = Vec::with_capacity(ask.entities.len());
        let (mut first, mut times) = (0, read.latest_event_times.chunks_exact(views.len()));
        for _ in &ask.entities {
            let mut row = vec![None; ask.features.len()];
            for asked in &views {
                for &(column, place) in &asked.places {
                    row[column] = Some(values[first + place]).filter(|value| value.is_finite());
                }
                first += asked.view.features().len();
            }
            let event_times = times.next().map(<[_]>::to_vec).unwrap_or_default();
            rows.push(FeatureRow { values: row, event_times });
        }
        let mut view_of = vec![0; ask.features.len()];
        for (index, asked) in views.iter().enumerate() {
            asked.places.iter().for_each(|&(column, _)| view_of[column] = index);
        }
        Ok(FeatureTable {
            at,
            features: ask.features,
            views: views.iter().map(|asked| asked.view.name().to_owned()).collect(),
            view_of,
            rows,
            applied_offsets: applied_offsets(&read.as_of),
        })
    }
}

/// Groups the features by their views.
fn resolve<'a>(views: &'a [View], names: &[String]) -> Result<Vec<Asked<'a>>, EngineError> {
    let mut known: FxHashMap<&str, (usize, usize)> = FxHashMap::default();
    for (number, view) in views.iter().enumerate() {
        known.extend(view.features().iter().enumerate().map(|(place, feature)| (feature.name(), (number, place))));
    }
    let mut asked: Vec<Asked<'a>> = Vec::new();
    let mut problems = Vec::new();
    for (column, name) in names.iter().enumerate() {
        let Some(&(number, place)) = known.get(name.as_str()) else {
            let message = format!("there is no feature `{name}`; `dhow features list` and `show` name them");
            problems.push(FieldProblem::new(format!("/features/{column}"), message));
            continue;
        };
        let index = asked.iter().position(|one| one.number == number).unwrap_or_else(|| {
            let view = &views[number];
            asked.push(Asked {
                number,
                view,
                entity: view.entity().iter().map(String::as_str).zip(view.entity_types()).collect(),
                places: Vec::new(),
            });
            asked.len() - 1
        });
        asked[index].places.push((column, place));
    }
    if problems.is_empty() { Ok(asked) } else { Err(EngineError::Invalid(problems)) }
}

/// For each entity the keys of all views, in the order of the views.
fn entity_keys(views: &[Asked<'_>], entities: &[BTreeMap<String, Json>]) -> Result<Vec<(usize, u128)>, EngineError> {
    // Views that are keyed by the same columns have the same keys, which are read once.
    let mut keyed: Vec<&Asked<'_>> = Vec::new();
    let key_of: Vec<usize> = views
        .iter()
        .map(|asked| {
            keyed.iter().position(|other| other.entity == asked.entity).unwrap_or_else(|| {
                keyed.push(asked);
                keyed.len() - 1
            })
        })
        .collect();
    let mut keys = Vec::with_capacity(views.len() * entities.len());
    let mut problems = Vec::new();
    for (index, entity) in entities.iter().enumerate() {
        for name in
            entity.keys().filter(|name| !keyed.iter().any(|view| view.entity.iter().any(|(known, _)| known == name)))
        {
            let message = "is no column that the features asked for are keyed by".to_owned();
            problems.push(FieldProblem::new(format!("/entities/{index}/{name}"), message));
        }
        let mut of_entity = Vec::with_capacity(keyed.len());
        for asked in &keyed {
            match entity_key(asked, entity) {
                Ok(key) => of_entity.push(key),
                Err((name, message)) => problems.push(FieldProblem::new(format!("/entities/{index}/{name}"), message)),
            }
        }
        if problems.is_empty() {
            keys.extend(views.iter().zip(&key_of).map(|(asked, key)| (asked.number, of_entity[*key])));
        }
    }
    if problems.is_empty() { Ok(keys) } else { Err(EngineError::Invalid(problems)) }
}

/// The columns of an entity's key as a row.
struct KeyRow<'a>(Vec<Value<'a>>);

impl Row for KeyRow<'_> {
    fn value(&self, column: usize) -> Value<'_> {
        self.0.get(column).copied().unwrap_or(Value::Null)
    }
}

/// The key of `entity` in a view, or the column that is wrong and why.
fn entity_key<'a>(asked: &Asked<'a>, entity: &BTreeMap<String, Json>) -> Result<u128, (&'a str, String)> {
    let mut row = KeyRow(Vec::with_capacity(asked.entity.len()));
    for &(name, column_type) in &asked.entity {
        let needed = || (name, format!("is missing; the features of `{}` are keyed by it", asked.view.name()));
        let value = entity.get(name).ok_or_else(needed)?;
        row.0.push(key_value(value, column_type).map_err(|message| (name, message))?);
    }
    let columns: Vec<usize> = (0..row.0.len()).collect();
    let unkeyed = || (asked.entity.first().map_or("", |(name, _)| *name), "is missing".to_owned());
    entity_id(&row, &columns).ok_or_else(unkeyed)
}

fn key_value(value: &Json, column_type: ColumnType) -> Result<Value<'_>, String> {
    match (column_type, value) {
        (ColumnType::Id(kind), Json::String(text)) => {
            kind.parse(text).map(Value::Id).map_err(|error| error.to_string())
        }
        (ColumnType::Text, Json::String(text)) => Ok(Value::Text(text)),
        (ColumnType::Bool, Json::Bool(flag)) => Ok(Value::Bool(*flag)),
        (ColumnType::Time, Json::String(text)) => text.parse().map(Value::Time).map_err(|error| format!("{error}")),
        (ColumnType::Int, Json::Number(number)) => {
            number.as_i64().map(Value::Int).ok_or_else(|| format!("`{number}` is no 64-bit integer"))
        }
        (wanted, found) => Err(format!("is {found}, which is no {wanted:?}")),
    }
}
