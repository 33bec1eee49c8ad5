//! A fan chart of one forecast as SVG: history, points and nested bands; it is static and needs no script.

use crate::demand::DemandForecast;
use std::fmt::Write;

/// Size of the drawing, pixels.
const SIZE: (f64, f64) = (860.0, 320.0);
/// Free border for labels, pixels: left, top, right, bottom.
const BORDER: (f64, f64, f64, f64) = (56.0, 34.0, 16.0, 34.0);
/// Grid lines besides the axis.
const GRID_LINES: usize = 4;

/// What a fan chart shows.
#[derive(Debug, Clone)]
pub struct Fan<'a> {
    /// Above the drawing.
    pub title: String,
    /// Below it, after the levels.
    pub note: String,
    /// The history's latest values, oldest first.
    pub recent: &'a [f64],
    /// One point for each step ahead.
    pub points: &'a [f64],
    /// Levels of the quantiles, rising.
    pub levels: &'a [f64],
    /// For each step ahead the quantile of each level.
    pub quantiles: &'a [Vec<f64>],
}

/// Draws a product's forecast, as `fan` does.
pub fn svg(forecast: &DemandForecast) -> String {
    let points: Vec<f64> = forecast.days.iter().map(|day| day.point).collect();
    let quantiles: Vec<Vec<f64>> = forecast.days.iter().map(|day| day.quantiles.clone()).collect();
    fan(&Fan {
        title: format!("{} · {} · {} days ahead", forecast.key, forecast.method, forecast.days.len()),
        note: forecast.degraded.clone().unwrap_or_default(),
        recent: &forecast.recent,
        points: &points,
        levels: &forecast.levels,
        quantiles: &quantiles,
    })
}

/// Draws the recent history in grey, the points in blue and a band between each pair of opposite levels (first with last, second
/// with last but one …).
pub fn fan(chart: &Fan) -> String {
    let scale = Scale::of(chart);
    let history = scale.line(0, chart.recent);
    let first = chart.recent.len();
    let mut body = grid(&scale);
    for pair in 0..chart.levels.len() / 2 {
        let opposite = chart.levels.len() - 1 - pair;
        let column = |level: usize| -> Vec<f64> { chart.quantiles.iter().map(|row| row[level]).collect() };
        let back: Vec<String> = scale.line(first, &column(pair)).split(' ').rev().map(str::to_string).collect();
        let outline = format!("{} {}", scale.line(first, &column(opposite)), back.join(" "));
        put(&mut body, format_args!("<polygon points=\"{outline}\" fill=\"#4477aa\" fill-opacity=\"0.2\"/>"));
    }
    put(
        &mut body,
        format_args!("<polyline points=\"{history}\" fill=\"none\" stroke=\"#666666\" stroke-width=\"1.5\"/>"),
    );
    let line = scale.line(first, chart.points);
    put(&mut body, format_args!("<polyline points=\"{line}\" fill=\"none\" stroke=\"#225588\" stroke-width=\"2\"/>"));
    let (width, height) = SIZE;
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let (title, note) = (escaped(&chart.title), escaped(&chart.note));
    let levels: Vec<String> = chart.levels.iter().map(f64::to_string).collect();
    let (left, bottom, levels) = (BORDER.0, height - 10.0, levels.join(", "));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{left}\" y=\"20\" font-weight=\"bold\">{title}</text>\n{body}\
         <text x=\"{left}\" y=\"{bottom}\" fill=\"#666666\">quantiles {levels} {note}</text>\n</svg>\n"
    )
}

/// Adds a line; writing to a string cannot fail.
fn put(body: &mut String, line: std::fmt::Arguments) {
    let _ = writeln!(body, "{line}");
}

fn grid(scale: &Scale) -> String {
    let mut body = String::new();
    let right = SIZE.0 - BORDER.2;
    for step in 0..=GRID_LINES {
        let value = scale.base + (scale.top - scale.base) * step as f64 / GRID_LINES as f64;
        let (left, y) = (BORDER.0, scale.y(value));
        let (label_x, label_y) = (left - 6.0, y + 4.0);
        put(
            &mut body,
            format_args!("<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>"),
        );
        put(&mut body, format_args!("<text x=\"{label_x}\" y=\"{label_y:.1}\" text-anchor=\"end\">{value:.1}</text>"));
    }
    body
}

struct Scale {
    steps: usize,
    /// 0, or less where values are negative.
    base: f64,
    top: f64,
}

impl Scale {
    fn of(chart: &Fan) -> Scale {
        let values = || chart.quantiles.iter().flatten().chain(chart.points).chain(chart.recent);
        let top = values().fold(0.0, |top: f64, value| top.max(*value));
        let base = 1.05 * values().fold(0.0, |base: f64, value| base.min(*value));
        let steps = (chart.recent.len() + chart.points.len()).max(2) - 1;
        Scale { steps, base, top: if top > base { top * 1.05 } else { base + 1.0 } }
    }

    fn y(&self, value: f64) -> f64 {
        let (floor, ceiling) = (SIZE.1 - BORDER.3, BORDER.1);
        floor - (floor - ceiling) * (value - self.base) / (self.top - self.base)
    }

    /// The points of a line whose first value is at step `first`, as SVG writes them.
    fn line(&self, first: usize, values: &[f64]) -> String {
        let width = SIZE.0 - BORDER.0 - BORDER.2;
        let x = |step: usize| BORDER.0 + width * step as f64 / self.steps as f64;
        let point = |(at, value): (usize, &f64)| format!("{:.1},{:.1}", x(first + at), self.y(*value));
        values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    }
}
