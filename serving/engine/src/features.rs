//! Feature values as a request at this moment would read them, for people and for programs; it computes nothing itself.

use dhow_definitions::View;
use dhow_events::{ColumnType, IdKind, TenantId, Timestamp};
use serde::Serialize;

use crate::error::unread;
use crate::{Engine, EngineError};

/// One feature's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureReading {
    /// The feature's name.
    pub name: String,
    /// Its value; nothing where there is none.
    pub value: Option<f64>,
}

/// The features of one entity in one view.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ViewReading {
    /// The view's name.
    pub view: String,
    /// The time that they are as of.
    pub at: Timestamp,
    /// The features in the view's order.
    pub features: Vec<FeatureReading>,
}

impl Engine {
    /// The features of the entity `id` (an id such as `buy_…`) in every view that has such an entity.
    ///
    /// # Errors
    /// An id of no kind that a view has.
    pub fn entity_features(&self, tenant: TenantId, id: &str) -> Result<Vec<ViewReading>, EngineError> {
        let at = self.clock().now();
        let set = self.features();
        let mut readings = Vec::new();
        for (number, view) in set.views().iter().enumerate() {
            let Some(kind) = single_entity(view) else { continue };
            let Ok(key) = kind.parse(id) else { continue };
            let mut values = Vec::with_capacity(view.features().len());
            self.shared().reading(|features| features.read(tenant, number, key, at, &mut values)).map_err(unread)?;
            let named = view.features().iter().zip(&values);
            let reading = |(feature, value): (&dhow_definitions::Feature, &f64)| FeatureReading {
                name: feature.name().to_owned(),
                value: Some(*value).filter(|value| value.is_finite()),
            };
            readings.push(ViewReading { view: view.name().to_owned(), at, features: named.map(reading).collect() });
        }
        if readings.is_empty() {
            return Err(EngineError::invalid(
                "/id",
                format!("`{id}` is not an id of an entity that features are kept for"),
            ));
        }
        Ok(readings)
    }
}

/// The kind of id that a view is keyed by, where it is one id.
fn single_entity(view: &View) -> Option<IdKind> {
    match view.entity_types().as_slice() {
        [ColumnType::Id(kind)] => Some(*kind),
        _ => None,
    }
}
