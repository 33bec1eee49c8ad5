//! Who serves: vehicles with their shifts, costs, limits, breaks, reloads and traffic; it checks nothing.

use super::{COST_SCALE, DEFAULT_CO2E_G_PER_KM, SCALED_PER_METRE, SCALED_PER_SECOND, TimeWindow};
use serde::{Deserialize, Serialize};

/// From `from_s` on the vehicle drives at this speed, until the next change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedChange {
    /// First second.
    pub from_s: i64,
    /// Percent of the speed that the durations of the vehicle's travel profile stand for, 1 to 1,000.
    pub percent: i64,
}

/// The vehicle may come back for more during its route: deliveries of the next trip are loaded, pickups are unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Locations where it may, never empty.
    pub locations: Vec<usize>,
    /// Most times on one route.
    pub most: usize,
    /// Seconds that it takes.
    #[serde(default)]
    pub service_s: i64,
}

/// A pause at no particular place. Every used vehicle takes all its breaks, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Break {
    /// The caller's name, unique among the vehicle's breaks.
    pub id: String,
    /// When it may start: one of these, ascending and apart; none means at any time.
    #[serde(default)]
    pub windows: Vec<TimeWindow>,
    /// How long it lasts, seconds.
    pub service_s: i64,
    /// Most on board meanwhile, one amount per dimension; none means anything.
    #[serde(default)]
    pub max_load: Option<Vec<i64>>,
}

/// Duty beyond `after_s` is dearer: a soft limit, and what balances routes without forbidding anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overtime {
    /// Seconds between departure and return that cost nothing extra.
    pub after_s: i64,
    /// Cost per hour beyond, on top of `cost_per_duty_hour`.
    pub cost_per_hour: i64,
}

/// One vehicle for one route of one or several trips. A driver of several days is one vehicle per day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicle {
    /// The caller's name, unique among the vehicles.
    pub id: String,
    /// Location where the route starts; none means at its first stop.
    #[serde(default)]
    pub start: Option<usize>,
    /// Location where the route ends; none means at its last stop.
    #[serde(default)]
    pub end: Option<usize>,
    /// Index into the problem's travel profiles.
    #[serde(default)]
    pub profile: usize,
    /// Traffic: how fast it drives from when on, ascending from second 0; empty means 100 % throughout. A leg that is under
    /// way when the speed changes goes on at the new one, so that who leaves later never arrives earlier.
    #[serde(default)]
    pub speed: Vec<SpeedChange>,
    /// Most that is on board at any time, one non-negative amount per dimension.
    #[serde(default)]
    pub capacity: Vec<i64>,
    /// Departure is not before it opens, return not after it closes.
    #[serde(default)]
    pub shift: TimeWindow,
    /// Pauses, in the order in which they are taken.
    #[serde(default)]
    pub breaks: Vec<Break>,
    /// Trips: how it may come back for more; none means one trip.
    #[serde(default)]
    pub reload: Option<Reload>,
    /// Stops with which its route must begin, in this order: what is already promised or done.
    #[serde(default)]
    pub prefix: Vec<usize>,
    /// What the vehicle can do.
    #[serde(default)]
    pub skills: Vec<u32>,
    /// Cost of using it at all.
    #[serde(default)]
    pub fixed_cost: i64,
    /// Cost per kilometre driven.
    #[serde(default)]
    pub cost_per_km: i64,
    /// Cost per hour of driving.
    #[serde(default)]
    pub cost_per_travel_hour: i64,
    /// Cost per hour between departure and return: driving, service and waiting.
    #[serde(default)]
    pub cost_per_duty_hour: i64,
    /// What long duty costs on top.
    #[serde(default)]
    pub overtime: Option<Overtime>,
    /// Most metres driven.
    #[serde(default)]
    pub max_distance_m: Option<i64>,
    /// Most seconds driven.
    #[serde(default)]
    pub max_travel_s: Option<i64>,
    /// Most seconds between departure and return.
    #[serde(default)]
    pub max_duration_s: Option<i64>,
    /// Most stops.
    #[serde(default)]
    pub max_stops: Option<usize>,
    /// Grams of CO2 equivalent per kilometre.
    #[serde(default = "default_co2e")]
    pub co2e_g_per_km: i64,
}

fn default_co2e() -> i64 {
    DEFAULT_CO2E_G_PER_KM
}

impl Vehicle {
    /// A vehicle without limits that starts and ends at `depot` and costs 1,000 per kilometre: its cost is its metres.
    pub fn new(id: impl Into<String>, depot: usize) -> Vehicle {
        Vehicle {
            id: id.into(),
            start: Some(depot),
            end: Some(depot),
            profile: 0,
            speed: Vec::new(),
            capacity: Vec::new(),
            shift: TimeWindow::ALWAYS,
            breaks: Vec::new(),
            reload: None,
            prefix: Vec::new(),
            skills: Vec::new(),
            fixed_cost: 0,
            cost_per_km: 1_000,
            cost_per_travel_hour: 0,
            cost_per_duty_hour: 0,
            overtime: None,
            max_distance_m: None,
            max_travel_s: None,
            max_duration_s: None,
            max_stops: None,
            co2e_g_per_km: DEFAULT_CO2E_G_PER_KM,
        }
    }

    /// The same vehicle with this capacity.
    pub fn carrying(mut self, capacity: &[i64]) -> Vehicle {
        self.capacity = capacity.to_vec();
        self
    }

    /// The same vehicle working in this window, seconds.
    pub fn working(mut self, opens_s: i64, closes_s: i64) -> Vehicle {
        self.shift = TimeWindow { opens_s, closes_s };
        self
    }

    /// When driving ends that begins at `now_s` and would take `left` hundredths of a second at full speed. It never falls when
    /// `now_s` rises.
    pub(crate) fn arrival_s(&self, now_s: i64, left: i64) -> i64 {
        let (mut now_s, mut left) = (now_s, left);
        for (index, change) in self.speed.iter().enumerate() {
            let until_s = self.speed.get(index + 1).map_or(i64::MAX, |next| next.from_s);
            if until_s <= now_s {
                continue;
            }
            let needed_s = (left + change.percent - 1) / change.percent;
            if needed_s <= until_s - now_s {
                return now_s + needed_s;
            }
            left -= (until_s - now_s) * change.percent;
            now_s = until_s;
        }
        now_s + (left + 99) / 100
    }

    /// Hundredths of a second at full speed that are driven between two times.
    pub(crate) fn driven(&self, from_s: i64, to_s: i64) -> i64 {
        if self.speed.is_empty() {
            return (to_s - from_s) * 100;
        }
        let slices = self.speed.iter().enumerate().map(|(index, change)| {
            let until_s = self.speed.get(index + 1).map_or(i64::MAX, |next| next.from_s);
            (until_s.min(to_s) - change.from_s.max(from_s)).max(0) * change.percent
        });
        slices.sum()
    }

    /// What a leg adds to the cost whatever else happens, in 1/`COST_SCALE` units.
    pub(crate) fn leg_cost(&self, distance_m: i64, travel_s: i64) -> i64 {
        self.cost_per_km * distance_m * SCALED_PER_METRE + self.cost_per_travel_hour * travel_s * SCALED_PER_SECOND
    }

    /// What time on duty costs at most, in 1/`COST_SCALE` units.
    pub(crate) fn duty_cost(&self, duration_s: i64) -> i64 {
        let overtime = self.overtime.map_or(0, |soft| soft.cost_per_hour);
        (self.cost_per_duty_hour + overtime) * duration_s * SCALED_PER_SECOND
    }

    /// Cost of a used vehicle in 1/`COST_SCALE` units, lateness aside.
    pub(crate) fn scaled_cost(&self, distance_m: i64, travel_s: i64, duration_s: i64) -> i64 {
        let overtime = self.overtime.map_or(0, |soft| (duration_s - soft.after_s).max(0) * soft.cost_per_hour);
        let by_time = self.cost_per_travel_hour * travel_s + self.cost_per_duty_hour * duration_s + overtime;
        self.fixed_cost * COST_SCALE + self.cost_per_km * distance_m * SCALED_PER_METRE + by_time * SCALED_PER_SECOND
    }
}
