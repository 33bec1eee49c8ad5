//! Taking a person out of a lake's files: rows are rewritten as the log's records are; when that is due is not said here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringArray};
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;
use dhow_events::{ColumnType, Erasure, FactKind, IdKind, PersonalColumn};
use rustc_hash::FxHashSet;

use crate::OfflineError;
use crate::lake::compaction::{Compacted, read_file};
use crate::lake::layout::{FileNames, TableKey, write_files};
use crate::lake::manifest::LakeFile;
use crate::lake::storage::LakeStorage;

/// Writes a file without the person; nothing where the person is not in it.
pub(crate) fn rewrite_file(
    storage: &dyn LakeStorage,
    names: &FileNames,
    file: &LakeFile,
    erasure: &Erasure,
) -> Result<Option<Compacted>, OfflineError> {
    let rows = read_file(storage, file)?;
    let Some(rows) = Person::of(erasure).taken_out(file.kind, &rows)? else { return Ok(None) };
    let table = TableKey { tenant: file.tenant, kind: file.kind, columns: file.columns };
    let outputs = write_files(storage, names, table, &rows)?;
    Ok(Some(Compacted { inputs: vec![file.path.clone()], outputs }))
}

/// An erasure in the texts that tables hold.
struct Person<'a> {
    erasure: &'a Erasure,
    person: String,
    sessions: FxHashSet<String>,
    orders: FxHashSet<String>,
}

/// Which rows are about the person, and which tell where an order of the person goes.
struct Rows {
    about: Vec<bool>,
    place: Vec<bool>,
}

impl<'a> Person<'a> {
    fn of(erasure: &'a Erasure) -> Self {
        Self {
            erasure,
            person: erasure.person.to_string(),
            sessions: erasure.things.sessions.iter().map(ToString::to_string).collect(),
            orders: erasure.things.orders.iter().map(ToString::to_string).collect(),
        }
    }

    /// The table without the person; nothing where that is as it was.
    fn taken_out(&self, kind: FactKind, table: &RecordBatch) -> Result<Option<RecordBatch>, OfflineError> {
        let refused = |reason: &dyn std::fmt::Display| OfflineError::Table {
            table: kind.name().into(),
            reason: reason.to_string(),
        };
        let personal = kind.columns().into_iter().filter_map(|column| {
            let number = table.schema().index_of(column.name).ok()?;
            let id = match column.column_type {
                ColumnType::Id(id) => Some(id),
                _ => None,
            };
            Some((number, PersonalColumn::of(kind, &column)?, id))
        });
        let personal: Vec<(usize, PersonalColumn, Option<IdKind>)> = personal.collect();
        let rows = self.rows(table, &personal);
        if !rows.about.contains(&true) && !rows.place.contains(&true) {
            return Ok(None);
        }
        let mut columns = table.columns().to_vec();
        for (number, role, id) in personal {
            let rewritten = self.column(&columns[number], role, id, &rows).map_err(|error| refused(&error))?;
            if let Some(rewritten) = rewritten {
                columns[number] = rewritten;
            }
        }
        let rewritten = RecordBatch::try_new(table.schema(), columns).map_err(|error| refused(&error))?;
        Ok((rewritten != *table).then_some(rewritten))
    }

    fn rows(&self, table: &RecordBatch, personal: &[(usize, PersonalColumn, Option<IdKind>)]) -> Rows {
        let count = table.num_rows();
        let (mut named, mut others) = (vec![false; count], vec![false; count]);
        let (mut visit, mut place) = (vec![false; count], vec![false; count]);
        for (number, role, _) in personal {
            let Some(texts) = table.column(*number).as_string_opt::<i32>() else { continue };
            for (row, text) in texts.iter().enumerate().filter_map(|(row, text)| Some((row, text?))) {
                match role {
                    PersonalColumn::Person if text == self.person => named[row] = true,
                    PersonalColumn::Person => others[row] = true,
                    PersonalColumn::Visit => visit[row] |= self.sessions.contains(text),
                    PersonalColumn::Order => place[row] |= self.orders.contains(text),
                    _ => {}
                }
            }
        }
        let about = (0..count).map(|row| named[row] || (visit[row] && !others[row])).collect();
        Rows { about, place }
    }

    /// A column with the person's values replaced; nothing for one that stays.
    fn column(
        &self,
        column: &ArrayRef,
        role: PersonalColumn,
        id: Option<IdKind>,
        rows: &Rows,
    ) -> Result<Option<ArrayRef>, String> {
        let strings =
            || column.as_string_opt::<i32>().ok_or_else(|| format!("{} where texts were written", column.data_type()));
        let replaced: ArrayRef = match (role, id) {
            (PersonalColumn::Person | PersonalColumn::Visit | PersonalColumn::Thing(_), Some(kind)) => {
                let texts = strings()?.iter().zip(&rows.about).map(|(text, about)| match text {
                    Some(text) if *about => {
                        let id = kind.parse(text).map_err(|error| error.to_string())?;
                        Ok(Some(kind.format(self.erasure.id(kind, id))))
                    }
                    other => Ok(other.map(str::to_owned)),
                });
                Arc::new(texts.collect::<Result<StringArray, String>>()?)
            }
            (PersonalColumn::Words, _) => {
                let words = strings()?.iter().zip(&rows.about);
                let blank = |(text, about): (Option<&str>, &bool)| {
                    text.map(|text| if *about { "-".repeat(text.len()) } else { text.to_owned() })
                };
                Arc::new(words.map(blank).collect::<StringArray>())
            }
            (PersonalColumn::Place, _) => {
                let degrees = column.as_primitive_opt::<Float64Type>();
                let degrees = degrees.ok_or_else(|| format!("{} where degrees were written", column.data_type()))?;
                let rounded = degrees.iter().zip(&rows.place);
                let round = |(degrees, place): (Option<f64>, &bool)| {
                    degrees.map(|degrees| if *place { degrees.round() } else { degrees })
                };
                Arc::new(rounded.map(round).collect::<Float64Array>())
            }
            _ => return Ok(None),
        };
        Ok(Some(replaced))
    }
}
