//! The features of decisions in SQL: names once for all decisions that read the same ones, values as bytes; it knows no rule.

use std::collections::{BTreeMap, BTreeSet};

use dhow_commerce::{DecisionRecord, FeatureValue, StorageError};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::rows::{Fields, placeholders, storage_error, to_json};

const VALUE_BYTES: usize = size_of::<f64>();

/// Lists that a store remembers to be in the database; whoever has more forgets them and asks again.
const KNOWN_LISTS_MAX: usize = 1_024;

/// Ids of lists that are in the database for certain, so that no decision need offer them again. They never leave it.
#[derive(Debug, Default)]
pub(crate) struct KnownLists(parking_lot::Mutex<BTreeSet<String>>);

impl KnownLists {
    fn holds(&self, id: &str) -> bool {
        self.0.lock().contains(id)
    }

    fn add(&self, id: &str) {
        let mut known = self.0.lock();
        if known.len() >= KNOWN_LISTS_MAX {
            known.clear();
        }
        known.insert(id.to_owned());
    }
}

/// Lists of names by their ids.
#[derive(Default)]
pub(crate) struct FeatureLists(BTreeMap<String, Vec<String>>);

/// Writes the lists that `decisions` need and gives the id of each decision's; none where it read no feature.
pub(crate) async fn write(
    connection: &mut AnyConnection,
    known: &KnownLists,
    decisions: &[&DecisionRecord],
) -> Result<Vec<Option<String>>, StorageError> {
    let needed = needed(decisions)?;
    for List { id, names, .. } in needed.iter().filter(|list| !known.holds(&list.id)) {
        let done = sqlx::query("INSERT INTO feature_lists (id, names) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
            .bind(id.clone())
            .bind(names.clone())
            .execute(&mut *connection)
            .await
            .map_err(storage_error)?;
        if done.rows_affected() == 0 {
            // Another transaction has committed it; what this one adds may yet be rolled back.
            known.add(id);
        }
    }
    Ok(ids(&needed, decisions.len()))
}

/// The ids of the lists of `decisions`, where all of them are in the database for certain.
pub(crate) fn known(
    known: &KnownLists,
    decisions: &[&DecisionRecord],
) -> Result<Option<Vec<Option<String>>>, StorageError> {
    let needed = needed(decisions)?;
    let all = needed.iter().all(|list| known.holds(&list.id));
    Ok(all.then(|| ids(&needed, decisions.len())))
}

/// A list, and which of the decisions read it.
struct List {
    id: String,
    names: String,
    of: Vec<usize>,
}

/// The lists of `decisions`. Decisions of one model follow each other, so a list is compared with the one before only.
fn needed(decisions: &[&DecisionRecord]) -> Result<Vec<List>, StorageError> {
    let mut lists: Vec<List> = Vec::new();
    let mut last: Option<&DecisionRecord> = None;
    for (number, decision) in decisions.iter().enumerate().filter(|(_, decision)| !decision.features.is_empty()) {
        match lists.last_mut().filter(|_| last.is_some_and(|last| names(last).eq(names(decision)))) {
            Some(list) => list.of.push(number),
            None => {
                let names = to_json("a list of features", &names(decision).collect::<Vec<_>>())?;
                // Equal lists have one id on every server, so whoever comes second has nothing to write.
                let id = blake3::hash(names.as_bytes()).to_hex().to_string();
                lists.push(List { id, names, of: vec![number] });
            }
        }
        last = Some(decision);
    }
    Ok(lists)
}

fn ids(lists: &[List], count: usize) -> Vec<Option<String>> {
    let mut ids = vec![None; count];
    for list in lists {
        for number in &list.of {
            ids[*number] = Some(list.id.clone());
        }
    }
    ids
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
