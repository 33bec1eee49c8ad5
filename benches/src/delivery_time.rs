//! Delivery times of a simulated marketplace: quantiles judged on the latest parcels, answers and updates timed; the table for peers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use dhow_benches::quantile;
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_delivery::{Delivery, DeliveryModel, FEATURES, Parcel, Split, Stage, feature_table};
use dhow_events::{Event, Fact, Region, Timestamp};

/// Questions and updates that are timed.
const TIMED: usize = 20_000;
/// A region counts from so many deliveries on.
const REGION_DELIVERIES_MIN: usize = 3_000;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// small, medium or large.
    #[arg(long, default_value = "small", global = true)]
    scale: Scale,
    /// The marketplace.
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
}

#[derive(Subcommand)]
enum Action {
    /// Writes features, minutes and parts as f64 for a peer.
    Write {
        /// Where to.
        file: PathBuf,
    },
    /// Learns, judges and times.
    Judge,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("delivery_time: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let market = simulate(&SimulationSettings::at_scale(arguments.scale, arguments.seed))?;
    match &arguments.action {
        Action::Write { file } => write(&market, file),
        Action::Judge => judge(&market, arguments.seed),
    }
}

/// What arrived, from the order and from leaving the seller on, until the simulation's last event.
struct MarketDeliveries {
    ordered: Vec<Delivery>,
    dispatched: Vec<Delivery>,
    until: Timestamp,
}

fn simulate(settings: &SimulationSettings) -> Result<MarketDeliveries, Box<dyn std::error::Error>> {
    let mut orders = HashMap::new();
    let mut under_way = HashMap::new();
    let (mut ordered, mut dispatched) = (Vec::new(), Vec::new());
    let mut arrived: Vec<Event> = Simulation::new(settings)?.map(|arrival| arrival.event).collect();
    let until = arrived.iter().map(|event| event.event_time).max().ok_or("nothing was simulated")?;
    arrived.sort_by_key(|event| event.event_time);
    for event in arrived {
        match event.fact {
            Fact::OrderPlaced(fact) => {
                orders.insert(fact.order, event.event_time);
            }
            Fact::ShipmentDispatched(fact) => {
                let parcel = Parcel {
                    seller: fact.seller,
                    carrier: Some(fact.carrier),
                    origin: fact.origin,
                    destination: fact.destination,
                    latitude: fact.latitude,
                    longitude: fact.longitude,
                    weight_grams: fact.weight_grams,
                    at: event.event_time,
                };
                under_way.insert(fact.shipment, (fact.order, parcel));
            }
            Fact::ShipmentDelivered(fact) => {
                // A repeated event finds its parcel gone.
                let Some((order, parcel)) = under_way.remove(&fact.shipment) else { continue };
                let minutes = |from: Timestamp| event.event_time.micros_since(from) as f64 / 60e6;
                dispatched.push(Delivery { parcel, minutes: minutes(parcel.at) });
                if let Some(at) = orders.get(&order) {
                    ordered.push(Delivery { parcel: Parcel { at: *at, ..parcel }, minutes: minutes(*at) });
                }
            }
            _ => {}
        }
    }
    Ok(MarketDeliveries { ordered, dispatched, until })
}

/// Five numbers, the features and where the rows are parted, then per row the features, the base, the minutes and the region.
fn write(market: &MarketDeliveries, file: &PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let table = feature_table(&market.dispatched)?;
    let split = table.split(market.until);
    // A peer knows no more than we do: what had not arrived when the judged parcels left is not learned from.
    let Split { fitted, calibrated: known, mature } = table.earlier(split);
    let mut numbers: BTreeMap<Region, usize> = BTreeMap::new();
    let mut out = BufWriter::new(File::create(file)?);
    let mut put = |value: f64| out.write_all(&value.to_le_bytes());
    for head in [FEATURES.len(), fitted, known, split.calibrated, mature] {
        put(head as f64)?;
    }
    for (at, delivery) in table.deliveries.iter().enumerate().take(mature) {
        let next = numbers.len();
        let region = *numbers.entry(delivery.parcel.destination).or_insert(next);
        for value in table.rows[at].into_iter().chain([table.bases[at], delivery.minutes, region as f64]) {
            put(value)?;
        }
    }
    Ok(out.flush()?)
}

fn judge(market: &MarketDeliveries, seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    let begin = Instant::now();
    let learned = DeliveryModel::learn(&market.ordered, &market.dispatched, market.until, seed)?;
    let learning_s = begin.elapsed().as_secs_f64();
    let mut counts: BTreeMap<Region, usize> = BTreeMap::new();
    market.dispatched.iter().for_each(|one| *counts.entry(one.parcel.destination).or_default() += 1);
    let large = learned.dispatched.regions.iter().filter(|(region, _)| counts[region] >= REGION_DELIVERIES_MIN);
    let covered: Vec<f64> = large.map(|(_, quality)| quality.coverage[2]).collect();
    let asked: Vec<&Delivery> = market.dispatched.iter().rev().take(TIMED).collect();
    let model = &learned.model;
    let mut answers_ns = Vec::with_capacity(asked.len());
    for one in &asked {
        let begin = Instant::now();
        black_box(model.minutes(Stage::Dispatched, &one.parcel)?);
        answers_ns.push(begin.elapsed().as_nanos() as u64);
    }
    let begin = Instant::now();
    for one in &asked {
        model.observe(Stage::Dispatched, one)?;
    }
    let update_us = begin.elapsed().as_secs_f64() * 1e6 / asked.len().max(1) as f64;
    answers_ns.sort_unstable();
    let result = serde_json::json!({
        "deliveries": market.dispatched.len(), "judged": learned.dispatched.deliveries,
        "pinball_minutes": learned.dispatched.pinball_minutes,
        "pinball_minutes_of_means": learned.dispatched.pinball_minutes_of_means,
        "coverage": learned.dispatched.coverage, "regions_with_3000": covered.len(),
        "p90_coverage_least": covered.iter().copied().fold(f64::INFINITY, f64::min),
        "p90_coverage_most": covered.iter().copied().fold(0.0, f64::max),
        "pinball_minutes_from_order": learned.ordered.pinball_minutes,
        "coverage_from_order": learned.ordered.coverage,
        "answer_us_p50": quantile(&answers_ns, 0.5) as f64 / 1e3, "answer_us_p99": quantile(&answers_ns, 0.99) as f64 / 1e3,
        "update_us": update_us, "learning_s": learning_s,
    });
    println!("RESULT {result}");
    Ok(())
}
