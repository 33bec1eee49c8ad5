//! The held-out day's parcels as routing problems: one for each region that gets enough, each parcel due in its part of the day,
//! planned over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dhow_events::{DAY_MICROS, Fact, HOUR_MICROS, Timestamp};
use dhow_routes::{map, vroom};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::client::Client;
use super::history::History;
use crate::failure::Failure;

/// Parcels of one plan; a busier region's day is cut to the first so many.
const STOPS_MAX: usize = 150;
/// A region with fewer parcels is not planned.
const STOPS_MIN: usize = 5;
/// Parcels that one van holds.
const VAN_PARCELS: usize = 30;
/// Regions planned.
const PLANS_MAX: usize = 6;
/// The speed that the server assumes between coordinates, km/h; the map does not hang on it.
const SPEED_KMH: f64 = 40.0;
/// When a van is under way, and the parts of the day in which a parcel may be due, in hours.
const SHIFT_HOURS: (i64, i64) = (7, 22);
const SLOT_HOURS: [(i64, i64); 3] = [(8, 12), (12, 16), (16, 20)];
/// Vans at hand beside twice those that the parcels fill, so that a plan that wastes them still serves everybody.
const SPARE_VANS: usize = 6;
/// Places further from the depot than this are reached by the carriers' long hauls, not by a van's round.
const ROUND_KM_MAX: f64 = 150.0;

/// Where a parcel goes, in degrees, and in which part of the day it is due there.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    longitude: f64,
    latitude: f64,
    slot_hours: (i64, i64),
}

/// One region's plan beside the plan of going to the nearest stop each time.
#[derive(Debug, Clone, Serialize)]
pub struct RouteFigures {
    /// Where the parcels go.
    pub region: String,
    /// Parcels.
    pub stops: usize,
    /// Vans used.
    pub vehicles: u64,
    /// Parcels left out.
    pub unassigned: u64,
    /// Driven, in kilometres.
    pub distance_km: f64,
    /// Driven by the nearest-neighbour plan.
    pub nearest_neighbour_km: f64,
    /// The plan's cost: seconds of driving.
    pub cost: f64,
    /// The cost of the savings plan.
    pub savings_cost: f64,
    /// The cost of the nearest-neighbour plan.
    pub nearest_neighbour_cost: f64,
    /// The share of that cost that is saved, by the stops that both plans serve.
    pub saved_share: f64,
}

/// The day's plans.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DayPlans {
    /// One for each region, the busiest first.
    pub regions: Vec<RouteFigures>,
    /// The drawing of the busiest region's plan.
    pub map: Option<PathBuf>,
}

impl DayPlans {
    fn sum(&self, of: fn(&RouteFigures) -> f64) -> f64 {
        self.regions.iter().map(of).sum()
    }

    /// The share of the nearest-neighbour plans' cost, over all regions, that the plans save by the stops that both serve.
    pub fn saved_against_nearest(&self) -> f64 {
        let saved = self.sum(|plan| plan.saved_share * plan.nearest_neighbour_cost);
        saved / self.sum(|plan| plan.nearest_neighbour_cost)
    }

    /// The share of the savings plans' cost, over all regions, that the plans save.
    pub fn saved_against_savings(&self) -> f64 {
        1.0 - self.sum(|plan| plan.cost) / self.sum(|plan| plan.savings_cost)
    }
}

/// Plans the day and draws the busiest region's plan into `folder`.
///
/// # Errors
/// The server does not answer, or the drawing cannot be written.
pub async fn plan(history: &History, address: SocketAddr, folder: &Path) -> Result<DayPlans, Failure> {
    let mut by_region: BTreeMap<String, Vec<Parcel>> = BTreeMap::new();
    for arrival in &history.held_out {
        if let Fact::ShipmentDispatched(parcel) = &arrival.event.fact {
            by_region.entry(parcel.destination.to_string()).or_default().push(Parcel {
                longitude: parcel.longitude,
                latitude: parcel.latitude,
                slot_hours: slot_hours(parcel.promised_at),
            });
        }
    }
    let mut regions: Vec<_> =
        by_region.into_iter().map(|(region, parcels)| (region, around_busiest(parcels))).collect();
    regions.retain(|(_, parcels)| parcels.len() >= STOPS_MIN);
    regions.sort_by_key(|(region, parcels)| (std::cmp::Reverse(parcels.len()), region.clone()));
    let mut client = Client::new(address);
    let mut plans = DayPlans::default();
    for (region, mut parcels) in regions.into_iter().take(PLANS_MAX) {
        parcels.truncate(STOPS_MAX);
        let problem = problem(&parcels);
        let answer = client.post("route plan", "/v1/routes", &problem, None).await?;
        if plans.map.is_none() {
            plans.map = Some(draw(&problem, &answer, folder)?);
        }
        plans.regions.push(figures(region, parcels.len(), &answer));
    }
    Ok(plans)
}

fn draw(problem: &Json, answer: &Json, folder: &Path) -> Result<PathBuf, Failure> {
    let wrong = |error: vroom::VroomError| Failure::Failed(format!("the route plan cannot be drawn: {error}"));
    let request = vroom::parse(problem.to_string().as_bytes(), SPEED_KMH).map_err(wrong)?;
    let plan = request.plan_of_response(answer.to_string().as_bytes()).map_err(wrong)?;
    let path = folder.join("route-plan.svg");
    std::fs::write(&path, map::svg(&request.problem, &plan)?)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    Ok(path)
}

/// The part of the day that holds the hour of the promise, which is the hour of the order; nights count as the morning after.
fn slot_hours(promised_at: Timestamp) -> (i64, i64) {
    let hour = promised_at.micros().rem_euclid(DAY_MICROS) / HOUR_MICROS;
    let later = SLOT_HOURS.into_iter().rfind(|&(from, _)| from <= hour);
    later.unwrap_or(SLOT_HOURS[0])
}

/// The parcels within a van's reach of the one that has most others near it.
fn around_busiest(parcels: Vec<Parcel>) -> Vec<Parcel> {
    let near = |centre: &Parcel| {
        parcels.iter().filter(|parcel| distance_km(centre, parcel) <= ROUND_KM_MAX).copied().collect::<Vec<_>>()
    };
    parcels.iter().map(near).max_by_key(Vec::len).unwrap_or_default()
}

/// A distance good enough to group by: equirectangular.
fn distance_km(a: &Parcel, b: &Parcel) -> f64 {
    let scale = ((a.latitude + b.latitude) / 2.0).to_radians().cos();
    111.2 * ((a.longitude - b.longitude) * scale).hypot(a.latitude - b.latitude)
}

fn problem(parcels: &[Parcel]) -> Json {
    let mean = |of: fn(&Parcel) -> f64| parcels.iter().map(of).sum::<f64>() / parcels.len() as f64;
    let depot = [mean(|parcel| parcel.longitude), mean(|parcel| parcel.latitude)];
    let seconds = |(from, to): (i64, i64)| [from * 3_600, to * 3_600];
    let job = |(index, parcel): (usize, &Parcel)| {
        json!({ "id": index + 1, "location": [parcel.longitude, parcel.latitude], "service": 180, "delivery": [1],
            "time_windows": [seconds(parcel.slot_hours)] })
    };
    let jobs: Vec<Json> = parcels.iter().enumerate().map(job).collect();
    let vans = parcels.len().div_ceil(VAN_PARCELS) * 2 + SPARE_VANS;
    let van = |id: usize| json!({ "id": id, "start": depot, "end": depot, "capacity": [VAN_PARCELS], "time_window": seconds(SHIFT_HOURS) });
    json!({ "jobs": jobs, "vehicles": (1..=vans).map(van).collect::<Vec<_>>() })
}

fn figures(region: String, stops: usize, answer: &Json) -> RouteFigures {
    let number = |pointer: &str| answer.pointer(pointer).and_then(Json::as_f64).unwrap_or(f64::NAN);
    RouteFigures {
        region,
        stops,
        vehicles: answer["routes"].as_array().map_or(0, |routes| routes.len() as u64),
        unassigned: answer["unassigned"].as_array().map_or(0, |left| left.len() as u64),
        distance_km: number("/dhow/kpis/distance_m") / 1e3,
        nearest_neighbour_km: number("/dhow/nearest_neighbour/distance_m") / 1e3,
        cost: number("/dhow/kpis/cost"),
        savings_cost: number("/dhow/savings/cost"),
        nearest_neighbour_cost: number("/dhow/nearest_neighbour/cost"),
        saved_share: number("/dhow/saved_share"),
    }
}
