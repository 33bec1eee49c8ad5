//! Which features a request about one fact reads, of which entities, in which order; it reads no state itself.

use dhow_events::{ColumnType, Fact, FactKind};

use crate::filter::BoundFilter;
use crate::{DefinitionError, FeatureSet, Ratio, Row, Source, entity_id};

/// A view of the plan and where its features stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedView {
    /// The number of the view in its set.
    pub view: usize,
    /// Where its first feature stands in the vector.
    pub offset: usize,
    /// How many features it has.
    pub width: usize,
    entity_columns: Vec<usize>,
}

/// The vector that is read for a fact of one kind, the *spine*: features of every view whose entity the fact names, then
/// the fact's own numbers, then flags, then ratios.
///
/// A view of facts belongs to the plan if each of its entity columns is a column of the spine, of the same name and type. The
/// fact's own numbers are its integers, floats and booleans, but not amounts in changing currencies, which cannot be
/// compared (`*_minor` without `_usd_minor`).
#[derive(Debug, Clone, PartialEq)]
pub struct VectorPlan {
    spine: FactKind,
    names: Vec<String>,
    views: Vec<PlannedView>,
    own_columns: Vec<usize>,
    flags: Vec<BoundFilter>,
    ratios: Vec<(usize, usize)>,
}

impl VectorPlan {
    /// The plan of `set` for requests about facts of kind `spine`.
    ///
    /// # Errors
    /// No view has an entity that the spine names, or two numbers of the vector would share a name.
    pub fn new(set: &FeatureSet, spine: FactKind) -> Result<Self, DefinitionError> {
        let mut plan = Self {
            spine,
            names: Vec::new(),
            views: Vec::new(),
            own_columns: Vec::new(),
            flags: Vec::new(),
            ratios: Vec::new(),
        };
        plan.push_views(set);
        if plan.views.is_empty() {
            let message = format!("no view of `{}` has an entity that `{}` names", set.name(), spine.name());
            return Err(DefinitionError::Meaning(message));
        }
        plan.push_own_columns();
        for flag in set.flags().iter().filter(|flag| flag.source == spine) {
            plan.names.push(flag.name.clone());
            plan.flags.push(flag.bound.clone());
        }
        plan.push_ratios(set);
        plan.check_names()?;
        Ok(plan)
    }

    fn push_views(&mut self, set: &FeatureSet) {
        let spine = Source::Fact(self.spine);
        let views = set.views().iter().enumerate();
        for (number, view) in views.filter(|(_, view)| view.source().fact().is_some()) {
            let columns = view.entity().iter().zip(view.entity_types()).map(|(name, wanted)| {
                spine.find(name).ok().filter(|(_, column_type)| *column_type == wanted).map(|(index, _)| index)
            });
            let Some(entity_columns) = columns.collect::<Option<Vec<usize>>>() else { continue };
            let (offset, width) = (self.names.len(), view.features().len());
            self.names.extend(view.features().iter().map(|feature| feature.name().to_owned()));
            self.views.push(PlannedView { view: number, offset, width, entity_columns });
        }
    }

    fn push_own_columns(&mut self) {
        for (index, column) in self.spine.columns().iter().enumerate() {
            let number = matches!(column.column_type, ColumnType::Int | ColumnType::Float | ColumnType::Bool);
            let comparable = !column.name.ends_with("_minor") || column.name.ends_with("_usd_minor");
            if number && comparable {
                self.names.push(format!("{}_{}", self.spine.name(), column.name));
                self.own_columns.push(index);
            }
        }
    }

    fn push_ratios(&mut self, set: &FeatureSet) {
        let place = |names: &[String], name: &str| names.iter().position(|known| known == name);
        for ratio in set.ratios() {
            if let (Some(numerator), Some(denominator)) =
                (place(&self.names, &ratio.numerator), place(&self.names, &ratio.denominator))
            {
                self.names.push(ratio.name.clone());
                self.ratios.push((numerator, denominator));
            }
        }
    }

    fn check_names(&self) -> Result<(), DefinitionError> {
        let mut sorted: Vec<&str> = self.names.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => Err(DefinitionError::Meaning(format!("two numbers of the vector are called `{}`", pair[0]))),
        }
    }

    /// The kind of fact that requests are about.
    pub fn spine(&self) -> FactKind {
        self.spine
    }

    /// The names of the vector's numbers, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The views that are read, in the order of the vector.
    pub fn views(&self) -> &[PlannedView] {
        &self.views
    }

    /// The entity of each planned view, as [`entity_id`] gives it; nothing where the fact does not name it, and then the
    /// view's features have no value.
    pub fn keys<'a>(&'a self, fact: &'a Fact) -> impl ExactSizeIterator<Item = Option<u128>> + 'a {
        let of_spine = fact.kind() == self.spine;
        self.views.iter().map(move |view| if of_spine { entity_id(fact, &view.entity_columns) } else { None })
    }

    /// Appends the fact's own numbers, flags and ratios to `values`, which holds the features of all planned views.
    pub fn complete(&self, fact: &Fact, values: &mut Vec<f64>) {
        match fact.kind() == self.spine {
            true => self.complete_row(fact, values),
            false => values.resize(self.names.len(), f64::NAN),
        }
    }

    /// The same for a row of the spine's columns.
    pub fn complete_row<R: Row>(&self, row: &R, values: &mut Vec<f64>) {
        values.extend(self.own_columns.iter().map(|&column| row.value(column).as_number().unwrap_or(f64::NAN)));
        values.extend(self.flags.iter().map(|flag| f64::from(u8::from(flag.holds(row)))));
        for &(numerator, denominator) in &self.ratios {
            values.push(Ratio::of(values[numerator], values[denominator]));
        }
    }
}
