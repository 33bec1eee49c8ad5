//! Open-loop load: requests leave at a constant rate whatever the answers do; it neither starts nor judges the server.
//!
//! Request number i is due at i / rate seconds. Its latency runs from the moment when it was due, not from when it could
//! be sent, so that a stalled server cannot hide the requests that it kept waiting. Connections are kept alive.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Requests that may be under way at once; more wait, and their wait counts.
const IN_FLIGHT_MAX: usize = 4096;
/// An answer that takes longer counts as failed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Requests of one run, so that a slip of the keyboard cannot run for days.
const REQUESTS_MAX: u64 = 10_000_000;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// Sends requests at a constant rate and prints their latencies.
#[derive(Parser)]
struct Arguments {
    /// The server, for example http://127.0.0.1:8080; loopback only.
    #[arg(long)]
    url: String,
    /// A file with one request on each line: {"method":"POST","path":"/v1/…","body":{…}}; they are sent in turn.
    #[arg(long)]
    requests: PathBuf,
    /// Requests per second.
    #[arg(long)]
    rate: f64,
    /// Seconds that count.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds before them that do not.
    #[arg(long, default_value_t = 5.0)]
    warmup: f64,
    /// An API key.
    #[arg(long)]
    key: Option<String>,
    /// The server's process, whose CPU seconds are to be read.
    #[arg(long, env = "DHOW_BENCH_SERVER_PID")]
    pid: Option<u32>,
}

#[derive(Deserialize)]
struct Line {
    method: String,
    path: String,
    #[serde(default)]
    body: serde_json::Value,
}

struct Prepared {
    method: String,
    uri: String,
    body: Bytes,
}

struct Outcome {
    due: Duration,
    latency: Duration,
    status: u16,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let host = arguments.url.strip_prefix("http://").unwrap_or_default();
    if !["127.", "localhost", "[::1]"].iter().any(|loopback| host.starts_with(loopback)) {
        return Err(format!("`{}` is not on loopback; this generator sends nowhere else", arguments.url));
    }
    let total = ((arguments.warmup + arguments.seconds) * arguments.rate) as u64;
    if total == 0 || total > REQUESTS_MAX {
        return Err(format!("{total} requests; from 1 to {REQUESTS_MAX} are allowed"));
    }
    let requests = prepare(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let sync_us = disk_sync_us().map_err(|e| format!("cannot measure the disk: {e}"))?;
    let server_before = arguments.pid.map(process_cpu_seconds);
    let own_before = process_cpu_seconds(std::process::id());
    let outcomes = runtime.block_on(send_all(arguments, Arc::new(requests), total));
    let server = arguments.pid.map(|pid| process_cpu_seconds(pid) - server_before.unwrap_or_default());
    let own = process_cpu_seconds(std::process::id()) - own_before;
    report(arguments, outcomes, own, server, sync_us);
    Ok(())
}

fn prepare(arguments: &Arguments) -> Result<Vec<Prepared>, String> {
    let path = &arguments.requests;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        let line: Line =
            serde_json::from_str(line).map_err(|e| format!("{} line {}: {e}", path.display(), number + 1))?;
        let body = if line.body.is_null() { Bytes::new() } else { Bytes::from(line.body.to_string()) };
        Ok(Prepared { method: line.method, uri: format!("{}{}", arguments.url, line.path), body })
    };
    let requests: Result<Vec<_>, String> =
        text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect();
    requests.and_then(|all| if all.is_empty() { Err(format!("{} holds no request", path.display())) } else { Ok(all) })
}

async fn send_all(arguments: &Arguments, requests: Arc<Vec<Prepared>>, total: u64) -> Vec<Outcome> {
    let client: HttpClient = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(IN_FLIGHT_MAX).build_http();
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let key: Arc<Option<String>> = Arc::new(arguments.key.clone());
    let begin = Instant::now();
    let mut tasks = Vec::with_capacity(total as usize);
    for number in 0..total {
        let due = Duration::from_secs_f64(number as f64 / arguments.rate);
        tokio::time::sleep_until((begin + due).into()).await;
        let (client, requests, key, places) = (client.clone(), requests.clone(), key.clone(), places.clone());
        tasks.push(tokio::spawn(async move {
            let place = places.acquire_owned().await;
            let request = &requests[number as usize % requests.len()];
            let status = send(&client, request, key.as_deref()).await;
            drop(place);
            Outcome { due, latency: begin.elapsed().saturating_sub(due), status }
        }));
    }
    let mut outcomes = Vec::with_capacity(tasks.len());
    for task in tasks {
        outcomes.extend(task.await);
    }
    outcomes
}

/// The status of the answer once its body has arrived; 0 where there was none in time.
async fn send(client: &HttpClient, request: &Prepared, key: Option<&str>) -> u16 {
    let mut builder = Request::builder().method(request.method.as_str()).uri(&request.uri);
    builder = builder.header("content-type", "application/json");
    if let Some(key) = key {
        builder = builder.header("authorization", format!("Bearer {key}"));
    }
    let Ok(prepared) = builder.body(Full::new(request.body.clone())) else { return 0 };
    let exchange = async {
        let answer = client.request(prepared).await.ok()?;
        let status = answer.status().as_u16();
        answer.into_body().collect().await.ok()?;
        Some(status)
    };
    tokio::time::timeout(ANSWER_TIME_MAX, exchange).await.ok().flatten().unwrap_or(0)
}

/// The median time to sync a small append to the disk that holds the temporary folder.
fn disk_sync_us() -> std::io::Result<u128> {
    let path = std::env::temp_dir().join(format!("dhow-load-{}", std::process::id()));
    let mut file = std::fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..21 {
        file.write_all(&[0; 512])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed().as_micros());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// User and system time of a process, from the kernel's account in hundredths of a second; 0 where it is gone.
fn process_cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<f64> = after_name.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // The state letter is dropped by the parse, so user and system time stand at 10 and 11.
    fields.get(10).zip(fields.get(11)).map_or(0.0, |(user, system)| (user + system) / 100.0)
}

fn report(
    arguments: &Arguments,
    outcomes: Vec<Outcome>,
    own_cpu_s: f64,
    server_cpu_s: Option<f64>,
    disk_sync_us: u128,
) {
    let counted: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.due.as_secs_f64() >= arguments.warmup).collect();
    let failed = counted.iter().filter(|outcome| !(200..400).contains(&outcome.status)).count();
    let mut latencies: Vec<u128> = counted.iter().map(|outcome| outcome.latency.as_micros()).collect();
    latencies.sort_unstable();
    let quantile = |q: f64| {
        latencies
            .get(((latencies.len() as f64 * q) as usize).min(latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    };
    let result = serde_json::json!({
        "rate_per_s": arguments.rate, "requests": counted.len(), "failed": failed,
        "latency_us_p50": quantile(0.50), "latency_us_p90": quantile(0.90), "latency_us_p99": quantile(0.99),
        "latency_us_p999": quantile(0.999), "latency_us_max": latencies.last().copied().unwrap_or(0),
        "generator_cpu_s": own_cpu_s, "server_cpu_s": server_cpu_s, "disk_sync_us_p50": disk_sync_us,
    });
    println!("RESULT {result}");
}
