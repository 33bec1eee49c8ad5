//! The lowest point of a smooth function of few numbers, without derivatives; it knows no likelihood.

/// Steps at most.
const STEPS_MAX: usize = 4_000;
/// The corners are as good as one where their values differ by less.
const TOLERANCE: f64 = 1e-9;

/// The simplex of Nelder and Mead (1965) with its usual factors; begun twice, since the first end may be a collapsed simplex.
/// Values that are no number count as the worst.
pub(crate) fn minimum(start: &[f64], value: impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let first = descend(start, &value);
    descend(&first.0, &value)
}

fn descend(start: &[f64], value: &impl Fn(&[f64]) -> f64) -> (Vec<f64>, f64) {
    let worth = |point: &[f64]| Some(value(point)).filter(|found| !found.is_nan()).unwrap_or(f64::INFINITY);
    let size = start.len();
    let mut corners: Vec<(Vec<f64>, f64)> = (0..=size)
        .map(|corner| {
            let mut point = start.to_vec();
            if corner < size {
                point[corner] += 0.5;
            }
            let found = worth(&point);
            (point, found)
        })
        .collect();
    for _ in 0..STEPS_MAX {
        corners.sort_by(|a, b| a.1.total_cmp(&b.1));
        if corners[size].1 - corners[0].1 < TOLERANCE {
            break;
        }
        let center: Vec<f64> =
            (0..size).map(|at| corners[..size].iter().map(|corner| corner.0[at]).sum::<f64>() / size as f64).collect();
        let along = |by: f64| {
            let point: Vec<f64> = center.iter().zip(&corners[size].0).map(|(c, w)| c + by * (w - c)).collect();
            let found = worth(&point);
            (point, found)
        };
        let reflected = along(-1.0);
        let better = if reflected.1 < corners[0].1 {
            let expanded = along(-2.0);
            Some(if expanded.1 < reflected.1 { expanded } else { reflected })
        } else if reflected.1 < corners[size - 1].1 {
            Some(reflected)
        } else {
            let contracted = along(if reflected.1 < corners[size].1 { -0.5 } else { 0.5 });
            Some(contracted).filter(|contracted| contracted.1 < corners[size].1.min(reflected.1))
        };
        match better {
            Some(better) => corners[size] = better,
            None => {
                let best = corners[0].0.clone();
                for corner in &mut corners[1..] {
                    corner.0.iter_mut().zip(&best).for_each(|(own, best)| *own = best + 0.5 * (*own - best));
                    corner.1 = worth(&corner.0);
                }
            }
        }
    }
    corners.sort_by(|a, b| a.1.total_cmp(&b.1));
    corners.swap_remove(0)
}
