//! The plan under search: routes, who is on which, what is left out; every change can be undone by a journal of the routes
//! that it touched, so that a step costs the same however large the problem is.

use super::ensemble::Found;
use super::instance::Instance;
use super::random::Random;
use super::route::Route;
use super::trips::Refill;
use std::ops::Range;

/// The route of a stop that is on none.
pub(super) const ABSENT: u32 = u32::MAX;

/// Routes and stops left out.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) instance: &'a Instance<'a>,
    pub(super) routes: Vec<Route>,
    pub(super) route_of: Vec<u32>,
    /// Routes with stops, in no particular order, and where each stands in it.
    pub(super) used: Vec<u32>,
    used_at: Vec<u32>,
    /// Per route, what the first dimension has left for deliveries and for pickups: most full routes are passed over by it.
    spare: Vec<[i64; 2]>,
    /// Per class, routes without stops.
    unused: Vec<Vec<u32>>,
    /// The stops that the plan is of; empty when it is of all.
    own_stops: Vec<u32>,
    pub(super) absent: Vec<u32>,
    /// No unused vehicle may be put to use.
    pub(super) closed: bool,
    /// Where stops are taken off, trips that fit into one are joined.
    pub(super) joins_trips: bool,
    /// Whole routes were taken down in this step.
    pub(super) made_way: bool,
    spare_route: Route,
    /// Per stop: its own route; empty when changes are free.
    homes: Vec<u32>,
    /// Cost of a stop's being on a route other than its own.
    away_cost: i64,
    /// Per stop: what leaving it out costs, and taking it off its own route.
    pub(super) absence: Vec<i64>,
    pub(super) cost: i64,
    journal: Journal,
    pub(super) best: Best,
}

/// What a step touched, as it was before.
#[derive(Debug, Default)]
struct Journal {
    step: u64,
    touched_in: Vec<u64>,
    /// The first `count` are of this step; the others keep memory for later ones.
    saved: Vec<(u32, Route)>,
    count: usize,
    absent: Vec<u32>,
    cost: i64,
}

/// The best plan met.
#[derive(Debug, Default)]
pub(super) struct Best {
    pub(super) cost: i64,
    /// Per route, its stops.
    pub(super) orders: Vec<Vec<u32>>,
    /// Routes that differ, perhaps, from the current ones.
    stale: Vec<u32>,
    is_stale: Vec<bool>,
}

impl<'a> State<'a> {
    /// Nothing is served yet.
    pub(super) fn empty(instance: &'a Instance<'a>) -> State<'a> {
        let mut routes = Vec::new();
        let mut unused = Vec::new();
        for (class, vehicles) in instance.classes.iter().enumerate().map(|(index, class)| (index, &class.vehicles)) {
            let first = routes.len() as u32;
            routes.extend(vehicles.iter().map(|_| Route::unused(instance, class)));
            unused.push((first..routes.len() as u32).rev().collect());
        }
        let count = routes.len();
        let mut state = State {
            instance,
            routes,
            route_of: vec![ABSENT; instance.stops],
            used: Vec::new(),
            used_at: vec![ABSENT; count],
            spare: vec![[0; 2]; count],
            unused,
            own_stops: Vec::new(),
            absent: (0..instance.stops as u32).collect(),
            closed: false,
            joins_trips: false,
            made_way: false,
            spare_route: Route::default(),
            homes: Vec::new(),
            away_cost: 0,
            absence: instance.absence.clone(),
            cost: instance.absence.iter().sum(),
            journal: Journal { step: 1, touched_in: vec![0; count], ..Journal::default() },
            best: Best { orders: vec![Vec::new(); count], is_stale: vec![false; count], ..Best::default() },
        };
        (0..count as u32).for_each(|route| state.note_spare(route));
        state.best.cost = state.cost;
        state.begin();
        state
    }

    /// A stop that has a route of its own costs so much on any other, and left out; nothing is served yet.
    pub(super) fn keep_homes(&mut self, homes: Vec<u32>, away_cost: i64) {
        for (absence, _) in self.absence.iter_mut().zip(&homes).filter(|&(_, &home)| home != ABSENT) {
            *absence += away_cost;
        }
        (self.homes, self.away_cost) = (homes, away_cost);
        self.cost = self.absence.iter().sum();
        self.best.cost = self.cost;
        self.begin();
    }

    /// What it costs that the stop is on this route.
    #[inline]
    pub(super) fn away_cost(&self, stop: usize, route: u32) -> i64 {
        let is_away = self.homes.get(stop).is_some_and(|&home| home != ABSENT && home != route);
        if is_away { self.away_cost } else { 0 }
    }

    /// One unused route of each class that has one.
    pub(super) fn openable(&self) -> impl Iterator<Item = u32> + '_ {
        let unused = if self.closed { &[] } else { self.unused.as_slice() };
        unused.iter().filter_map(|routes| routes.last().copied())
    }

    /// How many stops the plan is of.
    pub(super) fn stop_count(&self) -> usize {
        if self.own_stops.is_empty() { self.instance.stops } else { self.own_stops.len() }
    }

    /// One of its stops, each as likely.
    pub(super) fn any_stop(&self, random: &mut Random) -> usize {
        let drawn = random.below(self.stop_count());
        self.own_stops.get(drawn).map_or(drawn, |&stop| stop as usize)
    }

    /// How many trips there are.
    pub(super) fn trips(&self) -> usize {
        let reloads = |&route: &u32| self.routes[route as usize].trips.reloads;
        let reloads = if self.instance.has_reloads() { self.used.iter().map(reloads).sum() } else { 0 };
        self.used.len() + reloads
    }

    /// An unused route of the class.
    pub(super) fn unused_of(&self, class: usize) -> Option<u32> {
        self.unused[class].last().copied()
    }

    /// True when stops have routes of their own.
    pub(super) fn has_homes(&self) -> bool {
        !self.homes.is_empty()
    }

    /// How many routes the step touched so far, and which.
    pub(super) fn touched_count(&self) -> usize {
        self.journal.count
    }

    pub(super) fn touched(&self, index: usize) -> u32 {
        self.journal.saved[index].0
    }

    /// Starts a step: what is done from here on can be undone.
    pub(super) fn begin(&mut self) {
        let journal = &mut self.journal;
        journal.step += 1;
        journal.count = 0;
        journal.absent.clone_from(&self.absent);
        journal.cost = self.cost;
    }

    /// The cost when the step began.
    pub(super) fn cost_before(&self) -> i64 {
        self.journal.cost
    }

    fn touch(&mut self, route: u32) {
        let journal = &mut self.journal;
        if journal.touched_in[route as usize] == journal.step {
            return;
        }
        journal.touched_in[route as usize] = journal.step;
        if journal.count == journal.saved.len() {
            journal.saved.push((route, Route::default()));
        }
        let (saved_route, saved) = &mut journal.saved[journal.count];
        *saved_route = route;
        saved.copy_from(&self.routes[route as usize]);
        journal.count += 1;
        if !self.best.is_stale[route as usize] {
            self.best.is_stale[route as usize] = true;
            self.best.stale.push(route);
        }
    }

    /// Takes the step back.
    pub(super) fn undo(&mut self) {
        for index in 0..self.journal.count {
            let (route, saved) = &mut self.journal.saved[index];
            let route = *route;
            let was_unused = self.routes[route as usize].is_unused();
            std::mem::swap(&mut self.routes[route as usize], saved);
            self.note_use(route, was_unused);
            for stop in self.routes[route as usize].stops(self.instance) {
                self.route_of[stop as usize] = route;
            }
        }
        self.absent.clone_from(&self.journal.absent);
        for &stop in &self.absent {
            self.route_of[stop as usize] = ABSENT;
        }
        self.cost = self.journal.cost;
        self.journal.count = 0;
    }

    /// Writes down the current plan as the best when it is better.
    pub(super) fn keep_if_best(&mut self) {
        if self.cost >= self.best.cost {
            return;
        }
        self.best.cost = self.cost;
        while let Some(route) = self.best.stale.pop() {
            self.best.is_stale[route as usize] = false;
            let order = &mut self.best.orders[route as usize];
            order.clear();
            order.extend_from_slice(self.routes[route as usize].order());
        }
    }

    /// Leaving out a stop that has a prize costs so many times the prize from here on; the search for the best begins anew.
    pub(super) fn price_absences(&mut self, times: f64) {
        let Instance { absence, must_be_served, .. } = self.instance;
        for stop in (0..absence.len()).filter(|&stop| !must_be_served[stop]) {
            self.absence[stop] = (absence[stop] as f64 * times) as i64;
        }
        self.count_absent();
        self.begin();
        self.best.cost = i64::MAX;
        self.keep_if_best();
    }

    /// Gives the best plan met away, its cost and its orders: the search for the best begins anew.
    pub(super) fn forget_best(&mut self) -> Found {
        let cost = std::mem::replace(&mut self.best.cost, i64::MAX);
        Found { cost, orders: self.best.orders.clone() }
    }

    /// Goes back to the best plan met.
    pub(super) fn return_to_best(&mut self) {
        let orders = self.best.orders.clone();
        self.take(&orders);
    }

    /// Takes over these orders, one per route; no journal goes back behind it.
    pub(super) fn take(&mut self, orders: &[Vec<u32>]) {
        self.begin();
        for (route, order) in orders.iter().enumerate() {
            if self.routes[route].order() != order {
                self.set_order(route as u32, order);
            }
        }
        self.count_absent();
        if self.drop_broken() {
            self.count_absent();
        }
        self.begin();
    }

    /// Takes all stops off routes that, with some stops gone, break a rule; true when there was one.
    fn drop_broken(&mut self) -> bool {
        let instance = self.instance;
        let broken = |route: &u32| !self.routes[*route as usize].keeps_rules(instance);
        let broken: Vec<u32> = self.used.iter().copied().filter(broken).collect();
        broken.iter().for_each(|&route| self.set_order(route, &[]));
        !broken.is_empty()
    }

    /// Gives the route these stops and reloads; `count_absent` must follow when stops moved.
    pub(super) fn set_order(&mut self, route: u32, order: &[u32]) {
        self.touch(route);
        let Route { nodes, .. } = &mut self.routes[route as usize];
        let (was_unused, end) = (nodes.len() == 2, nodes[nodes.len() - 1]);
        nodes.truncate(1);
        nodes.extend_from_slice(order);
        nodes.push(end);
        self.refresh(route);
        self.note_use(route, was_unused);
    }

    /// Moves the stops of one route, in their order, to an unused one, which keeps the rules with them.
    pub(super) fn change_vehicle(&mut self, from: u32, to: u32) {
        let order = std::mem::take(&mut self.routes[from as usize].nodes);
        self.routes[from as usize].nodes.clone_from(&order);
        let before = self.routes[from as usize].cost;
        self.set_order(from, &[]);
        self.set_order(to, &order[1..order.len() - 1]);
        order[1..order.len() - 1].iter().for_each(|&stop| self.route_of[stop as usize] = to);
        self.cost += self.routes[to as usize].cost - before;
    }

    /// Finds who is on no route after `set_order`.
    pub(super) fn count_absent(&mut self) {
        self.route_of.fill(ABSENT);
        for &route in &self.used {
            for stop in self.routes[route as usize].stops(self.instance) {
                self.route_of[stop as usize] = route;
            }
        }
        let route_of = &self.route_of;
        let is_absent = |stop: &u32| route_of[*stop as usize] == ABSENT;
        self.absent.clear();
        if self.own_stops.is_empty() {
            self.absent.extend((0..self.instance.stops as u32).filter(is_absent));
        } else {
            self.absent.extend(self.own_stops.iter().copied().filter(is_absent));
        }
        self.cost = self.absent.iter().map(|&stop| self.absence[stop as usize]).sum::<i64>()
            + self.used.iter().map(|&route| self.routes[route as usize].cost).sum::<i64>()
            + self.away_costs();
    }

    /// What all stops that are not on their own routes cost.
    fn away_costs(&self) -> i64 {
        let on_route = |route: &u32| {
            let stops = self.routes[*route as usize].stops(self.instance);
            stops.map(|stop| self.away_cost(stop as usize, *route)).sum::<i64>()
        };
        if self.homes.is_empty() { 0 } else { self.used.iter().map(on_route).sum() }
    }

    fn refresh(&mut self, route: u32) {
        self.routes[route as usize].refresh(self.instance);
    }

    /// Puts an absent stop (which the caller strikes from `absent`) before `position` of the route.
    pub(super) fn insert(&mut self, stop: usize, route: u32, position: usize) {
        self.touch(route);
        let target = &mut self.routes[route as usize];
        let (was_unused, cost) = (target.is_unused(), target.cost);
        target.insert(self.instance, stop, position);
        let added = target.cost - cost;
        self.cost += added + self.away_cost(stop, route) - self.absence[stop];
        self.route_of[stop] = route;
        self.note_use(route, was_unused);
    }

    /// The same for a stop and a reload, before or after it, that are put before `position`.
    pub(super) fn insert_with_reload(&mut self, stop: usize, route: u32, position: usize, refill: Refill) {
        self.insert(stop, route, position);
        let target = &mut self.routes[route as usize];
        let cost = target.cost;
        target.insert(self.instance, refill.depot as usize, if refill.is_before { position } else { position + 1 });
        self.cost += target.cost - cost;
    }

    /// Stops that were absent when the step began; they are the first ones of `absent` until stops are put back.
    pub(super) fn absent_before(&self) -> usize {
        self.journal.absent.len()
    }

    /// Takes off every stop whose partner in a shipment is absent.
    pub(super) fn remove_partners(&mut self) {
        let mut index = self.absent_before();
        while let Some(&stop) = self.absent.get(index) {
            index += 1;
            let Some(partner) = self.instance.partner_of(stop as usize) else { continue };
            let route = self.route_of[partner];
            if route == ABSENT {
                continue;
            }
            let at = self.routes[route as usize].nodes.iter().position(|&node| node as usize == partner);
            if let Some(at) = at {
                self.remove(route, at..at + 1, at..at);
            }
        }
    }

    /// Takes the stops at positions `span` off the route, but for those at `keep`, which lies inside.
    pub(super) fn remove(&mut self, route: u32, span: Range<usize>, keep: Range<usize>) {
        self.touch(route);
        let cost = self.routes[route as usize].cost;
        self.take_off(route, keep.end..span.end);
        self.take_off(route, span.start..keep.start);
        self.routes[route as usize].finish_removal(self.instance);
        if self.instance.classes[self.routes[route as usize].class].reload.is_some() {
            self.tidy_reloads(route);
        }
        if !self.routes[route as usize].keeps_rules(self.instance) {
            // Where a direct leg is longer than a detour, what remains may be late: all of it comes off.
            self.take_off(route, 1..self.routes[route as usize].nodes.len() - 1);
            self.routes[route as usize].clear(self.instance);
        }
        self.cost += self.routes[route as usize].cost - cost;
        self.note_use(route, false);
    }

    /// Takes the stops at these positions off; reloads stay.
    fn take_off(&mut self, route: u32, positions: Range<usize>) {
        let mut end = positions.end;
        if self.routes[route as usize].trips.reloads > 0 {
            for position in positions.clone().rev() {
                if !self.instance.is_stop(self.routes[route as usize].nodes[position]) {
                    self.take_off_run(route, position + 1..end);
                    end = position;
                }
            }
        }
        self.take_off_run(route, positions.start..end);
    }

    fn take_off_run(&mut self, route: u32, positions: Range<usize>) {
        if positions.is_empty() {
            return;
        }
        for position in positions.clone() {
            let stop = self.routes[route as usize].nodes[position];
            self.route_of[stop as usize] = ABSENT;
            self.absent.push(stop);
            self.cost += self.absence[stop as usize] - self.away_cost(stop as usize, route);
        }
        self.routes[route as usize].remove(self.instance, positions);
    }

    /// Drops reloads that came to nothing and, where `joins_trips`, such as two trips that fit into one do without.
    fn tidy_reloads(&mut self, route: u32) {
        let State { instance, routes, spare_route, joins_trips, .. } = self;
        let target = &mut routes[route as usize];
        target.drop_idle_reloads(instance);
        let mut position = target.nodes.len() - 1;
        while *joins_trips && position > 1 {
            position -= 1;
            if !instance.is_stop(target.nodes[position]) {
                target.join_trips(instance, position, spare_route);
            }
        }
    }

    /// Takes these routes, and stops that are on none, out as a plan of their own, which knows no other stop. All parts must be
    /// put back by `rejoin` before the whole is asked for anything; stops have no routes of their own then.
    pub(super) fn split_off(&mut self, routes: &[u32], absent: &[u32]) -> State<'a> {
        let instance = self.instance;
        let own: Vec<Route> = routes.iter().map(|&route| std::mem::take(&mut self.routes[route as usize])).collect();
        let count = own.len();
        let served = own.iter().flat_map(|route| route.stops(instance));
        let own_stops: Vec<u32> = served.chain(absent.iter().copied()).collect();
        let orders = own.iter().map(|route| route.order().to_vec()).collect();
        let mut part = State {
            instance,
            routes: own,
            route_of: vec![ABSENT; instance.stops],
            used: Vec::new(),
            used_at: Vec::new(),
            spare: Vec::new(),
            unused: Vec::new(),
            own_stops,
            absent: Vec::new(),
            closed: self.closed,
            joins_trips: false,
            made_way: false,
            spare_route: Route::default(),
            homes: Vec::new(),
            away_cost: 0,
            absence: self.absence.clone(),
            cost: 0,
            journal: Journal { step: 1, touched_in: vec![0; count], ..Journal::default() },
            best: Best { orders, is_stale: vec![false; count], ..Best::default() },
        };
        part.count_uses();
        part.count_absent();
        part.best.cost = part.cost;
        part.begin();
        part
    }

    /// Puts all parts of the plan back, each with the routes that were split off for it; the best plans of all parts are together
    /// one of the whole.
    pub(super) fn rejoin(&mut self, parts: Vec<(Vec<u32>, State<'a>)>) {
        let best_cost: i64 = parts.iter().map(|(_, part)| part.best.cost).sum();
        let is_better = best_cost < self.best.cost;
        for (routes, part) in parts {
            let State { routes: own, best, .. } = part;
            for ((route, own), order) in routes.into_iter().zip(own).zip(best.orders) {
                self.routes[route as usize] = own;
                if is_better {
                    self.best.orders[route as usize] = order;
                }
            }
        }
        if is_better {
            self.best.cost = best_cost;
        }
        self.best.stale = (0..self.routes.len() as u32).collect();
        self.best.is_stale.fill(true);
        self.count_uses();
        self.count_absent();
        self.begin();
    }

    /// Finds which routes are used, from nothing.
    fn count_uses(&mut self) {
        let count = self.routes.len();
        self.used.clear();
        self.used_at = vec![ABSENT; count];
        self.spare = vec![[0; 2]; count];
        self.unused = vec![Vec::new(); self.instance.classes.len()];
        for route in (0..count as u32).rev() {
            self.note_spare(route);
            let Route { class, .. } = self.routes[route as usize];
            if self.routes[route as usize].is_unused() {
                self.unused[class].push(route);
            } else {
                self.used_at[route as usize] = self.used.len() as u32;
                self.used.push(route);
            }
        }
    }

    /// Routes without stops, by class.
    pub(super) fn unused(&self) -> &[Vec<u32>] {
        &self.unused
    }

    /// Keeps the lists of used and unused routes true.
    fn note_use(&mut self, route: u32, was_unused: bool) {
        let Route { class, .. } = self.routes[route as usize];
        let is_unused = self.routes[route as usize].is_unused();
        self.note_spare(route);
        if was_unused && !is_unused {
            let unused = &mut self.unused[class];
            if let Some(at) = unused.iter().rposition(|&other| other == route) {
                unused.swap_remove(at);
            }
            self.used_at[route as usize] = self.used.len() as u32;
            self.used.push(route);
        } else if !was_unused && is_unused {
            let at = self.used_at[route as usize] as usize;
            self.used.swap_remove(at);
            if let Some(&moved) = self.used.get(at) {
                self.used_at[moved as usize] = at as u32;
            }
            self.unused[class].push(route);
        }
    }

    fn note_spare(&mut self, route: u32) {
        let Route { class, delivery, pickup, .. } = &self.routes[route as usize];
        let class = &self.instance.classes[*class];
        let Some(&capacity) = class.capacity.first() else { return };
        if class.reload.is_some() {
            // Whatever is on board, there may be a further trip.
            self.spare[route as usize] = [capacity; 2];
        } else {
            self.spare[route as usize] = [capacity - delivery[0], capacity - pickup[0]];
        }
    }

    /// False when the first dimension alone keeps the amounts out.
    #[inline]
    pub(super) fn may_have_room(&self, route: u32, [delivery, pickup]: [i64; 2]) -> bool {
        let [spare_delivery, spare_pickup] = self.spare[route as usize];
        delivery <= spare_delivery && pickup <= spare_pickup
    }
}
