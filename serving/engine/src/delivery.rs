//! Delivery times from the champion in memory, and the day to promise; nothing is decided or recorded here.

use dhow_delivery::{DeliveryError, LEVELS, Parcel, Promise, PromiseCosts, Stage, promise};
use dhow_events::TenantId;

use crate::{Engine, EngineError};

/// A question for a delivery time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeliveryAsk {
    /// The moment that time counts from.
    pub stage: Stage,
    /// The parcel at that moment.
    pub parcel: Parcel,
    /// What it costs to be wrong, where a day is to be promised.
    pub costs: Option<PromiseCosts>,
}

/// How long a parcel takes.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryTime {
    /// The quantiles of the minutes at 10, 50 and 90 %.
    pub minutes: [f64; LEVELS.len()],
    /// The day to promise, where its costs were given.
    pub promise: Option<Promise>,
    /// The model.
    pub model: String,
}

impl Engine {
    /// How long a parcel takes from a moment on, as far as is known then.
    ///
    /// # Errors
    /// No model in force, or a value out of its range.
    pub fn delivery_time(&self, tenant: TenantId, ask: &DeliveryAsk) -> Result<DeliveryTime, EngineError> {
        let models = self.shared().champions.of(tenant);
        let champion = models.delivery.as_ref().ok_or(EngineError::NoModel { task: "delivery" })?;
        let minutes = champion.model.minutes(ask.stage, &ask.parcel).map_err(|error| refused("", error))?;
        let promised = |costs: &PromiseCosts| promise(ask.parcel.at, &minutes, costs);
        let promise = ask.costs.as_ref().map(promised).transpose().map_err(|error| refused("/costs", error))?;
        Ok(DeliveryTime { minutes, promise, model: champion.label.to_string() })
    }
}

fn refused(folder: &str, error: DeliveryError) -> EngineError {
    match &error {
        DeliveryError::Value { name, .. } => EngineError::invalid(format!("{folder}/{name}"), error.to_string()),
        _ => EngineError::Failed { part: "delivery model", reason: error.to_string() },
    }
}
