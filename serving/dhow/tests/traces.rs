//! What a collector of OpenTelemetry gets from a server: spans by OTLP over gRPC, the last ones when the server is asked to end.

mod programs;

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::{Request, Response, Status};

use programs::{Running, free_port};

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// One request over a connection of its own; the status line, or nothing where nobody listens yet.
fn ask(port: u16, path: &str, traceparent: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ntraceparent: {traceparent}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_the_spans_of_a_caller_who_is_traced_before_the_server_ends() {
    let (collector, listener) = (Collector::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));

    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let started = Command::new(env!("CARGO_BIN_EXE_dhow"))
        .args(["serve", "--bind", &format!("127.0.0.1:{port}"), "--data-dir"])
        .arg(folder.path().join("data"))
        .envs([("DHOW_TELEMETRY_OTLP_ENDPOINT", endpoint.as_str()), ("DHOW_TELEMETRY_SAMPLE_RATIO", "0")])
        .stderr(Stdio::null())
        .spawn();
    let mut server = Running(started.unwrap());
    let traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answered = tokio::task::spawn_blocking(move || {
        for _ in 0..1_000 {
            if let Some(status) = ask(port, "/v1/products", traced) {
                // A caller who is not traced, at a ratio of none.
                let _untraced = ask(port, "/v1/orders", "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    });
    assert_eq!(answered.await.unwrap().as_deref(), Some("HTTP/1.1 200 OK"));
    let told = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(tokio::task::spawn_blocking(move || server.0.wait()).await.unwrap().unwrap().success());

    let got = collector.0.lock().unwrap();
    let resources: Vec<_> = got.iter().flat_map(|request| &request.resource_spans).collect();
    let spans: Vec<_> = resources.iter().flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans).collect();
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["GET /v1/products"]);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&spans[0].trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&spans[0].parent_span_id), "b7ad6b7169203331");
    let service = resources[0].resource.as_ref().unwrap().attributes.iter().find(|one| one.key == "service.name");
    assert!(format!("{service:?}").contains("\"dhow\""), "{service:?}");
}
