//! Demand forecasts from the champion in memory: days with quantiles, recorded as decisions.

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::ForecastServed;
use dhow_events::{DecisionId, ProductId, Region, TenantId};
use dhow_forecast::{Accuracy, DemandError, DemandForecast, SeriesKey, Subject};

use crate::champions::TenantModels;
use crate::decisions::Question;
use crate::{Answer, Engine, EngineError};

/// A question for a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastAsk {
    /// Of which product.
    pub product: ProductId,
    /// For which region; nothing means all together.
    pub region: Option<Region>,
    /// How many days ahead.
    pub horizon_days: usize,
    /// Which quantiles, each in (0, 1).
    pub quantiles: Vec<f64>,
}

/// The forecast of a group of products; it decides nothing about any of them, and is not recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupForecast {
    /// The coming days.
    pub days: Vec<ForecastDay>,
    /// The model.
    pub model: String,
    /// How the forecast was made.
    pub method: String,
    /// Why a fallback answered; nothing where none did.
    pub degraded: Option<String>,
}

/// One day of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastDay {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    /// The expected units.
    pub expected: f64,
    /// The quantiles asked for, in the order of the question.
    pub quantiles: Vec<f64>,
}

impl Engine {
    /// The demand of the coming days of a group of products: what its products' forecasts add up to.
    ///
    /// # Errors
    /// No model in force, a group that it does not know, or a horizon or quantile out of its bounds.
    pub fn forecast_group(
        &self,
        tenant: TenantId,
        group: &SeriesKey,
        horizon_days: usize,
        quantiles: &[f64],
    ) -> Result<GroupForecast, EngineError> {
        let models = self.shared().champions.of(tenant);
        let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        let forecast = models.forecast_now(group, horizon_days, quantiles)?;
        Ok(GroupForecast {
            days: days(&forecast),
            model: champion.label.to_string(),
            method: forecast.method,
            degraded: forecast.degraded,
        })
    }

    /// The demand of the coming days.
    ///
    /// # Errors
    /// No model in force, an unknown series, or a horizon or quantile out of its bounds.
    pub async fn forecast(&self, tenant: TenantId, ask: ForecastAsk) -> Result<Answer<Vec<ForecastDay>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        let key = SeriesKey::product(ask.product, ask.region);
        let forecast = models.forecast_now(&key, ask.horizon_days, &ask.quantiles)?;
        let days = days(&forecast);
        let latency_us = self.stopwatch().now().micros_since(begin);
        let decision = DecisionId::at(now, self.random());
        let expected_quantity: f64 = days.iter().map(|day| day.expected).sum();
        let degraded = forecast.degraded.is_some();
        let text =
            forecast.degraded.unwrap_or_else(|| format!("{} with {} intervals", forecast.method, forecast.interval));
        let reasons = vec![Reason { code: forecast.method, text, contribution: 1.0 }];
        let fact = ForecastServed {
            product: ask.product,
            decision,
            region: ask.region,
            model: champion.label.to_string(),
            horizon_days: ask.horizon_days as i64,
            expected_quantity,
            degraded,
        };
        let question = Question {
            tenant,
            kind: DecisionKind::Forecast,
            subject: ask.product.to_string(),
            request: serde_json::json!({ "region": ask.region, "horizon_days": ask.horizon_days, "quantiles": ask.quantiles }),
            answer: serde_json::json!({ "expected_quantity": expected_quantity }),
            at: now,
        };
        let model = champion.label.to_string();
        let answer = Answer { value: days, model, decision, reasons, degraded, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }
}

/// How good the forecasts of a series were.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastAccuracy {
    /// On the last days before the training, from the days before these; nothing where the history was too short.
    pub validated: Option<Accuracy>,
    /// On the days since, as far as this process has seen them whole.
    pub since: Accuracy,
    /// The model.
    pub model: String,
}

/// What a region is expected to ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionDemand {
    /// Where.
    pub region: Region,
    /// Units of the coming days.
    pub expected: f64,
    /// Units of as many days at the end of the history; nothing where the model does not keep so many.
    pub recent: Option<f64>,
}

impl Engine {
    /// How good the forecasts of a product or group were, beside repeating the last week.
    ///
    /// # Errors
    /// No model in force, or a series that it does not know.
    pub fn forecast_accuracy(&self, tenant: TenantId, key: &SeriesKey) -> Result<ForecastAccuracy, EngineError> {
        let models = self.shared().champions.of(tenant);
        let missing = EngineError::NoModel { task: "forecast" };
        let (Some(champion), Some(live)) = (&models.forecast, &models.live_demand) else { return Err(missing) };
        let since = live.accuracy(key).map_err(refused)?;
        Ok(ForecastAccuracy { validated: champion.model.accuracy(key), since, model: champion.label.to_string() })
    }

    /// What every region is expected to ask for of a product or group, the most first, and the model.
    ///
    /// # Errors
    /// No model in force, a subject that it does not know, or a horizon out of its bounds.
    pub fn forecast_regions(
        &self,
        tenant: TenantId,
        subject: Subject,
        horizon_days: usize,
    ) -> Result<(Vec<RegionDemand>, String), EngineError> {
        let models = self.shared().champions.of(tenant);
        let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        // A subject without regions is refused by its name.
        let all = SeriesKey { subject, region: None };
        champion.model.forecast(&all, horizon_days, &[]).map_err(refused)?;
        let mut regions = Vec::new();
        for key in champion.model.regions(subject) {
            let forecast = champion.model.forecast(key, horizon_days, &[]).map_err(refused)?;
            let recent = forecast.recent.len().checked_sub(horizon_days);
            regions.extend(key.region.map(|region| RegionDemand {
                region,
                expected: forecast.days.iter().map(|day| day.point).sum(),
                recent: recent.map(|from| forecast.recent[from..].iter().sum()),
            }));
        }
        regions.sort_by(|a, b| b.expected.total_cmp(&a.expected).then(a.region.cmp(&b.region)));
        Ok((regions, champion.label.to_string()))
    }
}

impl TenantModels {
    /// The champion's forecast, with quantiles that have followed the sales since its history.
    pub(crate) fn forecast_now(
        &self,
        key: &SeriesKey,
        horizon_days: usize,
        quantiles: &[f64],
    ) -> Result<DemandForecast, EngineError> {
        let live = self.live_demand.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        live.forecast(key, horizon_days, quantiles).map_err(refused)
    }
}

fn days(forecast: &DemandForecast) -> Vec<ForecastDay> {
    let day = |day: &dhow_forecast::DayForecast| ForecastDay {
        day: day.day,
        expected: day.point,
        quantiles: day.quantiles.clone(),
    };
    forecast.days.iter().map(day).collect()
}

fn refused(error: DemandError) -> EngineError {
    match error {
        DemandError::Unknown { .. } => EngineError::NotFound(format!("demand series: {error}")),
        other => EngineError::invalid("/horizon", other.to_string()),
    }
}
