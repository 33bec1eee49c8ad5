//! What a problem looks like when loads are all that limits a route and it is as far there as back; it holds no plan.

use super::super::construct::loads_alone_matter;
use super::super::instance::Instance;

/// Stops up to which crossover pays; above it, the annealing makes better use of the time.
const MOST_STOPS: usize = 1_000;
/// Nearest stops beside which a stop is tried.
const NEIGHBOURS: usize = 20;
/// Vehicles that plans may use beyond those that the amounts ask for: a factor and a number (Vidal 2022).
const SPARE_VEHICLES: (f64, usize) = (1.3, 3);
/// Largest doubled leg, and largest sum of amounts: every product of the descent then fits.
const LARGEST: i64 = 1 << 30;
/// Directions in a full turn around the depot.
pub(super) const TURN: i32 = 1 << 16;

/// One class of vehicles, one depot, one amount a stop. The depot is the place after those of the stops.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) stops: usize,
    pub(super) vehicles: usize,
    pub(super) capacity: i64,
    /// Per place; the depot has none.
    pub(super) amount: Vec<i64>,
    /// Twice the legs between any two places, and the cost of a vehicle on top of those from and to the depot.
    legs: Vec<i32>,
    width: usize,
    /// Per stop: those near it, or that it is near to.
    pub(super) near: Vec<Vec<u32>>,
    /// Per stop: the direction in which it lies from the depot, 0 .. `TURN`; empty when places are unknown.
    pub(super) direction: Vec<i32>,
}

impl Ground {
    /// None when the problem has other rules, too.
    pub(super) fn of(instance: &Instance) -> Option<Ground> {
        let (class, stops) = (&instance.classes[0], instance.stops);
        let metric = class.cost(instance);
        let plain = loads_alone_matter(instance) && instance.dimensions == 1 && class.start == class.end;
        let all_served = instance.must_be_served.iter().all(|&must| must);
        if !plain || !all_served || !(2..=MOST_STOPS).contains(&stops) || !metric.is_symmetric() {
            return None;
        }
        let mut amount: Vec<i64> = (0..stops).map(|stop| instance.delivery[stop] + instance.pickup[stop]).collect();
        let (total, capacity) = (amount.iter().sum::<i64>(), class.capacity[0]);
        let node = |place: usize| if place == stops { class.start } else { place };
        let leg = |a: usize, b: usize| match (a == stops, b == stops) {
            (true, true) => 0,
            (false, false) => 2 * metric.get(a, b),
            _ => 2 * metric.get(node(a), node(b)) + class.fixed,
        };
        let width = stops + 1;
        let legs: Option<Vec<i32>> = (0..width * width)
            .map(|cell| Some(leg(cell / width, cell % width)).filter(|&leg| leg < LARGEST).map(|leg| leg as i32))
            .collect();
        let room = capacity.saturating_mul(class.vehicles.len() as i64);
        if total.max(capacity) >= LARGEST || total > room || amount.iter().any(|&amount| amount > capacity) {
            return None;
        }
        amount.push(0);
        let needed = (SPARE_VEHICLES.0 * total as f64 / capacity.max(1) as f64).ceil() as usize + SPARE_VEHICLES.1;
        Some(Ground {
            stops,
            vehicles: needed.min(class.vehicles.len()),
            capacity,
            amount,
            legs: legs?,
            width,
            near: near(instance),
            direction: directions(instance),
        })
    }

    /// The depot's place.
    pub(super) fn depot(&self) -> u32 {
        self.stops as u32
    }

    #[inline]
    pub(super) fn leg(&self, from: u32, to: u32) -> i64 {
        i64::from(self.legs[from as usize * self.width + to as usize])
    }

    /// The legs from a place, by place.
    pub(super) fn legs_from(&self, from: u32) -> &[i32] {
        &self.legs[from as usize * self.width..(from as usize + 1) * self.width]
    }

    /// Twice what a route costs.
    pub(super) fn cost(&self, route: &[u32]) -> i64 {
        let inner: i64 = route.windows(2).map(|leg| self.leg(leg[0], leg[1])).sum();
        let ends = |first: &u32, last: &u32| self.leg(self.depot(), *first) + self.leg(*last, self.depot());
        route.first().zip(route.last()).map_or(0, |(first, last)| inner + ends(first, last))
    }

    pub(super) fn load(&self, route: &[u32]) -> i64 {
        route.iter().map(|&stop| self.amount[stop as usize]).sum()
    }
}

fn near(instance: &Instance) -> Vec<Vec<u32>> {
    let mut near: Vec<Vec<u32>> = vec![Vec::with_capacity(2 * NEIGHBOURS); instance.stops];
    for stop in 0..instance.stops {
        for &other in instance.near(stop).iter().take(NEIGHBOURS) {
            near[stop].push(other);
            near[other as usize].push(stop as u32);
        }
    }
    for others in &mut near {
        others.sort_unstable();
        others.dedup();
    }
    near
}

fn directions(instance: &Instance) -> Vec<i32> {
    let Some(depot) = instance.point(instance.classes[0].start) else { return Vec::new() };
    let direction = |stop: usize| {
        let place = instance.point(stop)?;
        let angle = (place.lat - depot.lat).atan2(place.lon - depot.lon) / std::f64::consts::TAU;
        Some(((angle * f64::from(TURN)) as i32).rem_euclid(TURN))
    };
    (0..instance.stops).map(direction).collect::<Option<Vec<i32>>>().unwrap_or_default()
}
