//! What a step of the search costs with travel times that change over the day, beside the same problem without; it reads no files.
//!
//! `traffic [--stops N] [--steps N] [--rounds N]`: a city's vans at full speed and with two rush hours, one after the other, where
//! metres have a price, where hours of driving have one, too, and where hours on duty have one. A step takes as many stops off
//! and tries as many places in all of them, so that its time stands for that of an evaluated place.

use dhow_routes::{Budget, LocalSearchSolver, Place, Problem, Solver, SpeedChange, Stop, Travel, Vehicle, check};

/// Stops of a van.
const STOPS_OF_A_VAN: usize = 20;
/// A shift, in seconds.
const SHIFT_S: i64 = 43_200;
/// Two rush hours.
const RUSH: [SpeedChange; 5] = [
    SpeedChange { from_s: 0, percent: 100 },
    SpeedChange { from_s: 3_600, percent: 60 },
    SpeedChange { from_s: 9_000, percent: 100 },
    SpeedChange { from_s: 32_400, percent: 70 },
    SpeedChange { from_s: 39_600, percent: 100 },
];

/// CPU seconds of this thread, by the kernel's count.
fn cpu_seconds() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counts.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn city(count: usize, change: &dyn Fn(&mut Vehicle)) -> Result<Problem, dhow_routes::ProblemError> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut places = vec![Place { lat: 6.5, lon: 3.4 }];
    places.extend((0..count).map(|_| Place { lat: 6.35 + 0.3 * next(), lon: 3.25 + 0.3 * next() }));
    let stop = |i: usize| {
        let opens = (next() * 4.0) as i64 * 7_200;
        Stop::new(format!("s{i}"), i).delivering(&[1]).between(opens, opens + 14_400).taking(180)
    };
    let stops: Vec<Stop> = (1..=count).map(stop).collect();
    let van = |i: usize| {
        let mut van = Vehicle::new(format!("v{i}"), 0).carrying(&[STOPS_OF_A_VAN as i64 + 5]).working(0, SHIFT_S);
        change(&mut van);
        van
    };
    let vans = (0..count.div_ceil(STOPS_OF_A_VAN) * 3 / 2).map(van).collect();
    Problem::new(stops, vans, Travel::GreatCircle { places, speed_kmh: 30.0 })
}

/// A change of a vehicle.
type Change = fn(&mut Vehicle);

/// What a vehicle's cost is made of.
const PRICES: [(&str, Change); 3] = [
    ("metres", |_| ()),
    ("driving", |van| van.cost_per_travel_hour = 20_000),
    ("duty", |van| van.cost_per_duty_hour = 20_000),
];

/// CPU microseconds of a step, the little preparation of the run included.
fn step_us(problem: &Problem, steps: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let begin = cpu_seconds();
    let plan = LocalSearchSolver.solve(problem, &Budget { iterations: steps, seed: 1 }, &|| false)?;
    let seconds = cpu_seconds() - begin;
    match check(problem, &plan).first() {
        Some(first) => Err(format!("{}: {}", first.path, first.message).into()),
        None => Ok(seconds / steps as f64 * 1e6),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut stops, mut steps, mut rounds) = (200, 100_000, 3);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("every option has a number")?;
        match argument.as_str() {
            "--stops" => stops = value.parse()?,
            "--steps" => steps = value.parse()?,
            "--rounds" => rounds = value.parse::<usize>()?.max(1),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let mut figures = Vec::new();
    for (priced, price) in PRICES {
        let steady = city(stops, &|van| price(van))?;
        let traffic = city(stops, &|van| {
            price(van);
            van.speed = RUSH.to_vec();
        })?;
        let (mut steady_us, mut traffic_us) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            steady_us.push(step_us(&steady, steps)?);
            traffic_us.push(step_us(&traffic, steps)?);
        }
        let (steady_us, traffic_us) = (median(steady_us), median(traffic_us));
        figures.push(format!(
            "\"{priced}_step_us_static\": {steady_us:.2}, \"{priced}_step_us_traffic\": {traffic_us:.2}, \
             \"{priced}_traffic_to_static\": {:.2}",
            traffic_us / steady_us,
        ));
    }
    println!("RESULT {{\"stops\": {stops}, \"steps\": {steps}, {}}}", figures.join(", "));
    Ok(())
}
