//! Facts as Arrow tables: the schema of each kind and the builder that fills it; files are the lake's.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use dhow_events::{Column, ColumnType, EventId, FactKind, Value};
use dhow_streams::Record;

/// The columns that every table begins with, before the fact's own.
pub const ENVELOPE: [&str; 6] = ["event_id", "tenant", "event_time", "known_time", "log_partition", "log_offset"];

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn data_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Time => time_type(),
        ColumnType::Text | ColumnType::Id(_) => DataType::Utf8,
    }
}

/// The schema of a kind's table: the envelope and then the fact's columns, ids as texts with their prefix.
pub fn schema(kind: FactKind) -> SchemaRef {
    let mut fields = vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("tenant", DataType::Utf8, false),
        Field::new("event_time", time_type(), false),
        Field::new("known_time", time_type(), false),
        Field::new("log_partition", DataType::Int64, false),
        Field::new("log_offset", DataType::Int64, false),
    ];
    fields.extend(kind.columns().iter().map(|c| Field::new(c.name, data_type(c.column_type), c.nullable)));
    Arc::new(Schema::new(fields))
}

enum ColumnBuilder {
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Int => Self::Int(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Text | ColumnType::Id(_) => Self::Text(StringBuilder::new()),
            ColumnType::Time => Self::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        }
    }

    /// Appends a value of the column's own type; anything else counts as missing, and the batch is refused where the
    /// column allows no missing values.
    fn append(&mut self, column: &Column, value: Value<'_>) {
        match (self, value) {
            (Self::Int(builder), Value::Int(number)) => builder.append_value(number),
            (Self::Float(builder), Value::Float(number)) => builder.append_value(number),
            (Self::Bool(builder), Value::Bool(flag)) => builder.append_value(flag),
            (Self::Text(builder), Value::Text(text)) => builder.append_value(text),
            (Self::Text(builder), Value::Id(id)) => match column.column_type {
                ColumnType::Id(kind) => builder.append_value(kind.format(id)),
                _ => builder.append_null(),
            },
            (Self::Time(builder), Value::Time(time)) => builder.append_value(time.micros()),
            (Self::Int(builder), _) => builder.append_null(),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Bool(builder), _) => builder.append_null(),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Time(builder), _) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Int(builder) => ArrayBuilder::finish(builder),
            Self::Float(builder) => ArrayBuilder::finish(builder),
            Self::Bool(builder) => ArrayBuilder::finish(builder),
            Self::Text(builder) => ArrayBuilder::finish(builder),
            Self::Time(builder) => ArrayBuilder::finish(builder),
        }
    }
}

/// Collects records of one kind into a batch.
pub struct TableBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    event_ids: StringBuilder,
    tenants: StringBuilder,
    event_times: TimestampMicrosecondBuilder,
    known_times: TimestampMicrosecondBuilder,
    partitions: Int64Builder,
    offsets: Int64Builder,
    values: Vec<ColumnBuilder>,
    row_count: usize,
}

impl TableBuilder {
    /// An empty table of `kind`.
    pub fn new(kind: FactKind) -> Self {
        let columns = kind.columns();
        Self {
            schema: schema(kind),
            values: columns.iter().map(|column| ColumnBuilder::new(column.column_type)).collect(),
            columns,
            event_ids: StringBuilder::new(),
            tenants: StringBuilder::new(),
            event_times: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            known_times: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            partitions: Int64Builder::new(),
            offsets: Int64Builder::new(),
            row_count: 0,
        }
    }

    /// Appends a record, which must be of the table's kind.
    pub fn push(&mut self, record: &Record) {
        self.event_ids.append_value(EventId::KIND.format(record.event.id.as_u128()));
        self.tenants.append_value(record.event.tenant.as_str());
        self.event_times.append_value(record.event.event_time.micros());
        self.known_times.append_value(record.known_time.micros());
        self.partitions.append_value(i64::from(record.partition));
        self.offsets.append_value(record.offset as i64);
        for (index, (builder, column)) in self.values.iter_mut().zip(&self.columns).enumerate() {
            builder.append(column, record.event.fact.value(index));
        }
        self.row_count += 1;
    }

    /// How many records were appended since the last batch.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Takes what was collected and begins anew.
    ///
    /// # Errors
    /// A value missing where the schema allows none: a record of another kind was appended.
    pub fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.row_count = 0;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.event_ids.finish()),
            Arc::new(self.tenants.finish()),
            Arc::new(self.event_times.finish()),
            Arc::new(self.known_times.finish()),
            Arc::new(self.partitions.finish()),
            Arc::new(self.offsets.finish()),
        ];
        arrays.extend(self.values.iter_mut().map(ColumnBuilder::finish));
        RecordBatch::try_new(self.schema.clone(), arrays)
    }
}
