//! The features of decisions in SQL: names once for all decisions that read the same ones, values as bytes; it knows no rule.

use std::collections::BTreeMap;

use dhow_commerce::{DecisionRecord, FeatureValue, StorageError};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, placeholders, storage_error, to_json};

const VALUE_BYTES: usize = size_of::<f64>();

/// Lists of names by their ids.
#[derive(Default)]
pub(crate) struct FeatureLists(BTreeMap<String, Vec<String>>);

/// Writes the lists that `decisions` need and gives the id of each decision's; none where it read no feature.
pub(crate) async fn write(
    connection: &mut AnyConnection,
    decisions: &[&DecisionRecord],
) -> Result<Vec<Option<String>>, StorageError> {
    let mut ids: Vec<Option<String>> = Vec::with_capacity(decisions.len());
    let mut last: Option<(&DecisionRecord, String)> = None;
    for decision in decisions {
        let id = match &last {
            _ if decision.features.is_empty() => None,
            Some((other, id)) if names(other).eq(names(decision)) => Some(id.clone()),
            _ => {
                let id = insert(connection, decision).await?;
                last = Some((decision, id.clone()));
                Some(id)
            }
        };
        ids.push(id);
    }
    Ok(ids)
}

async fn insert(connection: &mut AnyConnection, decision: &DecisionRecord) -> Result<String, StorageError> {
    let names = to_json("a list of features", &names(decision).collect::<Vec<_>>())?;
    // Equal lists have one id on every server, so whoever comes second has nothing to write.
    let id = blake3::hash(names.as_bytes()).to_hex().to_string();
    sqlx::query("INSERT INTO feature_lists (id, names) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(id.clone())
        .bind(names)
        .execute(connection)
        .await
        .map_err(storage_error)?;
    Ok(id)
}

fn names(decision: &DecisionRecord) -> impl Iterator<Item = &str> {
    decision.features.iter().map(|feature| feature.name.as_str())
}

/// The values of a decision's features in their order.
pub(crate) fn to_bytes(features: &[FeatureValue]) -> Vec<u8> {
    features.iter().flat_map(|feature| feature.value.unwrap_or(f64::NAN).to_le_bytes()).collect()
}

impl FeatureLists {
    /// The lists that rows of decisions name.
    pub(crate) async fn of(connection: &mut AnyConnection, rows: &[AnyRow]) -> Result<Self, StorageError> {
        let mut ids = Vec::new();
        for row in rows {
            ids.extend(Fields::new("a decision", row).optional_text("feature_list")?);
        }
        ids.sort_unstable();
        ids.dedup();
        let mut lists = Self::default();
        if ids.is_empty() {
            return Ok(lists);
        }
        let sql = format!("SELECT id, names FROM feature_lists WHERE id IN ({})", placeholders(1, ids.len()));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for id in ids {
            query = query.bind(id);
        }
        for row in query.fetch_all(connection).await.map_err(storage_error)? {
            let fields = Fields::new("a list of features", &row);
            lists.0.insert(fields.text("id")?, fields.json("names")?);
        }
        Ok(lists)
    }

    /// The features of a decision's row.
    pub(crate) fn features(&self, fields: &Fields<'_>) -> Result<Vec<FeatureValue>, StorageError> {
        let Some(id) = fields.optional_text("feature_list")? else { return fields.json("features") };
        let corrupt = |detail: String| StorageError::Corrupt { what: "a decision", detail };
        let names = self.0.get(&id).ok_or_else(|| corrupt(format!("its list of features {id} is missing")))?;
        let bytes = fields.bytes("feature_values")?;
        let (values, rest) = bytes.as_chunks::<VALUE_BYTES>();
        if !rest.is_empty() || values.len() != names.len() {
            return Err(corrupt(format!("{} bytes of values for {} features", bytes.len(), names.len())));
        }
        let feature = |(name, value): (&String, &[u8; VALUE_BYTES])| FeatureValue {
            name: name.clone(),
            value: Some(f64::from_le_bytes(*value)).filter(|value| !value.is_nan()),
        };
        Ok(names.iter().zip(values).map(feature).collect())
    }
}
