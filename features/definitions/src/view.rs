//! Views: one source of rows, one entity, and the features that are kept for it; compiled to column numbers when made.

use dhow_events::{ColumnType, Value};

use crate::filter::BoundFilter;
use crate::{Accumulator, Aggregate, Cell, DefinitionError, Filter, Row, Source, Window, entity_id};

/// The most features that one view may define.
pub const MAX_FEATURES_PER_VIEW: usize = 256;
/// The most columns that may form a composite entity.
pub const MAX_ENTITY_COLUMNS: usize = 4;

/// What a feature asks for, before its view gives it a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeatureSpec {
    /// What is computed.
    pub aggregate: Aggregate,
    /// Of which column of the source; nothing where the aggregate is of the events themselves.
    pub column: Option<String>,
    /// Over which events.
    pub window: Window,
    /// What [`Aggregate::Ratio`] divides by what; nothing for others.
    pub ratio: Option<RatioParts>,
}

/// The features of the same view and window that a ratio is of, by the middle part of their names:
/// `<column>_<aggregate>`, or `<aggregate>` of the events themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RatioParts {
    /// What is divided.
    pub numerator: String,
    /// By what.
    pub denominator: String,
}

/// One feature of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    name: String,
    spec: FeatureSpec,
    slot: Option<usize>,
    window: usize,
}

impl Feature {
    /// `<source>_<column>_<aggregate>_<window>`, where the source goes by its view's name; unique in the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is computed.
    pub fn aggregate(&self) -> Aggregate {
        self.spec.aggregate
    }

    /// Of which column, if of one.
    pub fn column(&self) -> Option<&str> {
        self.spec.column.as_deref()
    }

    /// Over which events.
    pub fn window(&self) -> Window {
        self.spec.window
    }

    /// What it divides by what, if it is a ratio.
    pub fn ratio(&self) -> Option<&RatioParts> {
        self.spec.ratio.as_ref()
    }

    /// Which of [`View::slots`] computes it; none computes a ratio.
    pub fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// Which of [`View::windows`] it is over.
    pub fn window_index(&self) -> usize {
        self.window
    }
}

/// What an executor keeps of one column for each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// A [`Cell::Integer`].
    Integer,
    /// A [`Cell::Float`].
    Float,
    /// A [`Cell::Token`].
    Token,
}

/// One accumulation that several windows share, and several aggregates (sum and mean, the places of `last_3` or `top_3`,
/// the quantiles of a column): finish its accumulator with [`Feature::aggregate`], not with the slot's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// What is accumulated.
    pub aggregate: Aggregate,
    /// Of which of [`View::cells`]; nothing where it is of the events themselves.
    pub cell: Option<usize>,
    /// What that cell holds.
    pub kind: Option<CellKind>,
}

impl Slot {
    /// An accumulator of nothing yet.
    pub fn accumulator(&self) -> Accumulator {
        Accumulator::new(self.aggregate, self.kind)
    }
}

/// The features of one entity from one source of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    name: String,
    source: Source,
    entity: Vec<String>,
    filter: Option<Filter>,
    features: Vec<Feature>,
    bound_filter: Option<BoundFilter>,
    entity_columns: Vec<usize>,
    cells: Vec<(usize, CellKind)>,
    slots: Vec<Slot>,
    windows: Vec<Window>,
    /// Of each ratio its place among the features, and those of its two parts.
    ratios: Vec<[usize; 3]>,
}

impl View {
    /// A view called `name` of the rows of `source` that pass `filter`, by the columns `entity`.
    ///
    /// # Errors
    /// A name that is not lower-case words, no or too many entity columns or features, an unknown column, an entity
    /// column that is a float, a repeated feature, or an aggregate that does not fit its column or window.
    pub fn new(
        name: &str,
        source: impl Into<Source>,
        entity: Vec<String>,
        filter: Option<Filter>,
        features: Vec<FeatureSpec>,
    ) -> Result<Self, DefinitionError> {
        check_name(name)?;
        let source = source.into();
        let entity_columns = bind_entity(&source, &entity)?;
        let bound_filter = filter.as_ref().map(|filter| filter.bind(&source)).transpose()?;
        if features.is_empty() || features.len() > MAX_FEATURES_PER_VIEW {
            let message =
                format!("view `{name}` has {} features; 1 to {MAX_FEATURES_PER_VIEW} are allowed", features.len());
            return Err(DefinitionError::Meaning(message));
        }
        let mut view = Self {
            name: name.to_owned(),
            source,
            entity,
            filter,
            features: Vec::with_capacity(features.len()),
            bound_filter,
            entity_columns,
            cells: Vec::new(),
            slots: Vec::new(),
            windows: Vec::new(),
            ratios: Vec::new(),
        };
        for spec in features {
            view.push_feature(spec)?;
        }
        for place in 0..view.features.len() {
            view.bind_ratio(place)?;
        }
        Ok(view)
    }

    fn push_feature(&mut self, spec: FeatureSpec) -> Result<(), DefinitionError> {
        let column = spec.column.as_deref().map(|name| self.source.find(name)).transpose()?;
        spec.aggregate.check(column.map(|(_, column_type)| column_type), spec.window)?;
        let (slot, middle) = match &spec.ratio {
            Some(RatioParts { numerator, denominator }) if spec.aggregate == Aggregate::Ratio => {
                (None, format!("{numerator}_per_{denominator}"))
            }
            None if spec.aggregate != Aggregate::Ratio => {
                let column_name = spec.column.as_ref().map_or_else(String::new, |name| format!("{name}_"));
                (Some(self.slot_of(spec.aggregate, column)), format!("{column_name}{}", spec.aggregate))
            }
            _ => {
                let message = "`numerator` and `denominator` belong to the aggregate `ratio`, which needs both";
                return Err(DefinitionError::Meaning(message.to_owned()));
            }
        };
        let window = position_or_push(&mut self.windows, spec.window);
        let name = self.feature_name(&middle, spec.window);
        if self.features.iter().any(|feature| feature.name == name) {
            return Err(DefinitionError::Meaning(format!("feature `{name}` is defined twice")));
        }
        self.features.push(Feature { name, spec, slot, window });
        Ok(())
    }

    fn feature_name(&self, middle: &str, window: Window) -> String {
        format!("{}_{middle}_{window}", self.name)
    }

    fn slot_of(&mut self, aggregate: Aggregate, column: Option<(usize, ColumnType)>) -> usize {
        let cell = column.map(|(index, column_type)| (index, cell_kind(aggregate, column_type)));
        let kind = cell.map(|(_, kind)| kind);
        let cell = cell.map(|cell| position_or_push(&mut self.cells, cell));
        position_or_push(&mut self.slots, Slot { aggregate: aggregate.accumulation(), cell, kind })
    }

    /// Finds the parts of the feature at `place`, if it is a ratio.
    fn bind_ratio(&mut self, place: usize) -> Result<(), DefinitionError> {
        let feature = &self.features[place];
        let Some(RatioParts { numerator, denominator }) = &feature.spec.ratio else { return Ok(()) };
        let find = |part: &str| {
            let name = self.feature_name(part, feature.spec.window);
            let found = self.features.iter().position(|known| known.name == name && known.slot.is_some());
            let message =
                || format!("`{}` needs a feature `{name}` of the same view, and no ratio; define it too", feature.name);
            found.ok_or_else(|| DefinitionError::Meaning(message()))
        };
        let bound = [place, find(numerator)?, find(denominator)?];
        self.ratios.push(bound);
        Ok(())
    }

    /// The name of the filtered source, unique in the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is made of.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The columns whose values form the entity.
    pub fn entity(&self) -> &[String] {
        &self.entity
    }

    /// Which rows of the source count; nothing means all.
    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// Its features, in the order of the definition.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The different accumulations behind the features.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The different windows of the features.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The places of the ratios among the features, each with those of its numerator and its denominator.
    pub fn ratios(&self) -> &[[usize; 3]] {
        &self.ratios
    }

    /// What is kept of each event, besides its times and id.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = CellKind> + '_ {
        self.cells.iter().map(|(_, kind)| *kind)
    }

    /// For each of [`View::cells`] the number of the source's column that it is read from.
    pub fn cell_columns(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.cells.iter().map(|&(column, _)| column)
    }

    /// The values of [`View::cells`] in a row of the source.
    pub fn read_cells<'a, R: Row>(&'a self, row: &'a R) -> impl ExactSizeIterator<Item = Cell> + 'a {
        self.cells.iter().map(|&(column, kind)| read_cell(kind, row.value(column)))
    }

    /// The entity of a row of the source: nothing where the row does not pass the filter or lacks an entity value.
    pub fn entity_of<R: Row>(&self, row: &R) -> Option<u128> {
        if self.bound_filter.as_ref().is_some_and(|filter| !filter.holds(row)) {
            return None;
        }
        entity_id(row, &self.entity_columns)
    }

    /// How far before an instant an event can lie and still be needed for a read at it, in microseconds. Older events
    /// are either outside of every window or, in windows `ever`, inside for good.
    pub fn retention_micros(&self) -> i64 {
        self.windows.iter().map(Window::reach_micros).max().unwrap_or(0)
    }

    /// Whether some window has no start, so that old events count for ever.
    pub fn counts_for_ever(&self) -> bool {
        self.windows.iter().any(|window| window.length_micros().is_none())
    }

    /// The types of [`View::entity`]'s columns, in their order.
    pub fn entity_types(&self) -> Vec<ColumnType> {
        let columns = self.source.columns();
        self.entity_columns.iter().map(|&index| columns[index].column_type).collect()
    }
}

fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Names become columns of tables, so they are lower-case words joined by underscores.
pub(crate) fn check_name(name: &str) -> Result<(), DefinitionError> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    match fits {
        true => Ok(()),
        false => Err(DefinitionError::Meaning(format!(
            "`{name}` is not a name: 1 to 64 characters a-z, 0-9 and _, beginning with a letter"
        ))),
    }
}

pub(crate) fn bind_entity(source: &Source, entity: &[String]) -> Result<Vec<usize>, DefinitionError> {
    if entity.is_empty() || entity.len() > MAX_ENTITY_COLUMNS {
        let message = format!("an entity has 1 to {MAX_ENTITY_COLUMNS} columns; this one has {}", entity.len());
        return Err(DefinitionError::Meaning(message));
    }
    let mut columns = Vec::with_capacity(entity.len());
    for name in entity {
        let (index, column_type) = source.find(name)?;
        if column_type == ColumnType::Float {
            return Err(DefinitionError::Meaning(format!("`{name}` is a float and cannot tell entities apart")));
        }
        if columns.contains(&index) {
            return Err(DefinitionError::Meaning(format!("`{name}` stands twice in the entity")));
        }
        columns.push(index);
    }
    Ok(columns)
}

fn cell_kind(aggregate: Aggregate, column_type: ColumnType) -> CellKind {
    match column_type {
        _ if aggregate.reads_tokens() => CellKind::Token,
        ColumnType::Text | ColumnType::Id(_) => CellKind::Token,
        ColumnType::Float => CellKind::Float,
        ColumnType::Int | ColumnType::Bool | ColumnType::Time => CellKind::Integer,
    }
}

fn read_cell(kind: CellKind, value: Value<'_>) -> Cell {
    match (kind, value) {
        (_, Value::Null) => Cell::Missing,
        (CellKind::Token, Value::Float(number)) => match Cell::of_float(number) {
            Cell::Float(admitted) => Cell::Token(crate::key::token(Value::Float(admitted))),
            _ => Cell::Missing,
        },
        (CellKind::Token, value) => Cell::Token(crate::key::token(value)),
        (_, Value::Int(number)) => Cell::Integer(number),
        (_, Value::Bool(flag)) => Cell::Integer(i64::from(flag)),
        (_, Value::Time(time)) => Cell::Integer(time.micros()),
        (_, Value::Float(number)) => Cell::of_float(number),
        (_, Value::Text(_) | Value::Id(_)) => Cell::Missing,
    }
}
