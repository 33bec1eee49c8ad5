//! Prints what a simulation of a ready scale holds and how fast it is written (`DHOW_SCALE` chooses); asserts its size, nothing about time.

use std::collections::BTreeMap;
use std::time::Instant;

use dhow_datasets::ceiling::{CeilingCollector, random_slate_clicks};
use dhow_datasets::shape::ShapeCollector;
use dhow_datasets::{Scale, Simulation, SimulationSettings};
use dhow_events::codec;

fn scale() -> Scale {
    std::env::var("DHOW_SCALE").ok().and_then(|text| text.parse().ok()).unwrap_or(Scale::Small)
}

/// Seconds that this thread has run on a processor, where the system tells.
fn thread_cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).map_or(f64::NAN, |nanos| nanos / 1e9)
}

#[test]
fn the_stream_is_counted_and_timed() {
    let settings = SimulationSettings::at_scale(scale(), 7);
    let started = Instant::now();
    let mut simulation = Simulation::new(&settings).unwrap();
    eprintln!("world {:?}", started.elapsed());
    let (mut buffer, mut bytes, mut events) = (Vec::new(), 0u64, 0u64);
    for arrival in simulation.by_ref() {
        buffer = codec::encode(&arrival.event, std::mem::take(&mut buffer)).unwrap();
        events += 1;
        if buffer.len() > 1 << 20 {
            bytes += buffer.len() as u64;
            buffer.clear();
        }
    }
    let seconds = thread_cpu_seconds();
    eprintln!(
        "{events} events, {} MB, {seconds:.2} CPU s, {:.2} s, {:.0} events/s",
        bytes >> 20,
        started.elapsed().as_secs_f64(),
        events as f64 / seconds
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    eprintln!("{:?}", status.lines().find(|line| line.starts_with("VmHWM")));
    let declared = match scale() {
        Scale::Small => 270_000..360_000,
        Scale::Medium => 1_800_000..2_300_000,
        Scale::Large => 10_000_000..11_500_000,
    };
    assert!(declared.contains(&events), "{events} events");
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut shape = ShapeCollector::new();
    let mut ceiling = CeilingCollector::new();
    let mut units = BTreeMap::new();
    for arrival in Simulation::new(&settings).unwrap() {
        *kinds.entry(arrival.event.fact.kind().name()).or_default() += 1;
        shape.observe(&arrival.event);
        ceiling.observe(&arrival.event);
        if let dhow_events::Fact::ItemOrdered(fact) = &arrival.event.fact {
            let entry = units.entry(fact.product).or_insert(0.0);
            *entry += fact.quantity as f64;
        }
    }
    eprintln!("{kinds:?}\n{:#?}", shape.finish());
    let truth = simulation.truth();
    let started = Instant::now();
    for gap in ceiling.finish(truth) {
        eprintln!("{gap:?}");
    }
    let total: f64 = units.values().sum();
    let lines: f64 = simulation.truth().checkouts.len() as f64;
    eprintln!("units a checkout {:.1}", total / lines);
    eprintln!("random {:?}; ceilings in {:?}", random_slate_clicks(truth), started.elapsed());
    let mut pairs: Vec<(f64, f64)> = (0..truth.products.len())
        .map(|product| {
            let expected: f64 = (0..truth.days as usize)
                .flat_map(|day| (0..truth.regions.len()).map(move |region| (day, region)))
                .map(|(day, region)| truth.expected_units(product, region, day))
                .sum();
            (expected, units.get(&truth.products[product].product).copied().unwrap_or(0.0))
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    for part in pairs.chunks(pairs.len().div_ceil(8)) {
        let (expected, real) = part.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        eprintln!("expected {expected:.0} real {real:.0} ratio {:.2}", real / expected);
    }
    let mut fraud: BTreeMap<_, u64> = BTreeMap::new();
    for checkout in &simulation.truth().checkouts {
        *fraud.entry(checkout.kind).or_default() += 1;
    }
    eprintln!("{fraud:?} of {}", simulation.truth().checkouts.len());
}
