//! `dhow ingest`: CloudEvents or a public data set into the log; bad lines are put aside, the rest goes in.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use dhow_datasets::online_retail::{self, SkippedLines};
use dhow_events::{Clock, Event, SystemClock, Timestamp, cloudevents};
use dhow_streams::{Log, LogError, PutAside};
use serde::Serialize;

use crate::arguments::{Dataset, IngestArguments};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::output::{json, progress, thousands};
use crate::platform::open_log;

/// Events appended to the log at once.
const BATCH: usize = 10_000;
/// What the file of bad lines may grow to.
const PUT_ASIDE_BYTES_MAX: u64 = 1 << 30;

#[derive(Serialize)]
struct Summary {
    events: u64,
    bad_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    put_aside: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<Skipped>,
    seconds: f64,
}

/// Lines of a data set that are no event of a marketplace, by reason.
#[derive(Serialize)]
struct Skipped {
    lines: u64,
    malformed: u64,
    no_customer: u64,
    not_a_product: u64,
    no_price: u64,
    no_quantity: u64,
    return_without_order: u64,
}

impl From<SkippedLines> for Skipped {
    fn from(skipped: SkippedLines) -> Self {
        Self {
            lines: skipped.total(),
            malformed: skipped.malformed,
            no_customer: skipped.no_customer,
            not_a_product: skipped.not_a_product,
            no_price: skipped.no_price,
            no_quantity: skipped.no_quantity,
            return_without_order: skipped.return_without_order,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, a log that cannot be written, or bad lines, which the exit status tells.
pub async fn run(arguments: &IngestArguments, configuration: &Configuration) -> Result<(), Failure> {
    std::fs::create_dir_all(&configuration.data_dir)?;
    let begin = SystemClock.now();
    let mut summary = match arguments.dataset {
        Some(Dataset::OnlineRetail) => online_retail_events(arguments, configuration)?,
        None => cloud_events(arguments, configuration)?,
    };
    summary.seconds = SystemClock.now().micros_since(begin) as f64 / 1e6;
    if arguments.json {
        json(&summary)?;
    } else {
        eprintln!("{} events in {:.2} s", thousands(summary.events), summary.seconds);
        if let Some(skipped) = &summary.skipped {
            eprintln!(
                "{} lines are no event of a known buyer and product: {} without a customer, {} not of a product, {} without a price, \
                 {} without a quantity, {} returns of orders before the data begins, {} malformed",
                thousands(skipped.lines),
                thousands(skipped.no_customer),
                thousands(skipped.not_a_product),
                thousands(skipped.no_price),
                thousands(skipped.no_quantity),
                thousands(skipped.return_without_order),
                thousands(skipped.malformed)
            );
        }
    }
    match summary.put_aside {
        None => Ok(()),
        Some(path) => Err(Failure::Input(format!(
            "{} bad lines were put aside in {path}, each with its number and reason; the other events are in the log",
            thousands(summary.bad_lines)
        ))),
    }
}

fn online_retail_events(arguments: &IngestArguments, configuration: &Configuration) -> Result<Summary, Failure> {
    let data = online_retail::load(&arguments.file, configuration.tenant).map_err(Failure::input)?;
    let log = open_log(configuration, Arc::new(SystemClock))?;
    let bar = progress("log events", data.events.len() as u64);
    // History becomes known when it happened: the features of the past are then those that a shop would have seen.
    for batch in data.events.chunks(BATCH) {
        let known: Vec<(Event, Timestamp)> = batch.iter().map(|event| (event.clone(), event.event_time)).collect();
        log.append_known(&known)?;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    let skipped = Some(data.skipped.into());
    Ok(Summary { events: data.events.len() as u64, bad_lines: 0, put_aside: None, skipped, seconds: 0.0 })
}

fn cloud_events(arguments: &IngestArguments, configuration: &Configuration) -> Result<Summary, Failure> {
    let input = open_input(&arguments.file)?;
    let log = open_log(configuration, Arc::new(SystemClock))?;
    let put_aside_path = arguments.put_aside.clone().unwrap_or_else(|| configuration.data_dir.join("put_aside.ndjson"));
    let mut put_aside = PutAside::new(&put_aside_path, PUT_ASIDE_BYTES_MAX);
    let bar = progress("log events", 0);
    let mut batch = Vec::with_capacity(BATCH);
    let mut known = arguments.history.then_some(Timestamp::MIN);
    let mut events = 0;
    for (number, line) in (1_u64..).zip(input.split(b'\n')) {
        let bytes = line.map_err(|error| Failure::Input(format!("{}: {error}", arguments.file.display())))?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\r');
        if text.trim().is_empty() {
            continue;
        }
        let read = match std::str::from_utf8(&bytes) {
            Err(error) => Err(format!("is not UTF-8: {error}")),
            Ok(_) => cloudevents::from_line(text, configuration.tenant)
                .and_then(|event| event.check(SystemClock.now()).map(|()| event))
                .map_err(|problem| problem.to_string()),
        };
        match read {
            Ok(event) => batch.push(event),
            Err(reason) => put_aside.put(number, &reason, text)?,
        }
        if batch.len() == BATCH {
            events += append(&*log, &mut batch, &mut known)?;
            bar.set_position(events);
        }
    }
    events += append(&*log, &mut batch, &mut known)?;
    bar.finish_and_clear();
    let bad_lines = put_aside.lines();
    put_aside.finish()?;
    let put_aside = (bad_lines > 0).then(|| put_aside_path.display().to_string());
    Ok(Summary { events, bad_lines, put_aside, skipped: None, seconds: 0.0 })
}

/// Appends a batch and empties it. `known` is the latest known time so far where the file is history: an event is known
/// when it happened, or with the latest line before it, because lines stand in the order in which they arrived.
fn append(log: &dyn Log, batch: &mut Vec<Event>, known: &mut Option<Timestamp>) -> Result<u64, Failure> {
    let count = batch.len() as u64;
    match known {
        None => {
            log.append(batch)?;
            batch.clear();
        }
        Some(latest) => {
            let arrivals: Vec<(Event, Timestamp)> = batch
                .drain(..)
                .map(|event| {
                    *latest = event.event_time.max(*latest);
                    (event, *latest)
                })
                .collect();
            log.append_known(&arrivals).map_err(|error| match error {
                LogError::KnownTime { last, .. } => Failure::Input(format!(
                    "the log holds events that were known at {last}, after the history of this file begins; history goes \
                     into a log that has none yet, and what is newer is ingested without --history"
                )),
                error => error.into(),
            })?;
        }
    }
    Ok(count)
}

fn open_input(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}
