//! How far buyers and sellers can be trusted, with what the scores rest on; nothing is recorded.

use axum::Json;
use axum::extract::State;
use dhow_engine::{Badge, RiskFlag, TrustFactor, TrustReading};
use dhow_events::{BuyerId, SellerId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::PathId;
use crate::problem::Problem;

/// A step from 50, the score of an account of which nothing is known.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustPart {
    /// A stable word.
    #[schema(value_type = String, example = "good_outcomes")]
    code: TrustFactor,
    /// The same for people.
    text: &'static str,
    /// What it adds; negative where it takes away. 50 and all parts sum to the score.
    points: f64,
}

/// What an account has earned.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustBadge {
    /// `new`, `established`, `long_standing`, `top_rated` or `on_time`.
    #[schema(value_type = String)]
    code: Badge,
    /// The same for people.
    text: &'static str,
}

/// What a person should look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustFlag {
    /// A stable word.
    #[schema(value_type = String, example = "ring_member")]
    code: RiskFlag,
    /// The same for people.
    text: &'static str,
}

/// A trust score and what it rests on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrustAnswer {
    /// Whose.
    id: String,
    /// The time that it is as of: every event that was applied by then counts.
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(minimum = 0, maximum = 100)]
    score: f64,
    /// The steps to it; those of 0 points are left out.
    parts: Vec<TrustPart>,
    badges: Vec<TrustBadge>,
    flags: Vec<TrustFlag>,
    /// The numbers that it was made of; null where nothing is known.
    #[schema(value_type = BTreeMap<String, Option<f64>>)]
    evidence: serde_json::Value,
    /// Whom it shares cards, devices, addresses or payout accounts with, in words.
    links: String,
}

/// Read a buyer's trust score.
///
/// From orders, returns, frauds and declined payments, the account's age and whom it shares things with; as of the last event
/// that was applied. 404: no event told of such a buyer.
#[utoipa::path(
    get, path = "/v1/trust/buyers/{id}", tag = "fraud",
    params(("id" = String, Path, description = "The buyer.")),
    responses((status = 200, body = TrustAnswer)),
)]
pub(crate) async fn get_buyer_trust(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<BuyerId>,
) -> Result<Json<TrustAnswer>, Problem> {
    Ok(Json(answer(id.to_string(), app.engine.buyer_trust(caller.tenant, id)?)))
}

/// Read a seller's trust score.
///
/// From orders, returns and deliveries of the last 30 days, reviews of the last 90, changes of the payout account, the account's
/// age and whom it shares things with; as of the last event that was applied. Labels of fraud name buyers, so they count for
/// sellers only by what both share. 404: no event told of such a seller.
#[utoipa::path(
    get, path = "/v1/trust/sellers/{id}", tag = "fraud",
    params(("id" = String, Path, description = "The seller.")),
    responses((status = 200, body = TrustAnswer)),
)]
pub(crate) async fn get_seller_trust(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<SellerId>,
) -> Result<Json<TrustAnswer>, Problem> {
    Ok(Json(answer(id.to_string(), app.engine.seller_trust(caller.tenant, id)?)))
}

fn answer(id: String, reading: TrustReading) -> TrustAnswer {
    let TrustReading { at, trust, evidence, links } = reading;
    let part =
        |part: &dhow_engine::TrustPart| TrustPart { code: part.factor, text: part.factor.words(), points: part.points };
    TrustAnswer {
        id,
        at,
        score: trust.score,
        parts: trust.parts.iter().map(part).collect(),
        badges: trust.badges.into_iter().map(|code| TrustBadge { code, text: code.words() }).collect(),
        flags: trust.flags.into_iter().map(|code| TrustFlag { code, text: code.words() }).collect(),
        evidence,
        links,
    }
}
