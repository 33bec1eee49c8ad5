//! A run of consecutive stops summed up so that two runs join in constant time; it knows nothing of loads.
//!
//! Vidal, Crainic, Gendreau and Prins 2013: a run is known by its shortest duration, the time warp that it needs (seconds by
//! which windows are missed; zero means feasible) and the earliest and latest departure that reach both. Joining two runs
//! adds the leg between them, then the waiting or the warp that their departures force.

use crate::problem::{Problem, Vehicle};

const NOWHERE_YET: u32 = u32::MAX;
/// The missing depot of a vehicle, to and from which nothing is driven.
const NO_DEPOT: u32 = u32::MAX - 1;

/// The sums of a run of places visited in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    first: u32,
    last: u32,
    stops: u32,
    distance_m: i64,
    travel_s: i64,
    duration_s: i64,
    warp_s: i64,
    earliest_s: i64,
    latest_s: i64,
    /// Skill sets that may drive the whole run.
    allowed: u128,
}

impl Segment {
    /// The run without places; it joins without effect.
    pub(crate) const EMPTY: Segment = Segment {
        first: NOWHERE_YET,
        last: NOWHERE_YET,
        stops: 0,
        distance_m: 0,
        travel_s: 0,
        duration_s: 0,
        warp_s: 0,
        earliest_s: 0,
        latest_s: 0,
        allowed: u128::MAX,
    };

    /// One stop.
    pub(crate) fn stop(problem: &Problem, index: usize) -> Segment {
        let stop = &problem.stops()[index];
        Segment {
            first: stop.location as u32,
            last: stop.location as u32,
            stops: 1,
            duration_s: stop.service_s,
            earliest_s: stop.window().opens_s,
            latest_s: stop.window().closes_s,
            allowed: problem.allowed[index],
            ..Segment::EMPTY
        }
    }

    /// A vehicle's start or end, open during its shift.
    pub(crate) fn depot(vehicle: &Vehicle, location: Option<usize>) -> Segment {
        let place = location.map_or(NO_DEPOT, |location| location as u32);
        let (earliest_s, latest_s) = (vehicle.shift.opens_s, vehicle.shift.closes_s);
        Segment { first: place, last: place, earliest_s, latest_s, ..Segment::EMPTY }
    }

    /// This run followed by `next`.
    pub(crate) fn join(self, problem: &Problem, next: Segment) -> Segment {
        if next.first == NOWHERE_YET {
            return self;
        }
        if self.first == NOWHERE_YET {
            return next;
        }
        let place = |place: u32| (place != NO_DEPOT).then_some(place as usize);
        let leg = problem.leg(place(self.last), place(next.first));
        let (distance_m, travel_s) = (i64::from(leg.distance_m), i64::from(leg.duration_s));
        let offset = self.duration_s - self.warp_s + travel_s;
        let wait = (next.earliest_s - offset - self.latest_s).max(0);
        let warp = (self.earliest_s + offset - next.latest_s).max(0);
        Segment {
            first: self.first,
            last: next.last,
            stops: self.stops + next.stops,
            distance_m: self.distance_m + next.distance_m + distance_m,
            travel_s: self.travel_s + next.travel_s + travel_s,
            duration_s: self.duration_s + next.duration_s + travel_s + wait,
            warp_s: self.warp_s + next.warp_s + warp,
            earliest_s: (next.earliest_s - offset).max(self.earliest_s) - wait,
            latest_s: (next.latest_s - offset).min(self.latest_s) + warp,
            allowed: self.allowed & next.allowed,
        }
    }

    /// Cost of the whole route of `vehicle` when this run is it, depots included, or none when the vehicle may not drive it.
    pub(crate) fn route_cost(&self, problem: &Problem, vehicle: usize) -> Option<i64> {
        if self.stops == 0 {
            return Some(0);
        }
        let limits = &problem.vehicles()[vehicle];
        let within = |value: i64, limit: Option<i64>| limit.is_none_or(|limit| value <= limit);
        let feasible = self.warp_s == 0
            && self.allowed & problem.skill_bit[vehicle] != 0
            && within(self.distance_m, limits.max_distance_m)
            && within(self.travel_s, limits.max_travel_s)
            && within(self.duration_s, limits.max_duration_s)
            && limits.max_stops.is_none_or(|limit| self.stops as usize <= limit);
        feasible.then(|| limits.scaled_cost(self.distance_m, self.travel_s, self.duration_s))
    }
}
