//! Distances of a VRPLIB file: points of a plane, or matrices in any of TSPLIB's layouts; no geographic coordinates.

use super::{File, one};
use crate::formats::FormatError;
use crate::formats::lines::{at_least_zero, number};
use crate::problem::MAX_LEG;
use crate::travel::{Place, Rounding, Travel};

/// Most nodes of a matrix.
const MAX_MATRIX_NODES: usize = 8_000;

/// The travel profile of all vehicles.
pub(super) fn travel(file: &File, nodes: usize, rounding: Rounding) -> Result<Travel, FormatError> {
    let (line, kind) = file.needed("EDGE_WEIGHT_TYPE")?;
    match kind {
        "EUC_2D" => {
            let points = points(file, nodes)?;
            let points = points.ok_or_else(|| FormatError::at(file.end, "EUC_2D needs a NODE_COORD_SECTION"))?;
            Ok(Travel::Planar { points, rounding })
        }
        "EXPLICIT" => {
            let matrix = matrix(file, nodes, rounding)?;
            let place = |point: &[f64; 2]| Place { lon: point[0], lat: point[1] };
            let places = points(file, nodes)?.unwrap_or_default().iter().map(place).collect();
            Ok(Travel::Matrices { distances_m: matrix.clone(), durations_s: matrix, places })
        }
        other => {
            let message = format!("EDGE_WEIGHT_TYPE {other} is not known; EUC_2D and EXPLICIT are");
            Err(FormatError::at(line, message))
        }
    }
}

fn points(file: &File, nodes: usize) -> Result<Option<Vec<[f64; 2]>>, FormatError> {
    let Some(table) = file.table("NODE_COORD_SECTION", nodes)? else { return Ok(None) };
    let point = |(line, row): &super::Row| match row.as_slice() {
        [x, y] => Ok([number(*line, x, "x")?, number(*line, y, "y")?]),
        _ => Err(FormatError::at(*line, format!("{} coordinates; x and y are needed", row.len()))),
    };
    table.iter().map(point).collect::<Result<_, _>>().map(Some)
}

/// The square matrix of an EDGE_WEIGHT_SECTION, whose numbers may be broken into lines anywhere.
fn matrix(file: &File, nodes: usize, rounding: Rounding) -> Result<Vec<Vec<i64>>, FormatError> {
    let (line, format) = file.needed("EDGE_WEIGHT_FORMAT")?;
    let Some((heading, rows)) = file.rows("EDGE_WEIGHT_SECTION") else {
        return Err(FormatError::at(file.end, "EXPLICIT needs an EDGE_WEIGHT_SECTION"));
    };
    if nodes > MAX_MATRIX_NODES {
        return Err(FormatError::at(heading, format!("{nodes} nodes; a matrix may have at most {MAX_MATRIX_NODES}")));
    }
    let Some(cells) = cells(format, nodes) else {
        let message = format!("EDGE_WEIGHT_FORMAT {format} is not known; FULL_MATRIX and the eight triangles are");
        return Err(FormatError::at(line, message));
    };
    let mut values = rows.iter().flat_map(|(line, row)| row.iter().map(move |token| (*line, *token)));
    let mut matrix = vec![vec![0; nodes]; nodes];
    let mut last = heading;
    for (from, to) in cells {
        let Some((line, token)) = values.next() else {
            return Err(FormatError::at(
                last + 1,
                format!("the matrix ends before its value for {} to {}", from + 1, to + 1),
            ));
        };
        last = line;
        let value = rounding.apply(at_least_zero(line, token, "a matrix value")?);
        if value > MAX_LEG {
            return Err(FormatError::at(
                line,
                format!("a matrix value is {token}; at most {MAX_LEG} units are allowed"),
            ));
        }
        matrix[from][to] = value;
        if format != "FULL_MATRIX" {
            matrix[to][from] = value;
        }
    }
    match values.next() {
        None => Ok(matrix),
        Some((line, token)) => {
            let message = format!("{token} stands behind the last value of a {format} of {nodes} nodes");
            Err(FormatError::at(line, message))
        }
    }
}

/// The cells of a layout in the order of the file.
fn cells(format: &str, nodes: usize) -> Option<Vec<(usize, usize)>> {
    let full = || (0..nodes).flat_map(move |a| (0..nodes).map(move |b| (a, b)));
    // A triangle by columns holds the same numbers in the same order as the opposite triangle by rows.
    let keep: fn(usize, usize) -> bool = match format {
        "FULL_MATRIX" => |_, _| true,
        "LOWER_ROW" | "UPPER_COL" => |a, b| b < a,
        "LOWER_DIAG_ROW" | "UPPER_DIAG_COL" => |a, b| b <= a,
        "UPPER_ROW" | "LOWER_COL" => |a, b| b > a,
        "UPPER_DIAG_ROW" | "LOWER_DIAG_COL" => |a, b| b >= a,
        _ => return None,
    };
    Some(full().filter(|&(a, b)| keep(a, b)).collect())
}

/// A single time or length that a field gives, in the rounding's units.
pub(super) fn field(file: &File, key: &str, rounding: Rounding) -> Result<Option<i64>, FormatError> {
    let Some((line, value)) = file.text(key) else { return Ok(None) };
    Ok(Some(rounding.apply(at_least_zero(line, one(line, &[value], key)?, key)?)))
}
