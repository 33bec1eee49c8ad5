//! When a plan's stops will really be reached: quantiles under stated deviations of driving and service; it changes no plan.
//!
//! Each of many days is drawn like this: the whole day's driving takes longer or shorter by one factor, each leg by a factor of
//! its own on top, each service by another. Factors are log-normal with mean 1. A vehicle leaves when the plan says and waits
//! where it comes before a window; breaks and reloads take as long as planned.

use crate::plan::{Plan, Route};
use crate::problem::Problem;
use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Days that are drawn.
const DAYS: usize = 400;

/// By how much driving and service differ from the plan, as standard deviations relative to the planned time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Deviations {
    /// Of all driving of a day together.
    pub day: f64,
    /// Of each leg beside the day.
    pub leg: f64,
    /// Of each setup and service.
    pub service: f64,
}

impl Default for Deviations {
    /// Assumptions, not measurements: 8 % for the day, 20 % for a leg and 30 % for a service.
    fn default() -> Deviations {
        Deviations { day: 0.08, leg: 0.2, service: 0.3 }
    }
}

/// When a stop will be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Arrival {
    /// Index into the problem's stops.
    pub stop: usize,
    /// What the plan says, seconds.
    pub planned_s: i64,
    /// It is reached before this on one day in ten.
    pub p10_s: i64,
    /// It is reached before this on every other day.
    pub p50_s: i64,
    /// It is reached before this on nine days in ten.
    pub p90_s: i64,
    /// Share of the days on which service starts before its last window closes.
    pub on_time_share: f64,
}

/// Predicted arrivals, one list per route of the plan in the order of its visits; equal for equal seeds.
pub fn arrivals(problem: &Problem, plan: &Plan, deviations: &Deviations, seed: u64) -> Vec<Vec<Arrival>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    plan.routes.iter().map(|route| of_route(problem, route, deviations, &mut rng)).collect()
}

fn of_route(problem: &Problem, route: &Route, deviations: &Deviations, rng: &mut ChaCha8Rng) -> Vec<Arrival> {
    let mut drawn = vec![Vec::with_capacity(DAYS); route.visits.len()];
    let mut on_time = vec![0; route.visits.len()];
    for _ in 0..DAYS {
        let day = factor(deviations.day, rng);
        let (mut now_s, mut planned_s, mut travelled_s) = (route.departure_s as f64, route.departure_s, 0);
        for (index, visit) in route.visits.iter().enumerate() {
            let stop = &problem.stops()[visit.stop];
            let leg_s = visit.travel_s - travelled_s;
            // What else passes before the arrival as planned: breaks and reloads, and waiting at these.
            let paused_s = visit.arrival_s - planned_s - leg_s;
            now_s += leg_s as f64 * day * factor(deviations.leg, rng) + paused_s as f64;
            drawn[index].push(now_s);
            let window = stop.windows.iter().find(|window| now_s <= window.closes_s as f64);
            let planned_opening = stop.windows.iter().find(|window| visit.start_s <= window.closes_s);
            let waited_s = planned_opening.map_or(0, |window| (window.opens_s - visit.arrival_s).max(0));
            let break_s = (visit.start_s - visit.arrival_s - waited_s).max(0);
            now_s = now_s.max(window.map_or(now_s, |window| window.opens_s as f64)) + break_s as f64;
            on_time[index] += i32::from(stop.windows.is_empty() || window.is_some_and(|w| now_s <= w.closes_s as f64));
            now_s += (visit.setup_s + stop.service_s) as f64 * factor(deviations.service, rng);
            (planned_s, travelled_s) = (visit.start_s + visit.setup_s + stop.service_s, visit.travel_s);
        }
    }
    let arrival = |(index, times): (usize, &mut Vec<f64>)| {
        times.sort_by(f64::total_cmp);
        let quantile = |share: f64| times[(share * DAYS as f64) as usize].round() as i64;
        Arrival {
            stop: route.visits[index].stop,
            planned_s: route.visits[index].arrival_s,
            p10_s: quantile(0.1),
            p50_s: quantile(0.5),
            p90_s: quantile(0.9),
            on_time_share: f64::from(on_time[index]) / DAYS as f64,
        }
    };
    drawn.iter_mut().enumerate().map(arrival).collect()
}

/// A log-normal factor with mean 1 and about this standard deviation; the normal draw is Box and Muller's.
fn factor(deviation: f64, rng: &mut ChaCha8Rng) -> f64 {
    let sigma = deviation.mul_add(deviation, 1.0).ln().sqrt();
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    (sigma * normal - sigma * sigma / 2.0).exp()
}
