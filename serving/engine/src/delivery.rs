//! Delivery times from the champion in memory, and the day to promise, recorded as decisions.

use dhow_commerce::{DecisionKind, Reason};
use dhow_delivery::{DeliveryError, Expectation, LEVELS, Parcel, Promise, PromiseCosts, Stage, promise};
use dhow_events::facts::DeliveryTimeServed;
use dhow_events::{DecisionId, OrderId, ShipmentId, TenantId};

use crate::decisions::Question;
use crate::{Answer, Engine, EngineError};

/// A question for a delivery time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeliveryAsk {
    /// The moment that time counts from.
    pub stage: Stage,
    /// The parcel at that moment.
    pub parcel: Parcel,
    /// Its order, where it has one already.
    pub order: Option<OrderId>,
    /// Its id, where it has one already.
    pub shipment: Option<ShipmentId>,
    /// What it costs to be wrong, where a day is to be promised.
    pub costs: Option<PromiseCosts>,
}

/// How long a parcel takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeliveryTime {
    /// The quantiles of the minutes at 10, 50 and 90 %.
    pub minutes: [f64; LEVELS.len()],
    /// The day to promise, where its costs were given.
    pub promise: Option<Promise>,
}

impl Engine {
    /// How long a parcel takes from a moment on, as far as is known then.
    ///
    /// # Errors
    /// No model in force, or a value out of its range; the decision cannot be written.
    pub async fn delivery_time(
        &self,
        tenant: TenantId,
        ask: &DeliveryAsk,
    ) -> Result<Answer<DeliveryTime>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.delivery.as_ref().ok_or(EngineError::NoModel { task: "delivery" })?;
        let minutes = champion.model.minutes(ask.stage, &ask.parcel).map_err(|error| refused("", error))?;
        let expected = champion.model.expectation(ask.stage, &ask.parcel).map_err(|error| refused("", error))?;
        let promised = |costs: &PromiseCosts| promise(ask.parcel.at, &minutes, costs);
        let promise = ask.costs.as_ref().map(promised).transpose().map_err(|error| refused("/costs", error))?;
        let latency_us = self.stopwatch().now().micros_since(begin);
        let decision = DecisionId::at(now, self.random());
        let (value, model) = (DeliveryTime { minutes, promise }, champion.label.to_string());
        let answer = Answer { value, model, decision, reasons: reasons(&expected), degraded: false, latency_us };
        self.record_soon(answer.record(question(tenant, ask, &answer.value, now)), served(ask, &answer).into()).await?;
        Ok(answer)
    }
}

/// What past deliveries expect of the parcel, as logarithms that add up.
fn reasons(expected: &Expectation) -> Vec<Reason> {
    let hours = expected.lane_minutes / 60.0;
    let lane = Reason {
        code: "lane".to_owned(),
        text: format!("a parcel between these regions usually takes {hours:.1} hours"),
        contribution: expected.lane_minutes.ln(),
    };
    let factors = [("place", expected.place), ("seller", expected.seller), ("carrier", expected.carrier)];
    let of_factor = |(code, factor): (&str, f64)| Reason {
        code: code.to_owned(),
        text: format!("the {code} makes it {:+.1} %", 100.0 * (factor - 1.0)),
        contribution: factor.ln(),
    };
    let mut factors: Vec<Reason> = factors.into_iter().filter(|(_, factor)| *factor != 1.0).map(of_factor).collect();
    factors.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()));
    std::iter::once(lane).chain(factors).collect()
}

fn question(tenant: TenantId, ask: &DeliveryAsk, told: &DeliveryTime, at: dhow_events::Timestamp) -> Question {
    let parcel = &ask.parcel;
    let subject = match (ask.shipment, ask.order) {
        (Some(shipment), _) => shipment.to_string(),
        (None, Some(order)) => order.to_string(),
        (None, None) => parcel.seller.to_string(),
    };
    let costs = ask.costs.map(|costs| {
        serde_json::json!({ "late": costs.late, "late_per_day": costs.late_per_day, "early_per_day": costs.early_per_day })
    });
    let promise = told.promise.map(|promise| {
        serde_json::json!({
            "by": promise.by, "probability_late": promise.probability_late, "expected_cost": promise.expected_cost,
        })
    });
    Question {
        tenant,
        kind: DecisionKind::DeliveryTime,
        subject,
        request: serde_json::json!({
            "from": ask.stage.as_str(), "at": parcel.at, "order": ask.order, "shipment": ask.shipment, "seller": parcel.seller,
            "carrier": parcel.carrier, "origin": parcel.origin, "destination": parcel.destination,
            "latitude": parcel.latitude, "longitude": parcel.longitude, "weight_grams": parcel.weight_grams, "costs": costs,
        }),
        answer: serde_json::json!({ "minutes": told.minutes, "promise": promise }),
        at,
    }
}

fn served(ask: &DeliveryAsk, answer: &Answer<DeliveryTime>) -> DeliveryTimeServed {
    let [minutes_p10, minutes_p50, minutes_p90] = answer.value.minutes;
    DeliveryTimeServed {
        seller: ask.parcel.seller,
        decision: answer.decision,
        order: ask.order,
        shipment: ask.shipment,
        carrier: ask.parcel.carrier,
        origin: ask.parcel.origin,
        destination: ask.parcel.destination,
        counted_from: ask.stage.as_str().to_owned(),
        counted_at: ask.parcel.at,
        model: answer.model.clone(),
        minutes_p10,
        minutes_p50,
        minutes_p90,
        promised_at: answer.value.promise.map(|promise| promise.by),
    }
}

fn refused(folder: &str, error: DeliveryError) -> EngineError {
    match &error {
        DeliveryError::Value { name, .. } => EngineError::invalid(format!("{folder}/{name}"), error.to_string()),
        _ => EngineError::Failed { part: "delivery model", reason: error.to_string() },
    }
}
