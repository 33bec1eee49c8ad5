//! Point-in-time features of any table: each view in one sweep, for the rows of a spine or for the events themselves.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use dhow_definitions::{Cell, CellKind, FeatureSet, Ratio, Source, SourceColumn, TableSchema, View, entity_id};
use dhow_sweep::{CellColumn, Events, Points, densify, sweep};

use crate::OfflineError;
use crate::typed_table::{TableRow, TypedColumn, UserTable};

/// What is computed from which files.
#[derive(Debug, Clone, Copy)]
pub struct ComputeRequest<'a> {
    /// The events, as Parquet.
    pub events: &'a Path,
    /// The declared table that the events are; nothing where the definitions declare only one.
    pub table: Option<&'a str>,
    /// The column that says when an event happened, and at which instant a row of the spine asks.
    pub time: &'a str,
    /// The column that says when an event became known; nothing where that was at once.
    pub known_time: Option<&'a str>,
    /// The column whose values tell events apart; nothing where every row is one.
    pub id: Option<&'a str>,
    /// The rows that features are wanted for, as Parquet with the entities' columns and the time; nothing means the
    /// events themselves, each before it counts.
    pub spine: Option<&'a Path>,
}

/// The spine's rows, in their order, with a column for each feature and ratio after their own; null where there is none.
#[derive(Debug, Clone)]
pub struct ComputedFeatures {
    /// The table.
    pub batch: RecordBatch,
    /// The names of the features and ratios.
    pub names: Vec<String>,
    /// How many events there were.
    pub event_count: usize,
}

/// Computes every feature of the table's views.
///
/// # Errors
/// Definitions without such a table, files that cannot be read, a column that is missing or of another type than
/// declared, a row without a time, or a feature that is called like a column of the spine.
pub fn compute_features(features: &FeatureSet, request: &ComputeRequest<'_>) -> Result<ComputedFeatures, OfflineError> {
    let schema = declared_table(features, request.table)?;
    let source = Source::Table(schema.clone());
    let events = EventTable::read(&source, request)?;
    let asked_file = request.spine.map(UserTable::read).transpose()?;
    let asked_table = asked_file.as_ref().unwrap_or(&events.file);
    let at = match &asked_file {
        Some(spine) => spine.times(request.time)?,
        None => events.event_times.clone(),
    };

    let mut computed = Computed::default();
    for view in features.views().iter().filter(|view| *view.source() == source) {
        let point_keys = match &asked_file {
            None => keys(&events.columns, &events.column_numbers(view), at.len()),
            Some(spine) => {
                let entity = entity_columns(&source, view);
                keys(&spine.typed(&entity)?, &(0..entity.len()).collect::<Vec<_>>(), at.len())
            }
        };
        let values = events.sweep(view, point_keys, &at)?;
        let names = view.features().iter().map(|feature| feature.name().to_owned());
        computed.names.extend(names);
        computed.values.extend(values);
    }
    computed.add_ratios(features, &asked_table.batch)?;
    let batch = computed.beside(&asked_table.batch)?;
    Ok(ComputedFeatures { batch, names: computed.names, event_count: events.event_times.len() })
}

fn declared_table(features: &FeatureSet, name: Option<&str>) -> Result<Arc<TableSchema>, OfflineError> {
    let refused = |reason: String| OfflineError::Table { table: features.name().to_owned(), reason };
    let tables = features.tables();
    let names = || tables.iter().map(|table| table.name()).collect::<Vec<_>>().join(", ");
    match (name, tables.as_slice()) {
        (_, []) => {
            Err(refused("the definitions declare no [[table]], which says what the events' columns are".to_owned()))
        }
        (None, [only]) => Ok(Arc::clone(only)),
        (None, _) => {
            Err(refused(format!("the definitions declare several tables ({}); say which one the events are", names())))
        }
        (Some(name), _) => tables
            .iter()
            .find(|table| table.name() == name)
            .map(|table| Arc::clone(table))
            .ok_or_else(|| refused(format!("the definitions declare no table `{name}`; they declare {}", names()))),
    }
}

fn entity_columns<'a>(source: &'a Source, view: &View) -> Vec<SourceColumn<'a>> {
    let columns = source.columns();
    view.entity().iter().filter_map(|name| columns.iter().find(|column| column.name == name).copied()).collect()
}

/// The entity of every row, whether or not it passes the view's filter.
fn keys(columns: &[TypedColumn], numbers: &[usize], rows: usize) -> Vec<Option<u128>> {
    (0..rows).map(|row| entity_id(&TableRow { columns, row }, numbers)).collect()
}

/// The events with their declared columns.
struct EventTable {
    file: UserTable,
    source: Source,
    columns: Vec<TypedColumn>,
    event_times: ScalarBuffer<i64>,
    known_times: Option<ScalarBuffer<i64>>,
    ids: Option<Vec<u128>>,
}

impl EventTable {
    fn read(source: &Source, request: &ComputeRequest<'_>) -> Result<Self, OfflineError> {
        let file = UserTable::read(request.events)?;
        Ok(Self {
            columns: file.typed(&source.columns())?,
            event_times: file.times(request.time)?,
            known_times: request.known_time.map(|name| file.times(name)).transpose()?,
            ids: request.id.map(|name| file.tokens(name)).transpose()?,
            source: source.clone(),
            file,
        })
    }

    /// The numbers of the columns that form the view's entity.
    fn column_numbers(&self, view: &View) -> Vec<usize> {
        view.entity().iter().filter_map(|name| self.source.column_index(name)).collect()
    }

    fn sweep(&self, view: &View, point_keys: Vec<Option<u128>>, at: &[i64]) -> Result<Vec<Vec<f64>>, OfflineError> {
        let rows = 0..self.event_times.len();
        let table_row = |row: usize| TableRow { columns: &self.columns, row };
        let kinds = || view.cells().zip(view.cell_columns());
        // A column without a gap is read where it lies, others row by row.
        let whole: Vec<Option<CellColumn<'_>>> =
            kinds().map(|(kind, column)| self.columns[column].whole(kind)).collect();
        let mut parts: Vec<Option<Cells>> = kinds()
            .zip(&whole)
            .map(|((kind, _), whole)| whole.is_none().then(|| Cells::new(kind, rows.len())))
            .collect();
        if parts.iter().any(Option::is_some) {
            for row in rows.clone() {
                for (part, cell) in parts.iter_mut().zip(view.read_cells(&table_row(row))) {
                    if let Some(part) = part {
                        part.push(cell);
                    }
                }
            }
        }
        let columns: Vec<CellColumn<'_>> = whole
            .iter()
            .zip(&parts)
            .filter_map(|(whole, part)| (*whole).or(part.as_ref().map(Cells::column)))
            .collect();
        let refused = |error: dhow_sweep::SweepError| OfflineError::Table {
            table: view.name().to_owned(),
            reason: error.to_string(),
        };
        let event_keys = rows.map(|row| view.entity_of(&table_row(row)));
        let entities = densify(event_keys, point_keys).map_err(refused)?;
        let events = Events {
            entities: &entities.events,
            entity_count: entities.count,
            event_times: &self.event_times,
            known_times: self.known_times.as_deref(),
            ids: self.ids.as_deref(),
            columns: &columns,
        };
        sweep(view, &events, &Points { entities: &entities.points, at }).map_err(refused)
    }
}

impl TypedColumn {
    /// The values as a view's cells of this kind, where they are just that and each row has one.
    fn whole(&self, kind: CellKind) -> Option<CellColumn<'_>> {
        match (kind, self) {
            (CellKind::Integer, Self::Int(array)) if array.null_count() == 0 => {
                Some(CellColumn::Integer { values: array.values(), valid: None })
            }
            (CellKind::Integer, Self::Time(array)) if array.null_count() == 0 => {
                Some(CellColumn::Integer { values: array.values(), valid: None })
            }
            (CellKind::Float, Self::Float(array)) if array.null_count() == 0 => {
                Some(CellColumn::Float { values: array.values(), valid: None })
            }
            _ => None,
        }
    }
}

/// One cell of all events.
pub(crate) enum Cells {
    Integer(Vec<i64>, Vec<bool>),
    Float(Vec<f64>, Vec<bool>),
    Token(Vec<u128>, Vec<bool>),
}

impl Cells {
    pub(crate) fn new(kind: CellKind, rows: usize) -> Self {
        let valid = Vec::with_capacity(rows);
        match kind {
            CellKind::Integer => Self::Integer(Vec::with_capacity(rows), valid),
            CellKind::Float => Self::Float(Vec::with_capacity(rows), valid),
            CellKind::Token => Self::Token(Vec::with_capacity(rows), valid),
        }
    }

    pub(crate) fn push(&mut self, cell: Cell) {
        match self {
            Self::Integer(values, valid) => {
                push(values, valid, if let Cell::Integer(value) = cell { Some(value) } else { None })
            }
            Self::Float(values, valid) => {
                push(values, valid, if let Cell::Float(value) = cell { Some(value) } else { None })
            }
            Self::Token(values, valid) => {
                push(values, valid, if let Cell::Token(value) = cell { Some(value) } else { None })
            }
        }
    }

    pub(crate) fn column(&self) -> CellColumn<'_> {
        match self {
            Self::Integer(values, valid) => CellColumn::Integer { values, valid: Some(valid) },
            Self::Float(values, valid) => CellColumn::Float { values, valid: Some(valid) },
            Self::Token(values, valid) => CellColumn::Token { values, valid: Some(valid) },
        }
    }
}

fn push<T: Default>(values: &mut Vec<T>, valid: &mut Vec<bool>, value: Option<T>) {
    valid.push(value.is_some());
    values.push(value.unwrap_or_default());
}

/// Columns of answers, NaN where there is none.
#[derive(Default)]
struct Computed {
    names: Vec<String>,
    values: Vec<Vec<f64>>,
}

impl Computed {
    /// A ratio's parts are features, earlier ratios, or number columns of `spine`.
    fn add_ratios(&mut self, features: &FeatureSet, spine: &RecordBatch) -> Result<(), OfflineError> {
        for ratio in features.ratios() {
            let column = |name: &str| -> Result<Cow<'_, [f64]>, OfflineError> {
                if let Some(place) = self.names.iter().position(|known| known == name) {
                    return Ok(Cow::Borrowed(&self.values[place]));
                }
                let reason =
                    || format!("ratio `{}` names `{name}`, which is no feature and no number column", ratio.name);
                let own = spine.column_by_name(name).filter(|column| column.data_type().is_numeric());
                let own = own.and_then(|column| cast(column, &DataType::Float64).ok());
                let own =
                    own.ok_or_else(|| OfflineError::Table { table: features.name().to_owned(), reason: reason() })?;
                let numbers = own.as_primitive::<Float64Type>();
                Ok(numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
            };
            let (above, below) = (column(&ratio.numerator)?, column(&ratio.denominator)?);
            let values = above.iter().zip(&*below).map(|(above, below)| Ratio::of(*above, *below)).collect();
            self.names.push(ratio.name.clone());
            self.values.push(values);
        }
        Ok(())
    }

    /// The computed columns after those of `spine`.
    fn beside(&self, spine: &RecordBatch) -> Result<RecordBatch, OfflineError> {
        let refused = |reason: String| OfflineError::Table { table: "the output".to_owned(), reason };
        let schema = spine.schema();
        let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
        let mut columns: Vec<ArrayRef> = spine.columns().to_vec();
        for (name, values) in self.names.iter().zip(&self.values) {
            if schema.column_with_name(name).is_some() {
                return Err(refused(format!("the spine has a column `{name}` already; name the view otherwise")));
            }
            fields.push(Arc::new(Field::new(name, DataType::Float64, true)));
            let column: Float64Array = values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect();
            columns.push(Arc::new(column));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| refused(error.to_string()))
    }
}
