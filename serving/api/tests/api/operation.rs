//! What operators look at: signs of life, metrics, documentation, the console, starting and stopping.

use std::collections::BTreeMap;

use dhow_api::ApiSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::World;

/// Reads the text format line by line; anything that is no comment and no sample is an error.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("# HELP ") && !line.starts_with("# TYPE ")) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let bare = name.split('{').next().unwrap();
        assert!(bare.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{line}");
        assert!(
            text.contains(&format!(
                "# TYPE {}",
                bare.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count")
            )),
            "{line}"
        );
        let repeated = samples.insert(name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")));
        assert!(repeated.is_none(), "{line} stands twice");
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_prometheus_text_whose_histograms_add_up() {
    let world = World::new().await;
    for path in ["/v1/products", "/v1/products?limit=0", "/nowhere"] {
        world.get(path).await;
    }
    let metrics = world.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let samples: BTreeMap<String, f64> = samples(&metrics.text);
    let value = |name: &str| samples.get(name).copied().unwrap_or_else(|| panic!("no {name} in\n{}", metrics.text));
    assert_eq!(value(r#"dhow_http_requests_total{method="GET",route="/v1/products",status="200"}"#), 1.0);
    assert_eq!(value(r#"dhow_http_requests_total{method="GET",route="/v1/products",status="400"}"#), 1.0);
    assert_eq!(value(r#"dhow_http_requests_total{method="GET",route="unknown",status="404"}"#), 1.0);
    let count = value(r#"dhow_http_request_duration_seconds_count{method="GET",route="/v1/products"}"#);
    let all = value(r#"dhow_http_request_duration_seconds_bucket{method="GET",route="/v1/products",le="+Inf"}"#);
    assert_eq!((count, all), (2.0, 2.0));
    assert_eq!(value("dhow_worker_up"), 1.0);
    for name in ["dhow_log_events", "dhow_lag_events", r#"dhow_freshness_seconds{quantile="0.99"}"#] {
        value(name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_ready_until_its_database_is_gone() {
    let world = World::new().await;
    assert_eq!(world.get("/healthz").await.status, 200);
    assert_eq!(world.get("/readyz").await.status, 200);
    world.engine.store().close().await;
    let unready = world.get("/readyz").await;
    assert_eq!((unready.status, unready.code().as_str()), (503, "database_unavailable"));
    assert!(!unready.text.contains("sqlite") && !unready.text.contains("pool"), "no inside is shown: {}", unready.text);
    assert_eq!(world.get("/healthz").await.status, 200, "the process lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_and_the_documentation_load_nothing_from_elsewhere() {
    let world = World::new().await;
    let console = world.get("/").await;
    assert_eq!(console.status, 200);
    assert!(console.header("content-security-policy").contains("default-src 'none'"));
    for outside in ["http://", "https://", "//cdn", "@import"] {
        assert!(!console.text.contains(outside), "the console names {outside}");
    }
    let page = world.get("/docs/").await;
    assert_eq!(page.status, 200);
    for asset in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert_eq!(world.get(format!("/docs/{asset}")).await.status, 200, "{asset}");
    }
    assert!(world.get("/docs/swagger-initializer.js").await.text.contains("/openapi.json"));
    let document: serde_json::Value = world.get("/openapi.json").await.json();
    assert_eq!(&document, world.document.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_answers_on_its_listener_and_stops_when_it_is_told() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let server = tokio::spawn(dhow_api::serve(world.engine.clone(), ApiSettings::default(), listener, shutdown));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /v1/products HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"items\":[]"), "{answer}");
    drop(stop);
    server.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
