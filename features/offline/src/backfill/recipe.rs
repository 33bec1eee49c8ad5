//! What a backfill computes, as it travels to whoever computes a part of it, and what follows from it; it reads no table.

use dhow_definitions::{FeatureSet, Filter, Operand, VectorPlan, View};
use dhow_events::{FactKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::OfflineError;
use crate::training_set::reads_from;

/// A backfill as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackfillRequest {
    /// Whose facts.
    pub tenant: TenantId,
    /// The feature definitions, as TOML.
    pub definitions: String,
    /// [`FeatureSet::schema_hash`] of the definitions: a program that reads them otherwise refuses the work.
    pub schema_hash: String,
    /// The kind of fact whose times the rows have.
    pub spine: FactKind,
    /// Spine facts before this time only; all of them where it is absent.
    pub until: Option<Timestamp>,
    /// How far behind their becoming known spine facts can lie and still have a row, as in the online store's settings.
    pub allowed_lateness_micros: i64,
}

/// A request that was checked.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) request: BackfillRequest,
    pub(crate) features: FeatureSet,
    pub(crate) plan: VectorPlan,
    /// The different entities of the plan's views.
    pub(crate) entities: Vec<SpineEntity>,
}

/// An entity that spine facts name, and the views that are kept for it.
#[derive(Debug)]
pub(crate) struct SpineEntity {
    /// The numbers of its columns in the spine's table.
    pub(crate) columns: Vec<usize>,
    /// Views by number.
    pub(crate) views: Vec<usize>,
}

impl Recipe {
    pub(crate) fn new(request: BackfillRequest) -> Result<Self, OfflineError> {
        let spine = request.spine;
        let refused = |reason: String| OfflineError::Table { table: spine.name().to_owned(), reason };
        let features = FeatureSet::from_toml(&request.definitions).map_err(|error| refused(error.to_string()))?;
        let found = features.schema_hash();
        if found != request.schema_hash {
            let wanted = &request.schema_hash;
            return Err(refused(format!(
                "the definitions have the schema hash {found} here, but {wanted} where they were sent from; run the same \
                 version of the program everywhere"
            )));
        }
        let plan = VectorPlan::new(&features, spine).map_err(|error| refused(error.to_string()))?;
        let mut recipe = Self { request, features, plan, entities: Vec::new() };
        recipe.collect_entities();
        Ok(recipe)
    }

    fn collect_entities(&mut self) {
        for planned in self.plan.views() {
            let names = self.features.views()[planned.view].entity();
            let columns: Vec<usize> = names.iter().filter_map(|name| self.request.spine.column_index(name)).collect();
            match self.entities.iter_mut().find(|entity| entity.columns == columns) {
                Some(entity) => entity.views.push(planned.view),
                None => self.entities.push(SpineEntity { columns, views: vec![planned.view] }),
            }
        }
    }

    /// The planned views of facts of `kind`, by number.
    pub(crate) fn views_of(&self, kind: FactKind) -> impl Iterator<Item = (usize, &View)> {
        let planned = self.plan.views().iter().map(|planned| (planned.view, &self.features.views()[planned.view]));
        planned.filter(move |(_, view)| view.source().fact() == Some(kind))
    }

    /// The kinds of fact that the planned views are made of, in the order of their numbers.
    pub(crate) fn kinds(&self) -> Vec<FactKind> {
        FactKind::ALL.iter().copied().filter(|kind| self.views_of(*kind).next().is_some()).collect()
    }

    /// The columns that the views of `kind` read.
    pub(crate) fn columns_of(&self, kind: FactKind) -> Vec<&str> {
        let mut names = Vec::new();
        for (_, view) in self.views_of(kind) {
            names.extend(view.entity().iter().map(String::as_str));
            names.extend(view.features().iter().filter_map(|feature| feature.column()));
            view.filter().into_iter().for_each(|filter| push_columns(filter, &mut names));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a spine fact of these times has a row.
    pub(crate) fn has_row(&self, event_time: Timestamp, known_time: Timestamp) -> bool {
        self.is_asked_for(event_time) && !self.is_too_late(event_time, known_time)
    }

    /// Whether a spine fact lies before the end of the rows.
    pub(crate) fn is_asked_for(&self, event_time: Timestamp) -> bool {
        self.request.until.is_none_or(|until| event_time < until)
    }

    /// Whether the state of a spine fact's time was freed when it became known.
    pub(crate) fn is_too_late(&self, event_time: Timestamp, known_time: Timestamp) -> bool {
        event_time < reads_from(known_time, self.request.allowed_lateness_micros)
    }

    /// Whether an event of a view had happened before all state that was kept when it became known.
    pub(crate) fn counts_nowhere(&self, view: &View, event_time: Timestamp, known_time: Timestamp) -> bool {
        let kept_from = reads_from(known_time, self.request.allowed_lateness_micros) - view.retention_micros();
        event_time < kept_from
    }
}

fn push_columns<'a>(filter: &'a Filter, names: &mut Vec<&'a str>) {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().for_each(|part| push_columns(part, names)),
        Filter::Compare { column, operand, .. } => {
            names.push(column);
            if let Operand::Column(other) = operand {
                names.push(other);
            }
        }
    }
}
