//! Times changes of a plan under way: orders inserted one by one, then all of them planned anew with few changes; it reads no files.
//!
//! `live [--stops N] [--orders N] [--milliseconds M] [--seed N]`: a plan of so many stops of a city, to which so many orders come.

use dhow_routes::{
    Budget, LocalSearchSolver, MAX_ITERATIONS, Place, Plan, Problem, Solver, Step, Stop, Travel, Vehicle, check,
    insert, plan_of, reoptimise,
};
use std::time::{Duration, Instant};

/// Stops of a van.
const STOPS_OF_A_VAN: usize = 25;
/// Time for the plan that the orders come to.
const PLANNING: Duration = Duration::from_secs(5);

/// Stops in a square of about 30 km with windows of four hours; the last ones are the orders to come.
fn city(stops: usize, seed: u64) -> Result<Problem, dhow_routes::ProblemError> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let mut places = vec![Place { lat: 6.5, lon: 3.4 }];
    places.extend((0..stops).map(|_| Place { lat: 6.35 + 0.3 * next(), lon: 3.25 + 0.3 * next() }));
    let stop = |i: usize| {
        let opens = (next() * 4.0) as i64 * 7_200;
        Stop::new(format!("s{i}"), i).delivering(&[1]).between(opens, opens + 14_400).taking(180)
    };
    let stops: Vec<Stop> = (1..=stops).map(stop).collect();
    let vans = stops.len().div_ceil(STOPS_OF_A_VAN) * 3 / 2;
    let van = |i: usize| Vehicle::new(format!("v{i}"), 0).carrying(&[STOPS_OF_A_VAN as i64 + 5]).working(0, 43_200);
    Problem::new(stops, (0..vans).map(van).collect(), Travel::GreatCircle { places, speed_kmh: 30.0 })
}

/// CPU seconds of this thread, by the kernel's count.
fn cpu_seconds() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counts.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// The share of the CPU time that is over: on a busy machine, the plans are those of a quiet one.
fn within(time: Duration) -> impl Fn() -> f64 {
    let begin = cpu_seconds();
    move || (cpu_seconds() - begin) / time.as_secs_f64()
}

/// Milliseconds by the clock and of CPU time since this was made.
struct Stopwatch {
    begin: Instant,
    cpu: f64,
}

impl Stopwatch {
    fn start() -> Stopwatch {
        Stopwatch { begin: Instant::now(), cpu: cpu_seconds() }
    }

    fn ms(&self) -> (f64, f64) {
        (self.begin.elapsed().as_secs_f64() * 1e3, (cpu_seconds() - self.cpu) * 1e3)
    }
}

/// The plan without the orders to come.
fn without(problem: &Problem, plan: &Plan, orders: usize) -> Plan {
    let known = problem.stops().len() - orders;
    let mut steps = vec![Vec::new(); problem.vehicles().len()];
    for route in &plan.routes {
        steps[route.vehicle] = route.steps();
        steps[route.vehicle].retain(|step| !matches!(step, Step::Stop(stop) if *stop >= known));
    }
    plan_of(problem, &steps)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut stops, mut orders, mut milliseconds, mut seed) = (1_000, 100, 270, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("every option has a number")?;
        match argument.as_str() {
            "--stops" => stops = value.parse()?,
            "--orders" => orders = value.parse()?,
            "--milliseconds" => milliseconds = value.parse()?,
            "--seed" => seed = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let problem = city(stops + orders, seed)?;
    let budget = Budget { iterations: MAX_ITERATIONS, seed };
    let whole = LocalSearchSolver.solve_paced(&problem, &budget, &within(PLANNING))?;
    let live = without(&problem, &whole, orders);
    let (mut times_ms, mut cpu_ms, mut inserted, mut added) = (Vec::new(), Vec::new(), 0, 0);
    let mut grown = live.clone();
    for stop in stops..stops + orders {
        let watch = Stopwatch::start();
        let found = insert(&problem, &grown, stop)?;
        let (clock, cpu) = watch.ms();
        times_ms.push(clock);
        cpu_ms.push(cpu);
        if let Some(found) = found {
            (inserted, added, grown) = (inserted + 1, added + found.added_cost, found.plan);
        }
    }
    let at = |times: &mut Vec<f64>, share: f64| {
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * share).ceil() as usize]
    };
    let stability_price = live.cost / stops as i64;
    let watch = Stopwatch::start();
    let new = reoptimise(&problem, &live, stability_price, &budget, &within(Duration::from_millis(milliseconds)))?;
    let (replan_ms, replan_cpu_ms) = watch.ms();
    for plan in [&grown, &new.plan] {
        if let Some(first) = check(&problem, plan).first() {
            return Err(format!("{}: {}", first.path, first.message).into());
        }
    }
    println!(
        "RESULT {{\"stops\": {stops}, \"orders\": {orders}, \"inserted\": {inserted}, \"insert_ms_p50\": {:.3}, \
         \"insert_ms_p99\": {:.3}, \"insert_cpu_ms_p50\": {:.3}, \"insert_cpu_ms_p99\": {:.3}, \"cost_live\": {}, \
         \"cost_inserted\": {}, \"added_cost\": {added}, \"replan_ms\": {replan_ms:.1}, \
         \"replan_cpu_ms\": {replan_cpu_ms:.1}, \"cost_replanned\": {}, \"left_out\": {}, \"moved_percent\": {:.2}}}",
        at(&mut times_ms, 0.5),
        at(&mut times_ms, 0.99),
        at(&mut cpu_ms, 0.5),
        at(&mut cpu_ms, 0.99),
        live.cost,
        grown.cost,
        new.plan.cost,
        new.plan.unassigned.len(),
        100.0 * new.moved.len() as f64 / stops as f64,
    );
    Ok(())
}
