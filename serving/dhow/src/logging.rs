//! Where logs and traces of a run go: logs to standard error, traces to a collector where one is configured; it writes neither.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::configuration::Telemetry;
use crate::failure::Failure;

/// The target of all spans that make a trace.
const TRACES: &str = "dhow::trace";
/// Spans that may wait for the collector; more are dropped, and the exporter says how many when it ends.
const SPANS_WAITING_MAX: usize = 8_192;
/// How long the collector may take for a batch.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the last spans may take when the program ends.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// Traces under way to the collector.
pub struct Traces(Option<SdkTracerProvider>);

/// Logs go to standard error; `DHOW_LOG` sets the level (`info`, `debug`, `dhow_engine=debug` …). Traces go to the collector that
/// is configured. Needs the runtime.
///
/// # Errors
/// An address of a collector that is none.
pub fn start(json: bool, telemetry: Option<&Telemetry>) -> Result<Traces, Failure> {
    let filter = EnvFilter::try_from_env("DHOW_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let logs = match json {
        true => logs.json().with_filter(filter).boxed(),
        false => logs.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
    };
    let provider = telemetry.map(provider_of).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        let only_traces = Targets::new().with_target(TRACES, Level::INFO);
        tracing_opentelemetry::layer().with_tracer(provider.tracer("dhow")).with_filter(only_traces)
    });
    tracing_subscriber::registry().with(logs).with(traces).init();
    Ok(Traces(provider))
}

fn provider_of(telemetry: &Telemetry) -> Result<SdkTracerProvider, Failure> {
    let Telemetry { otlp_endpoint, sample_ratio } = telemetry;
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(otlp_endpoint).with_timeout(EXPORT_TIME_MAX).build();
    let exporter =
        exporter.map_err(|error| Failure::Input(format!("telemetry.otlp_endpoint `{otlp_endpoint}`: {error}")))?;
    let queue = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(*sample_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(queue).build())
        .with_sampler(sampler)
        .with_resource(Resource::builder().with_service_name("dhow").build())
        .build())
}

impl Traces {
    /// Sends what waits.
    pub fn end(self) {
        let Self(Some(provider)) = self else { return };
        if let Err(error) = provider.shutdown_with_timeout(END_TIME_MAX) {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}
