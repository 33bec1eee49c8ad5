//! Traces of requests: from the caller's through features, model, decision and event, in one tree; where they are sent is not tested here.

use std::sync::Arc;

use opentelemetry::trace::TracerProvider;
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
    /// The spans of one trace once the one of a name has ended: a thread of the database lets go of it a moment after its answer.
    async fn trace(&self, trace: &str, until_ended: &str) -> Vec<SpanData> {
        let of_trace = || {
            let of_all = self.0.lock();
            of_all.iter().filter(|span| span.span_context.trace_id().to_string() == trace).cloned().collect::<Vec<_>>()
        };
        for _ in 0..1_000 {
            let spans = of_trace();
            if spans.iter().any(|span| span.name == until_ended) {
                return spans;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{until_ended} does not end among {:?}", of_trace().iter().map(|span| &span.name).collect::<Vec<_>>());
    }
}

const OF_SCORE: &str = "0af7651916cd43dd8448eb211c80319c";
const OF_CHECKOUT: &str = "1af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_request_is_one_trace_from_its_caller_through_features_model_and_decision() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let only_traces = Targets::new().with_target("dhow::trace", tracing::Level::INFO);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_filter(only_traces);
    // For all threads, because a database's thread that entered a span can close it only where it finds the same subscriber.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let world = World::new().await;
    trained::fraud(&world);
    let product = world.product("Cup", 1_200, 9).await;
    let called_in = |trace: &str| format!("00-{trace}-{CALLER}-01");
    let ask = world.ask("POST", "/v1/fraud/scores").header("traceparent", &called_in(OF_SCORE));
    let scored = ask.json(&score(900)).send().await;
    assert_eq!(scored.status, 200, "{scored:?}");
    let of_score = kept.trace(OF_SCORE, "POST /v1/fraud/scores").await;
    let checkout = json!({
        "buyer": crate::world::buyer(), "region": "GB", "delivery_region": "NG-LA", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": 1 }],
    });
    let ask = world.ask("POST", "/v1/checkouts").header("traceparent", &called_in(OF_CHECKOUT));
    let bought = ask.json(&checkout).send().await;
    assert_eq!(bought.json()["state"], "completed", "{bought:?}");
    let of_checkout = kept.trace(OF_CHECKOUT, "POST /v1/checkouts").await;

    let named = |spans: &[SpanData], name: &str| {
        let found: Vec<SpanData> = spans.iter().filter(|span| span.name == name).cloned().collect();
        assert_eq!(found.len(), 1, "{name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
        found[0].clone()
    };
    let request = named(&of_score, "POST /v1/fraud/scores");
    assert_eq!((request.parent_span_id.to_string().as_str(), request.parent_span_is_remote), (CALLER, true));
    let attribute =
        |key: &str| request.attributes.iter().find(|one| one.key.as_str() == key).map(|one| one.value.to_string());
    assert_eq!(attribute("http.response.status_code").as_deref(), Some("200"));
    for name in ["features", "model", "decision"] {
        let part = named(&of_score, name);
        assert_eq!(part.parent_span_id, request.span_context.span_id(), "{name}");
    }

    // The score lies inside the transaction that it decides.
    let request = named(&of_checkout, "POST /v1/checkouts");
    let deciding = named(&of_checkout, "decide checkout");
    assert_eq!(deciding.parent_span_id, request.span_context.span_id());
    assert_eq!(named(&of_checkout, "model").parent_span_id, deciding.span_context.span_id());
    assert_eq!(named(&of_checkout, "pay checkout").parent_span_id, request.span_context.span_id());
}
