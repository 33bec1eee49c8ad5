//! Demand forecasts by product, category, seller and region.

use axum::Json;
use axum::extract::State;
use dhow_commerce::FieldProblem;
use dhow_engine::{Answer, EngineError, ForecastAsk, ForecastDay, SeriesKey};
use dhow_events::{Category, DAY_MICROS, ProductId, Region, SellerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::ModelPart;
use super::forecast_quality::subject;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId};
use crate::problem::Problem;

/// Days ahead where the request does not say.
const HORIZON_DAYS_DEFAULT: usize = 30;
/// Quantiles where the request does not say.
const QUANTILES_DEFAULT: &str = "0.1,0.5,0.9";
/// The most series of one batch.
const BATCH_SERIES_MAX: usize = 500;
/// The most quantiles of one request.
const QUANTILES_MAX: usize = 20;

/// Which forecast.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForecastParameters {
    /// Of this region; all together where it is absent.
    #[param(value_type = Option<String>)]
    region: Option<Region>,
    /// Days ahead; 30 where it is absent.
    horizon: Option<usize>,
    /// Between 0 and 1, with commas; `0.1,0.5,0.9` where it is absent.
    #[param(example = "0.1,0.5,0.9")]
    quantiles: Option<String>,
}

/// A quantile of one day's demand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuantileAnswer {
    /// Between 0 and 1.
    quantile: f64,
    /// Demand stays below this many units with that probability.
    units: f64,
}

/// One day's demand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DayAnswer {
    /// In UTC.
    #[schema(example = "2026-01-31")]
    day: String,
    /// Expected units.
    expected: f64,
    quantiles: Vec<QuantileAnswer>,
}

/// The demand of the coming days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastAnswer {
    #[schema(value_type = String)]
    product: ProductId,
    /// Null for all regions together.
    #[schema(value_type = Option<String>, required)]
    region: Option<Region>,
    days: Vec<DayAnswer>,
    #[serde(flatten)]
    model: ModelPart,
}

/// Of which group, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GroupParameters {
    /// Of this category and those below it, such as `home` or `home/garden`; of all products without it.
    #[param(value_type = Option<String>)]
    category: Option<Category>,
    /// Of this seller; not together with a category.
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// In this region; in all together where it is absent.
    #[param(value_type = Option<String>)]
    region: Option<Region>,
    /// Days ahead; 30 where it is absent.
    horizon: Option<usize>,
    /// Between 0 and 1, with commas; `0.1,0.5,0.9` where it is absent.
    #[param(example = "0.1,0.5,0.9")]
    quantiles: Option<String>,
}

/// The demand of the coming days of a group of products.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupForecastAnswer {
    /// Null where it is not of a category.
    #[schema(value_type = Option<String>, required)]
    category: Option<Category>,
    /// Null where it is not of a seller.
    #[schema(value_type = Option<String>, required)]
    seller: Option<SellerId>,
    /// Null for all regions together.
    #[schema(value_type = Option<String>, required)]
    region: Option<Region>,
    days: Vec<DayAnswer>,
    /// The model.
    model: String,
    /// How the forecast was made.
    method: String,
    /// Why a fallback answered; null where none did.
    #[schema(required)]
    degraded: Option<String>,
}

/// Forecast the demand of a category, a seller or all products.
///
/// It is what the forecasts of its products add up to. It decides nothing about a product, and is not recorded.
#[utoipa::path(
    get, path = "/v1/forecasts", tag = "models", params(GroupParameters),
    responses((status = 200, body = GroupForecastAnswer)),
)]
pub(crate) async fn get_group_forecast(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<GroupParameters>,
) -> Result<Json<GroupForecastAnswer>, Problem> {
    let GroupParameters { category, seller, region, horizon, quantiles: asked } = parameters;
    let subject = subject(None, category, seller)?;
    let levels = quantiles(asked.as_deref().unwrap_or(QUANTILES_DEFAULT))?;
    let key = SeriesKey { subject, region };
    let forecast = app.engine.forecast_group(caller.tenant, &key, horizon.unwrap_or(HORIZON_DAYS_DEFAULT), &levels);
    let forecast = forecast.map_err(|error| Problem::from(error).into_parameter())?;
    let days = forecast.days.into_iter().map(|day| day_answer(&levels, day)).collect();
    let (model, method, degraded) = (forecast.model, forecast.method, forecast.degraded);
    Ok(Json(GroupForecastAnswer { category, seller, region, days, model, method, degraded }))
}

/// Forecast a product's demand.
#[utoipa::path(
    get, path = "/v1/forecasts/{product}", tag = "models",
    params(("product" = String, Path, description = "The product."), ForecastParameters),
    responses((status = 200, body = ForecastAnswer)),
)]
pub(crate) async fn get_forecast(
    State(app): State<Shared>,
    caller: Caller,
    PathId(product): PathId<ProductId>,
    Parameters(parameters): Parameters<ForecastParameters>,
) -> Result<Json<ForecastAnswer>, Problem> {
    let quantiles = quantiles(parameters.quantiles.as_deref().unwrap_or(QUANTILES_DEFAULT))?;
    let horizon_days = parameters.horizon.unwrap_or(HORIZON_DAYS_DEFAULT);
    let ask = ForecastAsk { product, region: parameters.region, horizon_days, quantiles: quantiles.clone() };
    let answer = app.engine.forecast(caller.tenant, ask).await;
    let answer = answer.map_err(|error| Problem::from(error).into_parameter())?;
    Ok(Json(told(product, parameters.region, &quantiles, answer)))
}

/// A series of a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesRequest {
    #[schema(value_type = String)]
    product: ProductId,
    /// Of this region; all together where it is absent.
    #[schema(value_type = Option<String>)]
    region: Option<Region>,
}

/// Many forecasts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForecastBatchRequest {
    /// From 1 to 500.
    series: Vec<SeriesRequest>,
    /// Days ahead; 30 where it is absent.
    horizon: Option<usize>,
    /// Between 0 and 1; 0.1, 0.5 and 0.9 where they are absent.
    quantiles: Option<Vec<f64>>,
}

/// A series without a forecast.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NoForecast {
    #[schema(value_type = String)]
    product: ProductId,
    #[schema(value_type = Option<String>, required)]
    region: Option<Region>,
    /// Why.
    reason: String,
}

/// Many forecasts: each series asked for stands in one of the lists.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForecastBatchAnswer {
    forecasts: Vec<ForecastAnswer>,
    unknown: Vec<NoForecast>,
}

/// Forecast the demand of many products.
///
/// A series that the model does not know is listed with the reason; the others are answered.
#[utoipa::path(
    post, path = "/v1/forecasts/batch", tag = "models", request_body = ForecastBatchRequest,
    responses((status = 200, body = ForecastBatchAnswer)),
)]
pub(crate) async fn post_forecasts(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ForecastBatchRequest>,
) -> Result<Json<ForecastBatchAnswer>, Problem> {
    let ForecastBatchRequest { series, horizon, quantiles } = body.value;
    let wrong = |pointer: &str, message: String| Problem::invalid([FieldProblem::new(pointer, message)]);
    if !(1..=BATCH_SERIES_MAX).contains(&series.len()) {
        let message = format!("are {}; from 1 to {BATCH_SERIES_MAX} are allowed", series.len());
        return Err(wrong("/series", message));
    }
    let quantiles = quantiles.unwrap_or_else(|| vec![0.1, 0.5, 0.9]);
    if quantiles.len() > QUANTILES_MAX || quantiles.iter().any(|quantile| !(0.0 < *quantile && *quantile < 1.0)) {
        return Err(wrong("/quantiles", format!("must be at most {QUANTILES_MAX} numbers between 0 and 1")));
    }
    let mut answer = ForecastBatchAnswer { forecasts: Vec::new(), unknown: Vec::new() };
    for SeriesRequest { product, region } in series {
        let horizon_days = horizon.unwrap_or(HORIZON_DAYS_DEFAULT);
        let ask = ForecastAsk { product, region, horizon_days, quantiles: quantiles.clone() };
        match app.engine.forecast(caller.tenant, ask).await {
            Ok(forecast) => answer.forecasts.push(told(product, region, &quantiles, forecast)),
            Err(EngineError::NotFound(reason)) => answer.unknown.push(NoForecast { product, region, reason }),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(answer))
}

fn told(
    product: ProductId,
    region: Option<Region>,
    quantiles: &[f64],
    answer: Answer<Vec<ForecastDay>>,
) -> ForecastAnswer {
    let (days, model) = ModelPart::split(answer);
    let days = days.into_iter().map(|day| day_answer(quantiles, day)).collect();
    ForecastAnswer { product, region, days, model }
}

fn day_answer(quantiles: &[f64], day: ForecastDay) -> DayAnswer {
    let levels = quantiles.iter().zip(day.quantiles);
    DayAnswer {
        day: Timestamp::from_micros(day.day * DAY_MICROS).to_string().chars().take(10).collect(),
        expected: day.expected,
        quantiles: levels.map(|(quantile, units)| QuantileAnswer { quantile: *quantile, units }).collect(),
    }
}

fn quantiles(text: &str) -> Result<Vec<f64>, Problem> {
    let wrong = |message: String| Problem::invalid([FieldProblem::new("/quantiles", message)]).into_parameter();
    let read = |part: &str| {
        let quantile = part.trim().parse::<f64>().ok().filter(|quantile| 0.0 < *quantile && *quantile < 1.0);
        quantile.ok_or_else(|| wrong(format!("`{part}` is not a number between 0 and 1, such as 0.9")))
    };
    let quantiles: Vec<f64> = text.split(',').map(read).collect::<Result<_, _>>()?;
    if quantiles.len() > QUANTILES_MAX {
        return Err(wrong(format!("are {}; at most {QUANTILES_MAX} are allowed", quantiles.len())));
    }
    Ok(quantiles)
}
