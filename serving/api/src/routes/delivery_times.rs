//! How long a parcel takes, and the day to promise.

use axum::Json;
use axum::extract::State;
use dhow_engine::{DeliveryAsk, Parcel, PromiseCosts, Stage};
use dhow_events::{CarrierId, MINUTE_MICROS, OrderId, Region, SellerId, ShipmentId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::JsonBody;
use crate::problem::Problem;

/// The moment that time counts from.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CountedFrom {
    /// The order.
    #[default]
    Ordered,
    /// Leaving the seller.
    Dispatched,
}

/// What it costs to be wrong, in any one unit of money.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CostsRequest {
    /// Of a parcel that comes after the promised day.
    #[serde(default)]
    late: f64,
    /// Of each day that it comes after.
    #[serde(default)]
    late_per_day: f64,
    /// Of each day that it could have been promised earlier; above 0.
    early_per_day: f64,
}

/// A parcel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryTimeRequest {
    /// `ordered` where it is absent.
    #[serde(default)]
    from: CountedFrom,
    /// That moment; now where it is absent.
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    #[schema(value_type = String)]
    seller: SellerId,
    /// Who carries it; it counts from the dispatch on.
    #[schema(value_type = Option<String>)]
    carrier: Option<CarrierId>,
    /// From where.
    #[schema(value_type = String, example = "GB")]
    origin: Region,
    /// To where.
    #[schema(value_type = String, example = "DE")]
    destination: Region,
    /// The place of delivery, degrees north.
    latitude: f64,
    /// The place of delivery, degrees east.
    longitude: f64,
    weight_grams: i64,
    /// Its order, which the record of the answer then names.
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Its id, which the record of the answer then names.
    #[schema(value_type = Option<String>)]
    shipment: Option<ShipmentId>,
    /// With these a day to promise is chosen.
    costs: Option<CostsRequest>,
}

/// A quantile of the time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryQuantile {
    /// Between 0 and 1.
    quantile: f64,
    /// The parcel takes no longer than this with that probability.
    minutes: f64,
    /// It has then arrived by this time.
    #[schema(value_type = String)]
    arrives_by: Timestamp,
}

/// The day to promise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromiseAnswer {
    /// The end of the day, UTC.
    #[schema(value_type = String)]
    by: Timestamp,
    /// The probability that the parcel comes later.
    probability_late: f64,
    /// In the unit of the costs.
    expected_cost: f64,
}

/// How long a parcel takes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryTimeAnswer {
    from: CountedFrom,
    #[schema(value_type = String)]
    at: Timestamp,
    quantiles: Vec<DeliveryQuantile>,
    /// Null where no costs were given.
    #[schema(required)]
    promise: Option<PromiseAnswer>,
    #[serde(flatten)]
    model: ModelPart,
}

/// Tell how long a parcel takes, and the day to promise.
///
/// Quantiles at 10, 50 and 90 % from what is known at the moment, calibrated in each region of delivery; with costs, the day
/// whose expected cost of late and early is least. The answer follows the parcels that arrived, and is recorded as a decision.
#[utoipa::path(
    post, path = "/v1/delivery-times", tag = "models", request_body = DeliveryTimeRequest,
    responses((status = 200, body = DeliveryTimeAnswer)),
)]
pub(crate) async fn post_delivery_times(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<DeliveryTimeRequest>,
) -> Result<Json<DeliveryTimeAnswer>, Problem> {
    let request = body.value;
    let at = request.at.unwrap_or_else(|| app.engine.clock().now());
    let stage = match request.from {
        CountedFrom::Ordered => Stage::Ordered,
        CountedFrom::Dispatched => Stage::Dispatched,
    };
    let parcel = Parcel {
        seller: request.seller,
        carrier: request.carrier,
        origin: request.origin,
        destination: request.destination,
        latitude: request.latitude,
        longitude: request.longitude,
        weight_grams: request.weight_grams,
        at,
    };
    let costs = request.costs.map(|costs| PromiseCosts {
        late: costs.late,
        late_per_day: costs.late_per_day,
        early_per_day: costs.early_per_day,
    });
    let ask = DeliveryAsk { stage, parcel, order: request.order, shipment: request.shipment, costs };
    let (told, model) = ModelPart::split(app.engine.delivery_time(caller.tenant, &ask).await?);
    let quantile = |(quantile, minutes): (f64, f64)| DeliveryQuantile {
        quantile,
        minutes,
        arrives_by: at + (minutes * MINUTE_MICROS as f64) as i64,
    };
    let promise = told.promise.map(|promise| PromiseAnswer {
        by: promise.by,
        probability_late: promise.probability_late,
        expected_cost: promise.expected_cost,
    });
    Ok(Json(DeliveryTimeAnswer {
        from: request.from,
        at,
        quantiles: [0.1, 0.5, 0.9].into_iter().zip(told.minutes).map(quantile).collect(),
        promise,
        model,
    }))
}
