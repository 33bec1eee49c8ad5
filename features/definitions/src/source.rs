//! Where a view's rows come from: the marketplace's own facts or a table of the user's; it reads no rows itself.

use std::sync::Arc;

use dhow_events::{ColumnType, Fact, FactKind, Value};

use crate::DefinitionError;

/// The most columns that a table may declare.
pub const MAX_TABLE_COLUMNS: usize = 1024;
/// The longest name of a table's column, in characters.
const MAX_COLUMN_NAME: usize = 64;
/// Words that a filter reads otherwise than as a column.
const RESERVED: [&str; 4] = ["and", "or", "true", "false"];

/// The types that a table's columns may have, as definition files write them.
const TYPES: [(&str, ColumnType); 5] = [
    ("int", ColumnType::Int),
    ("float", ColumnType::Float),
    ("bool", ColumnType::Bool),
    ("text", ColumnType::Text),
    ("time", ColumnType::Time),
];

/// One row of a view's source, by the numbers of [`Source::columns`].
pub trait Row {
    /// The value of a column; [`Value::Null`] where it is missing or there is no such column.
    fn value(&self, column: usize) -> Value<'_>;
}

impl Row for Fact {
    fn value(&self, column: usize) -> Value<'_> {
        Fact::value(self, column)
    }
}

/// What a view is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The facts of one kind, from the marketplace's log.
    Fact(FactKind),
    /// The rows of a table that the definitions declare.
    Table(Arc<TableSchema>),
}

/// One column of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceColumn<'a> {
    /// Its name, unique in the source.
    pub name: &'a str,
    /// What its values are.
    pub column_type: ColumnType,
}

impl Source {
    /// The name of the kind of fact or of the table.
    pub fn name(&self) -> &str {
        match self {
            Self::Fact(kind) => kind.name(),
            Self::Table(table) => table.name(),
        }
    }

    /// The kind of fact, where it is one.
    pub fn fact(&self) -> Option<FactKind> {
        match self {
            Self::Fact(kind) => Some(*kind),
            Self::Table(_) => None,
        }
    }

    /// The columns, in the order of their numbers.
    pub fn columns(&self) -> Vec<SourceColumn<'_>> {
        match self {
            Self::Fact(kind) => {
                let columns = kind.columns().into_iter();
                columns.map(|column| SourceColumn { name: column.name, column_type: column.column_type }).collect()
            }
            Self::Table(table) => {
                let columns = table.columns.iter();
                columns.map(|(name, column_type)| SourceColumn { name, column_type: *column_type }).collect()
            }
        }
    }

    /// The number of the column called `name`.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns().iter().position(|column| column.name == name)
    }

    /// The number and type of a column that a definition names.
    pub(crate) fn find(&self, name: &str) -> Result<(usize, ColumnType), DefinitionError> {
        let columns = self.columns();
        columns
            .iter()
            .position(|column| column.name == name)
            .map(|index| (index, columns[index].column_type))
            .ok_or_else(|| {
                let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
                let (source, names) = (self.name(), names.join(", "));
                DefinitionError::Meaning(format!("`{source}` has no column `{name}`; it has {names}"))
            })
    }
}

impl From<FactKind> for Source {
    fn from(kind: FactKind) -> Self {
        Self::Fact(kind)
    }
}

/// A table of the user's own: its name and its columns. Any value may be missing. Which columns say when a row happened
/// and when it became known is told to the executor, not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    name: String,
    columns: Vec<(String, ColumnType)>,
}

impl TableSchema {
    /// A table called `name` with these columns.
    ///
    /// # Errors
    /// A name that is not lower-case words or is a kind of event; no or too many columns; a column whose name is not
    /// letters, digits and underscores, is reserved or stands twice; a column of ids, which only facts have.
    pub fn new(name: &str, columns: Vec<(String, ColumnType)>) -> Result<Self, DefinitionError> {
        crate::view::check_name(name)?;
        let refuse = |message: String| Err(DefinitionError::Meaning(message));
        if FactKind::from_name(name).is_some() {
            return refuse(format!("`{name}` is a kind of event; a table needs a name of its own"));
        }
        if columns.is_empty() || columns.len() > MAX_TABLE_COLUMNS {
            let count = columns.len();
            return refuse(format!("table `{name}` has {count} columns; 1 to {MAX_TABLE_COLUMNS} are allowed"));
        }
        for (index, (column, column_type)) in columns.iter().enumerate() {
            check_column_name(column)?;
            if columns[..index].iter().any(|(earlier, _)| earlier == column) {
                return refuse(format!("table `{name}` has two columns called `{column}`"));
            }
            if matches!(column_type, ColumnType::Id(_)) {
                return refuse(format!("column `{column}` of table `{name}` cannot be an id; declare it as text"));
            }
        }
        Ok(Self { name: name.to_owned(), columns })
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the schema means, as text.
    pub(crate) fn canonical(&self) -> String {
        let word = |wanted: ColumnType| TYPES.iter().find(|(_, known)| *known == wanted).map_or("", |(word, _)| *word);
        let columns: Vec<String> =
            self.columns.iter().map(|(name, column_type)| format!("{name} {}", word(*column_type))).collect();
        format!("table {} ({})", self.name, columns.join(", "))
    }
}

/// Reads a column's type as definition files write it.
pub(crate) fn column_type(text: &str) -> Result<ColumnType, DefinitionError> {
    TYPES.iter().find(|(word, _)| *word == text).map(|(_, column_type)| *column_type).ok_or_else(|| {
        let words: Vec<&str> = TYPES.iter().map(|(word, _)| *word).collect();
        DefinitionError::Meaning(format!("`{text}` is not a type of column; known are {}", words.join(", ")))
    })
}

/// Column names are the user's, so capitals are allowed; filters must be able to name them.
pub(crate) fn check_column_name(name: &str) -> Result<(), DefinitionError> {
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= MAX_COLUMN_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !RESERVED.contains(&name);
    match fits {
        true => Ok(()),
        false => Err(DefinitionError::Meaning(format!(
            "`{name}` cannot name a column: 1 to {MAX_COLUMN_NAME} letters, digits and _, beginning with a letter, and none of {}",
            RESERVED.join(", ")
        ))),
    }
}
