//! What a request to a model costs beside the model itself: one connection, one request at a time; it neither starts nor judges the server.
//!
//! Rounds of an inference and of `GET /v2/health/live`, which does nothing but travel, take turns. The model's own time is what
//! the server counted as `compute_infer`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dhow_benches::http::{loopback_address, request_bytes};
use dhow_benches::quantile;
use serde_json::{Value, json};

/// The most requests of one run.
const REQUESTS_MAX: u32 = 1_000_000;

/// Asks a loaded model and prints what the protocol adds to it.
#[derive(Parser)]
struct Arguments {
    /// The server, for example http://127.0.0.1:8080; loopback only.
    #[arg(long)]
    url: String,
    /// The model's name.
    #[arg(long)]
    model: String,
    /// The request's JSON.
    #[arg(long)]
    body: String,
    /// Requests that count, after a tenth as many that do not.
    #[arg(long, default_value_t = 20_000)]
    requests: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(figures) => {
            println!("RESULT {figures}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("inference: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Value, String> {
    if !(10..=REQUESTS_MAX).contains(&arguments.requests) {
        return Err(format!("{} requests; from 10 to {REQUESTS_MAX} are allowed", arguments.requests));
    }
    let address = loopback_address(&arguments.url)?;
    let told = |error: io::Error| format!("{}: {error}", arguments.url);
    let stream = TcpStream::connect(address).map_err(told)?;
    stream.set_nodelay(true).map_err(told)?;
    let mut connection = BufReader::new(stream);
    let model = &arguments.model;
    let infer = request_bytes("POST", &format!("/v2/models/{model}/infer"), &arguments.body, None);
    let live = request_bytes("GET", "/v2/health/live", "", None);
    let stats = request_bytes("GET", &format!("/v2/models/{model}/stats"), "", None);
    for _ in 0..arguments.requests / 10 {
        exchange(&mut connection, &infer).map_err(told)?;
    }
    let (runs_before, ns_before) = model_time(&exchange(&mut connection, &stats).map_err(told)?)?;
    let (mut inferring, mut travelling) = (Vec::new(), Vec::new());
    for _ in 0..arguments.requests {
        for (request, times) in [(&infer, &mut inferring), (&live, &mut travelling)] {
            let begin = Instant::now();
            exchange(&mut connection, request).map_err(told)?;
            times.push(begin.elapsed().as_nanos() as u64);
        }
    }
    let (runs, ns) = model_time(&exchange(&mut connection, &stats).map_err(told)?)?;
    inferring.sort_unstable();
    travelling.sort_unstable();
    let micros = |ns: u64| ns as f64 / 1e3;
    let model_us = (ns - ns_before) / (runs - runs_before).max(1.0) / 1e3;
    let overhead = |q: f64| micros(quantile(&inferring, q)) - model_us;
    Ok(json!({
        "requests": arguments.requests, "model_us_mean": model_us,
        "infer_us_p50": micros(quantile(&inferring, 0.5)), "infer_us_p99": micros(quantile(&inferring, 0.99)),
        "live_us_p50": micros(quantile(&travelling, 0.5)), "live_us_p99": micros(quantile(&travelling, 0.99)),
        "overhead_us_p50": overhead(0.5), "overhead_us_p99": overhead(0.99),
    }))
}

/// Requests that the model ran for, and the nanoseconds that they took.
fn model_time(stats: &[u8]) -> Result<(f64, f64), String> {
    let stats: Value = serde_json::from_slice(stats).map_err(|error| error.to_string())?;
    let time = &stats["model_stats"][0]["inference_stats"]["compute_infer"];
    let figure = |name: &str| time[name].as_f64().ok_or_else(|| format!("the statistics lack `{name}`: {stats}"));
    Ok((figure("count")?, figure("ns")?))
}

/// Sends a request and gives the body of its answer, which must be a 200.
fn exchange(connection: &mut BufReader<TcpStream>, request: &[u8]) -> io::Result<Vec<u8>> {
    connection.get_mut().write_all(request)?;
    let (mut line, mut length) = (String::new(), 0);
    connection.read_line(&mut line)?;
    let succeeded = line.starts_with("HTTP/1.1 200");
    loop {
        let mut header = String::new();
        connection.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    if succeeded { Ok(body) } else { Err(io::Error::other(line + &String::from_utf8_lossy(&body))) }
}
