//! The tours under work: which steps each vehicle follows, what that costs, and the cheapest place for what is loose.

use crate::plan::Step;
use crate::problem::{COST_SCALE, Problem};
use crate::schedule::with_breaks;
use crate::timeline::{Totals, evaluate};

/// Cost of a tour that breaks a rule, as a fixed prefix may.
const BROKEN: i64 = i64::MAX / 1_000_000;

/// What is put on a tour as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// A stop of its own.
    Stop(usize),
    /// Both stops of a shipment, by its index.
    Shipment(usize),
    /// One stop of the alternatives of this stop, the first of them.
    OneOf(usize),
}

impl Item {
    /// The stops concerned, never empty.
    pub(crate) fn stops(self, problem: &Problem) -> Vec<usize> {
        match self {
            Item::Stop(stop) => vec![stop],
            Item::Shipment(shipment) => {
                let shipment = &problem.shipments()[shipment];
                vec![shipment.pickup, shipment.delivery]
            }
            Item::OneOf(first) => problem.alternatives(first).to_vec(),
        }
    }

    /// How many visits serving it takes.
    pub(crate) fn visits(self) -> usize {
        if matches!(self, Item::Shipment(_)) { 2 } else { 1 }
    }

    /// Prize of leaving it out, or none when it must be served.
    fn prize(self, problem: &Problem) -> Option<i64> {
        let prize = |stop: usize| problem.stops()[stop].prize;
        match self {
            Item::Stop(stop) | Item::OneOf(stop) => prize(stop),
            Item::Shipment(_) => self.stops(problem).into_iter().map(prize).sum(),
        }
    }

    fn weight(self, problem: &Problem) -> i64 {
        let weight = |stop: usize| problem.stops()[stop].weight();
        match self {
            Item::Stop(stop) | Item::OneOf(stop) => weight(stop),
            Item::Shipment(_) => self.stops(problem).into_iter().map(weight).sum(),
        }
    }
}

/// Everything that is to be served.
pub(crate) fn items(problem: &Problem) -> Vec<Item> {
    let item = |stop: usize| match (problem.shipment_of(stop), problem.alternatives(stop).first()) {
        (Some(shipment), _) => (problem.shipments()[shipment].pickup == stop).then_some(Item::Shipment(shipment)),
        (None, Some(&first)) => (first == stop).then_some(Item::OneOf(stop)),
        (None, None) => Some(Item::Stop(stop)),
    };
    (0..problem.stops().len()).filter_map(item).collect()
}

/// Where a stop would go: its vehicle and the vehicle's new steps.
struct Found {
    cost: i64,
    vehicle: usize,
    steps: Vec<Step>,
    tour_cost: i64,
}

/// What it costs, scaled, that a vehicle other than its own serves a stop.
#[derive(Debug, Clone)]
pub(crate) struct Stability {
    /// Per stop: the vehicle that served it.
    pub(crate) vehicle_of: Vec<Option<usize>>,
    pub(crate) price: i64,
}

impl Stability {
    /// The price of a vehicle's serving these stops.
    fn of(&self, vehicle: usize, steps: &[Step]) -> i64 {
        let moved =
            |step: &&Step| matches!(step, Step::Stop(stop) if self.vehicle_of[*stop].is_some_and(|v| v != vehicle));
        steps.iter().filter(moved).count() as i64 * self.price
    }
}

/// All tours.
pub(crate) struct Tours<'p> {
    pub(crate) problem: &'p Problem,
    /// Per vehicle its stops and reloads; breaks are put in when a tour is priced.
    steps: Vec<Vec<Step>>,
    costs: Vec<i64>,
    vehicle_of: Vec<Option<usize>>,
    /// Tours changed since `remember`, as they were.
    remembered: Vec<(usize, Vec<Step>, i64)>,
    members: Vec<Vec<usize>>,
    items: Vec<Item>,
    /// None where every vehicle is as good as another.
    stability: Option<Stability>,
}

impl<'p> Tours<'p> {
    /// The tours of `start`, or empty but for the prefixes.
    pub(crate) fn new(problem: &'p Problem, start: Option<&[Vec<Step>]>) -> Tours<'p> {
        let vehicles = problem.vehicles();
        let mut members = vec![Vec::new(); vehicles.len()];
        for (vehicle, &class) in problem.class.iter().enumerate() {
            members[class].push(vehicle);
        }
        members.retain(|class| !class.is_empty());
        let mut tours = Tours {
            problem,
            steps: vec![Vec::new(); vehicles.len()],
            costs: vec![0; vehicles.len()],
            vehicle_of: vec![None; problem.stops().len()],
            remembered: Vec::new(),
            members,
            items: items(problem),
            stability: None,
        };
        let prefix = |vehicle: usize| vehicles[vehicle].prefix.iter().map(|&stop| Step::Stop(stop)).collect::<Vec<_>>();
        for vehicle in 0..vehicles.len() {
            let given = start.and_then(|start| start.get(vehicle)).map(|steps| without_breaks(steps));
            // A tour to start with that breaks a rule is of no use.
            let feasible = given.filter(|steps| tours.price(vehicle, steps).is_some());
            let steps = feasible.unwrap_or_else(|| prefix(vehicle));
            let cost = tours.cost(vehicle, &steps);
            tours.write(vehicle, steps, cost);
        }
        tours
    }

    /// The same tours, where changes of vehicles have a price from here on.
    pub(crate) fn kept_stable(mut self, stability: Stability) -> Tours<'p> {
        self.stability = Some(stability);
        for vehicle in 0..self.steps.len() {
            self.costs[vehicle] = self.cost(vehicle, &self.steps[vehicle]);
        }
        self
    }

    pub(crate) fn steps(&self) -> &[Vec<Step>] {
        &self.steps
    }

    pub(crate) fn vehicle_of(&self, stop: usize) -> Option<usize> {
        self.vehicle_of[stop]
    }

    pub(crate) fn stops_of(&self, vehicle: usize) -> Vec<usize> {
        self.steps[vehicle]
            .iter()
            .filter_map(|step| if let Step::Stop(stop) = step { Some(*stop) } else { None })
            .collect()
    }

    /// Summed weight left out, then scaled cost with the prizes of what is left out.
    pub(crate) fn value(&self) -> (i64, i64) {
        let cost: i64 = self.costs.iter().sum();
        let left_out = self.items.iter().filter(|item| !self.is_served(**item));
        left_out.fold((0, cost), |(weight, cost), item| {
            let prize = item.prize(self.problem).unwrap_or(0) * COST_SCALE;
            (weight + item.weight(self.problem), cost + prize + self.price_of_dropping(*item))
        })
    }

    /// What it costs that stops which had a vehicle have none.
    fn price_of_dropping(&self, item: Item) -> i64 {
        let Some(stability) = &self.stability else { return 0 };
        let dropped = item.stops(self.problem).into_iter().filter(|&stop| stability.vehicle_of[stop].is_some());
        dropped.count() as i64 * stability.price
    }

    fn is_served(&self, item: Item) -> bool {
        item.stops(self.problem).into_iter().any(|stop| self.vehicle_of[stop].is_some())
    }

    /// The items that no tour serves.
    pub(crate) fn loose(&self, items: &[Item]) -> Vec<Item> {
        items.iter().copied().filter(|&item| !self.is_served(item)).collect()
    }

    /// From here on changes can be undone.
    pub(crate) fn remember(&mut self) {
        self.remembered.clear();
    }

    /// Takes back all changes since `remember`.
    pub(crate) fn undo(&mut self) {
        let remembered = std::mem::take(&mut self.remembered);
        for (vehicle, ..) in &remembered {
            self.write(*vehicle, Vec::new(), 0);
        }
        for (vehicle, steps, cost) in remembered {
            self.write(vehicle, steps, cost);
        }
    }

    /// Goes on from these tours.
    pub(crate) fn restart(&mut self, steps: &[Vec<Step>]) {
        let changed: Vec<usize> = (0..steps.len()).filter(|&vehicle| self.steps[vehicle] != steps[vehicle]).collect();
        changed.iter().for_each(|&vehicle| self.write(vehicle, Vec::new(), 0));
        changed.iter().for_each(|&vehicle| self.set(vehicle, steps[vehicle].clone()));
        self.remembered.clear();
    }

    /// Takes the stops off their tours, with the partners of their shipments; fixed stops stay.
    pub(crate) fn remove(&mut self, stops: &[usize]) {
        let mut gone = vec![false; self.vehicle_of.len()];
        for &stop in stops {
            let pair = [Some(stop), self.problem.partner(stop)];
            let fixed = pair.iter().flatten().any(|&stop| self.is_fixed(stop));
            pair.iter().flatten().for_each(|&stop| gone[stop] = !fixed);
        }
        let mut vehicles: Vec<usize> =
            (0..gone.len()).filter(|&stop| gone[stop]).filter_map(|stop| self.vehicle_of[stop]).collect();
        vehicles.sort_unstable();
        vehicles.dedup();
        for vehicle in vehicles {
            let kept = self.steps[vehicle].iter().filter(|step| !matches!(step, Step::Stop(stop) if gone[*stop]));
            let kept = without_idle_reloads(self.problem.vehicles()[vehicle].start, kept.copied());
            // Where a detour is shorter than the direct way, taking a stop out may break a rule: then the tour is emptied.
            let kept = if self.price(vehicle, &kept).is_some() { kept } else { self.prefix(vehicle) };
            self.set(vehicle, kept);
        }
    }

    fn is_fixed(&self, stop: usize) -> bool {
        self.vehicle_of[stop].is_some_and(|vehicle| self.problem.vehicles()[vehicle].prefix.contains(&stop))
    }

    fn prefix(&self, vehicle: usize) -> Vec<Step> {
        self.problem.vehicles()[vehicle].prefix.iter().map(|&stop| Step::Stop(stop)).collect()
    }

    fn set(&mut self, vehicle: usize, steps: Vec<Step>) {
        let cost = self.cost(vehicle, &steps);
        self.keep(vehicle);
        self.write(vehicle, steps, cost);
    }

    fn cost(&self, vehicle: usize, steps: &[Step]) -> i64 {
        if steps.is_empty() { 0 } else { self.price(vehicle, steps).unwrap_or(BROKEN) }
    }

    fn keep(&mut self, vehicle: usize) {
        if !self.remembered.iter().any(|(known, ..)| *known == vehicle) {
            self.remembered.push((vehicle, self.steps[vehicle].clone(), self.costs[vehicle]));
        }
    }

    fn write(&mut self, vehicle: usize, steps: Vec<Step>, cost: i64) {
        for stop in self.stops_of(vehicle) {
            if self.vehicle_of[stop] == Some(vehicle) {
                self.vehicle_of[stop] = None;
            }
        }
        for step in &steps {
            if let Step::Stop(stop) = step {
                self.vehicle_of[*stop] = Some(vehicle);
            }
        }
        (self.steps[vehicle], self.costs[vehicle]) = (steps, cost);
    }

    /// Scaled cost of the steps, or none when they break a rule.
    fn price(&self, vehicle: usize, steps: &[Step]) -> Option<i64> {
        let limits = &self.problem.vehicles()[vehicle];
        let totals: Totals = if limits.breaks.is_empty() {
            evaluate(self.problem, vehicle, steps)
        } else {
            evaluate(self.problem, vehicle, &with_breaks(self.problem, vehicle, steps))
        };
        let moved = self.stability.as_ref().map_or(0, |stability| stability.of(vehicle, steps));
        totals.breach.is_none().then(|| totals.cost(limits) + moved)
    }

    /// Puts each item where it is cheapest, when that is anywhere and, for items with a prize, cheaper than the prize.
    pub(crate) fn insert_all(&mut self, items: &[Item], blink: &mut dyn FnMut() -> bool, stop: &dyn Fn() -> bool) {
        for &item in items {
            if stop() {
                return;
            }
            if let Some(found) = self.cheapest(item, blink) {
                let least = self.price_of_dropping(item);
                let worth = item.prize(self.problem).is_none_or(|prize| found.cost < prize * COST_SCALE + least);
                if worth {
                    self.keep(found.vehicle);
                    self.write(found.vehicle, found.steps, found.tour_cost);
                }
            }
        }
    }

    /// Where the item goes at least cost: the vehicle, its new steps and what they cost more, scaled; none when nowhere.
    pub(crate) fn quote(&self, item: Item) -> Option<(usize, Vec<Step>, i64)> {
        self.cheapest(item, &mut || false).map(|found| (found.vehicle, found.steps, found.cost))
    }

    fn cheapest(&self, item: Item, blink: &mut dyn FnMut() -> bool) -> Option<Found> {
        let mut best: Option<Found> = None;
        let used = (0..self.steps.len()).filter(|&vehicle| !self.steps[vehicle].is_empty());
        let unused = self.members.iter().filter_map(|class| class.iter().copied().find(|&v| self.steps[v].is_empty()));
        for vehicle in used.chain(unused) {
            match item {
                Item::Stop(stop) => self.try_stop(vehicle, stop, blink, &mut best),
                Item::OneOf(first) => {
                    for &stop in self.problem.alternatives(first) {
                        self.try_stop(vehicle, stop, blink, &mut best);
                    }
                }
                Item::Shipment(shipment) => self.try_shipment(vehicle, shipment, blink, &mut best),
            }
        }
        best
    }

    fn try_stop(&self, vehicle: usize, stop: usize, blink: &mut dyn FnMut() -> bool, best: &mut Option<Found>) {
        if !self.problem.may_serve(vehicle, stop) {
            return;
        }
        let steps = &self.steps[vehicle];
        for (detour, position) in self.positions(vehicle, steps, stop) {
            if best.as_ref().is_some_and(|best| detour >= best.cost) {
                return;
            }
            if blink() || self.try_steps(vehicle, with(steps, position, &[Step::Stop(stop)]), best) {
                continue;
            }
            // A trip of its own, or the end or beginning of one, may have room where the present trip has none.
            for &place in self.problem.vehicles()[vehicle].reload.iter().flat_map(|reload| &reload.locations) {
                let (stop, reload) = (Step::Stop(stop), Step::Reload(place));
                for new in [[stop, reload], [reload, stop]] {
                    let tried = with(steps, position, &new);
                    let tried = without_idle_reloads(self.problem.vehicles()[vehicle].start, tried.into_iter());
                    self.try_steps(vehicle, tried, best);
                }
            }
        }
    }

    fn try_shipment(&self, vehicle: usize, shipment: usize, blink: &mut dyn FnMut() -> bool, best: &mut Option<Found>) {
        let shipment = &self.problem.shipments()[shipment];
        if !self.problem.may_serve(vehicle, shipment.pickup) || !self.problem.may_serve(vehicle, shipment.delivery) {
            return;
        }
        let steps = &self.steps[vehicle];
        for (detour, position) in self.positions(vehicle, steps, shipment.pickup) {
            if best.as_ref().is_some_and(|best| detour >= best.cost) {
                return;
            }
            if blink() {
                continue;
            }
            let taken = with(steps, position, &[Step::Stop(shipment.pickup)]);
            for (further, second) in self.positions(vehicle, &taken, shipment.delivery) {
                // The fixed cost of an unused vehicle was counted with the pickup.
                if best.as_ref().is_some_and(|best| detour + further >= best.cost) {
                    break;
                }
                if second > position {
                    self.try_steps(vehicle, with(&taken, second, &[Step::Stop(shipment.delivery)]), best);
                }
            }
        }
    }

    /// Positions behind the prefix with the least that an insertion there costs, cheapest first. Only a position whose leg is
    /// shortened by traffic can cost less.
    fn positions(&self, vehicle: usize, steps: &[Step], stop: usize) -> Vec<(i64, usize)> {
        let problem = self.problem;
        let limits = &problem.vehicles()[vehicle];
        let place = |step: &Step| match step {
            Step::Stop(stop) => Some(problem.stops()[*stop].location),
            Step::Reload(location) => Some(*location),
            Step::Break(_) => None,
        };
        let new = Some(problem.stops()[stop].location);
        let leg = |from: Option<usize>, to: Option<usize>| {
            let leg = problem.leg_by(limits.profile, from, to);
            (i64::from(leg.distance_m), i64::from(leg.duration_s))
        };
        let fixed = if steps.is_empty() { limits.fixed_cost * COST_SCALE } else { 0 };
        let mut positions: Vec<(i64, usize)> = (limits.prefix.len().min(steps.len())..=steps.len())
            .map(|position| {
                let from = if position == 0 { limits.start } else { place(&steps[position - 1]) };
                let to = steps.get(position).map_or(limits.end, place);
                let [there, on, before] = [leg(from, new), leg(new, to), leg(from, to)];
                let (distance_m, travel_s) = (there.0 + on.0 - before.0, there.1 + on.1 - before.1);
                // A way round that is quicker than the leg it replaces shortens the duty by that much at most.
                let duty = limits.duty_cost(travel_s.min(0));
                (fixed + limits.leg_cost(distance_m, travel_s) + duty, position)
            })
            .collect();
        positions.sort_unstable();
        positions
    }

    /// Notes the steps when they are feasible and the cheapest so far; true when they are feasible.
    fn try_steps(&self, vehicle: usize, steps: Vec<Step>, best: &mut Option<Found>) -> bool {
        let Some(tour_cost) = self.price(vehicle, &steps) else { return false };
        let cost = tour_cost - self.costs[vehicle];
        if best.as_ref().is_none_or(|best| cost < best.cost) {
            *best = Some(Found { cost, vehicle, steps, tour_cost });
        }
        true
    }
}

/// The steps with `new` ones from `position` on.
fn with(steps: &[Step], position: usize, new: &[Step]) -> Vec<Step> {
    let mut all = Vec::with_capacity(steps.len() + new.len());
    all.extend_from_slice(&steps[..position]);
    all.extend_from_slice(new);
    all.extend_from_slice(&steps[position..]);
    all
}

pub(crate) fn without_breaks(steps: &[Step]) -> Vec<Step> {
    steps.iter().copied().filter(|step| !matches!(step, Step::Break(_))).collect()
}

/// Drops reloads that end a tour, follow another, or begin the tour where the vehicle starts.
fn without_idle_reloads(start: Option<usize>, steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::new();
    for step in steps {
        let idle = match (step, kept.last()) {
            (Step::Reload(place), None) => start.is_none_or(|start| start == place),
            (Step::Reload(_), last) => !matches!(last, Some(Step::Stop(_))),
            _ => false,
        };
        if !idle {
            kept.push(step);
        }
    }
    while matches!(kept.last(), Some(Step::Reload(_))) {
        kept.pop();
    }
    kept
}
