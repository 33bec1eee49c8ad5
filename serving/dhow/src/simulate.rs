//! `dhow simulate`: a marketplace's events into a file, the truth beside them, and how the world compares with a real one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use dhow_datasets::ceiling::{CeilingCollector, Gap};
use dhow_datasets::shape::{ComparisonRow, ShapeCollector, compare};
use dhow_datasets::{Simulation, SimulationSettings, online_retail};
use dhow_events::{Clock, Event, SystemClock, TenantId, cloudevents, codec};
use serde::Serialize;

use crate::arguments::{EventFormat, SimulateArguments};
use crate::failure::Failure;
use crate::output::{json, progress, table, thousands};

#[derive(Serialize)]
struct Summary {
    scale: String,
    seed: u64,
    events: u64,
    seconds: f64,
    events_per_second: f64,
    fraud_prevalence: f64,
    shape: Vec<ComparisonRow>,
    ceilings: Vec<Gap>,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be written, or settings that the simulator refuses.
pub fn run(arguments: &SimulateArguments) -> Result<(), Failure> {
    let mut settings = SimulationSettings::at_scale(arguments.scale, arguments.seed);
    if let Some(products) = arguments.products {
        settings.products = products;
        settings.sellers = settings.sellers.max(products / 100);
    }
    let mut simulation = Simulation::new(&settings).map_err(Failure::input)?;
    let mut out = writer(arguments.out.as_deref())?;
    let (mut shape, mut ceilings) = (ShapeCollector::new(), CeilingCollector::new());
    let mut buffer = Vec::new();
    let bar = progress("simulate", 0);
    let begin = SystemClock.now();
    let mut events = 0_u64;
    for arrival in simulation.by_ref() {
        write_event(&mut out, arguments.format, &arrival.event, &mut buffer)?;
        if arguments.compare.is_some() {
            shape.observe(&arrival.event);
        }
        if arguments.ceilings {
            ceilings.observe(&arrival.event);
        }
        events += 1;
        if events.is_multiple_of(10_000) {
            bar.set_position(events);
        }
    }
    out.flush()?;
    let seconds = SystemClock.now().micros_since(begin) as f64 / 1e6;
    bar.finish_and_clear();
    let truth = simulation.into_truth();
    if let Some(path) = &arguments.truth {
        let file =
            BufWriter::new(File::create(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?);
        serde_json::to_writer(file, &truth)?;
    }
    let summary = Summary {
        scale: arguments.scale.to_string(),
        seed: arguments.seed,
        events,
        seconds,
        events_per_second: events as f64 / seconds.max(1e-9),
        fraud_prevalence: settings.fraud_prevalence,
        shape: match &arguments.compare {
            None => Vec::new(),
            Some(path) => comparison(path, shape)?,
        },
        ceilings: if arguments.ceilings { ceilings.finish(&truth) } else { Vec::new() },
    };
    if arguments.json { json(&summary) } else { print(&summary) }
}

fn writer(out: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    match out {
        None => Ok(Box::new(std::io::sink())),
        Some(path) if path == Path::new("-") => Ok(Box::new(BufWriter::new(std::io::stdout()))),
        Some(path) => {
            let file = File::create(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
            Ok(Box::new(BufWriter::with_capacity(1 << 20, file)))
        }
    }
}

fn write_event(out: &mut dyn Write, format: EventFormat, event: &Event, buffer: &mut Vec<u8>) -> Result<(), Failure> {
    match format {
        EventFormat::Ndjson => {
            serde_json::to_writer(&mut *out, &cloudevents::to_json(event))?;
            out.write_all(b"\n")?;
        }
        EventFormat::Binary => {
            buffer.clear();
            *buffer = codec::encode(event, std::mem::take(buffer))?;
            out.write_all(&(buffer.len() as u32).to_le_bytes())?;
            out.write_all(buffer)?;
        }
    }
    Ok(())
}

fn comparison(path: &Path, simulated: ShapeCollector) -> Result<Vec<ComparisonRow>, Failure> {
    let real = online_retail::load(path, TenantId::default()).map_err(Failure::input)?;
    let mut shape = ShapeCollector::new();
    real.events.iter().for_each(|event| shape.observe(event));
    let missing = || Failure::Input("there are too few orders to compare".to_owned());
    Ok(compare(&simulated.finish().ok_or_else(missing)?, &shape.finish().ok_or_else(missing)?))
}

fn print(summary: &Summary) -> Result<(), Failure> {
    eprintln!(
        "{} events in {:.2} s ({} a second), {:.2} % of checkouts are fraud",
        thousands(summary.events),
        summary.seconds,
        thousands(summary.events_per_second as u64),
        summary.fraud_prevalence * 100.0
    );
    let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    if !summary.shape.is_empty() {
        let row = |row: &ComparisonRow| {
            let within = row.within().map_or("", |within| if within { "yes" } else { "no" });
            vec![row.measure.clone(), shown(row.first), shown(row.second), shown(row.tolerance), within.to_owned()]
        };
        let rows: Vec<_> = summary.shape.iter().map(row).collect();
        println!("{}", table(&["shape", "simulated", "Online Retail", "tolerance", "within"], &rows, true));
    }
    if !summary.ceilings.is_empty() {
        let row = |gap: &Gap| {
            vec![
                gap.measure.clone(),
                gap.floor_method.clone(),
                format!("{:.4}", gap.floor),
                format!("{:.4}", gap.ceiling),
                thousands(gap.cases),
            ]
        };
        let rows: Vec<_> = summary.ceilings.iter().map(row).collect();
        println!("{}", table(&["measure", "trivial method", "trivial", "oracle", "cases"], &rows, false));
    }
    Ok(())
}
