//! A plan drawn: GeoJSON for map programs and a plain SVG for reports; lines are straight, as no roads are known.

use crate::plan::{PauseKind, Plan};
use crate::problem::Problem;
use crate::travel::Place;
use serde_json::{Value, json};
use std::fmt::Write;

/// Colours that stay apart for most colour-blind readers (Paul Tol's bright and muted schemes); routes take them in turn.
const COLOURS: [&str; 12] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#332288", "#882255", "#117733", "#999933",
    "#cc6677", "#44aa99",
];
/// Width and height of the drawing's map, pixels.
const SIZE: f64 = 720.0;
/// Free border around the map, pixels.
const MARGIN: f64 = 24.0;
/// Height of a line of the legend, pixels.
const LINE: f64 = 18.0;

/// A plan cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// The problem has matrices without places.
    #[error("location {location} has no coordinates; give `places` with the matrices to draw a plan")]
    NoPlace {
        /// The first location without one.
        location: usize,
    },
}

/// A feature collection: a line per route, a point per stop (with its arrival) and per stop left out (with the reason).
///
/// # Errors
/// When a location has no coordinates.
pub fn geojson(problem: &Problem, plan: &Plan) -> Result<Value, MapError> {
    let mut features = Vec::new();
    for (index, route) in plan.routes.iter().enumerate() {
        let vehicle = &problem.vehicles()[route.vehicle].id;
        let line: Vec<[f64; 2]> = path(problem, plan, index)?.into_iter().map(|place| [place.lon, place.lat]).collect();
        features.push(json!({
            "type": "Feature",
            "geometry": { "type": "LineString", "coordinates": line },
            "properties": { "vehicle": vehicle, "distance_m": route.distance_m, "duration_s": route.duration_s(),
                "cost": route.cost, "stroke": COLOURS[index % COLOURS.len()] },
        }));
        for (order, visit) in route.visits.iter().enumerate() {
            let properties = json!({ "stop": problem.stops()[visit.stop].id, "vehicle": vehicle, "order": order + 1,
                "arrival_s": visit.arrival_s });
            features.push(point(problem, visit.stop, properties)?);
        }
    }
    for left in &plan.unassigned {
        let properties = json!({ "stop": problem.stops()[left.stop].id, "reason": left.reason });
        features.push(point(problem, left.stop, properties)?);
    }
    Ok(json!({ "type": "FeatureCollection", "features": features }))
}

/// A drawing: one colour per route, squares for depots, crosses for stops left out, and a legend.
///
/// # Errors
/// When a location has no coordinates.
pub fn svg(problem: &Problem, plan: &Plan) -> Result<String, MapError> {
    let frame = Frame::around(problem)?;
    let mut body = String::new();
    for (index, route) in plan.routes.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<(f64, f64)> = path(problem, plan, index)?.into_iter().map(|place| frame.pixel(place)).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let line = line.join(" ");
        put(
            &mut body,
            format_args!("<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>"),
        );
        for visit in &route.visits {
            let stop = &problem.stops()[visit.stop];
            let (x, y) = frame.pixel(place(problem, stop.location)?);
            let title = escaped(&stop.id);
            let circle = format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"><title>{title}</title></circle>"
            );
            put(&mut body, circle);
        }
        let vehicle = escaped(&problem.vehicles()[route.vehicle].id);
        let (y, km, stops) = (MARGIN + LINE * index as f64, route.distance_m as f64 / 1_000.0, route.visits.len());
        let legend =
            format_args!("<text x=\"{SIZE}\" y=\"{y}\" fill=\"{colour}\">{vehicle}: {stops} stops, {km:.1} km</text>");
        put(&mut body, legend);
    }
    for left in &plan.unassigned {
        let stop = &problem.stops()[left.stop];
        let (x, y) = frame.pixel(place(problem, stop.location)?);
        let (id, words) = (escaped(&stop.id), left.reason.words());
        put(
            &mut body,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#bb0000\">✕<title>{id}: {words}</title></text>"
            ),
        );
    }
    for depot in problem.vehicles().iter().flat_map(|vehicle| vehicle.start.into_iter().chain(vehicle.end)) {
        let (x, y) = frame.pixel(place(problem, depot)?);
        let (x, y) = (x - 5.0, y - 5.0);
        put(&mut body, format_args!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"10\" height=\"10\" fill=\"#000000\"/>"));
    }
    let y = MARGIN + LINE * plan.routes.len() as f64;
    let (left, cost) = (plan.unassigned.len(), plan.cost);
    put(&mut body, format_args!("<text x=\"{SIZE}\" y=\"{y}\">cost {cost}, {left} stops left out</text>"));
    let (width, height) = (SIZE + 260.0, SIZE.max(y + MARGIN));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    ))
}

/// Adds a line; writing to a string cannot fail.
fn put(body: &mut String, line: std::fmt::Arguments) {
    let _ = writeln!(body, "{line}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn place(problem: &Problem, location: usize) -> Result<Place, MapError> {
    problem.place(location).ok_or(MapError::NoPlace { location })
}

fn point(problem: &Problem, stop: usize, properties: Value) -> Result<Value, MapError> {
    let at = place(problem, problem.stops()[stop].location)?;
    let geometry = json!({ "type": "Point", "coordinates": [at.lon, at.lat] });
    Ok(json!({ "type": "Feature", "geometry": geometry, "properties": properties }))
}

/// The places of a route in order, depots included where there are any.
fn path(problem: &Problem, plan: &Plan, route: usize) -> Result<Vec<Place>, MapError> {
    let route = &plan.routes[route];
    let vehicle = &problem.vehicles()[route.vehicle];
    let mut locations: Vec<usize> = vehicle.start.into_iter().collect();
    let reloads = |visits: usize| {
        let here = route.pauses.iter().filter(move |pause| pause.after_visits == visits);
        here.filter_map(|pause| if let PauseKind::Reload(location) = pause.kind { Some(location) } else { None })
    };
    for (index, visit) in route.visits.iter().enumerate() {
        locations.extend(reloads(index));
        locations.push(problem.stops()[visit.stop].location);
    }
    locations.extend(reloads(route.visits.len()).chain(vehicle.end));
    locations.into_iter().map(|location| place(problem, location)).collect()
}

/// Equirectangular projection of the problem's places onto the drawing; points of a plane are only scaled.
struct Frame {
    west: f64,
    north: f64,
    pixels_per_degree: f64,
    narrowing: f64,
}

impl Frame {
    fn around(problem: &Problem) -> Result<Frame, MapError> {
        let stops = problem.stops().iter().map(|stop| stop.location);
        let depots = problem.vehicles().iter().flat_map(|vehicle| vehicle.start.into_iter().chain(vehicle.end));
        let (mut west, mut east, mut south, mut north) = (f64::MAX, f64::MIN, f64::MAX, f64::MIN);
        for location in stops.chain(depots) {
            let at = place(problem, location)?;
            (west, east) = (west.min(at.lon), east.max(at.lon));
            (south, north) = (south.min(at.lat), north.max(at.lat));
        }
        let narrowing = if problem.is_planar() { 1.0 } else { ((north + south) / 2.0).to_radians().cos() };
        let span = ((east - west) * narrowing).max(north - south).max(1e-9);
        Ok(Frame { west, north, pixels_per_degree: (SIZE - 2.0 * MARGIN) / span, narrowing })
    }

    fn pixel(&self, at: Place) -> (f64, f64) {
        let x = (at.lon - self.west) * self.narrowing * self.pixels_per_degree;
        let y = (self.north - at.lat) * self.pixels_per_degree;
        (MARGIN + x, MARGIN + y)
    }
}
