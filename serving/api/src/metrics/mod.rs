//! Counts and times requests, and writes all figures as Prometheus text; it decides nothing.

mod exposition;
mod inference;
mod platform;

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_engine::{LatencyHistogram, Status};
use dhow_events::TenantId;
use dhow_inference::Served;
use parking_lot::Mutex;

use self::exposition::Exposition;

#[derive(Default)]
struct Inner {
    by_status: BTreeMap<(String, String, u16), u64>,
    by_route: BTreeMap<(String, String), LatencyHistogram>,
}

/// Requests by method, route and status. The labels are routes, never paths, so there are few.
#[derive(Default)]
pub(crate) struct RequestMetrics(Mutex<Inner>);

/// What there is to tell beside the requests.
pub(crate) struct Told<'a> {
    /// The platform's state.
    pub status: &'a Status,
    /// Events that wait in the database for the log.
    pub outbox_events: u64,
    /// The tenant's loaded models.
    pub served: &'a [Arc<Served>],
    /// The tenant.
    pub tenant: TenantId,
}

impl RequestMetrics {
    /// Counts one answered request.
    pub(crate) fn observe(&self, method: &str, route: &str, status: u16, latency_us: i64) {
        let mut inner = self.0.lock();
        *inner.by_status.entry((method.to_owned(), route.to_owned(), status)).or_default() += 1;
        inner.by_route.entry((method.to_owned(), route.to_owned())).or_default().observe(latency_us);
    }

    /// Requests answered so far.
    pub(crate) fn request_count(&self) -> u64 {
        self.0.lock().by_status.values().sum()
    }

    /// The figures of requests, platform and models in the text format of Prometheus, version 0.0.4.
    pub(crate) fn prometheus(&self, told: &Told<'_>) -> String {
        let mut text = Exposition::default();
        self.write_requests(&mut text);
        platform::write(&mut text, told.status, told.outbox_events, told.tenant);
        inference::write(&mut text, told.served);
        text.into_text()
    }

    fn write_requests(&self, text: &mut Exposition) {
        let inner = self.0.lock();
        let (total, time) = ("dhow_http_requests_total", "dhow_http_request_duration_seconds");
        text.head(total, "counter", "Answered requests.");
        for ((method, route, status), count) in &inner.by_status {
            let status = status.to_string();
            text.sample(total, &[("method", method), ("route", route), ("status", &status)], *count as f64);
        }
        text.head(time, "histogram", "From the request's head to the answer.");
        for ((method, route), histogram) in &inner.by_route {
            text.histogram(time, &[("method", method), ("route", route)], histogram);
        }
    }
}
