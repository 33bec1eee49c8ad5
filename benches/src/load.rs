//! Open-loop load: requests leave at a constant rate whatever the answers do; it neither starts nor judges the server.
//!
//! Request number i is due at i / rate seconds. Its latency runs from the moment when it was due, not from when it could
//! be sent, so that a stalled server cannot hide the requests that it kept waiting. Connections are kept open; where all
//! are busy, requests queue and their wait counts. One thread sleeps until the next request is due and looks for answers
//! every 50 microseconds; `lateness_us_p99` is how late it sent what it could have sent in time: that much of a latency
//! is the generator's own.
//!
//! With several rates it finds the highest that the server sustains: they are tried in turn, until one fails.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use dhow_benches::http::{ANSWER_TIME_MAX, Connection, RECEIVE_EVERY, loopback_address, request_bytes, with_header};
use dhow_benches::machine::{disk_sync_us, process_cpu_seconds, sharpen_timers, sleep_until};
use dhow_benches::quantile;
use serde::Deserialize;
use serde_json::json;

/// The most connections.
const CONNECTIONS_MAX: usize = 1024;
/// Requests of one run, so that a slip of the keyboard cannot run for days.
const REQUESTS_MAX: u64 = 10_000_000;
/// How long after the last request was due the run may still go on; what was not sent then has failed.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(15);
/// Between the connections' opening and the first request.
const START_PAUSE: Duration = Duration::from_millis(50);

/// Sends requests at a constant rate and prints their latencies.
#[derive(Parser)]
struct Arguments {
    /// The server, for example http://127.0.0.1:8080; loopback only.
    #[arg(long)]
    url: String,
    /// A file with one request on each line: {"method":"POST","path":"/v1/…","body":{…}}; they are sent in turn, one with
    /// "keyed":true under another `Idempotency-Key` each time.
    #[arg(long)]
    requests: PathBuf,
    /// Requests per second; several, separated by commas, are tried in turn until one is not sustained.
    #[arg(long, value_delimiter = ',', required = true)]
    rate: Vec<f64>,
    /// A rate is sustained where nothing fails and the 99 % quantile of latency is at most this many microseconds.
    #[arg(long, default_value_t = 10_000)]
    sustained_us_p99: u64,
    /// Seconds that count, at each rate.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds before them that do not.
    #[arg(long, default_value_t = 5.0)]
    warmup: f64,
    /// Connections that are kept open; as many requests can be under way.
    #[arg(long, default_value_t = 64)]
    connections: usize,
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
    #[serde(default)]
    keyed: bool,
}

/// A request as it is sent.
struct Prepared {
    bytes: Vec<u8>,
    /// Each time it is sent it gets a key of its own.
    keyed: bool,
}

impl Prepared {
    fn bytes(&self, rate: f64, number: u64) -> Cow<'_, [u8]> {
        if !self.keyed {
            return Cow::Borrowed(&self.bytes);
        }
        // The server may have answered an earlier run, so the process stands in the key.
        let key = format!("load-{}-{rate}-{number}", std::process::id());
        Cow::Owned(with_header(&self.bytes, "idempotency-key", &key))
    }
}

/// An answered request.
struct Outcome {
    number: u64,
    latency_us: u64,
    /// Microseconds between when it was due and when it was sent; nothing where no connection was free when it was due.
    lateness_us: Option<u64>,
    succeeded: bool,
}

/// What one rate gave.
struct Step {
    figures: serde_json::Value,
    sustained: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let address = loopback_address(&arguments.url)?;
    check(arguments)?;
    let requests = prepare(arguments)?;
    let mut steps = Vec::new();
    for &rate in &arguments.rate {
        steps.push(measure(arguments, address, &requests, rate)?);
        if !steps.iter().all(|step| step.sustained) {
            break;
        }
    }
    let result = match &steps[..] {
        [only] if arguments.rate.len() == 1 => only.figures.clone(),
        _ => {
            let sustained = steps.iter().take_while(|step| step.sustained).last();
            let highest = sustained.map_or(json!(0), |step| step.figures["rate_per_s"].clone());
            let figures: Vec<_> = steps.iter().map(|step| &step.figures).collect();
            json!({"sustained_rate_per_s": highest, "sustained_us_p99": arguments.sustained_us_p99, "steps": figures})
        }
    };
    println!("RESULT {result}");
    Ok(())
}

fn check(arguments: &Arguments) -> Result<(), String> {
    if !(1..=CONNECTIONS_MAX).contains(&arguments.connections) {
        return Err(format!("{} connections; from 1 to {CONNECTIONS_MAX} are allowed", arguments.connections));
    }
    let durations = [arguments.warmup, arguments.seconds];
    if durations.iter().any(|seconds| !(0.0..=86_400.0).contains(seconds)) || arguments.seconds == 0.0 {
        return Err("seconds must be above 0, the warm-up not below, both at most a day".to_owned());
    }
    for rate in &arguments.rate {
        let total = (arguments.warmup + arguments.seconds) * rate;
        if !(1.0..=REQUESTS_MAX as f64).contains(&total) {
            return Err(format!("{total} requests at {rate}/s; from 1 to {REQUESTS_MAX} are allowed"));
        }
    }
    Ok(())
}

fn prepare(arguments: &Arguments) -> Result<Vec<Prepared>, String> {
    let path = &arguments.requests;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        let line: Line =
            serde_json::from_str(line).map_err(|e| format!("{} line {}: {e}", path.display(), number + 1))?;
        let body = if line.body.is_null() { String::new() } else { line.body.to_string() };
        let bytes = request_bytes(&line.method, &line.path, &body, arguments.key.as_deref());
        Ok(Prepared { bytes, keyed: line.keyed })
    };
    let requests: Result<Vec<_>, String> =
        text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(parse).collect();
    requests.and_then(|all| if all.is_empty() { Err(format!("{} holds no request", path.display())) } else { Ok(all) })
}

/// Sends the requests of one rate and sums up what came of them.
fn measure(arguments: &Arguments, address: SocketAddr, requests: &[Prepared], rate: f64) -> Result<Step, String> {
    let disk_sync_us = disk_sync_us().map_err(|e| format!("cannot measure the disk: {e}"))?;
    let connections: Result<Vec<_>, _> = (0..arguments.connections).map(|_| Connection::open(address)).collect();
    let connections = connections.map_err(|e| format!("cannot connect to {address}: {e}"))?;
    let total = ((arguments.warmup + arguments.seconds) * rate) as u64;
    let own_pid = std::process::id();
    let server_before = arguments.pid.map(process_cpu_seconds);
    let own_before = process_cpu_seconds(own_pid);
    let outcomes = send_all(connections, requests, rate, total)?;
    let server_cpu_s = arguments.pid.map(|pid| process_cpu_seconds(pid) - server_before.unwrap_or_default());

    let first = (arguments.warmup * rate).ceil() as u64;
    let counted: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.number >= first).collect();
    let succeeded = counted.iter().filter(|outcome| outcome.succeeded).count() as u64;
    let sorted = |values: &mut dyn Iterator<Item = u64>| {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        values
    };
    let latencies = sorted(&mut counted.iter().map(|outcome| outcome.latency_us));
    let lateness = sorted(&mut counted.iter().filter_map(|outcome| outcome.lateness_us));
    let failed = total - first - succeeded;
    let figures = json!({
        "rate_per_s": rate, "requests": total - first, "failed": failed, "connections": arguments.connections,
        "latency_us_p50": quantile(&latencies, 0.50), "latency_us_p90": quantile(&latencies, 0.90),
        "latency_us_p99": quantile(&latencies, 0.99), "latency_us_p999": quantile(&latencies, 0.999),
        "latency_us_max": quantile(&latencies, 1.0),
        "lateness_us_p99": quantile(&lateness, 0.99), "found_all_connections_busy": counted.len() - lateness.len(),
        "generator_cpu_s": process_cpu_seconds(own_pid) - own_before, "server_cpu_s": server_cpu_s,
        "disk_sync_us_p50": disk_sync_us,
    });
    Ok(Step { figures, sustained: failed == 0 && quantile(&latencies, 0.99) <= arguments.sustained_us_p99 })
}

/// Sends every request when it is due, or as soon after as a connection is free, and receives the answers.
fn send_all(
    mut connections: Vec<Connection>,
    requests: &[Prepared],
    rate: f64,
    total: u64,
) -> Result<Vec<Outcome>, String> {
    sharpen_timers().map_err(|e| format!("cannot sharpen the timers: {e}"))?;
    let begin = Instant::now() + START_PAUSE;
    let due = |number: u64| begin + Duration::from_secs_f64(number as f64 / rate);
    let end = due(total) + DRAIN_TIME_MAX;
    let mut outcomes = Vec::with_capacity(total as usize);
    let mut free: VecDeque<usize> = (0..connections.len()).collect();
    let (mut under_way, mut next): (Vec<UnderWay>, u64) = (Vec::new(), 0);
    // When a connection was last freed while none was free: requests due before it had to wait for it.
    let mut all_busy_until = begin;
    while (next < total || !under_way.is_empty()) && Instant::now() < end {
        let next_due = (next < total && !free.is_empty()).then(|| due(next));
        let next_look = (!under_way.is_empty()).then(|| Instant::now() + RECEIVE_EVERY);
        if let Some(wake) = [next_due, next_look].into_iter().flatten().min() {
            sleep_until(wake);
        }
        while next < total && due(next) <= Instant::now() {
            let Some(connection) = free.pop_front() else { break };
            let sent = Instant::now();
            let lateness_us = (due(next) >= all_busy_until).then(|| micros(due(next), sent));
            let request = UnderWay { connection, number: next, sent, lateness_us };
            let bytes = requests[next as usize % requests.len()].bytes(rate, next);
            match connections[connection].send(&bytes) {
                Ok(()) => under_way.push(request),
                Err(_) => {
                    free.push_back(connection);
                    outcomes.push(request.outcome(due(next), false));
                }
            }
            next += 1;
        }
        under_way.retain(|request| {
            let connection = &mut connections[request.connection];
            let succeeded = match connection.receive() {
                Ok(None) if request.sent.elapsed() < ANSWER_TIME_MAX => return true,
                Ok(None) => {
                    connection.abandon();
                    false
                }
                Ok(Some(status)) => (200..400).contains(&status),
                Err(_) => false,
            };
            if free.is_empty() {
                all_busy_until = Instant::now();
            }
            free.push_back(request.connection);
            outcomes.push(request.outcome(due(request.number), succeeded));
            false
        });
    }
    Ok(outcomes)
}

/// A request that was sent and not answered yet.
struct UnderWay {
    connection: usize,
    number: u64,
    sent: Instant,
    lateness_us: Option<u64>,
}

impl UnderWay {
    fn outcome(&self, due: Instant, succeeded: bool) -> Outcome {
        let latency_us = micros(due, Instant::now());
        Outcome { number: self.number, latency_us, lateness_us: self.lateness_us, succeeded }
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_micros() as u64
}
