//! What happens when a vehicle follows given steps: times, loads, costs and what is broken by how much; it changes no order.
//!
//! Every rule of a problem is followed here one step after another. The engine's fast moves do without it; whatever they
//! do not honour, final schedules and explanations rely on it.

use crate::plan::Step;
use crate::problem::{COST_SCALE, MAX_DIMENSIONS, Problem, SCALED_PER_SECOND, TimeWindow, Vehicle};

/// Most times that a later departure is tried to shorten a route with several windows.
const MOST_DEPARTURES: usize = 8;

/// By how much each kind of rule is broken; all zero when none is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Stops whose skills or named vehicles exclude the vehicle.
    pub(crate) wrong_vehicle: i64,
    /// Steps out of order: pairs, backhauls, prefixes, reloads that are not allowed.
    pub(crate) order: i64,
    /// Most amount over the capacity, in the worst dimension.
    pub(crate) load: i64,
    /// Most amount on board in a break over what the break allows, in the worst dimension.
    pub(crate) break_load: i64,
    /// Seconds after windows, summed.
    pub(crate) window_s: i64,
    /// Seconds of return after the shift.
    pub(crate) shift_s: i64,
    /// Metres over the limit.
    pub(crate) distance_m: i64,
    /// Seconds of driving over the limit.
    pub(crate) travel_s: i64,
    /// Seconds of duty over the limit.
    pub(crate) duration_s: i64,
    /// Stops over the limit.
    pub(crate) stops: i64,
}

impl Breach {
    /// True when no rule is broken.
    pub(crate) fn is_none(&self) -> bool {
        *self == Breach::default()
    }
}

/// The sums of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) departure_s: i64,
    pub(crate) return_s: i64,
    pub(crate) distance_m: i64,
    pub(crate) travel_s: i64,
    pub(crate) service_s: i64,
    pub(crate) pause_s: i64,
    pub(crate) late_s: i64,
    /// Price of the lateness in scaled units.
    pub(crate) late_cost: i64,
    pub(crate) breach: Breach,
}

impl Totals {
    pub(crate) fn duration_s(&self) -> i64 {
        self.return_s - self.departure_s
    }

    /// Cost in scaled units.
    pub(crate) fn cost(&self, vehicle: &Vehicle) -> i64 {
        vehicle.scaled_cost(self.distance_m, self.travel_s, self.duration_s()) + self.late_cost
    }

    /// Cost in the problem's unit, rounded half up.
    pub(crate) fn rounded_cost(&self, vehicle: &Vehicle) -> i64 {
        (self.cost(vehicle) + COST_SCALE / 2).div_euclid(COST_SCALE)
    }
}

/// One step as it happens.
pub(crate) struct Moment<'a> {
    pub(crate) step: Step,
    pub(crate) arrival_s: i64,
    pub(crate) start_s: i64,
    pub(crate) setup_s: i64,
    pub(crate) service_s: i64,
    pub(crate) distance_m: i64,
    pub(crate) travel_s: i64,
    /// On board afterwards.
    pub(crate) load: &'a [i64],
}

/// The steps with the departure that costs least, and of those the one with the shortest duty. With traffic or several
/// windows, later departures are tried up to a fixed number.
pub(crate) fn evaluate(problem: &Problem, vehicle: usize, steps: &[Step]) -> Totals {
    let limits = &problem.vehicles()[vehicle];
    let ends = |departure_s: i64| simulate(problem, vehicle, steps, departure_s, &mut |_| ());
    let mut first = ends(limits.shift.opens_s);
    if !duration_matters(limits) {
        return first;
    }
    let mut best = first;
    for _ in 0..MOST_DEPARTURES {
        let later = latest_with_same_end(&first, limits, &ends);
        if better(&later, &best, limits) {
            best = later;
        }
        if !has_choice(problem, steps) {
            break;
        }
        first = ends(later.departure_s + 1);
        if first.breach.window_s > best.breach.window_s || first.breach.shift_s > best.breach.shift_s {
            break;
        }
    }
    best
}

/// The steps with the shortest duty among the departures that return as early as possible.
pub(crate) fn evaluate_final(problem: &Problem, vehicle: usize, steps: &[Step]) -> Totals {
    let limits = &problem.vehicles()[vehicle];
    if duration_matters(limits) {
        return evaluate(problem, vehicle, steps);
    }
    let ends = |departure_s: i64| simulate(problem, vehicle, steps, departure_s, &mut |_| ());
    let first = ends(limits.shift.opens_s);
    let later = latest_with_same_end(&first, limits, &ends);
    if better(&later, &first, limits) { later } else { first }
}

fn duration_matters(limits: &Vehicle) -> bool {
    limits.cost_per_duty_hour > 0 || limits.overtime.is_some() || limits.max_duration_s.is_some()
}

/// True when a stop could start in another window.
fn has_choice(problem: &Problem, steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Stop(stop) => problem.stops()[*stop].windows.len() > 1,
        Step::Reload(_) | Step::Break(_) => false,
    })
}

fn better(one: &Totals, other: &Totals, limits: &Vehicle) -> bool {
    let rank = |totals: &Totals| {
        let breach = totals.breach;
        let broken = breach.window_s + breach.shift_s + breach.duration_s + breach.travel_s;
        (broken, totals.cost(limits), totals.duration_s(), totals.departure_s)
    };
    rank(one) < rank(other)
}

/// The latest departure that changes neither the return nor how late anything is; both only grow with the departure.
fn latest_with_same_end(first: &Totals, limits: &Vehicle, ends: &impl Fn(i64) -> Totals) -> Totals {
    let same = |other: &Totals| {
        (other.return_s, other.late_s, other.breach.window_s) == (first.return_s, first.late_s, first.breach.window_s)
    };
    // At a steady speed, who leaves later and returns as early waits so much less.
    let waiting_s = first.duration_s() - first.travel_s - first.service_s - first.pause_s;
    let most_s = if limits.speed.is_empty() { waiting_s } else { first.duration_s() };
    let (mut good, mut bad_s) = (*first, first.departure_s + most_s + 1);
    while bad_s - good.departure_s > 1 {
        let middle_s = good.departure_s + (bad_s - good.departure_s) / 2;
        let middle = ends(middle_s);
        if same(&middle) { good = middle } else { bad_s = middle_s }
    }
    good
}

/// Where the vehicle is while it follows its steps.
struct State {
    place: Option<usize>,
    now_s: i64,
    stops: i64,
    load: [i64; MAX_DIMENSIONS],
    /// Of the load: what shipments put there, which stays at reloads.
    shipped: [i64; MAX_DIMENSIONS],
    backhauls_only: bool,
    seen_backhaul: bool,
    totals: Totals,
}

/// Follows the steps from a departure at `departure_s`, or when the first trip's goods are released; `record` sees every step.
/// What cannot be done in time is done late, and counted as a breach.
pub(crate) fn simulate(
    problem: &Problem,
    vehicle: usize,
    steps: &[Step],
    departure_s: i64,
    record: &mut impl FnMut(Moment),
) -> Totals {
    let limits = &problem.vehicles()[vehicle];
    let departure_s = departure_s.max(released_s(problem, steps));
    let mut state = State {
        place: limits.start,
        now_s: departure_s,
        stops: 0,
        load: [0; MAX_DIMENSIONS],
        shipped: [0; MAX_DIMENSIONS],
        backhauls_only: true,
        seen_backhaul: false,
        totals: Totals { departure_s, ..Totals::default() },
    };
    state.load_up(problem, vehicle, steps);
    let mut reloads = 0;
    // Breaks wait until it is known where the vehicle goes next, as they may be taken on the way.
    let mut breaks = 0..0;
    for (index, &step) in steps.iter().enumerate() {
        match step {
            Step::Break(_) => breaks = if breaks.is_empty() { index..index + 1 } else { breaks.start..index + 1 },
            Step::Stop(stop) => {
                let to = problem.stops()[stop].location;
                let pauses = &steps[std::mem::replace(&mut breaks, 0..0)];
                let arrival_s = state.drive(problem, vehicle, Some(to), pauses, record);
                state.serve(problem, vehicle, steps, index, stop, arrival_s, record);
            }
            Step::Reload(location) => {
                let pauses = &steps[std::mem::replace(&mut breaks, 0..0)];
                let arrival_s = state.drive(problem, vehicle, Some(location), pauses, record);
                state.reload(problem, vehicle, &steps[index + 1..], location, arrival_s, record);
                reloads += 1;
            }
        }
    }
    state.drive(problem, vehicle, limits.end, &steps[breaks], record);
    state.finish(problem, vehicle, steps, reloads)
}

/// When the goods of the trip that `steps` begin with are all at the depot.
fn released_s(problem: &Problem, steps: &[Step]) -> i64 {
    trip(steps).map(|stop| problem.stops()[stop].release_s).max().unwrap_or(0)
}

/// The stops up to the next reload.
fn trip(steps: &[Step]) -> impl Iterator<Item = usize> + '_ {
    let same_trip = steps.iter().take_while(|step| !matches!(step, Step::Reload(_)));
    same_trip.filter_map(|step| if let Step::Stop(stop) = step { Some(*stop) } else { None })
}

/// When service can start that cannot before `ready_s`, and how many seconds that is after the last window.
fn start_in(windows: &[TimeWindow], ready_s: i64) -> (i64, i64) {
    let Some(last) = windows.last() else { return (ready_s, 0) };
    match windows.iter().find(|window| ready_s <= window.closes_s) {
        Some(window) => (ready_s.max(window.opens_s), 0),
        None => (ready_s, ready_s - last.closes_s),
    }
}

impl State {
    /// Loads the deliveries of the trip that `steps` begin with.
    fn load_up(&mut self, problem: &Problem, vehicle: usize, steps: &[Step]) {
        for d in 0..problem.dimensions() {
            let brought: i64 = trip(steps).map(|stop| problem.stops()[stop].delivery[d]).sum();
            self.load[d] = self.shipped[d] + brought;
        }
        self.check_load(problem, vehicle);
    }

    fn check_load(&mut self, problem: &Problem, vehicle: usize) {
        for (load, capacity) in self.load.iter().zip(&problem.vehicles()[vehicle].capacity) {
            self.totals.breach.load = self.totals.breach.load.max(load - capacity);
        }
    }

    /// Drives to `to`, taking the given breaks as soon as their windows allow; returns the arrival. The clock may be later, when
    /// a break is taken at the place.
    fn drive(
        &mut self,
        problem: &Problem,
        vehicle: usize,
        to: Option<usize>,
        breaks: &[Step],
        record: &mut impl FnMut(Moment),
    ) -> i64 {
        let limits = &problem.vehicles()[vehicle];
        let leg = problem.leg_by(limits.profile, self.place, to);
        let mut left = i64::from(leg.duration_s) * 100;
        let mut arrival_s = (left == 0).then_some(self.now_s);
        for &step in breaks {
            let Step::Break(index) = step else { continue };
            let Some(pause) = limits.breaks.get(index) else { continue };
            let ready_s = self.now_s;
            let (start_s, late_s) = start_in(&pause.windows, ready_s);
            if start_s > self.now_s && left > 0 {
                let there_s = limits.arrival_s(self.now_s, left);
                if there_s <= start_s {
                    arrival_s = Some(there_s);
                    self.totals.travel_s += there_s - self.now_s;
                    left = 0;
                } else {
                    left -= limits.driven(self.now_s, start_s);
                    self.totals.travel_s += start_s - self.now_s;
                }
            }
            self.totals.breach.window_s += late_s;
            if let Some(most) = &pause.max_load {
                let over = self.load.iter().zip(most).map(|(load, most)| load - most).max().unwrap_or(0);
                self.totals.breach.break_load = self.totals.breach.break_load.max(over);
            }
            self.totals.pause_s += pause.service_s;
            self.now_s = start_s + pause.service_s;
            record(Moment {
                step,
                arrival_s: ready_s,
                start_s,
                setup_s: 0,
                service_s: pause.service_s,
                distance_m: self.totals.distance_m,
                travel_s: self.totals.travel_s,
                load: &self.load[..problem.dimensions()],
            });
        }
        self.totals.distance_m += i64::from(leg.distance_m);
        if arrival_s.is_none() {
            let there_s = limits.arrival_s(self.now_s, left);
            self.totals.travel_s += there_s - self.now_s;
            self.now_s = there_s;
        }
        arrival_s.unwrap_or(self.now_s)
    }

    #[expect(clippy::too_many_arguments, reason = "all of the route's context is needed to serve one of its stops")]
    fn serve(
        &mut self,
        problem: &Problem,
        vehicle: usize,
        steps: &[Step],
        index: usize,
        stop: usize,
        arrival_s: i64,
        record: &mut impl FnMut(Moment),
    ) {
        let served = &problem.stops()[stop];
        let setup_s = if self.place == Some(served.location) { 0 } else { served.setup_s };
        let (start_s, late_s) = start_in(&served.windows, self.now_s);
        let (price, most_s) = served.lateness.map_or((0, 0), |lateness| (lateness.cost_per_hour, lateness.most_s));
        self.totals.late_s += late_s.min(most_s);
        self.totals.late_cost += late_s.min(most_s) * price * SCALED_PER_SECOND;
        self.totals.breach.window_s += (late_s - most_s).max(0);
        self.totals.breach.wrong_vehicle += i64::from(!problem.may_serve(vehicle, stop));
        self.totals.breach.order += i64::from(!served.backhaul && self.seen_backhaul);
        self.seen_backhaul |= served.backhaul;
        self.backhauls_only &= served.backhaul;
        self.stops += 1;
        for d in 0..problem.dimensions() {
            self.load[d] += served.pickup[d] - served.delivery[d];
        }
        self.ship(problem, steps, index, stop);
        self.check_load(problem, vehicle);
        self.totals.service_s += setup_s + served.service_s;
        self.now_s = start_s + setup_s + served.service_s;
        self.place = Some(served.location);
        record(Moment {
            step: Step::Stop(stop),
            arrival_s,
            start_s,
            setup_s,
            service_s: served.service_s,
            distance_m: self.totals.distance_m,
            travel_s: self.totals.travel_s,
            load: &self.load[..problem.dimensions()],
        });
    }

    /// Takes or hands over the stop's shipment; its other stop must be on the right side of this one.
    fn ship(&mut self, problem: &Problem, steps: &[Step], index: usize, stop: usize) {
        let Some(shipment) = problem.shipment_of(stop).map(|shipment| &problem.shipments()[shipment]) else { return };
        let (sign, partner_is_there) = if shipment.pickup == stop {
            (1, steps[index + 1..].contains(&Step::Stop(shipment.delivery)))
        } else {
            (-1, steps[..index].contains(&Step::Stop(shipment.pickup)))
        };
        self.totals.breach.order += i64::from(!partner_is_there);
        if !partner_is_there {
            return;
        }
        for (d, amount) in shipment.amount.iter().enumerate() {
            self.load[d] += sign * amount;
            self.shipped[d] += sign * amount;
        }
    }

    fn reload(
        &mut self,
        problem: &Problem,
        vehicle: usize,
        rest: &[Step],
        location: usize,
        arrival_s: i64,
        record: &mut impl FnMut(Moment),
    ) {
        let reload = problem.vehicles()[vehicle].reload.as_ref();
        let allowed = reload.is_some_and(|reload| reload.locations.contains(&location));
        self.totals.breach.order += i64::from(!allowed);
        let service_s = reload.map_or(0, |reload| reload.service_s);
        let start_s = self.now_s.max(released_s(problem, rest));
        self.load_up(problem, vehicle, rest);
        self.totals.pause_s += service_s;
        self.now_s = start_s + service_s;
        self.place = Some(location);
        record(Moment {
            step: Step::Reload(location),
            arrival_s,
            start_s,
            setup_s: 0,
            service_s,
            distance_m: self.totals.distance_m,
            travel_s: self.totals.travel_s,
            load: &self.load[..problem.dimensions()],
        });
    }

    fn finish(mut self, problem: &Problem, vehicle: usize, steps: &[Step], reloads: usize) -> Totals {
        let limits = &problem.vehicles()[vehicle];
        self.totals.return_s = self.now_s;
        let duration_s = self.totals.duration_s();
        let over = |value: i64, limit: Option<i64>| limit.map_or(0, |limit| (value - limit).max(0));
        let stops = steps.iter().filter_map(|step| if let Step::Stop(stop) = step { Some(stop) } else { None });
        let prefix_is_kept = stops.take(limits.prefix.len()).eq(&limits.prefix);
        let breach = &mut self.totals.breach;
        breach.order += i64::from(self.stops > 0 && self.backhauls_only) + i64::from(!prefix_is_kept);
        breach.order += over(reloads as i64, limits.reload.as_ref().map(|reload| reload.most as i64));
        breach.shift_s = (self.now_s - limits.shift.closes_s).max(0);
        breach.distance_m = over(self.totals.distance_m, limits.max_distance_m);
        breach.travel_s = over(self.totals.travel_s, limits.max_travel_s);
        breach.duration_s = over(duration_s, limits.max_duration_s);
        breach.stops = over(self.stops, limits.max_stops.map(|most| most as i64));
        self.totals
    }
}
