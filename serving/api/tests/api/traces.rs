//! Traces of requests: from the caller's through features, model, decision and event, in one tree; where they are sent is not tested here.

use std::sync::Arc;

use opentelemetry::trace::{SpanId, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use parking_lot::Mutex;
use serde_json::json;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::fraud::score;
use crate::trained;
use crate::world::World;

/// Keeps spans in the order in which they ended.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}

impl Kept {
    /// Takes the spans up to the end of one: a thread of the database lets go of it a moment after its answer.
    async fn until_ended(&self, name: &str) -> Vec<SpanData> {
        for _ in 0..1_000 {
            if self.0.lock().iter().any(|span| span.name == name) {
                return std::mem::take(&mut *self.0.lock());
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!(
            "{name} does not end among {:?}",
            self.0.lock().iter().map(|span| span.name.clone()).collect::<Vec<_>>()
        );
    }
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn a_request_is_one_trace_from_its_caller_through_features_model_and_decision() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let only_traces = Targets::new().with_target("dhow::trace", tracing::Level::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_filter(only_traces);
    let _on_this_thread = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let world = World::new().await;
    trained::fraud(&world);
    let product = world.product("A cup", 500, 3).await;
    kept.0.lock().clear();
    let scored = world.ask("POST", "/v1/fraud/scores").header("traceparent", CALLER).json(&score(900)).send().await;
    assert_eq!(scored.status, 200, "{scored:?}");
    let of_score = kept.until_ended("POST /v1/fraud/scores").await;
    let checkout = json!({
        "buyer": crate::world::buyer(), "region": "GB", "delivery_region": "NG-LA", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": 1 }],
    });
    let bought = world.post("/v1/checkouts", &checkout).await;
    assert_eq!(bought.status, 201, "{bought:?}");
    let of_checkout = kept.until_ended("POST /v1/checkouts").await;

    let named = |spans: &[SpanData], name: &str| {
        let found: Vec<SpanData> = spans.iter().filter(|span| span.name == name).cloned().collect();
        assert_eq!(found.len(), 1, "{name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
        found[0].clone()
    };
    let request = named(&of_score, "POST /v1/fraud/scores");
    assert_eq!(request.span_context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (request.parent_span_id.to_string().as_str(), request.parent_span_is_remote),
        ("b7ad6b7169203331", true)
    );
    let attribute =
        |key: &str| request.attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.to_string());
    assert_eq!(attribute("http.response.status_code").as_deref(), Some("200"));
    for name in ["features", "model", "decision"] {
        let part = named(&of_score, name);
        assert_eq!(part.parent_span_id, request.span_context.span_id(), "{name}");
        assert_eq!(part.span_context.trace_id(), request.span_context.trace_id());
    }

    // Without a caller's trace the request is the root; the score lies inside the transaction that it decides.
    let request = named(&of_checkout, "POST /v1/checkouts");
    assert_eq!(request.parent_span_id, SpanId::INVALID);
    let deciding = named(&of_checkout, "decide checkout");
    assert_eq!(deciding.parent_span_id, request.span_context.span_id());
    assert_eq!(named(&of_checkout, "model").parent_span_id, deciding.span_context.span_id());
    assert_eq!(named(&of_checkout, "pay checkout").parent_span_id, request.span_context.span_id());
}
