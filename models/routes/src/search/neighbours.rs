//! Which stops are near each stop: exactly for problems of moderate size, among those of nearby cells of a grid for large
//! ones; it ranks by distance and by the waiting and lateness that windows force.

use super::instance::Instance;
use crate::problem::Problem;

/// Stops up to which every pair is ranked.
const ALL_PAIRS: usize = 3_000;
/// Neighbours that are known of each stop; fewer in a large problem.
const MOST: usize = 400;
const MOST_IF_LARGE: usize = 100;
/// Stops per cell of the grid, on average.
const PER_CELL: f64 = 4.0;

/// Per stop, other stops by nearness: `width` of each, one after the other.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    width: usize,
    nearest: Vec<u32>,
}

impl Neighbours {
    pub(super) fn find(instance: &Instance, problem: &Problem) -> Neighbours {
        let count = instance.stops;
        let grid = if count > ALL_PAIRS { Grid::new(problem) } else { None };
        let width = if grid.is_some() { MOST_IF_LARGE } else { MOST }.min(count - 1);
        let mut nearest = Vec::with_capacity(count * width);
        let mut candidates: Vec<u32> = (0..count as u32).collect();
        let mut keyed: Vec<(i64, u32)> = Vec::with_capacity(count);
        for stop in 0..count {
            if let Some(grid) = &grid {
                grid.around(stop, 2 * width, &mut candidates);
            }
            keyed.clear();
            let others = candidates.iter().filter(|&&other| other as usize != stop);
            keyed.extend(others.map(|&other| (apart(instance, stop, other as usize), other)));
            if keyed.len() > width {
                keyed.select_nth_unstable(width);
                keyed.truncate(width);
            }
            keyed.sort_unstable();
            nearest.extend(keyed.iter().map(|&(_, other)| other));
        }
        Neighbours { width, nearest }
    }

    pub(super) fn of(&self, stop: usize) -> &[u32] {
        &self.nearest[stop * self.width..(stop + 1) * self.width]
    }
}

/// How far apart two stops are when one is visited just before the other, in the better order.
fn apart(instance: &Instance, a: usize, b: usize) -> i64 {
    one_way(instance, a, b).min(one_way(instance, b, a))
}

fn one_way(instance: &Instance, a: usize, b: usize) -> i64 {
    let distance = instance.distance.get(a, b);
    if !instance.timed {
        return distance;
    }
    let driven = instance.service[a] + instance.classes[0].time(instance).get(a, b);
    let waiting = (instance.opens[b] - (instance.closes[a] + driven)).max(0);
    let late = (instance.opens[a] + driven - instance.closes[b]).max(0);
    5 * distance + waiting + 5 * late
}

/// Stops by the cell of the plane, or of the map, that they are in.
struct Grid {
    columns: usize,
    rows: usize,
    /// Per stop, its column and row.
    cell_of: Vec<(usize, usize)>,
    cells: Vec<Vec<u32>>,
}

impl Grid {
    /// None when the problem does not say where its places are.
    fn new(problem: &Problem) -> Option<Grid> {
        let points: Option<Vec<_>> = problem.stops().iter().map(|stop| problem.place(stop.location)).collect();
        let points = points?;
        let bounds = |of: fn(&crate::Place) -> f64| {
            let values = points.iter().map(of);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((west, east), (south, north)) = (bounds(|place| place.lon), bounds(|place| place.lat));
        let side = (points.len() as f64 / PER_CELL).sqrt().ceil() as usize;
        let along = |value: f64, low: f64, high: f64| {
            (((value - low) / (high - low).max(f64::MIN_POSITIVE) * side as f64) as usize).min(side - 1)
        };
        let cell_of: Vec<(usize, usize)> =
            points.iter().map(|place| (along(place.lon, west, east), along(place.lat, south, north))).collect();
        let mut cells = vec![Vec::new(); side * side];
        for (stop, &(column, row)) in cell_of.iter().enumerate() {
            cells[row * side + column].push(stop as u32);
        }
        Some(Grid { columns: side, rows: side, cell_of, cells })
    }

    /// The stops of the smallest square of cells around the stop that holds more than `least`, and of one ring more.
    fn around(&self, stop: usize, least: usize, found: &mut Vec<u32>) {
        found.clear();
        let (column, row) = self.cell_of[stop];
        let mut rings_left = 2;
        for ring in 0..self.columns.max(self.rows) {
            let (top, bottom) = (row.saturating_sub(ring), (row + ring).min(self.rows - 1));
            let (left, right) = (column.saturating_sub(ring), (column + ring).min(self.columns - 1));
            for y in top..=bottom {
                for x in left..=right {
                    if y.abs_diff(row).max(x.abs_diff(column)) == ring {
                        found.extend_from_slice(&self.cells[y * self.columns + x]);
                    }
                }
            }
            if found.len() > least {
                rings_left -= 1;
                if rings_left == 0 {
                    break;
                }
            }
        }
    }
}
