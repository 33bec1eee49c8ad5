//! From an event's acknowledgement to its count in a feature read, seen from outside over HTTP; the server runs elsewhere.
//!
//! One connection posts events at a constant rate, each of a buyer never seen before. Another asks `POST /v1/features` for
//! the buyers that were acknowledged and not yet counted. An event's time runs from the moment when its acknowledgement
//! was read to the moment when the answer that counts it was read, the way there and back included.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clap::Parser;
use dhow_benches::http::{Connection, loopback_address, request_bytes};
use dhow_benches::machine::{disk_sync_us, process_cpu_seconds, sharpen_timers, sleep_until};
use dhow_benches::quantile;
use dhow_events::facts::AddressAdded;
use dhow_events::{AddressId, BuyerId, Clock, Event, EventId, Region, SystemClock, TenantId, cloudevents};
use serde_json::{Value, json};

/// The feature by which an event is seen.
const FEATURE: &str = "buyer_addresses_added_count_1d";
/// Buyers asked for at once.
const ASKED_MAX: usize = 100;
/// Events of one run.
const EVENTS_MAX: u64 = 1_000_000;
/// An event that is not visible after so long ends the run.
const VISIBLE_TIME_MAX: Duration = Duration::from_secs(10);

/// Posts events at a constant rate and prints how long it takes until they are counted.
#[derive(Parser)]
struct Arguments {
    /// The server, for example http://127.0.0.1:8080; loopback only.
    #[arg(long)]
    url: String,
    /// Events per second.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Seconds that count.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Seconds before them that do not.
    #[arg(long, default_value_t = 5.0)]
    warmup: f64,
    /// Microseconds from one feature read to the next: so much of a time can be the reader's own.
    #[arg(long, default_value_t = 1000)]
    read_every_us: u64,
    /// An API key.
    #[arg(long)]
    key: Option<String>,
    /// The server's process, whose CPU seconds are to be read.
    #[arg(long, env = "DHOW_BENCH_SERVER_PID")]
    pid: Option<u32>,
}

/// An acknowledged event.
struct Posted {
    number: u64,
    buyer: BuyerId,
    acknowledged: Instant,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("freshness: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let address = loopback_address(&arguments.url)?;
    let total = ((arguments.warmup + arguments.seconds) * arguments.rate) as u64;
    if total == 0 || total > EVENTS_MAX {
        return Err(format!("{total} events; from 1 to {EVENTS_MAX} are allowed"));
    }
    let first = (arguments.warmup * arguments.rate).ceil() as u64;
    let disk_sync_us = disk_sync_us().map_err(|e| format!("cannot measure the disk: {e}"))?;
    let server_before = arguments.pid.map(process_cpu_seconds);
    let (posted, to_see) = channel();
    let (acknowledged, seen) = std::thread::scope(|scope| {
        let post = scope.spawn(|| post_all(arguments, address, total, posted));
        let see = scope.spawn(|| see_all(arguments, address, to_see));
        (post.join(), see.join())
    });
    let ended = |_| "a thread ended early".to_owned();
    let (acknowledged, (seen, reads)) = (acknowledged.map_err(ended)??, seen.map_err(ended)??);
    let server_cpu_s = arguments.pid.map(|pid| process_cpu_seconds(pid) - server_before.unwrap_or_default());

    let sorted = |values: Vec<(u64, u64)>| {
        let mut values: Vec<u64> = values.into_iter().filter(|(n, _)| *n >= first).map(|(_, us)| us).collect();
        values.sort_unstable();
        values
    };
    let (acknowledged, seen) = (sorted(acknowledged), sorted(seen));
    let result = json!({
        "rate_per_s": arguments.rate, "events": seen.len(), "reads": reads, "read_every_us": arguments.read_every_us,
        "visible_us_p50": quantile(&seen, 0.50), "visible_us_p90": quantile(&seen, 0.90),
        "visible_us_p99": quantile(&seen, 0.99), "visible_us_p999": quantile(&seen, 0.999),
        "visible_us_max": quantile(&seen, 1.0),
        "acknowledged_us_p50": quantile(&acknowledged, 0.50), "acknowledged_us_p99": quantile(&acknowledged, 0.99),
        "server_says_visible_us_p99": server_says_us_p99(arguments, address)?,
        "generator_cpu_s": process_cpu_seconds(std::process::id()), "server_cpu_s": server_cpu_s,
        "disk_sync_us_p50": disk_sync_us,
    });
    println!("RESULT {result}");
    Ok(())
}

/// Posts the events, each when it is due; gives for each the microseconds from then to its acknowledgement.
fn post_all(
    arguments: &Arguments,
    address: SocketAddr,
    total: u64,
    posted: Sender<Posted>,
) -> Result<Vec<(u64, u64)>, String> {
    sharpen_timers().map_err(|e| format!("cannot sharpen the timers of a thread: {e}"))?;
    let mut connection = Connection::open(address).map_err(|e| format!("cannot connect to {address}: {e}"))?;
    let region = Region::new("GB").map_err(|e| e.to_string())?;
    let begin = Instant::now();
    let mut acknowledged = Vec::with_capacity(total as usize);
    for number in 0..total {
        let due = begin + Duration::from_secs_f64(number as f64 / arguments.rate);
        sleep_until(due);
        let now = SystemClock.now();
        // Buyers of an earlier run have other ids: the time is part of each.
        let (id, buyer) = (EventId::at(now, u128::from(number)), BuyerId::at(now, u128::from(number)));
        let fact = AddressAdded { buyer, address: AddressId::at(now, u128::from(number)), region }.into();
        let event = Event { id, tenant: TenantId::default(), event_time: now, fact };
        let body = cloudevents::to_json(&event).to_string();
        let request = request_bytes("POST", "/v1/events", &body, arguments.key.as_deref());
        let (status, answer) = connection.exchange(&request).map_err(|e| format!("an event was not answered: {e}"))?;
        if status != 202 {
            return Err(format!("an event got {status}: {}", String::from_utf8_lossy(answer)));
        }
        acknowledged.push((number, due.elapsed().as_micros() as u64));
        if posted.send(Posted { number, buyer, acknowledged: Instant::now() }).is_err() {
            return Err("reading ended before posting did".to_owned());
        }
    }
    Ok(acknowledged)
}

/// Reads until every posted event was seen; gives the microseconds that each took, and how many reads there were.
fn see_all(
    arguments: &Arguments,
    address: SocketAddr,
    to_see: Receiver<Posted>,
) -> Result<(Vec<(u64, u64)>, u64), String> {
    sharpen_timers().map_err(|e| format!("cannot sharpen the timers of a thread: {e}"))?;
    let mut connection = Connection::open(address).map_err(|e| format!("cannot connect to {address}: {e}"))?;
    let (mut unseen, mut seen, mut reads, mut next_read) = (Vec::new(), Vec::new(), 0, Instant::now());
    loop {
        if unseen.is_empty() {
            match to_see.recv_timeout(VISIBLE_TIME_MAX) {
                Ok(posted) => unseen.push(posted),
                Err(RecvTimeoutError::Disconnected) => return Ok((seen, reads)),
                Err(RecvTimeoutError::Timeout) => return Err("no event was acknowledged for long".to_owned()),
            }
        }
        sleep_until(next_read);
        next_read = Instant::now() + Duration::from_micros(arguments.read_every_us);
        unseen.extend(to_see.try_iter());
        let asked = unseen.len().min(ASKED_MAX);
        let visible = read(arguments, &mut connection, &unseen[..asked])?;
        let now = Instant::now();
        reads += 1;
        let mut flags = visible.into_iter();
        unseen.retain(|posted| {
            let is_visible = flags.next().unwrap_or(false);
            if is_visible {
                seen.push((posted.number, now.duration_since(posted.acknowledged).as_micros() as u64));
            }
            !is_visible
        });
        if let Some(late) = unseen.iter().find(|posted| posted.acknowledged.elapsed() > VISIBLE_TIME_MAX) {
            return Err(format!("event {} was acknowledged and is not visible after 10 s", late.number));
        }
    }
}

/// Which of the events are counted.
fn read(arguments: &Arguments, connection: &mut Connection, events: &[Posted]) -> Result<Vec<bool>, String> {
    let entities: Vec<Value> = events.iter().map(|posted| json!({"buyer": posted.buyer})).collect();
    let body = json!({"features": [FEATURE], "entities": entities}).to_string();
    let request = request_bytes("POST", "/v1/features", &body, arguments.key.as_deref());
    let (status, answer) = connection.exchange(&request).map_err(|e| format!("a read was not answered: {e}"))?;
    if status != 200 {
        return Err(format!("a read got {status}: {}", String::from_utf8_lossy(answer)));
    }
    let table: Value = serde_json::from_slice(answer).map_err(|e| format!("a read's answer is not JSON: {e}"))?;
    let rows = table["rows"].as_array().filter(|rows| rows.len() == events.len());
    let rows = rows.ok_or_else(|| format!("a read of {} buyers did not answer as many rows", events.len()))?;
    Ok(rows.iter().map(|row| row["values"][0].as_f64().is_some_and(|count| count >= 1.0)).collect())
}

/// What the server itself reports of its last events, in microseconds; nothing where it reports none.
fn server_says_us_p99(arguments: &Arguments, address: SocketAddr) -> Result<Option<u64>, String> {
    let mut connection = Connection::open(address).map_err(|e| format!("cannot connect to {address}: {e}"))?;
    let request = request_bytes("GET", "/metrics", "", arguments.key.as_deref());
    let (_, answer) = connection.exchange(&request).map_err(|e| format!("metrics were not answered: {e}"))?;
    let text = String::from_utf8_lossy(answer);
    let line = text.lines().find(|line| line.starts_with("dhow_freshness_seconds{quantile=\"0.99\"}"));
    let seconds: Option<f64> = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    Ok(seconds.map(|seconds| (seconds * 1e6) as u64))
}
