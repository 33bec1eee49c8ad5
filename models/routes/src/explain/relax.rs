//! Changes of a problem that would let a place be used, how large they are, and the problem after them.

use crate::plan::Step;
use crate::problem::{Problem, ProblemError, Stop, TimeWindow};
use crate::timeline::{Totals, simulate};
use serde::{Deserialize, Serialize};

/// A second of a window or shift weighs as in one of at least this length.
const SHORTEST_SPAN_S: i64 = 3_600;
/// Effort of teaching a vehicle a skill, or of letting a stop be served by a vehicle that it does not name: as much as doubling
/// a limit.
const SKILL_EFFORT: f64 = 1.0;

/// A change of the problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Relaxation {
    /// The vehicle gets these skills.
    Skills {
        /// Index of the vehicle.
        vehicle: usize,
        /// Skills that it lacks.
        skills: Vec<u32>,
    },
    /// The stop may be served by this vehicle, too.
    Vehicle {
        /// Index of the stop.
        stop: usize,
        /// Index of the vehicle.
        vehicle: usize,
    },
    /// The vehicle carries more.
    Capacity {
        /// Index of the vehicle.
        vehicle: usize,
        /// More of each dimension.
        by: Vec<i64>,
    },
    /// The stop's last window closes later.
    Window {
        /// Index of the stop.
        stop: usize,
        /// Seconds.
        later_s: i64,
    },
    /// The vehicle's shift closes later.
    Shift {
        /// Index of the vehicle.
        vehicle: usize,
        /// Seconds.
        later_s: i64,
    },
    /// The vehicle may drive farther.
    Distance {
        /// Index of the vehicle.
        vehicle: usize,
        /// Metres.
        by_m: i64,
    },
    /// The vehicle may drive longer.
    Travel {
        /// Index of the vehicle.
        vehicle: usize,
        /// Seconds.
        by_s: i64,
    },
    /// The vehicle may be out longer.
    Duration {
        /// Index of the vehicle.
        vehicle: usize,
        /// Seconds.
        by_s: i64,
    },
    /// The vehicle may serve more stops.
    Stops {
        /// Index of the vehicle.
        vehicle: usize,
        /// Stops.
        by: usize,
    },
    /// The stop is worth more.
    Prize {
        /// Index of the stop.
        stop: usize,
        /// In the problem's unit of cost.
        by: i64,
    },
}

impl Relaxation {
    /// How large the change is: the share of the limit that it adds. Doubling a limit is 1.
    pub(super) fn effort(&self, problem: &Problem) -> f64 {
        let share = |by: i64, limit: i64| by as f64 / limit.max(1) as f64;
        let span = |window: TimeWindow| (window.closes_s - window.opens_s).max(SHORTEST_SPAN_S);
        let vehicle = |index: usize| &problem.vehicles()[index];
        match self {
            Relaxation::Skills { skills, .. } => SKILL_EFFORT * skills.len() as f64,
            Relaxation::Vehicle { .. } => SKILL_EFFORT,
            Relaxation::Capacity { vehicle: index, by } => {
                by.iter().zip(&vehicle(*index).capacity).map(|(&by, &capacity)| share(by, capacity)).sum()
            }
            Relaxation::Window { stop, later_s } => share(*later_s, span(problem.stops()[*stop].window())),
            Relaxation::Shift { vehicle: index, later_s } => share(*later_s, span(vehicle(*index).shift)),
            Relaxation::Distance { vehicle: index, by_m } => share(*by_m, vehicle(*index).max_distance_m.unwrap_or(1)),
            Relaxation::Travel { vehicle: index, by_s } => share(*by_s, vehicle(*index).max_travel_s.unwrap_or(1)),
            Relaxation::Duration { vehicle: index, by_s } => share(*by_s, vehicle(*index).max_duration_s.unwrap_or(1)),
            Relaxation::Stops { vehicle: index, by } => {
                share(*by as i64, vehicle(*index).max_stops.unwrap_or(1) as i64)
            }
            Relaxation::Prize { stop, by } => share(*by, problem.stops()[*stop].prize.unwrap_or(1)),
        }
    }

    /// The change as a sentence for a planner.
    pub fn words(&self, problem: &Problem) -> String {
        let stop = |index: usize| format!("stop {:?}", problem.stops()[index].id);
        let vehicle = |index: usize| format!("vehicle {:?}", problem.vehicles()[index].id);
        match self {
            Relaxation::Skills { vehicle: index, skills } => format!("give {} the skills {skills:?}", vehicle(*index)),
            Relaxation::Vehicle { stop: at, vehicle: index } => format!("let {} serve {}", vehicle(*index), stop(*at)),
            Relaxation::Capacity { vehicle: index, by } => format!("let {} carry {by:?} more", vehicle(*index)),
            Relaxation::Window { stop: at, later_s } => format!("let {} be served until {later_s} s later", stop(*at)),
            Relaxation::Shift { vehicle: index, later_s } => {
                format!("let {} return {later_s} s after its shift", vehicle(*index))
            }
            Relaxation::Distance { vehicle: index, by_m } => format!("let {} drive {by_m} m more", vehicle(*index)),
            Relaxation::Travel { vehicle: index, by_s } => format!("let {} drive {by_s} s more", vehicle(*index)),
            Relaxation::Duration { vehicle: index, by_s } => format!("let {} be out {by_s} s longer", vehicle(*index)),
            Relaxation::Stops { vehicle: index, by } => format!("let {} serve {by} stops more", vehicle(*index)),
            Relaxation::Prize { stop: at, by } => format!("value {} {by} higher", stop(*at)),
        }
    }

    fn apply(&self, stops: &mut [crate::problem::Stop], vehicles: &mut [crate::problem::Vehicle]) {
        let raise = |limit: &mut Option<i64>, by: i64| *limit = limit.map(|limit| limit + by);
        match self {
            Relaxation::Skills { vehicle, skills } => vehicles[*vehicle].skills.extend(skills),
            Relaxation::Vehicle { stop, vehicle } => stops[*stop].vehicles.push(*vehicle),
            Relaxation::Capacity { vehicle, by } => {
                vehicles[*vehicle].capacity.iter_mut().zip(by).for_each(|(capacity, by)| *capacity += by);
            }
            Relaxation::Window { stop, later_s } => {
                stops[*stop].windows.last_mut().into_iter().for_each(|window| window.closes_s += later_s);
            }
            Relaxation::Shift { vehicle, later_s } => vehicles[*vehicle].shift.closes_s += later_s,
            Relaxation::Distance { vehicle, by_m } => raise(&mut vehicles[*vehicle].max_distance_m, *by_m),
            Relaxation::Travel { vehicle, by_s } => raise(&mut vehicles[*vehicle].max_travel_s, *by_s),
            Relaxation::Duration { vehicle, by_s } => raise(&mut vehicles[*vehicle].max_duration_s, *by_s),
            Relaxation::Stops { vehicle, by } => {
                vehicles[*vehicle].max_stops = vehicles[*vehicle].max_stops.map(|most| most + by);
            }
            // Alternatives have one prize, so that of all is raised.
            Relaxation::Prize { stop, by } => {
                let group = stops[*stop].group;
                let same =
                    |(index, other): &(usize, &mut Stop)| index == stop || (group.is_some() && other.group == group);
                for (_, other) in stops.iter_mut().enumerate().filter(same) {
                    other.prize = other.prize.map(|prize| prize + by);
                }
            }
        }
    }
}

/// The problem after the changes.
///
/// # Errors
/// When a change leads out of a range, as an index that the problem does not have also does.
pub fn relaxed(problem: &Problem, changes: &[Relaxation]) -> Result<Problem, ProblemError> {
    for (index, change) in changes.iter().enumerate() {
        let (stop, vehicle) = match change {
            Relaxation::Window { stop, .. } | Relaxation::Prize { stop, .. } => (Some(*stop), None),
            Relaxation::Vehicle { stop, vehicle } => (Some(*stop), Some(*vehicle)),
            Relaxation::Skills { vehicle, .. }
            | Relaxation::Capacity { vehicle, .. }
            | Relaxation::Shift { vehicle, .. }
            | Relaxation::Distance { vehicle, .. }
            | Relaxation::Travel { vehicle, .. }
            | Relaxation::Duration { vehicle, .. }
            | Relaxation::Stops { vehicle, .. } => (None, Some(*vehicle)),
        };
        let no_stop = stop.is_some_and(|stop| stop >= problem.stops().len());
        if no_stop || vehicle.is_some_and(|vehicle| vehicle >= problem.vehicles().len()) {
            return Err(ProblemError::new(
                format!("/{index}"),
                "names a stop or vehicle that the problem does not have",
            ));
        }
    }
    problem.changed(|stops, vehicles| changes.iter().for_each(|change| change.apply(stops, vehicles)))
}

/// What would have to change for the vehicle to follow these steps, or none when no change of these kinds is enough.
pub(super) fn relaxation(
    problem: &Problem,
    vehicle: usize,
    steps: &[Step],
    totals: &Totals,
) -> Option<Vec<Relaxation>> {
    let breach = &totals.breach;
    if breach.order > 0 {
        return None;
    }
    let limits = &problem.vehicles()[vehicle];
    let mut fullest = vec![0; problem.dimensions()];
    let mut late = Vec::new();
    let mut load_before = vec![0; problem.dimensions()];
    for step in steps.iter().take_while(|step| !matches!(step, Step::Reload(_))) {
        if let Step::Stop(stop) = step {
            load_before.iter_mut().zip(&problem.stops()[*stop].delivery).for_each(|(load, amount)| *load += amount);
        }
    }
    let mut fuller = |load: &[i64]| fullest.iter_mut().zip(load).for_each(|(most, &load)| *most = load.max(*most));
    fuller(&load_before);
    simulate(problem, vehicle, steps, totals.departure_s, &mut |moment| {
        fuller(moment.load);
        if let Step::Stop(stop) = moment.step {
            let later_s = moment.start_s - problem.stops()[stop].latest_start_s();
            if later_s > 0 {
                late.push(Relaxation::Window { stop, later_s });
            }
        }
    });
    let windows: i64 =
        late.iter().map(|late| if let Relaxation::Window { later_s, .. } = late { *later_s } else { 0 }).sum();
    let by: Vec<i64> = fullest.iter().zip(&limits.capacity).map(|(load, capacity)| (load - capacity).max(0)).collect();
    // Breaks that come too late or with too much on board are left as they are.
    if windows != breach.window_s || breach.break_load > 0 {
        return None;
    }
    let mut changes = late;
    if breach.wrong_vehicle > 0 {
        changes.extend(who_may(problem, vehicle, steps));
    }
    if breach.load > 0 {
        changes.push(Relaxation::Capacity { vehicle, by });
    }
    let more = [
        (breach.shift_s, Relaxation::Shift { vehicle, later_s: breach.shift_s }),
        (breach.distance_m, Relaxation::Distance { vehicle, by_m: breach.distance_m }),
        (breach.travel_s, Relaxation::Travel { vehicle, by_s: breach.travel_s }),
        (breach.duration_s, Relaxation::Duration { vehicle, by_s: breach.duration_s }),
        (breach.stops, Relaxation::Stops { vehicle, by: breach.stops as usize }),
    ];
    changes.extend(more.into_iter().filter(|(missing, _)| *missing > 0).map(|(_, change)| change));
    Some(changes)
}

/// Skills that the vehicle lacks and stops that do not name it.
fn who_may(problem: &Problem, vehicle: usize, steps: &[Step]) -> Vec<Relaxation> {
    let limits = &problem.vehicles()[vehicle];
    let mut skills: Vec<u32> = Vec::new();
    let mut changes = Vec::new();
    for step in steps {
        let Step::Stop(index) = step else { continue };
        let stop = &problem.stops()[*index];
        skills.extend(stop.skills.iter().filter(|skill| !limits.skills.contains(skill)));
        if !stop.vehicles.is_empty() && !stop.vehicles.contains(&vehicle) {
            changes.push(Relaxation::Vehicle { stop: *index, vehicle });
        }
    }
    skills.sort_unstable();
    skills.dedup();
    if !skills.is_empty() {
        changes.push(Relaxation::Skills { vehicle, skills });
    }
    changes
}
