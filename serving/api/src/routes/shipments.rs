//! Shipments: what carriers ask, what goes out, labels given up, carriers' messages; their rules are commerce's.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    DeliveryPlace, OrderShipment, Page, ShipmentFilter, ShipmentInput, ShipmentState, ShipmentStorage, SignedNotice,
};
use dhow_engine::ShippingAsk;
use dhow_events::{BuyerId, Currency, OrderId, Region, SellerId, ShipmentId};
use dhow_shipping::{CarrierFailure, Offer, Parcel, Shopped};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::returns::{UnitsBody, tagged};
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JSON_TYPE, JsonBody, Parameters, PathId, RawBody, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// A parcel.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping reads")]
pub(crate) struct ParcelBody {
    /// Packaging included; at most 1,000,000.
    weight_grams: u32,
    /// At most 5,000, as are the others.
    length_mm: u32,
    width_mm: u32,
    height_mm: u32,
}

/// The place of delivery.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct PlaceBody {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
}

/// A shipment that is asked for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct ShipmentRequest {
    /// Its name, as `POST /v1/shipping-quotes` gives it.
    #[schema(example = "simulated_post")]
    carrier: String,
    /// From where.
    #[schema(example = "GB")]
    from: String,
    /// Kept to a hundredth of a degree, and only until the carrier has the parcels.
    place: PlaceBody,
    /// Each product of the order at most once.
    units: Vec<UnitsBody>,
    /// 1 to 100.
    parcels: Vec<ParcelBody>,
}

/// When it is to be there.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct ShippingPromise {
    /// Before this, one in ten.
    p10: String,
    /// Before this, nine in ten.
    p90: String,
    /// `model` or `carrier`: who says so.
    by: String,
}

/// A label.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct LabelAnswer {
    /// The key under which the carrier is asked, every time.
    idempotency_key: String,
    requested_at: String,
    /// `asked`, `made`, `refused`, or `unknown` where the carrier did not answer for half an hour.
    state: String,
    /// When the carrier is asked again.
    next_at: Option<String>,
    /// The carrier's number, once it is made.
    tracking_number: Option<String>,
    /// Why it was refused.
    reason: Option<String>,
}

/// The giving up of a label.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct LabelVoidAnswer {
    requested_at: String,
    /// `asked`, `done`, `refused`, or `unknown` where the carrier did not answer for half an hour.
    state: String,
    /// When the carrier is asked again.
    next_at: Option<String>,
    /// Why it was refused.
    reason: Option<String>,
}

/// An event of a carrier.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping reads")]
pub(crate) struct TrackerEventBody {
    /// The carrier's own name for it; an event that comes again has the same. At most 100 bytes.
    reference: String,
    /// `label_made`, `handed_over`, `in_transit`, `exception`, `out_for_delivery`, `delivered` or `returned`.
    status: String,
    /// By the carrier's clock.
    occurred_at: String,
    /// In words; at most 200 bytes.
    #[schema(required = false)]
    place: String,
}

/// What a carrier told of a shipment.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct TrackerAnswer {
    /// In the order in which they came; at most 200.
    events: Vec<TrackerEventBody>,
    /// What follows from them; null before the first.
    #[schema(required)]
    status: Option<String>,
}

/// A shipment of units of an order.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct ShipmentAnswer {
    tenant: String,
    id: String,
    order: String,
    checkout: String,
    payment: String,
    buyer: String,
    seller: String,
    /// Who carries it, by name.
    carrier: String,
    /// The carrier as `POST /v1/delivery-times` knows it.
    carrier_id: String,
    service: String,
    from: String,
    to: String,
    /// The place of delivery; null once the carrier has the parcels.
    #[schema(required)]
    place: Option<PlaceBody>,
    /// What the carrier asks for it.
    price: schemas::Money,
    promise: ShippingPromise,
    label: LabelAnswer,
    /// Null where nobody asked to give the label up.
    #[schema(required)]
    void: Option<LabelVoidAnswer>,
    units: Vec<UnitsBody>,
    parcels: Vec<ParcelBody>,
    tracker: TrackerAnswer,
    /// Whether its label was refused or given up.
    called_off: bool,
    /// When the carrier had it, by the carrier's clock; null before.
    #[schema(required)]
    dispatched_at: Option<String>,
    /// `asked`, `ready`, `refused`, `unknown`, `voiding`, `voided`, `in_transit`, `delivered` or `returned`.
    state: String,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
}

/// A page of shipments.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct ShipmentPage {
    items: Vec<ShipmentAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What a carrier tells.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct CarrierNoticeBody {
    tenant: String,
    /// The key that the label was asked for with.
    shipment: String,
    /// The carrier's number.
    tracking_number: String,
    /// 1 to 100.
    events: Vec<TrackerEventBody>,
}

/// Parcels that are to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShippingQuoteRequest {
    /// From where.
    #[schema(value_type = String, example = "GB")]
    from: Region,
    /// To where.
    #[schema(value_type = String, example = "NG-LA")]
    to: Region,
    /// 1 to 100.
    #[schema(value_type = Vec<ParcelBody>)]
    parcels: Vec<Parcel>,
    /// What prices are to be in.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// Who sends; with the place the delivery-time model is asked for its promise.
    #[schema(value_type = Option<String>)]
    seller: Option<SellerId>,
    #[schema(value_type = Option<PlaceBody>)]
    place: Option<DeliveryPlace>,
}

/// What a carrier asks and promises.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct OfferBody {
    carrier: String,
    /// How it goes.
    service: String,
    price: schemas::Money,
    /// The larger of weight and size.
    chargeable_grams: u64,
    promise: ShippingPromise,
}

/// A carrier that offers nothing.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what shipping writes")]
pub(crate) struct CarrierFailureBody {
    carrier: String,
    reason: String,
}

/// What carriers offer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShippingQuoteAnswer {
    /// Cheapest first.
    #[schema(value_type = Vec<OfferBody>)]
    offers: Vec<Offer>,
    /// Carriers without an offer, by name.
    #[schema(value_type = Vec<CarrierFailureBody>)]
    failures: Vec<CarrierFailure>,
}

/// Ask every carrier for its price and promise.
///
/// The promise (one in ten arrives before `p10`, nine in ten before `p90`) is the delivery-time model's where one is in force
/// and the request names seller and place, and then recorded as a decision; else the carrier's own. `by` says which.
#[utoipa::path(
    post, path = "/v1/shipping-quotes", tag = "shipments", request_body = ShippingQuoteRequest,
    responses((status = 200, body = ShippingQuoteAnswer)),
)]
pub(crate) async fn post_shipping_quotes(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ShippingQuoteRequest>,
) -> Result<Json<ShippingQuoteAnswer>, Problem> {
    let ShippingQuoteRequest { from, to, parcels, currency, seller, place } = body.value;
    let ask = ShippingAsk { from, to, parcels, currency, sent: seller.zip(place) };
    let Shopped { offers, failures } = app.engine.shipping_quotes(caller.tenant, &ask).await?;
    Ok(Json(ShippingQuoteAnswer { offers, failures }))
}

/// Ship units of an order.
///
/// They are counted: together no more are shipped than were bought and not called off (409), and the carrier is asked for a
/// label. The label may be `asked` in the answer; the carrier is asked again with the same key until it answers. With an
/// `Idempotency-Key` the same request ships once.
#[utoipa::path(
    post, path = "/v1/orders/{id}/shipments", tag = "shipments", request_body = ShipmentRequest,
    params(
        ("id" = String, Path, description = "The order."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe."),
    ),
    responses((status = 201, body = ShipmentAnswer)),
)]
pub(crate) async fn post_shipments(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<OrderId>,
    headers: HeaderMap,
    body: JsonBody<ShipmentInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, &format!("POST /v1/orders/{id}/shipments"), &body.bytes)?;
    let shipped = app.engine.commerce().ship(caller.tenant, id, &body.value, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/shipments/{}", shipped.value.id))];
    let answer = tagged(shipped.value.version, shipped.value);
    Ok((StatusCode::CREATED, place, replayed(shipped.replayed), answer).into_response())
}

/// Which shipments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShipmentParameters {
    /// Only of this order.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Only of this buyer.
    #[param(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// Only of this seller.
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<ShipmentState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List shipments, newest first.
#[utoipa::path(
    get, path = "/v1/shipments", tag = "shipments", params(ShipmentParameters),
    responses((status = 200, body = ShipmentPage)),
)]
pub(crate) async fn get_shipments(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<ShipmentParameters>,
) -> Result<Json<Page<OrderShipment>>, Problem> {
    let ShipmentParameters { order, buyer, seller, state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), ShipmentId::KIND.prefix)?;
    let filter = ShipmentFilter { order, buyer, seller, state };
    Ok(Json(app.engine.store().shipments(caller.tenant, &filter, &page).await?))
}

/// Read a shipment with its tracker.
#[utoipa::path(
    get, path = "/v1/shipments/{id}", tag = "shipments",
    params(("id" = String, Path, description = "The shipment.")),
    responses((status = 200, body = ShipmentAnswer)),
)]
pub(crate) async fn get_shipment(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ShipmentId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_shipment(caller.tenant, id).await?;
    Ok(tagged(found.version, found))
}

/// Give a shipment's label up; its units can be shipped anew.
///
/// While it is `ready` or `unknown`, before the carrier has the parcels (409 else). Sent again it changes nothing: a shipment
/// that is given up, or being, is answered as it is. The carrier is asked until it answers.
#[utoipa::path(
    post, path = "/v1/shipments/{id}/void", tag = "shipments",
    params(("id" = String, Path, description = "The shipment.")),
    responses((status = 200, body = ShipmentAnswer)),
)]
pub(crate) async fn post_shipment_void(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ShipmentId>,
) -> Result<Response, Problem> {
    let kept = app.engine.commerce().void_label(caller.tenant, id).await?;
    Ok(tagged(kept.version, kept))
}

/// Take a carrier's message, signed by the conventions of Standard Webhooks.
///
/// It needs no key: its signature says who sends it. Events may come late, in any order, or more than once; the order is
/// `fulfilled` when every unit that is due was delivered. 401 where it is not signed, or too old; the carrier sends it again
/// after any other failure.
#[utoipa::path(
    post, path = "/v1/carriers/{carrier}/events", tag = "shipments", request_body = CarrierNoticeBody,
    params(
        ("carrier" = String, Path, description = "The carrier's name."),
        ("webhook-id" = Option<String>, Header, description = "The message's id."),
        ("webhook-timestamp" = Option<String>, Header, description = "When it was sent, in seconds since 1970."),
        ("webhook-signature" = Option<String>, Header, description = "`v1,` and the signature, base64."),
    ),
    responses((status = 204)),
)]
pub(crate) async fn post_carrier_events(
    State(app): State<Shared>,
    Path(carrier): Path<String>,
    request: Request,
) -> Result<StatusCode, Problem> {
    let headers = request.headers().clone();
    let body = RawBody::read(request, &[JSON_TYPE]).await?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = SignedNotice {
        id: text("webhook-id"),
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
        body: &body.bytes,
    };
    app.engine.commerce().take_carrier_notice(&carrier, &signed).await?;
    Ok(StatusCode::NO_CONTENT)
}
