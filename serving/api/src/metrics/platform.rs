//! The figures of log, features, queues, decisions and fraud models as metrics; those of models by tensors are in `inference`.

use dhow_engine::{AnswerFigures, DECISION_QUEUE_MAX, DriftCheck, FeatureHealth, ModelCalibration, Status};
use dhow_events::TenantId;

use super::exposition::Exposition;

/// Writes them. `outbox_events` wait in the database for the log.
pub(super) fn write(text: &mut Exposition, status: &Status, outbox_events: u64, tenant: TenantId) {
    write_stream(text, status);
    write_queues(text, status, outbox_events);
    write_feature_health(text, &status.feature_health);
    if let Some(drift) = &status.feature_health.drift {
        write_drift(text, drift);
    }
    write_calibration(text, &status.calibration);
    write_answers(text, &status.answers);
    text.head("dhow_model_info", "gauge", "The models in force.");
    for (task, model) in &status.models {
        text.sample("dhow_model_info", &[("tenant", tenant.as_str()), ("task", task), ("model", model)], 1.0);
    }
}

fn write_stream(text: &mut Exposition, status: &Status) {
    text.figures(&[
        ("dhow_log_events", "gauge", "Events in the log.", status.log_events as f64),
        ("dhow_applied_events_total", "counter", "Events applied since the start.", status.applied_events as f64),
        ("dhow_lag_events", "gauge", "Acknowledged events that are not applied yet.", status.lag_events as f64),
        ("dhow_late_events_total", "counter", "Events too late for the features.", status.late_events as f64),
        ("dhow_duplicate_events_total", "counter", "Events dropped as duplicates.", status.duplicate_events as f64),
        ("dhow_feature_keys", "gauge", "Entities with features in memory.", status.feature_keys as f64),
        ("dhow_products", "gauge", "Products known.", status.products as f64),
        ("dhow_worker_up", "gauge", "Whether the stream worker runs.", flag(status.worker_failure.is_none())),
    ]);
    let (fresh, name) = (status.freshness_us, "dhow_freshness_seconds");
    text.head(name, "gauge", "From acknowledgement to visible in a feature read, over the last events measured.");
    for (quantile, micros) in [("0.5", fresh.p50), ("0.9", fresh.p90), ("0.99", fresh.p99), ("1", fresh.max)] {
        text.sample(name, &[("quantile", quantile)], micros as f64 / 1e6);
    }
}

fn write_queues(text: &mut Exposition, status: &Status, outbox_events: u64) {
    let (waiting, most) = (status.decisions_waiting as f64, DECISION_QUEUE_MAX as f64);
    text.figures(&[
        ("dhow_outbox_events", "gauge", "Events in the database that are not in the log yet.", outbox_events as f64),
        ("dhow_decisions_waiting", "gauge", "Decisions that wait to be written.", waiting),
        ("dhow_decisions_waiting_max", "gauge", "Decisions that may wait; further answers wait too.", most),
    ]);
}

fn write_feature_health(text: &mut Exposition, health: &FeatureHealth) {
    let parity = &health.parity;
    let (drifted, broken) = health.drift.as_ref().map_or((0, 0), |drift| (drift.drifted.len(), drift.violations.len()));
    text.figures(&[
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
            flag(health.failure.is_none()),
        ),
    ]);
}

fn write_drift(text: &mut Exposition, drift: &DriftCheck) {
    let DriftCheck { model, vectors, psi_max, distance_max, .. } = drift;
    for (name, help, value) in [
        ("dhow_drift_vectors", "Vectors of the last window beside the model's training data.", *vectors as f64),
        ("dhow_drift_psi_max", "The largest population stability index of a feature in it.", *psi_max),
        ("dhow_drift_distance_max", "The largest Kolmogorov-Smirnov distance of a feature in it.", *distance_max),
    ] {
        text.head(name, "gauge", help);
        text.sample(name, &[("model", model)], value);
    }
}

fn write_calibration(text: &mut Exposition, judged: &[ModelCalibration]) {
    type Value = fn(&ModelCalibration) -> Option<f64>;
    let metrics: [(&str, &str, Value); 5] = [
        ("dhow_fraud_mature_decisions", "Decisions of eight weeks with a known end.", |one| Some(one.mature as f64)),
        ("dhow_fraud_observed_frauds", "Frauds among them.", |one| Some(one.frauds as f64)),
        ("dhow_fraud_expected_frauds", "Frauds that the model announced: its probabilities' sum.", |one| {
            Some(one.quality.expected_frauds)
        }),
        ("dhow_fraud_brier_score", "The mean squared difference from what happened.", |one| Some(one.quality.brier)),
        ("dhow_fraud_calibration_error", "From probability to frequency, over groups of equal size.", |one| {
            one.quality.calibration_error
        }),
    ];
    for (name, help, value) in metrics {
        text.head(name, "gauge", help);
        for one in judged {
            if let Some(value) = value(one) {
                text.sample(name, &[("model", &one.model)], value);
            }
        }
    }
}

fn write_answers(text: &mut Exposition, answers: &AnswerFigures) {
    let (total, degraded) = ("dhow_decisions_total", "dhow_decisions_degraded_total");
    text.head(total, "counter", "Answers of models, by task and by the model or method that gave them.");
    for (task, figures) in answers {
        for (model, count) in &figures.by_model {
            text.sample(total, &[("task", task.word()), ("model", model)], *count as f64);
        }
    }
    text.head(degraded, "counter", "Answers that a fallback gave.");
    for (task, figures) in answers {
        text.sample(degraded, &[("task", task.word())], figures.degraded as f64);
    }
    let time = "dhow_decision_duration_seconds";
    text.head(time, "histogram", "From the question to the model's answer, before it is written down.");
    for (task, figures) in answers {
        text.histogram(time, &[("task", task.word())], &figures.latency);
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
