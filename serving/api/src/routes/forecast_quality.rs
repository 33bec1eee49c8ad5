//! How good forecasts were, and where demand will be: accuracy beside the naive plan, and demand by region.

use axum::Json;
use axum::extract::State;
use dhow_commerce::FieldProblem;
use dhow_engine::{Accuracy, SeriesKey, Subject};
use dhow_events::{Category, ProductId, Region, SellerId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::Parameters;
use crate::problem::Problem;

/// Days ahead where the request does not say.
const HORIZON_DAYS_DEFAULT: usize = 28;

/// Of what: one of product, category and seller, or all products without any.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccuracyParameters {
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    /// With those below it.
    #[param(value_type = Option<String>)]
    category: Option<Category>,
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// In this region; in all together where it is absent.
    #[param(value_type = Option<String>)]
    region: Option<Region>,
}

/// Of what, and how far ahead.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RegionsParameters {
    #[param(value_type = Option<String>)]
    product: Option<ProductId>,
    /// With those below it.
    #[param(value_type = Option<String>)]
    category: Option<Category>,
    #[param(value_type = Option<String>)]
    seller: Option<SellerId>,
    /// Days ahead; 28 where it is absent.
    horizon: Option<usize>,
}

/// What is asked for; the parameters that name it exclude each other.
pub(super) fn subject(
    product: Option<ProductId>,
    category: Option<Category>,
    seller: Option<SellerId>,
) -> Result<Subject, Problem> {
    match (product, category, seller) {
        (None, None, None) => Ok(Subject::All),
        (Some(product), None, None) => Ok(Subject::Product(product)),
        (None, Some(category), None) => Ok(Subject::Category(category)),
        (None, None, Some(seller)) => Ok(Subject::Seller(seller)),
        _ => {
            let pointer = if seller.is_some() { "/seller" } else { "/category" };
            let message = "must stand alone: ask for one of product, category and seller";
            Err(Problem::invalid([FieldProblem::new(pointer, message)]).into_parameter())
        }
    }
}

/// How forecasts did on days that are over, beside the naive plan that repeats the last week before them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccuracyPart {
    days: u32,
    /// Units a day.
    mean_demand: f64,
    /// Units a day.
    mean_absolute_error: f64,
    /// The naive plan's, units a day.
    mean_absolute_error_of_naive: f64,
    /// Forecast less demand, units a day.
    mean_error: f64,
    /// The share of the naive plan's error that the forecast saves; below 0 where it does worse, null where that plan never erred.
    #[schema(required)]
    forecast_value_added: Option<f64>,
}

impl AccuracyPart {
    /// Nothing of no days.
    fn of(accuracy: &Accuracy) -> Option<AccuracyPart> {
        let days = f64::from(accuracy.days);
        (accuracy.days > 0).then(|| AccuracyPart {
            days: accuracy.days,
            mean_demand: accuracy.demand / days,
            mean_absolute_error: accuracy.absolute_error / days,
            mean_absolute_error_of_naive: accuracy.absolute_error_of_naive / days,
            mean_error: accuracy.error / days,
            forecast_value_added: accuracy.value_added(),
        })
    }
}

/// How good the forecasts of a product or group were.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccuracyAnswer {
    /// On the last days before the training, from the days before these; null where the history was too short.
    #[schema(required)]
    validated: Option<AccuracyPart>,
    /// On the days since that this server has seen whole; null where it has seen none.
    #[schema(required)]
    since: Option<AccuracyPart>,
    /// The model.
    model: String,
}

/// Tell how good forecasts were, and what they add to the naive plan.
#[utoipa::path(
    get, path = "/v1/forecasts/accuracy", tag = "models", params(AccuracyParameters),
    responses((status = 200, body = AccuracyAnswer)),
)]
pub(crate) async fn get_forecast_accuracy(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(asked): Parameters<AccuracyParameters>,
) -> Result<Json<AccuracyAnswer>, Problem> {
    let key = SeriesKey { subject: subject(asked.product, asked.category, asked.seller)?, region: asked.region };
    let told = app.engine.forecast_accuracy(caller.tenant, &key);
    let told = told.map_err(|error| Problem::from(error).into_parameter())?;
    let validated = told.validated.as_ref().and_then(AccuracyPart::of);
    Ok(Json(AccuracyAnswer { validated, since: AccuracyPart::of(&told.since), model: told.model }))
}

/// One region's demand.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionAnswer {
    #[schema(value_type = String)]
    region: Region,
    /// Units of the coming days.
    expected: f64,
    /// Of the coming demand of all regions.
    share: f64,
    /// Units of as many days at the end of the history; null above 56 days.
    #[schema(required)]
    recent: Option<f64>,
    /// Expected over recent less 1; null without recent demand.
    #[schema(required)]
    change: Option<f64>,
}

/// Where demand will be, for a heat map.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionsAnswer {
    horizon_days: usize,
    /// The most first.
    regions: Vec<RegionAnswer>,
    /// The model.
    model: String,
}

/// Forecast the demand of every region.
#[utoipa::path(
    get, path = "/v1/forecasts/regions", tag = "models", params(RegionsParameters),
    responses((status = 200, body = RegionsAnswer)),
)]
pub(crate) async fn get_forecast_regions(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(asked): Parameters<RegionsParameters>,
) -> Result<Json<RegionsAnswer>, Problem> {
    let subject = subject(asked.product, asked.category, asked.seller)?;
    let horizon_days = asked.horizon.unwrap_or(HORIZON_DAYS_DEFAULT);
    let told = app.engine.forecast_regions(caller.tenant, subject, horizon_days);
    let (regions, model) = told.map_err(|error| Problem::from(error).into_parameter())?;
    let all: f64 = regions.iter().map(|one| one.expected).sum();
    let row = |one: &dhow_engine::RegionDemand| RegionAnswer {
        region: one.region,
        expected: one.expected,
        share: if all > 0.0 { one.expected / all } else { 0.0 },
        recent: one.recent,
        change: one.recent.filter(|recent| *recent > 0.0).map(|recent| one.expected / recent - 1.0),
    };
    Ok(Json(RegionsAnswer { horizon_days, regions: regions.iter().map(row).collect(), model }))
}
