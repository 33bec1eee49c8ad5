//! Recreate: absent stops go back one after the other where they cost least, now and then passing over a place (blink).

use super::instance::Reloading;
use super::pairs::best_pair_place;
use super::random::Random;
use super::state::{ABSENT, State};
use super::trips::Refill;

/// One in so many places is passed over.
const BLINK_ONE_IN: f64 = 100.0;
/// With more used routes than this, only those near the stop are tried.
const ALL_ROUTES: usize = 60;
/// Of the stops that were absent before a step, so many are tried again in it on average, wherever they are.
const MOST_RETRIED: usize = 16;
/// Where stops may be left out for a price, so many absent ones nearest to the step's are tried, and fewer from elsewhere.
const RETRIED_NEAR: usize = 10;
const RETRIED_ELSEWHERE: usize = 4;
/// Then, one step in so many puts an unused vehicle to use, which its first stop alone need not pay for; so many of the nearest
/// absent stops are tried in it.
const OPENS_ONE_IN: usize = 20;
const TRIED_AT_OPENING: usize = 200;
/// The same where vehicles have several sizes or prices; there, one always takes the place of whole routes that were taken down.
const OPENS_ONE_OF_SEVERAL_IN: usize = 10;
/// Then, the chance that routes may move to larger vehicles in a step: were it always so, few routes would be begun.
const GROWS_CHANCE: f64 = 0.5;
/// The same for the first plan.
const ALL_ROUTES_AT_FIRST: usize = 300;
/// Neighbours whose routes are tried then.
const TRIED_NEIGHBOURS: usize = 60;
/// Neighbours whose routes are tried on larger vehicles.
const TRIED_FOR_LARGER: usize = 10;

/// Memory of the recreate step.
#[derive(Debug, Default)]
pub(super) struct Recreate {
    keyed: Vec<(i64, u32)>,
    tried_in: Vec<u64>,
    tries: u64,
    candidates: Vec<u32>,
    until_blink: u32,
    at_any_price: bool,
    /// Per stop, the last step that wants it tried again.
    wanted_in: Vec<u64>,
    steps: u64,
    /// In this step, a stop may be put on a route that has no room for it and moves to a larger vehicle.
    grows: bool,
}

/// Where a stop, and its partner, goes best.
#[derive(Debug, Clone, Copy)]
struct Place {
    added: i64,
    route: u32,
    position: usize,
    /// Before the stop itself is inserted.
    partner_position: usize,
    /// A reload that comes with it.
    refill: Option<Refill>,
    /// The unused vehicle that takes the route over first.
    vehicle: Option<u32>,
}

impl Place {
    const NONE: Place =
        Place { added: 0, route: ABSENT, position: 0, partner_position: 0, refill: None, vehicle: None };
}

/// Puts a stop without a partner, and perhaps a reload beside it, where it goes best.
fn put(state: &mut State, stop: usize, place: &Place) {
    if let Some(vehicle) = place.vehicle {
        state.change_vehicle(place.route, vehicle);
    }
    let route = place.vehicle.unwrap_or(place.route);
    match place.refill {
        None => state.insert(stop, route, place.position),
        Some(refill) => state.insert_with_reload(stop, route, place.position, refill),
    }
}

impl Recreate {
    /// Puts back every absent stop that fits, in an order drawn from several, after a ruin around a stop; gives up, with false,
    /// once the routes alone cost `limit`.
    pub(super) fn run(&mut self, state: &mut State, random: &mut Random, around: usize, limit: f64) -> bool {
        let chosen = state.instance.may_leave_out;
        let changes = state.may_change_vehicles();
        self.grows = changes && random.unit() < GROWS_CHANCE;
        let opens_one_in = match (changes, state.made_way) {
            (true, true) => 1,
            (true, false) => OPENS_ONE_OF_SEVERAL_IN,
            (false, _) => OPENS_ONE_IN,
        };
        let may_open = (chosen || changes) && state.openable().next().is_some();
        let mut opens = may_open && random.below(opens_one_in) == 0;
        if chosen {
            self.want_near(state, around, if opens { TRIED_AT_OPENING } else { RETRIED_NEAR });
        }
        self.choose(state, random);
        let mut absences: i64 = self.keyed.iter().map(|&(_, stop)| self.absence(state, stop as usize)).sum();
        let keyed = std::mem::take(&mut self.keyed);
        let mut within = true;
        for &(_, stop) in &keyed {
            // `absences` holds those still to be tried, so that the difference is what the rest of the plan costs.
            within = ((state.cost - absences) as f64) < limit;
            if !within {
                break;
            }
            absences -= self.absence(state, stop as usize);
            if !(opens && self.open_for(state, stop as usize, random)) {
                self.put_back(state, stop as usize, Some(random));
            }
            opens = false;
        }
        self.keyed = keyed;
        if within {
            state.fit_vehicles();
        }
        within
    }

    /// Marks the absent stops nearest to one.
    fn want_near(&mut self, state: &State, around: usize, most: usize) {
        self.steps += 1;
        self.wanted_in.resize(state.instance.stops, 0);
        let near = std::iter::once(around).chain(state.instance.near(around).iter().map(|&stop| stop as usize));
        for stop in near.filter(|&stop| state.route_of[stop] == ABSENT).take(most) {
            self.wanted_in[stop] = self.steps;
        }
    }

    /// Puts an unused vehicle of a class drawn at random to use for the stop, whatever that costs; false when it cannot serve it. It
    /// serves no pairs.
    fn open_for(&mut self, state: &mut State, stop: usize, random: &mut Random) -> bool {
        if state.instance.partner_of(stop).is_some() {
            return false;
        }
        let drawn = random.below(state.openable().count());
        let mut best = Place { added: i64::MAX / 4, ..Place::NONE };
        if let Some(route) = state.openable().nth(drawn) {
            self.try_route(state, stop, route, &mut best, &mut None);
        }
        if best.route != ABSENT {
            put(state, stop, &best);
        }
        best.route != ABSENT
    }

    /// Puts back what fits, dearest absence first, even where that costs more than leaving it out: a route pays only once
    /// it has several stops. It passes over no place.
    pub(super) fn complete(&mut self, state: &mut State) {
        self.at_any_price = true;
        self.fill(state);
        self.at_any_price = false;
    }

    /// Puts back what fits and costs less than leaving it out, dearest absence first. It passes over no place.
    pub(super) fn fill(&mut self, state: &mut State) {
        let instance = state.instance;
        let mut absent = std::mem::take(&mut state.absent);
        absent.sort_by_key(|&stop| (-state.absence[stop as usize], stop));
        for stop in absent {
            if !instance.ends_shipment[stop as usize] {
                self.put_back(state, stop as usize, None);
            }
        }
    }

    /// What leaving the stop, and its partner, out costs.
    fn absence(&self, state: &State, stop: usize) -> i64 {
        let partner = state.instance.partner_of(stop);
        state.absence[stop] + partner.map_or(0, |partner| state.absence[partner])
    }

    /// Inserts the stop, and its partner, where that costs least, or notes them as absent.
    fn put_back(&mut self, state: &mut State, stop: usize, random: Option<&mut Random>) {
        let partner = state.instance.partner_of(stop);
        match (self.best_place(state, stop, random), partner) {
            (Some(place), None) => put(state, stop, &place),
            (Some(place), Some(partner)) => {
                state.insert(stop, place.route, place.position);
                state.insert(partner, place.route, place.partner_position + 1);
            }
            (None, partner) => {
                state.absent.push(stop as u32);
                state.absent.extend(partner.map(|partner| partner as u32));
            }
        }
    }

    /// Takes from `absent` the stops to be tried, in an order drawn from several: all that the step removed, and some of
    /// those that were absent before.
    fn choose(&mut self, state: &mut State, random: &mut Random) {
        let instance = state.instance;
        let dimensions = instance.dimensions;
        let kinds = if instance.timed { 17 } else { 11 };
        let kind = random.below(kinds);
        let depot = instance.classes[0].start;
        let amount = |stop: usize| {
            let range = stop * dimensions..(stop + 1) * dimensions;
            instance.delivery[range.clone()].iter().sum::<i64>() + instance.pickup[range].iter().sum::<i64>()
        };
        self.keyed.clear();
        let before = state.absent_before();
        let mut place = 0;
        let retried = if instance.may_leave_out { RETRIED_ELSEWHERE } else { MOST_RETRIED };
        state.absent.retain(|&stop| {
            let index = stop as usize;
            place += 1;
            // A shipment is tried by its first stop, and always.
            if instance.ends_shipment[index] {
                return false;
            }
            let is_old = place <= before && before > MOST_RETRIED && instance.partner_of(index).is_none();
            let is_wanted = instance.may_leave_out && self.wanted_in[index] == self.steps;
            if is_old && !is_wanted && random.below(before) >= retried {
                return true;
            }
            let key = match kind {
                0..4 => (random.bits() >> 1) as i64,
                4..8 => -amount(index),
                8..10 => -instance.distance.get(depot, index),
                10 => instance.distance.get(depot, index),
                11..13 => instance.closes[index] - instance.opens[index],
                13..15 => instance.opens[index],
                _ => -instance.closes[index],
            };
            self.keyed.push((key, stop));
            false
        });
        self.keyed.sort_unstable();
    }

    /// The cheapest place that costs less than leaving the stop out.
    fn best_place(&mut self, state: &State, stop: usize, mut random: Option<&mut Random>) -> Option<Place> {
        let instance = state.instance;
        let mut best =
            Place { added: if self.at_any_price { i64::MAX / 4 } else { self.absence(state, stop) }, ..Place::NONE };
        let amounts = match instance.dimensions {
            0 => [0; 2],
            dimensions => [instance.delivery[stop * dimensions], instance.pickup[stop * dimensions]],
        };
        // A trip of its own costs the same on a vehicle that makes none yet, and leaves both more time.
        let prefers_unused = instance.has_reloads();
        if prefers_unused {
            self.try_unused(state, stop, &mut best);
        }
        if state.used.len() <= if random.is_some() { ALL_ROUTES } else { ALL_ROUTES_AT_FIRST } {
            for &route in state.used.iter().filter(|&&route| state.may_have_room(route, amounts)) {
                self.try_route(state, stop, route, &mut best, &mut random);
            }
        } else {
            self.gather_near(state, stop, TRIED_NEIGHBOURS);
            for index in 0..self.candidates.len() {
                if state.may_have_room(self.candidates[index], amounts) {
                    self.try_route(state, stop, self.candidates[index], &mut best, &mut random);
                }
            }
        }
        if !prefers_unused {
            self.try_unused(state, stop, &mut best);
        }
        if self.grows && !instance.mixed_loads {
            self.try_larger(state, stop, &mut best, &mut random);
        }
        (best.route != ABSENT).then_some(best)
    }

    fn try_unused(&mut self, state: &State, stop: usize, best: &mut Place) {
        for route in state.openable() {
            self.try_route(state, stop, route, best, &mut None);
        }
    }

    /// Tries routes near the stop that have no room for it, each on an unused vehicle that has.
    fn try_larger(&mut self, state: &State, stop: usize, best: &mut Place, random: &mut Option<&mut Random>) {
        let instance = state.instance;
        self.gather_near(state, stop, TRIED_FOR_LARGER);
        for at in 0..self.candidates.len() {
            let route = &state.routes[self.candidates[at] as usize];
            let own = &instance.classes[route.class];
            if route.has_room(instance, stop) || route.stop_count() >= own.max_stops {
                continue;
            }
            for &class in &own.alternatives {
                let vehicle = state.unused_of(class).filter(|_| route.has_room_on(instance, class, stop));
                if let Some(vehicle) = vehicle {
                    self.try_vehicle(state, stop, (self.candidates[at], vehicle), best, random);
                }
            }
        }
    }

    /// Tries the positions of a route that moves to an unused vehicle.
    fn try_vehicle(
        &mut self,
        state: &State,
        stop: usize,
        (index, vehicle): (u32, u32),
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let (instance, route) = (state.instance, &state.routes[index as usize]);
        let [own, class] = [route.class, state.routes[vehicle as usize].class].map(|class| &instance.classes[class]);
        let moved = class.fixed - own.fixed + route.legs_on(instance, class) - route.legs_on(instance, own);
        let metric = class.cost(instance);
        for position in route.positions(instance, stop) {
            let (before, after) = (route.nodes[position - 1] as usize, route.nodes[position] as usize);
            let legs = metric.get(before, stop) + metric.get(stop, after) - metric.get(before, after);
            let added = moved + legs;
            // Time on duty may shrink by more than the legs grow.
            if (class.duty == 0 && added >= best.added) || self.blinks(random) {
                continue;
            }
            let extra = route.extra_of_insertion(instance, stop, position, best.added - added);
            if let Some(added) = extra.map(|extra| added + extra).filter(|&added| added < best.added) {
                *best = Place { added, route: index, position, vehicle: Some(vehicle), ..Place::NONE };
            }
        }
    }

    /// Finds the routes of the stop's nearest neighbours.
    fn gather_near(&mut self, state: &State, stop: usize, neighbours: usize) {
        self.candidates.clear();
        self.tries += 1;
        self.tried_in.resize(state.routes.len(), 0);
        let near = state.instance.near(stop);
        for &other in &near[..near.len().min(neighbours)] {
            let route = state.route_of[other as usize];
            if route != ABSENT && self.tried_in[route as usize] != self.tries {
                self.tried_in[route as usize] = self.tries;
                self.candidates.push(route);
            }
        }
    }

    #[inline]
    fn try_route(
        &mut self,
        state: &State,
        stop: usize,
        index: u32,
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let instance = state.instance;
        let route = &state.routes[index as usize];
        let class = &instance.classes[route.class];
        if !route.has_room(instance, stop)
            || !instance.may_serve(route.class, stop)
            || route.stop_count() >= class.max_stops
        {
            return;
        }
        let partner = instance.partner_of(stop);
        let away = state.away_cost(stop, index) + partner.map_or(0, |partner| state.away_cost(partner, index));
        best.added -= away;
        match partner {
            Some(_) if self.blinks(random) => (),
            Some(partner) => {
                if let Some(place) = best_pair_place(route, instance, (stop, partner), best.added) {
                    let (position, partner_position) = (place.pickup, place.delivery);
                    *best = Place { added: place.added, route: index, position, partner_position, ..Place::NONE };
                }
            }
            None => {
                self.try_positions(state, stop, index, best, random);
                if let Some(reloading) = class.reload.as_ref().filter(|reload| route.trips.reloads < reload.most) {
                    self.try_reloads(state, stop, index, reloading, best, random);
                }
            }
        }
        best.added += away;
    }

    #[inline]
    fn try_positions(
        &mut self,
        state: &State,
        stop: usize,
        index: u32,
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let instance = state.instance;
        let class = &instance.classes[state.routes[index as usize].class];
        let metric = class.cost(instance);
        match metric.rows(stop) {
            Some((to, from)) => {
                self.scan(state, stop, index, |node| i64::from(to[node]), |node| i64::from(from[node]), best, random)
            }
            None => self.scan(
                state,
                stop,
                index,
                |node| metric.get(node, stop),
                |node| metric.get(stop, node),
                best,
                random,
            ),
        }
    }

    /// Tries the route's positions; `to` and `from` price the legs between the stop and a node.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "one body for tables and for computed legs")]
    fn scan(
        &mut self,
        state: &State,
        stop: usize,
        index: u32,
        to: impl Fn(usize) -> i64,
        from: impl Fn(usize) -> i64,
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let route = &state.routes[index as usize];
        // Time on duty may shrink by more than the legs grow, so that legs alone decide nothing there.
        let legs_decide = state.instance.classes[route.class].duty == 0;
        let positions = route.positions(state.instance, stop);
        let mut arriving = to(route.nodes[positions.start - 1] as usize);
        for position in positions {
            let next = route.nodes[position] as usize;
            let added = arriving + from(next) - route.legs[position];
            arriving = to(next);
            if legs_decide && added >= best.added {
                continue;
            }
            if self.blinks(random) {
                continue;
            }
            let most = best.added - added;
            let Some(extra) = route.extra_of_insertion(state.instance, stop, position, most) else { continue };
            if added + extra < best.added {
                *best = Place { added: added + extra, route: index, position, ..Place::NONE };
            }
        }
    }

    /// Tries the route's positions with a reload beside the stop: a trip of its own at either end of a trip, or the end of the one
    /// or the beginning of the other trip where the reload cuts a trip in two. A vehicle may drive from its start to another depot
    /// and load there first, which is nearer to stops whose goods are released late.
    fn try_reloads(
        &mut self,
        state: &State,
        stop: usize,
        index: u32,
        reloading: &Reloading,
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let (instance, route) = (state.instance, &state.routes[index as usize]);
        let first = route.positions(instance, stop).start;
        for &depot in &reloading.depots {
            for position in first..route.nodes.len() {
                let (before, after) = (route.nodes[position - 1], route.nodes[position]);
                if instance.is_stop(after) {
                    let refill = Refill { depot, is_before: false };
                    self.try_reload(state, stop, (index, position), refill, best, random);
                }
                // Before another reload at the same depot, that would be the same as behind it.
                let is_last = position + 1 == route.nodes.len();
                let ends_trip = instance.is_stop(before) || (position == 1 && instance.loads_elsewhere(before, depot));
                if ends_trip && (after != depot || is_last) {
                    let refill = Refill { depot, is_before: true };
                    self.try_reload(state, stop, (index, position), refill, best, random);
                }
            }
        }
    }

    /// Tries a position with a reload beside the stop.
    #[inline]
    fn try_reload(
        &mut self,
        state: &State,
        stop: usize,
        (index, position): (u32, usize),
        refill: Refill,
        best: &mut Place,
        random: &mut Option<&mut Random>,
    ) {
        let (instance, route) = (state.instance, &state.routes[index as usize]);
        let class = &instance.classes[route.class];
        let cost = class.cost(instance);
        let (first, second) =
            if refill.is_before { (refill.depot as usize, stop) } else { (stop, refill.depot as usize) };
        let (before, after) = (route.nodes[position - 1] as usize, route.nodes[position] as usize);
        let legs = cost.get(before, first) + cost.get(first, second) + cost.get(second, after) - route.legs[position];
        // Time on duty may shrink by more than the legs grow.
        let is_dear = class.duty == 0 && legs >= best.added;
        let refill = Some(refill);
        if is_dear || !route.trip_has_room(instance, stop, position, refill) || self.blinks(random) {
            return;
        }
        let added = route.added_to_trip(instance, stop, position, refill, legs);
        if let Some(added) = added.filter(|&added| added < best.added) {
            *best = Place { added, route: index, position, refill, ..Place::NONE };
        }
    }

    /// True when the place at hand is to be passed over.
    #[inline]
    fn blinks(&mut self, random: &mut Option<&mut Random>) -> bool {
        let Some(random) = random.as_deref_mut() else { return false };
        if self.until_blink == 0 {
            self.until_blink = random.trials_before(BLINK_ONE_IN);
            return true;
        }
        self.until_blink -= 1;
        false
    }
}
