//! The solution under work: each vehicle's order with running sums from both ends, so that moves are priced in constant time.

use crate::problem::Problem;
use crate::segment::Segment;
use crate::travel::Leg;

/// Cost of a route that may not be driven. It can arise only by taking stops out where a detour is shorter than the direct way;
/// any insertion that mends it then looks like a bargain.
const BROKEN: i64 = i64::MAX / 4;

/// What a run of stops does to the load of one dimension (Vidal et al. 2013 for deliveries and pickups together).
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    delivery: i64,
    pickup: i64,
    /// Most on board during the run when it starts with exactly its own deliveries.
    peak: i64,
}

impl Load {
    fn join(self, next: Load) -> Load {
        Load {
            delivery: self.delivery + next.delivery,
            pickup: self.pickup + next.pickup,
            peak: (self.peak + next.delivery).max(self.pickup + next.peak),
        }
    }
}

/// One vehicle's order and its sums.
#[derive(Debug, Clone)]
pub(crate) struct WorkRoute {
    pub(crate) stops: Vec<usize>,
    /// `heads[i]` is the first `i` stops, no depot.
    heads: Vec<Segment>,
    /// `tails[i]` is the stops from `i` on, no depot.
    tails: Vec<Segment>,
    head_loads: Vec<Load>,
    tail_loads: Vec<Load>,
    /// In scaled units, or `BROKEN`.
    pub(crate) cost: i64,
}

/// All routes, one per vehicle, and where each stop is.
#[derive(Debug, Clone)]
pub(crate) struct Working<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) routes: Vec<WorkRoute>,
    /// Per stop: the vehicle that serves it.
    pub(crate) vehicle_of: Vec<Option<usize>>,
    /// Per stop: its position on the route, when it is on one.
    pub(crate) position_of: Vec<usize>,
    /// Per stop: its own run.
    pub(crate) single: Vec<Segment>,
    starts: Vec<Segment>,
    ends: Vec<Segment>,
    /// Per class of equal vehicles, its members; an unused vehicle is found through it.
    classes: Vec<Vec<usize>>,
}

impl<'a> Working<'a> {
    pub(crate) fn new(problem: &'a Problem, orders: Vec<Vec<usize>>) -> Working<'a> {
        let vehicles = problem.vehicles();
        let empty = WorkRoute {
            stops: Vec::new(),
            heads: Vec::new(),
            tails: Vec::new(),
            head_loads: Vec::new(),
            tail_loads: Vec::new(),
            cost: 0,
        };
        let members = |class: usize| (0..vehicles.len()).filter(|&v| problem.class[v] == class).collect::<Vec<_>>();
        let mut working = Working {
            problem,
            routes: vec![empty; vehicles.len()],
            vehicle_of: vec![None; problem.stops().len()],
            position_of: vec![0; problem.stops().len()],
            single: (0..problem.stops().len()).map(|stop| Segment::stop(problem, stop)).collect(),
            starts: vehicles.iter().map(|v| Segment::depot(v, v.start)).collect(),
            ends: vehicles.iter().map(|v| Segment::depot(v, v.end)).collect(),
            classes: (0..vehicles.len()).map(members).filter(|class| !class.is_empty()).collect(),
        };
        for (vehicle, order) in orders.into_iter().enumerate() {
            working.set(vehicle, order);
        }
        working
    }

    /// The orders of all vehicles.
    pub(crate) fn orders(&self) -> Vec<Vec<usize>> {
        self.routes.iter().map(|route| route.stops.clone()).collect()
    }

    /// What is minimised: the summed weight of the stops left out, then the scaled cost. A broken route makes it none.
    pub(crate) fn value(&self) -> Option<(i64, i64)> {
        let stops = self.problem.stops().iter().zip(&self.vehicle_of);
        let left_out = stops.filter(|(_, vehicle)| vehicle.is_none()).map(|(stop, _)| 1 + i64::from(stop.priority));
        let costs = self.routes.iter().map(|route| (route.cost < BROKEN).then_some(route.cost));
        Some((left_out.sum(), costs.sum::<Option<i64>>()?))
    }

    /// One unused vehicle of each class that has one.
    pub(crate) fn unused_vehicles(&self) -> impl Iterator<Item = usize> + '_ {
        self.classes.iter().filter_map(|class| class.iter().copied().find(|&v| self.routes[v].stops.is_empty()))
    }

    /// Gives the vehicle this order; stops that were on it before and are no longer become loose.
    pub(crate) fn set(&mut self, vehicle: usize, order: Vec<usize>) {
        let problem = self.problem;
        for &stop in &self.routes[vehicle].stops {
            if self.vehicle_of[stop] == Some(vehicle) {
                self.vehicle_of[stop] = None;
            }
        }
        for (position, &stop) in order.iter().enumerate() {
            self.vehicle_of[stop] = Some(vehicle);
            self.position_of[stop] = position;
        }
        let (length, dimensions) = (order.len(), problem.dimensions());
        let route = &mut self.routes[vehicle];
        route.stops = order;
        route.heads.clear();
        route.heads.push(Segment::EMPTY);
        route.tails.clear();
        route.tails.resize(length + 1, Segment::EMPTY);
        route.head_loads.clear();
        route.head_loads.resize((length + 1) * dimensions, Load::default());
        route.tail_loads.clear();
        route.tail_loads.resize((length + 1) * dimensions, Load::default());
        for position in 0..length {
            let stop = route.stops[position];
            route.heads.push(route.heads[position].join(problem, self.single[stop]));
            for d in 0..dimensions {
                let sum = route.head_loads[position * dimensions + d].join(stop_load(problem, stop, d));
                route.head_loads[(position + 1) * dimensions + d] = sum;
            }
        }
        for position in (0..length).rev() {
            let stop = route.stops[position];
            route.tails[position] = self.single[stop].join(problem, route.tails[position + 1]);
            for d in 0..dimensions {
                let sum = stop_load(problem, stop, d).join(route.tail_loads[(position + 1) * dimensions + d]);
                route.tail_loads[position * dimensions + d] = sum;
            }
        }
        let whole = route.tails[0];
        self.routes[vehicle].cost = self.close(vehicle, whole).unwrap_or(BROKEN);
    }

    /// Scaled cost of the vehicle's route when it serves exactly this run, or none when it may not; loads aside.
    pub(crate) fn close(&self, vehicle: usize, run: Segment) -> Option<i64> {
        let opened = self.starts[vehicle].join(self.problem, run);
        opened.join(self.problem, self.ends[vehicle]).route_cost(self.problem, vehicle)
    }

    /// The first `position` stops of the vehicle, summed up.
    pub(crate) fn head(&self, vehicle: usize, position: usize) -> Segment {
        self.routes[vehicle].heads[position]
    }

    /// The stops from `position` on, summed up.
    pub(crate) fn tail(&self, vehicle: usize, position: usize) -> Segment {
        self.routes[vehicle].tails[position]
    }

    /// Cost added by `stop` at `position` of the vehicle's route, or none when it does not fit there.
    pub(crate) fn insertion_cost(&self, stop: usize, vehicle: usize, position: usize) -> Option<i64> {
        let run = self.head(vehicle, position).join(self.problem, self.single[stop]);
        let cost = self.close(vehicle, run.join(self.problem, self.tail(vehicle, position)))?;
        let dimensions = self.problem.dimensions();
        let (route, capacity) = (&self.routes[vehicle], &self.problem.vehicles()[vehicle].capacity);
        let fits = (0..dimensions).all(|d| {
            let before = route.head_loads[position * dimensions + d].join(stop_load(self.problem, stop, d));
            before.join(route.tail_loads[position * dimensions + d]).peak <= capacity[d]
        });
        fits.then_some(cost - route.cost)
    }

    /// What the detour alone adds to the cost, a lower bound of `insertion_cost` that is had without pricing times and loads.
    fn detour_cost(&self, stop: usize, vehicle: usize, position: usize) -> i64 {
        let limits = &self.problem.vehicles()[vehicle];
        let stops = &self.routes[vehicle].stops;
        // An unused vehicle's way from start to end is not driven, and time on duty may shrink by a detour that is quicker.
        if stops.is_empty() || limits.cost_per_duty_hour > 0 {
            return i64::MIN;
        }
        let location = |stop: &usize| Some(self.problem.stops()[*stop].location);
        let from = if position == 0 { limits.start } else { location(&stops[position - 1]) };
        let to = stops.get(position).map_or(limits.end, location);
        let (there, back) = (self.problem.leg(from, location(&stop)), self.problem.leg(location(&stop), to));
        let direct = self.problem.leg(from, to);
        let added = |of: fn(Leg) -> u32| i64::from(of(there)) + i64::from(of(back)) - i64::from(of(direct));
        limits.scaled_cost(added(|leg| leg.distance_m), added(|leg| leg.duration_s), 0) - limits.scaled_cost(0, 0, 0)
    }

    /// False when the vehicle cannot take the stop at any position: skills, or sums of amounts over its capacity.
    pub(crate) fn may_have_room(&self, stop: usize, vehicle: usize) -> bool {
        let capacity = &self.problem.vehicles()[vehicle].capacity;
        let demand = &self.problem.stops()[stop];
        self.problem.may_serve(vehicle, stop)
            && (0..capacity.len()).all(|d| {
                let load = self.routes[vehicle].tail_loads[d];
                load.delivery + demand.delivery[d] <= capacity[d] && load.pickup + demand.pickup[d] <= capacity[d]
            })
    }

    /// Inserts the stop.
    pub(crate) fn insert(&mut self, stop: usize, vehicle: usize, position: usize) {
        let mut order = self.routes[vehicle].stops.clone();
        order.insert(position, stop);
        self.set(vehicle, order);
    }

    /// Inserts every stop left out wherever it is cheapest, in the given order.
    pub(crate) fn insert_all(&mut self, stops: &[usize]) {
        for &stop in stops {
            if let Some((vehicle, position)) = self.cheapest_place(stop, &mut || false) {
                self.insert(stop, vehicle, position);
            }
        }
    }

    /// The cheapest feasible place for a stop among used vehicles and one unused vehicle per class; `skip` may pass over places.
    pub(crate) fn cheapest_place(&self, stop: usize, skip: &mut dyn FnMut() -> bool) -> Option<(usize, usize)> {
        let used = (0..self.routes.len()).filter(|&v| !self.routes[v].stops.is_empty());
        let mut best: Option<(i64, usize, usize)> = None;
        for vehicle in used.chain(self.unused_vehicles()) {
            if !self.may_have_room(stop, vehicle) {
                continue;
            }
            for position in 0..=self.routes[vehicle].stops.len() {
                let hopeless = best.is_some_and(|(least, ..)| self.detour_cost(stop, vehicle, position) >= least);
                if hopeless || skip() {
                    continue;
                }
                let added = self.insertion_cost(stop, vehicle, position);
                if let Some(added) = added.filter(|&added| best.is_none_or(|(least, ..)| added < least)) {
                    best = Some((added, vehicle, position));
                }
            }
        }
        best.map(|(_, vehicle, position)| (vehicle, position))
    }
}

fn stop_load(problem: &Problem, stop: usize, dimension: usize) -> Load {
    let stop = &problem.stops()[stop];
    let (delivery, pickup) = (stop.delivery[dimension], stop.pickup[dimension]);
    Load { delivery, pickup, peak: delivery.max(pickup) }
}
