//! What becomes of a table's older files when its columns change; it changes no file.
//!
//! A table has the columns that this program declares. The manifest says which columns each file has, so that the rules
//! are checked before a query runs:
//! - a column **added** since is null in the rows of older files, and may then be null in the table;
//! - a column **removed** since is no column of the table. It stays in the older files, which compaction never merges with
//!   files of other columns, so that nothing is lost and a program that declares it again reads it again;
//! - a column **retyped** from a smaller integer or float to a larger one that holds all its values is cast. Every other
//!   change of type is refused by the file and the column.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::OfflineError;

/// A column of a file, as the manifest keeps it: its name, Arrow's name of its type, and whether it may be null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileColumn {
    name: String,
    data_type: String,
    nullable: bool,
}

/// The columns of a file with this schema.
pub(crate) fn file_columns(schema: &Schema) -> Vec<FileColumn> {
    let column = |field: &Arc<Field>| FileColumn {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}

/// The table's schema for reading `files`, each with its path and columns: what one of them lacks, or may have as null,
/// may be null.
///
/// # Errors
/// A column that was retyped in another way than by widening.
pub(crate) fn reading_schema<'a>(
    table: &Schema,
    files: impl Iterator<Item = (String, &'a [FileColumn])>,
) -> Result<SchemaRef, OfflineError> {
    let mut fields: Vec<Field> = table.fields().iter().map(|field| field.as_ref().clone()).collect();
    for (file, columns) in files {
        for field in &mut fields {
            match columns.iter().find(|column| column.name == *field.name()) {
                None => field.set_nullable(true),
                Some(column) if fits(&column.data_type, field.data_type()) => {
                    field.set_nullable(field.is_nullable() || column.nullable);
                }
                Some(column) => {
                    return Err(OfflineError::Retyped {
                        file,
                        column: column.name.clone(),
                        found: column.data_type.clone(),
                        wanted: field.data_type().to_string(),
                    });
                }
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn fits(found: &str, wanted: &DataType) -> bool {
    found == wanted.to_string() || found.parse().is_ok_and(|found| widens(&found, wanted))
}

/// Whether every value of `from` is exactly one of `to`.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let small_integer = matches!(from, T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32);
    match to {
        T::Int64 => small_integer,
        T::Float64 => small_integer || matches!(from, T::Float16 | T::Float32),
        _ => false,
    }
}
