//! Changes of vehicle: a route moves, stops and order as they are, to an unused vehicle of another size or price, so that a load
//! costs what the vehicle that carries it cheapest costs; no order of stops is changed here.

use super::instance::{Class, Instance};
use super::route::Route;
use super::state::State;

impl State<'_> {
    /// True when a route may move to a vehicle of another class at all, for nothing but the vehicles' costs.
    pub(super) fn may_change_vehicles(&self) -> bool {
        self.instance.has_alternatives && !self.closed && !self.has_homes()
    }

    /// Moves each route that the step touched to the unused vehicle that does it cheapest.
    pub(super) fn fit_vehicles(&mut self) {
        if self.may_change_vehicles() {
            for index in 0..self.touched_count() {
                self.fit_vehicle(self.touched(index));
            }
        }
    }

    fn fit_vehicle(&mut self, index: u32) {
        let route = &self.routes[index as usize];
        let price = |&class: &usize| {
            let vehicle = self.unused_of(class)?;
            Some((route.cost_on(self.instance, &self.instance.classes[class])?, vehicle))
        };
        let classes = self.instance.classes[route.class].alternatives.iter();
        let cheapest = classes.filter_map(price).min().filter(|&(cost, _)| !route.is_unused() && cost < route.cost);
        if let Some((_, vehicle)) = cheapest {
            self.change_vehicle(index, vehicle);
        }
    }
}

impl Route {
    /// What the legs cost on a vehicle of another class.
    pub(super) fn legs_on(&self, instance: &Instance, class: &Class) -> i64 {
        let own = &instance.classes[self.class];
        if std::ptr::eq(own.cost(instance), class.cost(instance)) {
            return self.cost - own.fixed - own.duty * self.duration;
        }
        let metric = class.cost(instance);
        self.nodes.windows(2).map(|leg| metric.get(leg[0] as usize, leg[1] as usize)).sum()
    }

    /// What the route costs on a vehicle of an alternative class; none where that does not carry it.
    fn cost_on(&self, instance: &Instance, class: &Class) -> Option<i64> {
        let carries = class.capacity.iter().enumerate().all(|(d, &capacity)| {
            self.delivery[d] <= capacity && self.pickup[d] <= capacity && self.peak(instance, d) <= capacity
        });
        carries.then(|| self.legs_on(instance, class) + class.fixed + class.duty * self.duration)
    }
}
