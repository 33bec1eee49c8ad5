//! What customers will spend, whether they come back, and who trades alike; nothing is recorded.

use axum::Json;
use axum::extract::State;
use dhow_engine::{CustomerReading, GroupReading};
use dhow_events::{BuyerId, Money, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::PathId;
use crate::problem::Problem;
use crate::schemas;

/// Two amounts between which the spend will be.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SpendInterval {
    #[schema(value_type = schemas::Money)]
    low: Money,
    #[schema(value_type = schemas::Money)]
    high: Money,
    /// The share of buyers whose spend such intervals are to hold, between 0 and 1.
    coverage: f64,
}

/// What is known of a buyer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomerAnswer {
    #[schema(value_type = String)]
    buyer: BuyerId,
    /// The forecasts are as of this time: nothing that happened from then on is in them.
    #[schema(value_type = String)]
    as_of: Timestamp,
    /// Days from then on that are forecast.
    days: i32,
    /// The one amount that is nearest to what will be spent in these days, by the mean absolute error.
    #[schema(value_type = schemas::Money)]
    expected_spend_usd: Money,
    spend_interval_usd: SpendInterval,
    /// The probability that nothing is bought in these days.
    #[schema(minimum = 0, maximum = 1)]
    churn_probability: f64,
    /// The name of the group: `GET /v1/segments`.
    segment: String,
    /// Days from the last day with a purchase up to `as_of`.
    days_since_last: f64,
    /// Days with a purchase.
    purchase_days: f64,
    /// What was bought in all.
    #[schema(value_type = schemas::Money)]
    spent_usd: Money,
    /// The model and its id.
    model: String,
}

/// A group of those who trade alike.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentItem {
    /// `champions`, `loyal`, `large_orders`, `new`, `occasional`, `at_risk`, `slipping` or `lapsed`: the one that its centre is
    /// nearest to.
    name: String,
    /// The share of all, 0 to 1.
    share: f64,
    /// Days since the last day of trade, at its centre.
    days_since_last: f64,
    /// Days with a trade, at its centre.
    trade_days: f64,
    /// What was traded in all, at its centre.
    #[schema(value_type = schemas::Money)]
    traded_usd: Money,
}

/// The groups of buyers and suppliers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentsAnswer {
    /// Nothing that happened from then on is in them.
    #[schema(value_type = String)]
    as_of: Timestamp,
    /// Those with the most money first, at most 8.
    buyers: Vec<SegmentItem>,
    /// The same; empty where there are fewer than 50 suppliers.
    suppliers: Vec<SegmentItem>,
    /// The model and its id.
    model: String,
}

/// Read what a buyer will spend.
///
/// Expected spend with its interval, the probability that nothing is bought, and the group, all as of the day that the model
/// was trained. 404: no purchase of such a buyer was known then. 503: no such model is in force.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "models",
    params(("id" = String, Path, description = "The buyer.")),
    responses((status = 200, body = CustomerAnswer)),
)]
pub(crate) async fn get_customer(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<BuyerId>,
) -> Result<Json<CustomerAnswer>, Problem> {
    let CustomerReading { as_of, days, coverage, reading, segment, model } = app.engine.customer(caller.tenant, id)?;
    let [low, high] = reading.interval.map(usd);
    Ok(Json(CustomerAnswer {
        buyer: id,
        as_of,
        days,
        expected_spend_usd: usd(reading.spend),
        spend_interval_usd: SpendInterval { low, high, coverage },
        churn_probability: reading.churn,
        segment,
        days_since_last: reading.trade.days_since_last,
        purchase_days: reading.trade.days,
        spent_usd: usd(reading.trade.money),
        model,
    }))
}

/// Read the groups of buyers and suppliers.
///
/// Those who trade alike by how lately, how often and for how much. 503: no such model is in force.
#[utoipa::path(get, path = "/v1/segments", tag = "models", responses((status = 200, body = SegmentsAnswer)))]
pub(crate) async fn get_segments(State(app): State<Shared>, caller: Caller) -> Result<Json<SegmentsAnswer>, Problem> {
    let found = app.engine.customer_groups(caller.tenant)?;
    Ok(Json(SegmentsAnswer {
        as_of: found.as_of,
        buyers: found.buyers.into_iter().map(item).collect(),
        suppliers: found.suppliers.into_iter().map(item).collect(),
        model: found.model,
    }))
}

fn item(group: GroupReading) -> SegmentItem {
    SegmentItem {
        name: group.name,
        share: group.share,
        days_since_last: group.days_since_last,
        trade_days: group.days,
        traded_usd: usd(group.usd),
    }
}

/// Dollars, rounded to the cent; what is larger than an amount can be is the largest.
fn usd(dollars: f64) -> Money {
    Money::usd((dollars * 100.0).round() as i64)
}
