//! Which of the rarer rules a problem uses, so that an engine can say what it does not honour; it implements none of them.

use super::{Shipment, Stop, Vehicle};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A rule beyond capacities, one strict window per stop, service times, skills, priorities, shifts, costs and limits of
/// vehicles, and vehicles that differ or start at different depots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// A stop has several windows.
    SeveralWindows,
    /// A stop may be served late at a price.
    Lateness,
    /// A stop has a setup time.
    Setup,
    /// A stop's goods are released after the start of the day.
    ReleaseTimes,
    /// A stop may be left out at a price.
    Prizes,
    /// A stop is a backhaul.
    Backhauls,
    /// Stops are alternatives to each other.
    Alternatives,
    /// A stop names its vehicles.
    NamedVehicles,
    /// Goods are carried between stops.
    Shipments,
    /// A vehicle uses a travel profile other than the first.
    Profiles,
    /// A vehicle's speed is not 100 % but the same all day.
    SpeedFactor,
    /// A vehicle's speed changes during the day.
    Traffic,
    /// A vehicle has breaks.
    Breaks,
    /// A vehicle may reload.
    Reloads,
    /// A vehicle's first stops are fixed.
    Prefix,
    /// A vehicle has dearer overtime.
    Overtime,
}

/// The features that the parts use.
pub(super) fn features(stops: &[Stop], shipments: &[Shipment], vehicles: &[Vehicle]) -> BTreeSet<Feature> {
    let any_stop = |used: fn(&Stop) -> bool| stops.iter().any(used);
    let any_vehicle = |used: fn(&Vehicle) -> bool| vehicles.iter().any(used);
    let used = [
        (Feature::SeveralWindows, any_stop(|stop| stop.windows.len() > 1)),
        (Feature::Lateness, any_stop(|stop| stop.lateness.is_some_and(|lateness| lateness.most_s > 0))),
        (Feature::Setup, any_stop(|stop| stop.setup_s > 0)),
        (Feature::ReleaseTimes, any_stop(|stop| stop.release_s > 0)),
        (Feature::Prizes, any_stop(|stop| stop.prize.is_some())),
        (Feature::Backhauls, any_stop(|stop| stop.backhaul)),
        (Feature::Alternatives, any_stop(|stop| stop.group.is_some())),
        (Feature::NamedVehicles, any_stop(|stop| !stop.vehicles.is_empty())),
        (Feature::Shipments, !shipments.is_empty()),
        (Feature::Profiles, any_vehicle(|vehicle| vehicle.profile > 0)),
        (Feature::SpeedFactor, any_vehicle(|v| v.speed.len() == 1 && v.speed[0].percent != 100)),
        (Feature::Traffic, any_vehicle(|vehicle| vehicle.speed.len() > 1)),
        (Feature::Breaks, any_vehicle(|vehicle| !vehicle.breaks.is_empty())),
        (Feature::Reloads, any_vehicle(|vehicle| vehicle.reload.is_some())),
        (Feature::Prefix, any_vehicle(|vehicle| !vehicle.prefix.is_empty())),
        (Feature::Overtime, any_vehicle(|vehicle| vehicle.overtime.is_some())),
    ];
    used.into_iter().filter(|(_, used)| *used).map(|(feature, _)| feature).collect()
}
