//! Counts and times requests, and writes all figures as Prometheus text; it decides nothing.

use std::collections::BTreeMap;
use std::fmt::Write;

use dhow_engine::{FeatureHealth, Status};
use dhow_events::TenantId;
use parking_lot::Mutex;

/// Upper bounds of the latency histogram, in seconds as Prometheus wants them.
const BOUNDS_S: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Default)]
struct Histogram {
    counts: [u64; BOUNDS_S.len()],
    count: u64,
    sum_us: i64,
}

impl Histogram {
    fn observe(&mut self, latency_us: i64) {
        let seconds = latency_us as f64 / 1e6;
        if let Some(place) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.counts[place] += 1;
        }
        self.count += 1;
        self.sum_us += latency_us;
    }
}

#[derive(Default)]
struct Inner {
    by_status: BTreeMap<(String, String, u16), u64>,
    by_route: BTreeMap<(String, String), Histogram>,
}

/// Requests by method, route and status. The labels are routes, never paths, so there are few.
#[derive(Default)]
pub(crate) struct RequestMetrics(Mutex<Inner>);

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

    /// The figures of requests and platform in the text format of Prometheus, version 0.0.4.
    pub(crate) fn prometheus(&self, status: &Status, tenant: TenantId) -> String {
        let mut text = Exposition::default();
        self.write_requests(&mut text);
        write_platform(&mut text, status, tenant);
        text.0
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
            let mut below = 0;
            let bucket = format!("{time}_bucket");
            for (bound, count) in BOUNDS_S.iter().zip(histogram.counts) {
                below += count;
                let bound = bound.to_string();
                text.sample(&bucket, &[("method", method), ("route", route), ("le", &bound)], below as f64);
            }
            let labels: [(&str, &str); 2] = [("method", method), ("route", route)];
            text.sample(&bucket, &[labels[0], labels[1], ("le", "+Inf")], histogram.count as f64);
            text.sample(&format!("{time}_sum"), &labels, histogram.sum_us as f64 / 1e6);
            text.sample(&format!("{time}_count"), &labels, histogram.count as f64);
        }
    }
}

fn write_platform(text: &mut Exposition, status: &Status, tenant: TenantId) {
    let figures: [(&str, &str, &str, f64); 8] = [
        ("dhow_log_events", "gauge", "Events in the log.", status.log_events as f64),
        ("dhow_applied_events_total", "counter", "Events applied since the start.", status.applied_events as f64),
        ("dhow_lag_events", "gauge", "Acknowledged events that are not applied yet.", status.lag_events as f64),
        ("dhow_late_events_total", "counter", "Events too late for the features.", status.late_events as f64),
        ("dhow_duplicate_events_total", "counter", "Events dropped as duplicates.", status.duplicate_events as f64),
        ("dhow_feature_keys", "gauge", "Entities with features in memory.", status.feature_keys as f64),
        ("dhow_products", "gauge", "Products known.", status.products as f64),
        (
            "dhow_worker_up",
            "gauge",
            "Whether the stream worker runs.",
            f64::from(u8::from(status.worker_failure.is_none())),
        ),
    ];
    for (name, kind, help, value) in figures {
        text.head(name, kind, help);
        text.sample(name, &[], value);
    }
    write_feature_health(text, &status.feature_health);
    let (fresh, name) = (status.freshness_us, "dhow_freshness_seconds");
    text.head(name, "gauge", "From acknowledgement to visible in a feature read, over the last events measured.");
    for (quantile, micros) in [("0.5", fresh.p50), ("0.9", fresh.p90), ("0.99", fresh.p99), ("1", fresh.max)] {
        text.sample(name, &[("quantile", quantile)], micros as f64 / 1e6);
    }
    text.head("dhow_model_info", "gauge", "The models in force.");
    for (task, model) in &status.models {
        text.sample("dhow_model_info", &[("tenant", tenant.as_str()), ("task", task), ("model", model)], 1.0);
    }
}

fn write_feature_health(text: &mut Exposition, health: &FeatureHealth) {
    let parity = &health.parity;
    let (drifted, broken) = health.drift.as_ref().map_or((0, 0), |drift| (drift.drifted.len(), drift.violations.len()));
    let figures: [(&str, &str, &str, f64); 6] = [
        ("dhow_parity_values_total", "counter", "Served feature values computed again.", parity.values as f64),
        (
            "dhow_parity_differences_total",
            "counter",
            "Served feature values that the log does not give.",
            parity.difference_count as f64,
        ),
        (
            "dhow_stale_vectors_total",
            "counter",
            "Vectors served while known events waited to be applied.",
            parity.stale_vectors as f64,
        ),
        ("dhow_drifted_features", "gauge", "Features of the last window that have drifted.", drifted as f64),
        ("dhow_broken_expectations", "gauge", "Expectations that the last window breaks.", broken as f64),
        (
            "dhow_feature_monitor_up",
            "gauge",
            "Whether the last look at the served features succeeded.",
            f64::from(u8::from(health.failure.is_none())),
        ),
    ];
    for (name, kind, help, value) in figures {
        text.head(name, kind, help);
        text.sample(name, &[], value);
    }
}

#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.line(format_args!("{name}{labels} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _infallible = writeln!(self.0, "{line}");
    }
}
