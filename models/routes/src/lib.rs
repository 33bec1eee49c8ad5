//! Vehicle routing for deliveries, collections and shipments; it leaves out road networks.
//!
//! A [`Problem`] holds stops (demand in several dimensions, time windows, service, skills, prizes, alternatives), shipments
//! between them, vehicles of any mix (capacity, shift, depots, costs, limits, breaks, reloads, traffic) and travel between
//! places. A [`Solver`] turns it into a [`Plan`]; [`LocalSearchSolver`] is the engine here, whose general part replays every
//! route it tries where a problem uses rarer [`Feature`]s. [`check`] verifies a plan without any of the solver's code,
//! [`insert`] finds the best place in a live plan, [`reoptimise`] improves one with few changes,
//! [`explain`] says what stops left out are missing, [`savings`] and [`nearest_neighbour`] are baselines, [`kpis`] summarises,
//! [`saved_share`] compares by the stops that two plans both serve, [`vroom`] speaks VROOM's JSON, [`formats`] reads and writes
//! the benchmark families' files, and [`map`] draws.
//!
//! What the engine minimises, in this order: the summed weight (1 + priority) of stops left out, then cost. A vehicle's cost
//! is `fixed + per_km · distance + per_travel_hour · driving time + per_duty_hour · (return − departure)`; an unused vehicle
//! costs nothing; overtime, lateness and prizes of stops left out come on top. All times are whole seconds, all distances whole
//! metres, so that results are equal on every machine.
//!
//! Sources: Clarke and Wright 1964 (savings); Or 1976 (or-opt); Potvin and Rousseau 1995 (2-opt*); Vidal, Crainic,
//! Gendreau and Prins 2013 (segments with time warp, evaluated in constant time); Christiaens and Vanden Berghe 2020
//! (slack induction by string removals); Vidal et al. 2012 and Vidal 2022 (hybrid genetic search, SWAP*); Prins 2004 (splitting
//! a tour); Nagata, Bräysy and Dullaert 2010 (exchange of routes between plans).
//!
//! ```
//! use dhow_routes::{Budget, LocalSearchSolver, Place, Problem, Solver, Stop, Travel, Vehicle, check};
//! let places = vec![Place { lat: 6.52, lon: 3.37 }, Place { lat: 6.60, lon: 3.35 }, Place { lat: 6.45, lon: 3.40 }];
//! let stops = vec![Stop::new("ikeja", 1).delivering(&[3]), Stop::new("island", 2).delivering(&[4])];
//! let vehicles = vec![Vehicle::new("van", 0).carrying(&[10])];
//! let problem = Problem::new(stops, vehicles, Travel::GreatCircle { places, speed_kmh: 30.0 })?;
//! let plan = LocalSearchSolver.solve(&problem, &Budget::default(), &|| false)?;
//! assert!(plan.unassigned.is_empty() && check(&problem, &plan).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod check;
mod construct;
mod explain;
pub mod formats;
mod general;
mod kpis;
mod live;
pub mod map;
mod nearest;
mod plan;
mod problem;
mod schedule;
mod search;
mod segment;
mod solver;
mod threads;
mod timeline;
mod travel;
pub mod vroom;
mod working;

pub use arrivals::{Arrival, Deviations, arrivals};
pub use check::{Violation, check};
pub use construct::{nearest_neighbour, savings};
pub use explain::{Broken, Explanation, Relaxation, Rule, explain, relaxed};
pub use kpis::{Kpis, kpis, saved_share};
pub use live::{Insertion, LiveError, Reoptimised, insert, reoptimise};
pub use plan::{Pause, PauseKind, Plan, Route, Step, Unassigned, UnassignedReason, Visit};
pub use problem::{
    Break, DEFAULT_CO2E_G_PER_KM, Feature, Lateness, MAX_AMOUNT, MAX_DIMENSIONS, MAX_FIXED_COST, MAX_LEG,
    MAX_LOCATIONS, MAX_PER_ITEM, MAX_PRIORITY, MAX_PROFILES, MAX_RATE, MAX_RELOADS, MAX_SKILL_SETS, MAX_STOPS,
    MAX_TIME_S, MAX_VEHICLES, Overtime, Parts, Problem, ProblemError, Reload, SPEED_PERCENT, Shipment, SpeedChange,
    Stop, TimeWindow, Vehicle,
};
pub use schedule::plan_of;
pub use solver::{Budget, LocalSearchSolver, MAX_ITERATIONS, SolveError, Solver};
pub use threads::ThreadedSolver;
pub use travel::{Leg, Place, Rounding, Travel};
