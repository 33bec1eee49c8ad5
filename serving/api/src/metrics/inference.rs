//! The figures of models that are served by tensors, under Triton's names and with its meanings; GPUs and caches it has none.

use std::sync::Arc;

use dhow_inference::{Duration, FailureReason, InferFigures, ModelStatistics, Served};

use super::exposition::Exposition;

/// Writes the figures of loaded versions: those of the protocol's statistics, each version's since it was loaded.
pub(super) fn write(text: &mut Exposition, served: &[Arc<Served>]) {
    // Read once, so that the figures of one version are of one moment.
    let versions: Vec<ModelStatistics> = served.iter().map(|version| version.statistics()).collect();
    write_counts(text, &versions);
    write_durations(text, &versions);
    let pending = "nv_inference_pending_request_count";
    text.head(pending, "gauge", "Requests that wait to be run.");
    for version in served {
        text.sample(pending, &[("model", version.name()), ("version", version.version())], version.waiting() as f64);
    }
}

fn write_counts(text: &mut Exposition, versions: &[ModelStatistics]) {
    type Value = fn(&ModelStatistics) -> u64;
    let counts: [(&str, &str, Value); 3] = [
        ("nv_inference_request_success", "Requests that were answered.", |one| one.inference_stats.success.count),
        ("nv_inference_count", "Inferences: a request of n rows counts n.", |one| one.inference_count),
        ("nv_inference_exec_count", "Runs of the model, of one request or of several.", |one| one.execution_count),
    ];
    for (name, help, value) in counts {
        text.head(name, "counter", help);
        for version in versions {
            text.sample(name, &labels(version), value(version) as f64);
        }
    }
    let failure = "nv_inference_request_failure";
    text.head(failure, "counter", "Requests that failed, by reason.");
    for version in versions {
        for (reason, count) in FailureReason::ALL.iter().zip(version.failures) {
            let [model, of_model] = labels(version);
            text.sample(failure, &[model, of_model, ("reason", reason.word())], count as f64);
        }
    }
}

fn write_durations(text: &mut Exposition, versions: &[ModelStatistics]) {
    type Value = fn(&InferFigures) -> Duration;
    let durations: [(&str, &str, Value); 5] = [
        ("nv_inference_request_duration_us", "From coming to answer, of answered requests.", |times| times.success),
        ("nv_inference_queue_duration_us", "Time in the queue.", |times| times.queue),
        ("nv_inference_compute_input_duration_us", "Putting inputs together.", |times| times.compute_input),
        ("nv_inference_compute_infer_duration_us", "Running the model.", |times| times.compute_infer),
        ("nv_inference_compute_output_duration_us", "Taking outputs apart.", |times| times.compute_output),
    ];
    for (name, help, value) in durations {
        text.head(name, "counter", &format!("{help} In microseconds, of all requests together."));
        for version in versions {
            text.sample(name, &labels(version), (value(&version.inference_stats).ns / 1_000) as f64);
        }
    }
}

fn labels(version: &ModelStatistics) -> [(&str, &str); 2] {
    [("model", &version.name), ("version", &version.version)]
}
