//! What a VRPLIB file's fields and sections mean: depots first, then clients, then vehicles; it reads no text.

use super::{File, Row, one, weights};
use crate::formats::lines::{at_least_zero, index, number, whole};
use crate::formats::{Draft, FormatError};
use crate::problem::{
    MAX_LOCATIONS, MAX_RELOADS, MAX_TIME_S, MAX_VEHICLES, Parts, Reload, Shipment, Stop, TimeWindow, Vehicle,
};
use crate::travel::Rounding;

/// Makes the parts of a problem.
pub(super) fn draft(file: &File, rounding: Option<Rounding>) -> Result<Draft, FormatError> {
    let family = file.text("TYPE").map_or("CVRP", |(_, family)| family).to_string();
    let (line, dimension) = file.needed("DIMENSION")?;
    let nodes = whole(line, dimension, "DIMENSION")?;
    if !(2..=MAX_LOCATIONS as i64).contains(&nodes) {
        let message = format!("DIMENSION is {nodes}; between 2 and {MAX_LOCATIONS} nodes are needed");
        return Err(FormatError::at(line, message));
    }
    let rounding = rounding.unwrap_or_else(|| rounding_of(file, &family));
    let nodes = nodes as usize;
    let depots = depots(file, nodes)?;
    let travel = weights::travel(file, nodes, rounding)?;
    let windows = windows(file, nodes, rounding)?;
    let (mut stops, shipments) = clients(file, &family, nodes, depots, &windows, rounding)?;
    let vehicles = fleet(file, nodes, depots, &windows, rounding)?;
    groups(file, nodes, depots, &mut stops)?;
    allowed(file, nodes, depots, &mut stops, vehicles.len())?;
    let name = file.text("NAME").map_or("", |(_, name)| name).to_string();
    Ok(Draft { name, family, rounding, parts: Parts { stops, vehicles, shipments, profiles: vec![travel] } })
}

/// The rule by which the family's best known solutions are counted.
fn rounding_of(file: &File, family: &str) -> Rounding {
    let explicit = file.text("EDGE_WEIGHT_TYPE").is_some_and(|(_, kind)| kind == "EXPLICIT");
    match family {
        _ if explicit => Rounding::Nearest,
        "MDVRPTW" | "HFVRP" => Rounding::None,
        "VRPTW" | "PCVRPTW" | "MTVRPTWR" | "PDPTW" => Rounding::Trunc10,
        _ => Rounding::Nearest,
    }
}

/// How many of the first nodes are depots.
fn depots(file: &File, nodes: usize) -> Result<usize, FormatError> {
    let Some((heading, rows)) = file.rows("DEPOT_SECTION") else {
        return Err(FormatError::at(file.end, "the DEPOT_SECTION is missing"));
    };
    let mut depots = 0;
    for (line, token) in rows.iter().flat_map(|(line, row)| row.iter().map(move |token| (*line, *token))) {
        if token == "-1" {
            break;
        }
        if index(line, token, nodes, "a depot")? != depots {
            return Err(FormatError::at(
                line,
                format!("depot {token} where {} is due: depots are the first nodes", depots + 1),
            ));
        }
        depots += 1;
    }
    if depots == 0 || depots >= nodes {
        return Err(FormatError::at(heading, format!("{depots} depots; there must be at least one, and one client")));
    }
    Ok(depots)
}

fn windows(file: &File, nodes: usize, rounding: Rounding) -> Result<Option<Vec<TimeWindow>>, FormatError> {
    let Some(table) = file.table("TIME_WINDOW_SECTION", nodes)? else { return Ok(None) };
    let window = |(line, row): &Row| match row.as_slice() {
        [opens, closes] => window(*line, opens, closes, rounding),
        _ => Err(FormatError::at(*line, format!("{} values; the opening and the closing are needed", row.len()))),
    };
    table.iter().map(window).collect::<Result<_, _>>().map(Some)
}

fn window(line: usize, opens: &str, closes: &str, rounding: Rounding) -> Result<TimeWindow, FormatError> {
    let time = |text: &str, what: &str| {
        Ok::<i64, FormatError>(rounding.apply(at_least_zero(line, text, what)?).min(MAX_TIME_S))
    };
    let window = TimeWindow { opens_s: time(opens, "the opening")?, closes_s: time(closes, "the closing")? };
    if window.opens_s > window.closes_s {
        return Err(FormatError::at(line, format!("the window closes at {closes} before it opens at {opens}")));
    }
    Ok(window)
}

/// All nodes behind the depots, with the shipments between them.
fn clients(
    file: &File,
    family: &str,
    nodes: usize,
    depots: usize,
    windows: &Option<Vec<TimeWindow>>,
    rounding: Rounding,
) -> Result<(Vec<Stop>, Vec<Shipment>), FormatError> {
    let demands = match file.amounts("DEMAND_SECTION", nodes)? {
        None => file.amounts("LINEHAUL_SECTION", nodes)?,
        demands => demands,
    };
    let backhauls = file.amounts("BACKHAUL_SECTION", nodes)?;
    let scaled = |key| {
        Ok::<_, FormatError>(
            file.numbers(key, nodes)?.map(|all| all.into_iter().map(|v| rounding.apply(v)).collect::<Vec<_>>()),
        )
    };
    let (services, releases, prizes) = (scaled("SERVICE_TIME")?, scaled("RELEASE_TIME")?, scaled("PRIZE")?);
    let mut stops = Vec::with_capacity(nodes - depots);
    for node in depots..nodes {
        let of = |amounts: &Option<Vec<Vec<i64>>>| amounts.as_ref().map_or_else(Vec::new, |all| all[node].clone());
        let time = |times: &Option<Vec<i64>>| times.as_ref().map_or(0, |all| all[node]);
        let (delivery, pickup) = (of(&demands), of(&backhauls));
        let only_pickup = pickup.iter().any(|&amount| amount > 0) && delivery.iter().all(|&amount| amount == 0);
        stops.push(Stop {
            backhaul: family == "VRPB" && only_pickup,
            windows: windows.as_ref().map_or_else(Vec::new, |all| vec![all[node]]),
            service_s: time(&services),
            release_s: time(&releases),
            // In these families a client without a prize must be served.
            prize: Some(time(&prizes)).filter(|prize| *prize > 0),
            delivery,
            pickup,
            ..Stop::new(node.to_string(), node)
        });
    }
    let shipments = pickups_and_deliveries(file, nodes, depots, &mut stops, rounding)?;
    Ok((stops, shipments))
}

/// Rows of `node demand opening closing service pickup delivery`; the last two name nodes, 0 for none.
fn pickups_and_deliveries(
    file: &File,
    nodes: usize,
    depots: usize,
    stops: &mut [Stop],
    rounding: Rounding,
) -> Result<Vec<Shipment>, FormatError> {
    let Some(table) = file.table("PICKUP_AND_DELIVERY_SECTION", nodes)? else { return Ok(Vec::new()) };
    let mut shipments = Vec::new();
    for (node, (line, row)) in table.iter().enumerate().skip(depots) {
        let [demand, opens, closes, service, pickup, delivery] = row.as_slice() else {
            return Err(FormatError::at(*line, format!("{} values behind the node; six are needed", row.len())));
        };
        let stop = &mut stops[node - depots];
        stop.windows = vec![window(*line, opens, closes, rounding)?];
        stop.service_s = rounding.apply(at_least_zero(*line, service, "the service time")?);
        let demand = number(*line, demand, "the demand")?;
        if *pickup == "0" && *delivery != "0" {
            let partner = index(*line, delivery, nodes, "the delivery")?;
            if partner < depots {
                return Err(FormatError::at(*line, format!("the delivery {delivery} is a depot")));
            }
            let amount = vec![whole(*line, &demand.to_string(), "the demand")?];
            shipments.push(Shipment { pickup: node - depots, delivery: partner - depots, amount });
        }
    }
    Ok(shipments)
}

/// Rows of a group's number and its clients.
fn groups(file: &File, nodes: usize, depots: usize, stops: &mut [Stop]) -> Result<(), FormatError> {
    let Some((_, rows)) = file.rows("MUTUALLY_EXCLUSIVE_GROUP_SECTION") else { return Ok(()) };
    for (number, (line, row)) in rows.iter().enumerate() {
        for client in &row[1..] {
            // A group of one is no choice.
            if row.len() > 2 {
                stops[client_index(*line, client, nodes, depots)?].group = Some(number as u32);
            }
        }
    }
    Ok(())
}

/// Rows of a vehicle and the clients that it may serve.
fn allowed(file: &File, nodes: usize, depots: usize, stops: &mut [Stop], vehicles: usize) -> Result<(), FormatError> {
    let Some(table) = file.table("VEHICLES_ALLOWED_CLIENTS_SECTION", vehicles)? else { return Ok(()) };
    let mut may = vec![Vec::new(); stops.len()];
    for (vehicle, (line, row)) in table.iter().enumerate() {
        for client in row {
            may[client_index(*line, client, nodes, depots)?].push(vehicle);
        }
    }
    for (stop, vehicles_that_may) in stops.iter_mut().zip(may) {
        if vehicles_that_may.is_empty() {
            let message = format!("client {} is allowed for no vehicle", stop.location + 1);
            return Err(FormatError::at(table[0].0, message));
        }
        if vehicles_that_may.len() < vehicles {
            stop.vehicles = vehicles_that_may;
        }
    }
    Ok(())
}

fn client_index(line: usize, token: &str, nodes: usize, depots: usize) -> Result<usize, FormatError> {
    let node = index(line, token, nodes, "a client")?;
    node.checked_sub(depots).ok_or_else(|| FormatError::at(line, format!("{token} is a depot, not a client")))
}

fn fleet(
    file: &File,
    nodes: usize,
    depots: usize,
    windows: &Option<Vec<TimeWindow>>,
    rounding: Rounding,
) -> Result<Vec<Vehicle>, FormatError> {
    let count = match file.text("VEHICLES") {
        Some((line, value)) => {
            let count = whole(line, value, "VEHICLES")?;
            if !(1..=MAX_VEHICLES as i64).contains(&count) {
                return Err(FormatError::at(
                    line,
                    format!("VEHICLES is {count}; between 1 and {MAX_VEHICLES} are needed"),
                ));
            }
            count as usize
        }
        // Without a number there are as many as could be needed.
        None => (nodes - depots).min(MAX_VEHICLES),
    };
    let capacities = match (file.amounts("CAPACITY_SECTION", count)?, file.text("CAPACITY")) {
        (Some(capacities), _) => capacities,
        (None, Some((line, value))) => vec![vec![whole(line, value, "CAPACITY")?]; count],
        (None, None) => vec![Vec::new(); count],
    };
    let length = |key| {
        Ok::<_, FormatError>(
            file.numbers(key, count)?.map(|all| all.into_iter().map(|v| rounding.apply(v)).collect::<Vec<_>>()),
        )
    };
    let (fixed_costs, max_distances) = (length("VEHICLES_FIXED_COST")?, length("VEHICLES_MAX_DISTANCE")?);
    let max_durations = length("VEHICLES_MAX_DURATION")?;
    // CVRPLIB's limit of a tour's length counts service times, too.
    let longest_tour = weights::field(file, "DISTANCE", rounding)?;
    let unit_costs = file.numbers("VEHICLES_UNIT_DISTANCE_COST", count)?;
    let homes = homes(file, count, depots)?;
    let reloads = reloads(file, count, depots)?;
    let vehicles = (0..count).map(|index| {
        let at = |values: &Option<Vec<i64>>| values.as_ref().map(|all| all[index]);
        let home = homes[index];
        let shift = windows.as_ref().map_or(TimeWindow::ALWAYS, |all| all[home]);
        Vehicle {
            shift,
            reload: reloads[index].clone(),
            fixed_cost: at(&fixed_costs).unwrap_or(0),
            cost_per_km: unit_costs.as_ref().map_or(1_000, |all| (all[index] * 1_000.0).round() as i64),
            max_distance_m: at(&max_distances),
            max_duration_s: at(&max_durations).or(longest_tour),
            ..Vehicle::new((index + 1).to_string(), home).carrying(&capacities[index])
        }
    });
    Ok(vehicles.collect())
}

/// Per vehicle the depot where it starts and ends.
fn homes(file: &File, count: usize, depots: usize) -> Result<Vec<usize>, FormatError> {
    let Some(table) = file.table("VEHICLES_DEPOT_SECTION", count)? else { return Ok(vec![0; count]) };
    table
        .iter()
        .map(|(line, row)| index(*line, one(*line, row, "a vehicle's depot")?, depots, "a vehicle's depot"))
        .collect()
}

/// Per vehicle where and how often it may reload.
fn reloads(file: &File, count: usize, depots: usize) -> Result<Vec<Option<Reload>>, FormatError> {
    let Some(table) = file.table("VEHICLES_RELOAD_DEPOT_SECTION", count)? else { return Ok(vec![None; count]) };
    let most = file.numbers("VEHICLES_MAX_RELOADS", count)?;
    let reload = |(vehicle, (line, row)): (usize, &Row)| {
        let locations = row.iter().map(|token| index(*line, token, depots, "a reload depot"));
        let locations = locations.collect::<Result<Vec<_>, _>>()?;
        let most = most.as_ref().map_or(MAX_RELOADS, |all| (all[vehicle] as usize).min(MAX_RELOADS));
        Ok(Some(Reload { locations, most, service_s: 0 }).filter(|reload| !reload.locations.is_empty()))
    };
    table.iter().enumerate().map(reload).collect()
}
