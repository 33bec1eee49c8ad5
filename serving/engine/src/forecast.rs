//! Demand forecasts from the champion in memory: days with quantiles, recorded as decisions.

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::ForecastServed;
use dhow_events::{DecisionId, ProductId, Region, TenantId};
use dhow_forecast::{DemandError, SeriesKey};

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
    /// The demand of the coming days.
    ///
    /// # Errors
    /// No model in force, an unknown series, or a horizon or quantile out of its bounds.
    pub async fn forecast(&self, tenant: TenantId, ask: ForecastAsk) -> Result<Answer<Vec<ForecastDay>>, EngineError> {
        let (now, begin) = (self.clock().now(), self.stopwatch().now());
        let models = self.shared().champions.of(tenant);
        let champion = models.forecast.as_ref().ok_or(EngineError::NoModel { task: "forecast" })?;
        let key = SeriesKey { product: ask.product, region: ask.region };
        let forecast = champion.model.forecast(&key, ask.horizon_days, &ask.quantiles).map_err(refused)?;
        let days: Vec<ForecastDay> = forecast
            .days
            .iter()
            .map(|day| ForecastDay { day: day.day, expected: day.point, quantiles: day.quantiles.clone() })
            .collect();
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

fn refused(error: DemandError) -> EngineError {
    match error {
        DemandError::Unknown { .. } => EngineError::NotFound(format!("demand series: {error}")),
        other => EngineError::invalid("/horizon", other.to_string()),
    }
}
