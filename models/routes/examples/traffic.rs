//! What a step of the search costs with travel times that change over the day, beside the same problem without; it reads no files.
//!
//! `traffic [--stops N] [--steps N]`: a city's vans at full speed, the same on the engine for every rule, and with two rush hours.

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

/// CPU microseconds of a step.
fn step_us(problem: &Problem, steps: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let spent = |iterations: u64| -> Result<f64, Box<dyn std::error::Error>> {
        let begin = cpu_seconds();
        let plan = LocalSearchSolver.solve(problem, &Budget { iterations, seed: 1 }, &|| false)?;
        let seconds = cpu_seconds() - begin;
        match check(problem, &plan).first() {
            Some(first) => Err(format!("{}: {}", first.path, first.message).into()),
            None => Ok(seconds),
        }
    };
    // The first plan and the preparation are the same in both.
    Ok((spent(2 * steps)? - spent(steps)?) / steps as f64 * 1e6)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut stops, mut steps) = (200, 2_000);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("every option has a number")?;
        match argument.as_str() {
            "--stops" => stops = value.parse()?,
            "--steps" => steps = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let core = step_us(&city(stops, &|_| ())?, 20 * steps)?;
    // One speed other than the full one changes little but the engine.
    let general = step_us(&city(stops, &|van| van.speed = vec![SpeedChange { from_s: 0, percent: 99 }])?, steps)?;
    let traffic = step_us(&city(stops, &|van| van.speed = RUSH.to_vec())?, steps)?;
    println!(
        "RESULT {{\"stops\": {stops}, \"step_us_static\": {core:.2}, \"step_us_static_general\": {general:.2}, \
         \"step_us_traffic\": {traffic:.2}, \"traffic_to_static\": {:.2}, \"traffic_to_static_general\": {:.2}}}",
        traffic / core,
        traffic / general,
    );
    Ok(())
}
