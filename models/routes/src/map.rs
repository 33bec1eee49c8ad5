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
/// Height of a line of the legend and width of all, pixels.
const LINE: f64 = 18.0;
const LEGEND: f64 = 260.0;
/// Side of the small map of everything, pixels, and its marks' size as a share of the map's.
const INSET: f64 = 236.0;
const INSET_SCALE: f64 = 0.5;
/// Share of the stops that may lie outside on each side of a map that is cut off, and by how much of its length each side is widened.
const OUTERMOST_SHARE: f64 = 0.05;
const WIDENED_BY: f64 = 0.2;
/// A map is cut off where everything is so many times as long as where most stops are.
const CUT_OFF_FROM: f64 = 2.0;

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

/// A drawing: one colour per route, squares for depots, crosses for stops left out, and a legend. Where a few stops lie so far out
/// that all others would shrink to a spot, the map shows where most stops are and is cut off there; a small map beside it has all.
///
/// # Errors
/// When a location has no coordinates.
pub fn svg(problem: &Problem, plan: &Plan) -> Result<String, MapError> {
    let view = View::of(problem)?;
    let mut body = String::new();
    if view.is_cut_off {
        put(&mut body, format_args!("<clipPath id=\"map\"><rect width=\"{SIZE}\" height=\"{SIZE}\"/></clipPath>"));
        put(&mut body, format_args!("<g clip-path=\"url(#map)\">"));
        draw(&mut body, problem, plan, &view.map, 1.0)?;
        put(&mut body, format_args!("</g>"));
    } else {
        draw(&mut body, problem, plan, &view.map, 1.0)?;
    }
    let mut y = legend(&mut body, problem, plan);
    if view.is_cut_off {
        let top = y + LINE;
        draw_inset(&mut body, problem, plan, &view, top)?;
        y = top + INSET;
    }
    let (width, height) = (SIZE + LEGEND, SIZE.max(y + MARGIN));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    ))
}

/// Routes, stops, stops left out and depots in a frame; lines and marks are scaled.
fn draw(body: &mut String, problem: &Problem, plan: &Plan, frame: &Frame, scale: f64) -> Result<(), MapError> {
    for (index, route) in plan.routes.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points: Vec<(f64, f64)> = path(problem, plan, index)?.into_iter().map(|place| frame.pixel(place)).collect();
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (line, stroke) = (line.join(" "), 1.5 * scale);
        put(
            body,
            format_args!("<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{stroke}\"/>"),
        );
        for visit in &route.visits {
            let stop = &problem.stops()[visit.stop];
            let (x, y) = frame.pixel(place(problem, stop.location)?);
            let (title, radius) = (escaped(&stop.id), 3.0 * scale);
            let circle = format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"><title>{title}</title></circle>"
            );
            put(body, circle);
        }
    }
    for left in &plan.unassigned {
        let stop = &problem.stops()[left.stop];
        let (x, y) = frame.pixel(place(problem, stop.location)?);
        let (id, words) = (escaped(&stop.id), left.reason.words());
        put(
            body,
            format_args!(
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#bb0000\">✕<title>{id}: {words}</title></text>"
            ),
        );
    }
    for depot in depots(problem) {
        let (x, y) = frame.pixel(place(problem, depot)?);
        let side = 10.0 * scale;
        let (x, y) = (x - side / 2.0, y - side / 2.0);
        put(
            body,
            format_args!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side}\" height=\"{side}\" fill=\"#000000\"/>"),
        );
    }
    Ok(())
}

/// A line per route and one for the plan; returns where the last one stands.
fn legend(body: &mut String, problem: &Problem, plan: &Plan) -> f64 {
    for (index, route) in plan.routes.iter().enumerate() {
        let (vehicle, colour) = (escaped(&problem.vehicles()[route.vehicle].id), COLOURS[index % COLOURS.len()]);
        let (y, km, stops) = (MARGIN + LINE * index as f64, route.distance_m as f64 / 1_000.0, route.visits.len());
        put(
            body,
            format_args!("<text x=\"{SIZE}\" y=\"{y}\" fill=\"{colour}\">{vehicle}: {stops} stops, {km:.1} km</text>"),
        );
    }
    let y = MARGIN + LINE * plan.routes.len() as f64;
    let (left, cost) = (plan.unassigned.len(), plan.cost);
    put(body, format_args!("<text x=\"{SIZE}\" y=\"{y}\">cost {cost}, {left} stops left out</text>"));
    y
}

/// The whole plan in small under the legend, with a frame around what the map shows.
fn draw_inset(body: &mut String, problem: &Problem, plan: &Plan, view: &View, top: f64) -> Result<(), MapError> {
    let frame = Frame::on(&view.whole, view.narrowing, (SIZE, top), INSET);
    put(
        body,
        format_args!(
            "<rect x=\"{SIZE}\" y=\"{top}\" width=\"{INSET}\" height=\"{INSET}\" fill=\"none\" stroke=\"#999999\"/>"
        ),
    );
    draw(body, problem, plan, &frame, INSET_SCALE)?;
    let (x, y) = frame.pixel(view.map.place(0.0, 0.0));
    let (right, bottom) = frame.pixel(view.map.place(SIZE, SIZE));
    let (width, height) = (right - x, bottom - y);
    put(
        body,
        format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"none\" stroke=\"#000000\"/>"
        ),
    );
    Ok(())
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

/// Where all vehicles begin and end.
fn depots(problem: &Problem) -> impl Iterator<Item = usize> + '_ {
    problem.vehicles().iter().flat_map(|vehicle| vehicle.start.into_iter().chain(vehicle.end))
}

/// A rectangle of the earth or the plane, in its coordinates.
struct Extent {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Extent {
    const NOTHING: Extent = Extent { west: f64::MAX, east: f64::MIN, south: f64::MAX, north: f64::MIN };

    fn with(self, at: &Place) -> Extent {
        Extent {
            west: self.west.min(at.lon),
            east: self.east.max(at.lon),
            south: self.south.min(at.lat),
            north: self.north.max(at.lat),
        }
    }

    /// Without the outermost places on each side; of no place, nothing.
    fn of_most(places: &[Place]) -> Extent {
        if places.is_empty() {
            return Extent::NOTHING;
        }
        let outermost = (places.len() as f64 * OUTERMOST_SHARE).ceil() as usize;
        let inner = |of: fn(&Place) -> f64| {
            let mut along: Vec<f64> = places.iter().map(of).collect();
            along.sort_unstable_by(f64::total_cmp);
            (along[outermost.min(along.len() - 1)], along[along.len() - 1 - outermost.min(along.len() - 1)])
        };
        let ((west, east), (south, north)) = (inner(|at| at.lon), inner(|at| at.lat));
        Extent { west: west.min(east), east: east.max(west), south: south.min(north), north: north.max(south) }
    }

    /// Larger by a share on each side, but within another.
    fn widened(&self, share: f64, within: &Extent) -> Extent {
        let (wide, high) = ((self.east - self.west) * share, (self.north - self.south) * share);
        Extent {
            west: (self.west - wide).max(within.west),
            east: (self.east + wide).min(within.east),
            south: (self.south - high).max(within.south),
            north: (self.north + high).min(within.north),
        }
    }

    /// The longer side, in degrees of latitude.
    fn span(&self, narrowing: f64) -> f64 {
        ((self.east - self.west) * narrowing).max(self.north - self.south).max(1e-9)
    }
}

/// What the map shows.
struct View {
    whole: Extent,
    narrowing: f64,
    map: Frame,
    is_cut_off: bool,
}

impl View {
    fn of(problem: &Problem) -> Result<View, MapError> {
        let stops: Result<Vec<Place>, MapError> =
            problem.stops().iter().map(|stop| place(problem, stop.location)).collect();
        let stops = stops?;
        let depots: Vec<Place> = depots(problem).map(|depot| place(problem, depot)).collect::<Result<_, _>>()?;
        let whole = stops.iter().chain(&depots).fold(Extent::NOTHING, Extent::with);
        let narrowing = if problem.is_planar() { 1.0 } else { ((whole.north + whole.south) / 2.0).to_radians().cos() };
        let most = depots.iter().fold(Extent::of_most(&stops), Extent::with).widened(WIDENED_BY, &whole);
        let is_cut_off = whole.span(narrowing) > CUT_OFF_FROM * most.span(narrowing);
        let map = Frame::on(if is_cut_off { &most } else { &whole }, narrowing, (0.0, 0.0), SIZE);
        Ok(View { whole, narrowing, map, is_cut_off })
    }
}

/// Equirectangular projection of an extent onto the middle of a square of the drawing; points of a plane are only scaled.
struct Frame {
    west: f64,
    north: f64,
    pixels_per_degree: f64,
    narrowing: f64,
    /// Where the extent's north-western corner is.
    left: f64,
    top: f64,
}

impl Frame {
    /// On the square of such a side whose corner is there, with a free border.
    fn on(extent: &Extent, narrowing: f64, (left, top): (f64, f64), side: f64) -> Frame {
        let span = extent.span(narrowing);
        let pixels_per_degree = (side - 2.0 * MARGIN) / span;
        let free = |length: f64| MARGIN + (span - length) * pixels_per_degree / 2.0;
        let (left, top) =
            (left + free((extent.east - extent.west) * narrowing), top + free(extent.north - extent.south));
        Frame { west: extent.west, north: extent.north, pixels_per_degree, narrowing, left, top }
    }

    fn pixel(&self, at: Place) -> (f64, f64) {
        let x = (at.lon - self.west) * self.narrowing * self.pixels_per_degree;
        let y = (self.north - at.lat) * self.pixels_per_degree;
        (self.left + x, self.top + y)
    }

    /// What is drawn at a point.
    fn place(&self, x: f64, y: f64) -> Place {
        let lon = self.west + (x - self.left) / self.pixels_per_degree / self.narrowing;
        Place { lat: self.north - (y - self.top) / self.pixels_per_degree, lon }
    }
}
